//! Masters that sentinels name, and their failovers.

use std::time::{Duration, Instant};

use tollgate::Quota;
use tollgate::shared::store::{Rule, Store, StoreError, Verb};
use tollgate_redis::{Builder, ConnectError, Redis};

use crate::support::cluster::wait_until;
use crate::support::sentinel::{NAME, Watched};
use crate::support::server::{Server, command, free_port, is_installed, kinds};
use crate::support::{answer, ask, eventually, one_limit};

/// Enough for a busy machine.
const PATIENT: Duration = Duration::from_secs(10);

fn patient(watched: &Watched) -> Builder {
    Redis::sentinel(NAME, watched.urls()).deadline(PATIENT).connect_deadline(PATIENT)
}

async fn the_store_follows(kind: &'static str) {
    if !is_installed(kind) {
        return;
    }
    let mut watched = Watched::start(kind, None);
    let store = patient(&watched).connect().await.unwrap();
    let quota = Quota::per(1_000_000, Duration::from_secs(86_400));
    let buckets = store.open(&[one_limit(Rule::FixedWindow, quota)]).unwrap();
    let take = || answer(&buckets, ask(Verb::Take, "alice", 1));
    let mut taken = 0;
    for _ in 0..20 {
        taken += u64::from(take().await.is_ok());
    }
    assert_eq!(taken, 20, "{kind}");
    watched.servers[0].wait_for_replica(&watched.servers[1]);
    // A failover that is asked for: the old master becomes a replica.
    let reply = watched.on(watched.sentinels[0].port, &["SENTINEL", "FAILOVER", NAME]);
    assert_eq!(reply, "+OK\r\n", "{kind}");
    // Sentinels end all connections of a server that they give another role.
    let says = |server: &Server, words: &[&str], what: &str| {
        command(server.port, words).is_some_and(|reply| reply.contains(what))
    };
    let is_master = |server: &Server| says(server, &["ROLE"], "$6\r\nmaster");
    let mut errors = std::collections::BTreeSet::new();
    let asked = Instant::now();
    while is_master(&watched.servers[0]) || !is_master(&watched.servers[1]) {
        assert!(asked.elapsed() < Duration::from_secs(60), "{kind}: no failover");
        match take().await {
            Ok(_) => taken += 1,
            Err(error) => drop(errors.insert(error.to_string())),
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    eventually(|| async { take().await.is_ok() }).await;
    taken += 1;
    let elapsed = asked.elapsed();
    let calls = watched.servers[1].command(&["INFO", "commandstats"]);
    assert!(calls.contains("cmdstat_evalsha"), "{kind}: the new master is asked");
    let used = answer(&buckets, ask(Verb::Look, "alice", 0)).await.unwrap().levels[0].used;
    let lost = taken - used;
    eprintln!(
        "{kind}: {taken} were taken, {lost} of them lost in a failover of {elapsed:?}; {errors:?}"
    );
    assert!((20..=taken).contains(&used), "{kind}: {used} of {taken}");
    // A master that dies. The old one is its replica by now.
    wait_until("the old master follows the new one", || {
        says(&watched.servers[0], &["INFO", "replication"], "master_link_status:up")
            && watched.sentinels.iter().all(|sentinel| {
                let replicas = watched.on(sentinel.port, &["SENTINEL", "REPLICAS", NAME]);
                replicas.contains("$5\r\nflags\r\n$5\r\nslave\r\n")
                    && replicas.contains("$18\r\nmaster-link-status\r\n$2\r\nok\r\n")
            })
    });
    watched.servers[1].wait_for_replica(&watched.servers[0]);
    watched.servers[1].kill();
    let died = Instant::now();
    wait_until("the old master is master again", || is_master(&watched.servers[0]));
    eventually(|| async { take().await.is_ok() }).await;
    let known = answer(&buckets, ask(Verb::Look, "alice", 0)).await.unwrap().levels[0].used;
    eprintln!("{kind}: back {:?} after the master had died; {known} are known", died.elapsed());
    assert_eq!(known, used + 1, "{kind}: nothing was lost that had reached the replica");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_store_follows_sentinels_of_redis() {
    the_store_follows("redis-server").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_store_follows_sentinels_of_valkey() {
    the_store_follows("valkey-server").await;
}

/// One that was cut off from the others, for example, and names an old master.
#[tokio::test(flavor = "multi_thread")]
async fn one_wrong_sentinel_of_three_moves_nobody() {
    let kind = "redis-server";
    if !is_installed(kind) {
        return;
    }
    let (watched, others) = (Watched::start(kind, None), Watched::start(kind, None));
    let mut urls = watched.urls();
    urls.truncate(2);
    urls.extend(others.urls().into_iter().take(1));
    let store = Redis::sentinel(NAME, urls).deadline(PATIENT).connect_deadline(PATIENT);
    let store = store.connect().await.unwrap();
    let buckets = store.open(&[one_limit(Rule::TokenBucket, Quota::per_hour(1_000))]).unwrap();
    // The sentinels are asked once a second, in turn.
    for _ in 0..500 {
        let taken = answer(&buckets, ask(Verb::Take, "alice", 1)).await;
        assert!(taken.is_ok(), "{taken:?}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let calls = others.servers[0].command(&["INFO", "commandstats"]);
    assert!(!calls.contains("cmdstat_evalsha"), "{calls}");
    // A connection that is made loads both scripts.
    let calls = watched.servers[0].command(&["INFO", "commandstats"]);
    assert!(calls.contains("cmdstat_script|load:calls=2,"), "{calls}");
}

#[tokio::test(flavor = "multi_thread")]
async fn sentinels_and_servers_have_users_of_their_own() {
    let kind = "redis-server";
    if !is_installed(kind) {
        return;
    }
    let watched = Watched::start(kind, Some("both-secret"));
    let (mut server, mut sentinel) = (documented("ACL SETUSER"), documented_of_sentinels());
    server.extend(documented_of_masters());
    let words = |all: &[String]| all.iter().map(String::clone).collect::<Vec<_>>();
    let set = |port: u16, rights: &[String]| {
        let rights = words(rights);
        let rights: Vec<_> = rights.iter().map(String::as_str).collect();
        assert_eq!(watched.on(port, &rights), "+OK\r\n", "{rights:?}");
    };
    watched.servers.iter().for_each(|it| set(it.port, &server));
    watched.sentinels.iter().for_each(|it| set(it.port, &sentinel));
    let builder = || patient(&watched).user("limiter", "password");
    let store = builder().sentinel_user("watcher", "password").connect().await.unwrap();
    let buckets = store.open(&[one_limit(Rule::TokenBucket, Quota::per_hour(9))]).unwrap();
    assert!(answer(&buckets, ask(Verb::Take, "alice", 1)).await.is_ok());
    // Each of the rights is needed, and no password is ever told.
    let wrong = builder().sentinel_user("watcher", "wrong-secret");
    let told = format!("{wrong:?} {store:?}");
    let errors = [wrong.connect().await, builder().connect().await];
    server.retain(|word| word != "+role");
    sentinel.retain(|word| word != "+sentinel|get-master-addr-by-name");
    watched.servers.iter().for_each(|it| drop(watched.on(it.port, &["ACL", "DELUSER", "limiter"])));
    watched.servers.iter().for_each(|it| set(it.port, &server));
    let no_role = builder().sentinel_user("watcher", "password").connect().await;
    watched
        .sentinels
        .iter()
        .for_each(|it| drop(watched.on(it.port, &["ACL", "DELUSER", "watcher"])));
    watched.sentinels.iter().for_each(|it| set(it.port, &sentinel));
    let no_sentinel = builder().sentinel_user("watcher", "password").connect().await;
    for error in errors.into_iter().chain([no_role, no_sentinel]) {
        assert!(matches!(error, Err(ConnectError::Refused(_))), "{error:?}");
        assert!(!format!("{told} {error:?}").contains("secret"), "{told} {error:?}");
    }
    assert!(!told.contains("\"password\""), "{told}");
    // Who is not known is not guessed.
    let unknown = Redis::sentinel("other", watched.urls()).connect_deadline(PATIENT);
    let unknown = unknown.sentinel_user("default", "both-secret").connect().await;
    let Err(ConnectError::Refused(why)) = unknown else { panic!("{unknown:?}") };
    assert!(why.contains("`other`"), "{why}");
}

#[tokio::test(flavor = "multi_thread")]
async fn sentinels_that_do_not_answer_are_passed_over() {
    let kind = "redis-server";
    if !is_installed(kind) {
        return;
    }
    let mut watched = Watched::start(kind, None);
    let mut urls = watched.urls();
    let (alone, nobody) = (Server::start(kind), free_port());
    urls[0] = format!("redis://127.0.0.1:{nobody}");
    // This one is no sentinel.
    urls[1] = alone.url();
    let builder = Redis::sentinel(NAME, &urls).deadline(PATIENT).connect_deadline(PATIENT);
    for _ in 0..3 {
        let store = builder.clone().connect().await.unwrap();
        let buckets = store.open(&[one_limit(Rule::TokenBucket, Quota::per_hour(90))]).unwrap();
        assert!(answer(&buckets, ask(Verb::Take, "alice", 1)).await.is_ok());
    }
    // A server that is no master (yet) is not written to.
    let store = builder.clone().connect().await.unwrap();
    let buckets = store.open(&[one_limit(Rule::TokenBucket, Quota::per_hour(90))]).unwrap();
    watched.sentinels.iter().for_each(|sentinel| sentinel.signal("-STOP"));
    watched.servers[0].command(&["REPLICAOF", "127.0.0.1", "1"]);
    let refused = answer(&buckets, ask(Verb::Take, "alice", 1)).await;
    assert!(matches!(refused, Err(StoreError::Refused(_))), "{refused:?}");
    watched.sentinels.clear();
    let none = builder.connect().await;
    assert!(
        matches!(none, Err(ConnectError::Unreachable(_) | ConnectError::Refused(_))),
        "{none:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_master_that_was_replaced_is_left_although_it_goes_on() {
    for kind in kinds() {
        let watched = Watched::start_apart(kind);
        let store = patient(&watched).connect().await.unwrap();
        let buckets = store.open(&[one_limit(Rule::TokenBucket, Quota::per_hour(1))]).unwrap();
        assert!(answer(&buckets, ask(Verb::Take, "alice", 1)).await.is_ok());
        assert_eq!(watched.servers[0].number(&["DBSIZE"]), 1, "{kind}: the first is the master");
        let (sentinel, port) = (watched.sentinels[0].port, watched.servers[1].port.to_string());
        for words in [
            &["SENTINEL", "REMOVE", NAME] as &[&str],
            &["SENTINEL", "MONITOR", NAME, "127.0.0.1", &port, "2"],
        ] {
            assert_eq!(watched.on(sentinel, words), "+OK\r\n", "{kind}");
        }
        eventually(|| async {
            let _ = answer(&buckets, ask(Verb::Take, "alice", 1)).await;
            watched.servers[1].number(&["DBSIZE"]) == 1
        })
        .await;
    }
}

fn documented(begin: &str) -> Vec<String> {
    let docs = include_str!("../../docs/promises.md");
    let line = docs.lines().find(|line| line.starts_with(begin)).expect("a line");
    line.split_whitespace().map(str::to_string).collect()
}

fn documented_of_masters() -> Vec<String> {
    let line = documented("* on a master that sentinels name").join(" ");
    line.split('`').nth(1).expect("a right").split(' ').map(str::to_string).collect()
}

fn documented_of_sentinels() -> Vec<String> {
    let line = documented("The user of the sentinels").join(" ");
    let right = line.split('`').nth(1).expect("a right").to_string();
    let user = ["ACL", "SETUSER", "watcher", "on", ">password", "-@all"].map(str::to_string);
    user.into_iter().chain([right]).collect()
}
