//! Masters that die.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tollgate::Quota;
use tollgate::shared::store::{Buckets, Outcome, Rule, Store, StoreError, Verb};
use tollgate_redis::Redis;

use crate::support::cluster::{Cluster, wait_until};
use crate::support::proxy::{DAMAGES, Damage, Proxy};
use crate::support::server::{is_installed, kinds};
use crate::support::{answer, ask, eventually, one_limit};
use crate::{PATIENT, patient};

const SUBJECTS: usize = 60;

/// Takes a permit of each subject, and counts in `taken` what was answered to be taken. Returns
/// the numbers of the servers of which an ask failed.
async fn take_of_each(buckets: &dyn Buckets, taken: &mut [u64; SUBJECTS]) -> Vec<usize> {
    let take = |at: usize| ask(Verb::Take, &format!("user {at}"), 1);
    let asks: Vec<_> = (0..SUBJECTS).map(take).collect();
    let servers: Vec<_> = asks.iter().map(|ask| buckets.server_of(ask)).collect();
    let mut failed = Vec::new();
    for (at, answer) in buckets.ask(asks).await.into_iter().enumerate() {
        match answer {
            Ok(answer) => {
                assert!(matches!(answer.outcome, Outcome::Done { .. }), "{answer:?}");
                taken[at] += 1;
            }
            Err(StoreError::Misfit(why)) => panic!("{why}"),
            Err(_) => failed.push(servers[at]),
        }
    }
    failed.sort_unstable();
    failed.dedup();
    failed
}

async fn used_of_each(buckets: &Arc<dyn Buckets>) -> [u64; SUBJECTS] {
    let mut all = [0; SUBJECTS];
    for (at, used) in all.iter_mut().enumerate() {
        let look = ask(Verb::Look, &format!("user {at}"), 0);
        *used = answer(buckets, look).await.expect("an answer").levels[0].used;
    }
    all
}

async fn a_master_dies(kind: &'static str) {
    if !is_installed(kind) {
        return;
    }
    let mut cluster = Cluster::start(kind);
    let store = patient(&cluster).connect().await.unwrap();
    let quota = Quota::per(1_000_000, Duration::from_secs(86_400));
    let buckets = store.open(&[one_limit(Rule::FixedWindow, quota)]).unwrap();
    let mut taken = [0; SUBJECTS];
    for _ in 0..50 {
        assert_eq!(take_of_each(&*buckets, &mut taken).await, [], "{kind}: all are there");
    }
    let servers = |buckets: &dyn Buckets| {
        let of = |at: usize| buckets.server_of(&ask(Verb::Look, &format!("user {at}"), 0));
        (0..SUBJECTS).map(of).collect::<Vec<_>>()
    };
    let before = servers(&*buckets);
    assert_eq!(before.iter().max(), Some(&2), "{kind}: three numbers");
    // A failover that is planned is not noticed, and nothing is lost.
    assert_eq!(cluster.nodes[3].command(&["CLUSTER", "FAILOVER"]), "+OK\r\n", "{kind}");
    let began = Instant::now();
    while !cluster.nodes[3].command(&["ROLE"]).contains("master") {
        assert!(began.elapsed() < Duration::from_secs(60), "{kind}: no failover");
        assert_eq!(take_of_each(&*buckets, &mut taken).await, [], "{kind}: no error");
    }
    for _ in 0..50 {
        assert_eq!(take_of_each(&*buckets, &mut taken).await, [], "{kind}: no error");
    }
    assert_eq!(used_of_each(&buckets).await, taken, "{kind}: nothing is lost");
    assert_eq!(servers(&*buckets), before, "{kind}: the numbers stay");
    // What has been taken until now has reached the replica.
    cluster.nodes[1].wait_for_replica(&cluster.nodes[4]);
    let safe = taken;
    for _ in 0..20 {
        assert_eq!(take_of_each(&*buckets, &mut taken).await, []);
    }
    let at_kill = taken;
    cluster.nodes[1].kill();
    let (died, mut dead) = (Instant::now(), None);
    let numbers = loop {
        let failed = take_of_each(&*buckets, &mut taken).await;
        if failed.is_empty() && dead.is_some() {
            break servers(&*buckets);
        }
        assert!(failed.len() <= 1, "{kind}: only one server fails, not {failed:?}");
        dead = dead.or(failed.first().copied());
        assert!(died.elapsed() < Duration::from_secs(60), "{kind}: nobody is elected");
        tokio::time::sleep(Duration::from_millis(2)).await;
    };
    let back = died.elapsed();
    // The replica has the number of the server that it follows.
    assert_eq!(numbers, before, "{kind}: the numbers stay");
    for _ in 0..20 {
        assert_eq!(take_of_each(&*buckets, &mut taken).await, [], "{kind}: all are there again");
    }
    let (mut lost, mut at_risk) = (0, 0);
    for (at, used) in used_of_each(&buckets).await.into_iter().enumerate() {
        if Some(before[at]) == dead {
            // Asks without an answer may have been done, too.
            assert!(used >= safe[at], "{kind}: what has reached the replica is there");
            lost += taken[at].saturating_sub(used);
            at_risk += at_kill[at] - safe[at];
        } else {
            assert_eq!(used, taken[at], "{kind}: nothing is lost elsewhere");
        }
    }
    eprintln!("{kind}: back after {back:?}; {lost} permits lost of {at_risk} that were at risk");
    assert!(lost <= at_risk, "{kind}: {lost} were lost");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_master_of_redis_dies_and_its_replica_follows() {
    a_master_dies("redis-server").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_master_of_valkey_dies_and_its_replica_follows() {
    a_master_dies("valkey-server").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_master_that_stops_is_no_reason_to_wait_and_charges_nothing_late() {
    for kind in kinds() {
        let cluster = Cluster::start_with(kind, 3, 3, &[]);
        let deadline = Duration::from_millis(200);
        let store = Redis::cluster(cluster.urls()).deadline(deadline).connect_deadline(PATIENT);
        let store = store.connect().await.unwrap();
        let quota = Quota::per(1_000_000, Duration::from_secs(86_400));
        let buckets = store.open(&[one_limit(Rule::FixedWindow, quota)]).unwrap();
        let subject = |server: usize| {
            let of = |name: &String| buckets.server_of(&ask(Verb::Take, name, 1)) == server;
            (0..1_000).map(|at| format!("user {at}")).find(of).expect("one of them")
        };
        let subjects = [0, 1, 2].map(subject);
        let take = |server: usize| {
            let mut take = ask(Verb::Take, &subjects[server], 1);
            take.lifetime = deadline;
            take
        };
        let mut taken = [0_u64; 3];
        // Which of the servers has which number is the store's choice.
        cluster.nodes[1].signal("-STOP");
        let began = Instant::now();
        let (mut lost, mut unreachable) = ([0_u32; 3], 0);
        while began.elapsed() < Duration::from_secs(1) {
            // As a client does, each server is asked by itself.
            let asks = [0, 1, 2].map(|server| {
                let (buckets, take) = (buckets.clone(), take(server));
                tokio::spawn(async move { answer(&buckets, take).await })
            });
            for (server, ask) in asks.into_iter().enumerate() {
                match ask.await.unwrap() {
                    Ok(_) => taken[server] += 1,
                    Err(StoreError::Lost(_)) => lost[server] += 1,
                    Err(StoreError::Unreachable(_)) => unreachable += 1,
                    other => panic!("{kind}: {other:?}"),
                }
            }
        }
        cluster.nodes[1].signal("-CONT");
        let stopped = (0..3).max_by_key(|server| lost[*server]).unwrap();
        eprintln!("{kind}: {lost:?} were lost, {unreachable} unreachable, {taken:?} taken");
        assert!(lost[stopped] > 0 && unreachable > 0, "{kind}: {lost:?}");
        assert_eq!(taken[stopped], 0, "{kind}");
        for server in 0..3 {
            eventually(|| async {
                answer(&buckets, ask(Verb::Look, &subjects[server], 0)).await.is_ok()
            })
            .await;
            let look = answer(&buckets, ask(Verb::Look, &subjects[server], 0)).await.unwrap();
            let (used, most) = (look.levels[0].used, taken[server] + u64::from(lost[server]));
            let expected = if server == stopped { 0..=0 } else { taken[server]..=most };
            assert!(expected.contains(&used), "{kind}: {used} of {expected:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replica_takes_over_from_a_master_that_only_stops() {
    for kind in kinds() {
        let cluster = Cluster::start(kind);
        let deadline = Duration::from_millis(200);
        let store = Redis::cluster(cluster.urls()).deadline(deadline).connect_deadline(PATIENT);
        let store = store.connect().await.unwrap();
        let buckets = store.open(&[one_limit(Rule::FixedWindow, Quota::per_hour(9_000))]).unwrap();
        // The second of three masters has the slots in the middle.
        let is_middle = |name: &String| (5_462..10_922).contains(&cluster.slot(name));
        let tag = (0..1_000).map(|at| at.to_string()).find(is_middle).expect("one of them");
        let take = || {
            let mut take = ask(Verb::Take, &format!("{{{tag}}}"), 1);
            take.lifetime = deadline;
            take
        };
        for _ in 0..10 {
            assert!(answer(&buckets, take()).await.is_ok(), "{kind}");
        }
        cluster.nodes[1].wait_for_replica(&cluster.nodes[4]);
        cluster.nodes[1].signal("-STOP");
        let (stopped, mut longest) = (Instant::now(), Duration::ZERO);
        loop {
            assert!(stopped.elapsed() < Duration::from_secs(60), "{kind}: nobody is elected");
            let asked = Instant::now();
            let taken = answer(&buckets, take()).await.is_ok();
            longest = longest.max(asked.elapsed());
            if taken {
                break;
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        let back = stopped.elapsed();
        eprintln!("{kind}: back after {back:?}, no answer took longer than {longest:?}");
        cluster.nodes[1].signal("-CONT");
        wait_until("the old master follows the new one", || {
            cluster.nodes[1].command(&["ROLE"]).contains("slave")
        });
        // What the old master has found in its queue is not charged.
        let look = answer(&buckets, ask(Verb::Look, &format!("{{{tag}}}"), 0)).await.unwrap();
        assert_eq!(look.levels[0].used, 11, "{kind}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slot_that_nobody_has_is_refused_until_somebody_has_it() {
    for kind in kinds() {
        let cluster = Cluster::start_with(kind, 1, 1, &[]);
        let store = patient(&cluster).connect().await.unwrap();
        let buckets = store.open(&[one_limit(Rule::FixedWindow, Quota::per_hour(9))]).unwrap();
        assert!(answer(&buckets, ask(Verb::Take, "{hot}", 1)).await.is_ok(), "{kind}");
        let (node, slot) = (&cluster.nodes[0], cluster.slot("{hot}").to_string());
        assert_eq!(node.command(&["CLUSTER", "DELSLOTS", &slot]), "+OK\r\n", "{kind}");
        let refused = answer(&buckets, ask(Verb::Take, "{hot}", 1)).await;
        let Err(StoreError::Refused(why)) = refused else { panic!("{kind}: {refused:?}") };
        assert!(why.starts_with("CLUSTERDOWN"), "{kind}: {why}");
        eventually(|| async {
            let answer = answer(&buckets, ask(Verb::Take, "{hot}", 1)).await;
            assert!(answer.is_err(), "{kind}: {answer:?}");
            matches!(answer, Err(StoreError::Unreachable(_)))
        })
        .await;
        // Other slots have nothing to do with it.
        assert!(answer(&buckets, ask(Verb::Take, "{cold}", 1)).await.is_ok(), "{kind}");
        assert_eq!(node.command(&["CLUSTER", "ADDSLOTS", &slot]), "+OK\r\n", "{kind}");
        eventually(|| async { answer(&buckets, ask(Verb::Look, "{hot}", 0)).await.is_ok() }).await;
    }
}

#[tokio::test]
async fn damage_is_a_typed_error_and_the_connection_is_replaced() {
    for kind in kinds() {
        let cluster = Cluster::start_with(kind, 1, 1, &[]);
        let node = &cluster.nodes[0];
        let proxy = Proxy::start(node.port).await;
        // All ways lead through the proxy.
        let port = proxy.port().to_string();
        node.command(&["CONFIG", "SET", "cluster-announce-port", &port]);
        let store = Redis::cluster([proxy.url()]).deadline(Duration::from_millis(50));
        let store = store.connect_deadline(PATIENT).connect().await.unwrap();
        let quota = Quota::per_hour(1_000_000);
        let buckets = store.open(&[one_limit(Rule::FixedWindow, quota)]).unwrap();
        for damage in DAMAGES {
            let connections = proxy.connections();
            proxy.set(damage);
            for _ in 0..20 {
                let answer = answer(&buckets, ask(Verb::Take, "alice", 1)).await;
                let is_expected = matches!(
                    answer,
                    Err(StoreError::Unreadable(_)
                        | StoreError::Lost(_)
                        | StoreError::Unreachable(_))
                );
                assert!(is_expected, "{kind} {damage:?}: {answer:?}");
            }
            proxy.set(Damage::None);
            eventually(|| async { answer(&buckets, ask(Verb::Take, "alice", 1)).await.is_ok() })
                .await;
            assert!(proxy.connections() > connections, "{kind} {damage:?}: a new connection");
        }
    }
}
