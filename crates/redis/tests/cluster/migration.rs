//! Slots that move from server to server while they are in use.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tollgate::Quota;
use tollgate::shared::store::{Outcome, Rule, Store, Verb};

use crate::patient;
use crate::support::cluster::Cluster;
use crate::support::server::kinds;
use crate::support::{ask, one_limit};

/// All of them are in one slot, that of their braces.
const SUBJECTS: usize = 12;

/// How many tasks ask, each on a connection of its own process would have: there are two stores.
const TASKS: usize = 24;

const QUOTA: Quota = Quota::per_second(50).burst(20);

/// When an ask that was granted was sent, and when its answer came.
#[derive(Clone, Copy)]
struct Grant {
    sent: Duration,
    received: Duration,
}

/// The most permits that there are in a window of so many microseconds, in millionths.
fn most(micros: u128) -> u128 {
    20_000_000 + 50 * micros
}

/// Checks that in no window more was granted than the quota allows.
fn check_bound(kind: &str, grants: &mut [Grant]) {
    grants.sort_by_key(|grant| grant.sent);
    for (first, grant) in grants.iter().enumerate() {
        let mut latest = Duration::ZERO;
        for (more, other) in grants[first..].iter().enumerate() {
            latest = latest.max(other.received);
            let micros = (latest - grant.sent).as_nanos().div_ceil(1_000);
            let count = more as u128 + 1;
            assert!(count * 1_000_000 <= most(micros), "{kind}: {count} in {micros} µs");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn slots_move_while_they_are_in_use() {
    for kind in kinds() {
        // The last server has no slots, so no store knows it before it is named.
        let cluster = Cluster::start_with(kind, 3, 4, &[]);
        let slot = cluster.slot("{hot}");
        let mut owner = usize::from(slot) * 3 / 16_384;
        let began = Instant::now();
        let (stop, asks) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let stores = [patient(&cluster).connect().await, patient(&cluster).connect().await];
        let buckets = stores.map(|store| {
            store.expect("the cluster").open(&[one_limit(Rule::TokenBucket, QUOTA)]).unwrap()
        });
        let tasks: Vec<_> = (0..TASKS)
            .map(|number| {
                let (buckets, stop) = (Arc::clone(&buckets[number % 2]), Arc::clone(&stop));
                let asks = Arc::clone(&asks);
                tokio::spawn(async move {
                    let mut grants = vec![Vec::new(); SUBJECTS];
                    let mut at = number;
                    while !stop.load(Ordering::SeqCst) {
                        let batch: Vec<_> = (at..at + 3).map(|at| at % SUBJECTS).collect();
                        at += 1;
                        let take = |at: &usize| ask(Verb::Take, &format!("{{hot}}{at}"), 1);
                        let sent = began.elapsed();
                        let answers = buckets.ask(batch.iter().map(take).collect()).await;
                        let received = began.elapsed();
                        asks.fetch_add(3, Ordering::SeqCst);
                        for (subject, answer) in batch.into_iter().zip(answers) {
                            // No error reaches a caller.
                            let answer = answer.expect("an answer");
                            if let Outcome::Done { .. } = answer.outcome {
                                grants[subject].push(Grant { sent, received });
                            }
                        }
                    }
                    grants
                })
            })
            .collect();
        let until = Instant::now() + Duration::from_secs(4);
        let (cluster, moves) = tokio::task::spawn_blocking(move || {
            let mut moves = 0;
            while Instant::now() < until || moves < 8 {
                let to = if moves == 0 { 3 } else { (owner + 1) % 4 };
                cluster.move_slot(slot, owner, to);
                // Were the slot on its way to the same server again while an ask is still
                // following the refusal of the last time, there could be two keys of a subject.
                std::thread::sleep(Duration::from_millis(100));
                (owner, moves) = (to, moves + 1);
            }
            (cluster, moves)
        })
        .await
        .expect("the slots move");
        stop.store(true, Ordering::SeqCst);
        let mut grants = vec![Vec::new(); SUBJECTS];
        for task in tasks {
            for (all, more) in grants.iter_mut().zip(task.await.expect("no error")) {
                all.extend(more);
            }
        }
        let all = most(began.elapsed().as_micros()) / 1_000_000;
        let least = grants.iter().map(Vec::len).min().unwrap_or(0);
        let asks = asks.load(Ordering::SeqCst);
        let redirected: i64 = cluster
            .nodes
            .iter()
            .map(|node| {
                let errors = node.command(&["INFO", "errorstats"]);
                let count = |code: &str| {
                    let line = errors.lines().find_map(|line| line.strip_prefix(code))?;
                    line.trim().parse::<i64>().ok()
                };
                count("errorstat_ASK:count=").unwrap_or(0)
                    + count("errorstat_MOVED:count=").unwrap_or(0)
            })
            .sum();
        eprintln!(
            "{kind}: {asks} asks, {moves} moves, {redirected} redirections, at least {least} \
             permits of {all} per subject"
        );
        assert!(redirected > 0, "{kind}: the moves were noticed");
        for grants in &mut grants {
            check_bound(kind, grants);
        }
        // What is not refused by mistake is granted.
        assert!(least as u128 > all / 2, "{kind}: {least} of {all}");
    }
}
