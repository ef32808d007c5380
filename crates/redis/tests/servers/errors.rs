//! Servers that refuse.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tollgate::Quota;
use tollgate::shared::store::{Outcome, Rule, Store, StoreError, Verb};
use tollgate_redis::Redis;

use crate::support::server::{Server, kinds};
use crate::support::{answer, ask, eventually, one_limit, open};

#[tokio::test(flavor = "multi_thread")]
async fn a_script_that_the_server_forgets_is_sent_again() {
    for kind in kinds() {
        let server = Server::start(kind);
        let rules = [Rule::TokenBucket, Rule::StrictWindow];
        for rule in rules {
            let month = Duration::from_secs(30 * 86_400);
            let store = Redis::builder(&server.url()).deadline(Duration::from_secs(10));
            let buckets = store.connect().await.unwrap();
            let buckets = buckets.open(&[one_limit(rule, Quota::per(1_000_000, month))]).unwrap();
            let stop = Arc::new(AtomicBool::new(false));
            let (port, stopped) = (server.port, Arc::clone(&stop));
            let flushes = std::thread::spawn(move || {
                let mut flushes = 0;
                while !stopped.load(Ordering::SeqCst) {
                    crate::support::server::command(port, &["SCRIPT", "FLUSH"]);
                    flushes += 1;
                }
                flushes
            });
            let mut errors = Vec::new();
            for _ in 0..1_000 {
                errors.extend(answer(&buckets, ask(Verb::Take, "alice", 1)).await.err());
            }
            stop.store(true, Ordering::SeqCst);
            let flushes = flushes.join().unwrap();
            eprintln!("{kind}: {flushes} flushes");
            assert!(errors.is_empty() && flushes > 100, "{kind} {rule:?}: {errors:?}, {flushes}");
            let level = answer(&buckets, ask(Verb::Look, "alice", 0)).await.unwrap().levels[0];
            // A token bucket is refilled a little.
            assert!((980..=1_000).contains(&level.used), "{kind} {rule:?}: {}", level.used);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_without_memory_refuses_and_takes_nothing() {
    for kind in kinds() {
        let server = Server::start(kind);
        let buckets = open(&server, &[one_limit(Rule::FixedWindow, Quota::per_hour(10))]).await;
        assert!(answer(&buckets, ask(Verb::Take, "alice", 3)).await.is_ok());
        server.command(&["CONFIG", "SET", "maxmemory", "1"]);
        let refused = answer(&buckets, ask(Verb::Take, "alice", 3)).await;
        let Err(StoreError::Refused(why)) = refused else { panic!("{kind}: {refused:?}") };
        assert!(why.starts_with("OOM"), "{kind}: {why}");
        // What would be refused anyway can be said.
        let look = answer(&buckets, ask(Verb::Look, "alice", 0)).await.unwrap();
        assert_eq!(look.levels[0].used, 3, "{kind}");
        server.command(&["CONFIG", "SET", "maxmemory", "0"]);
        let taken = answer(&buckets, ask(Verb::Take, "alice", 3)).await.unwrap();
        assert_eq!(taken.levels[0].used, 6, "{kind}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_was_demoted_is_left() {
    for kind in kinds() {
        let server = Server::start(kind);
        let buckets = open(&server, &[one_limit(Rule::FixedWindow, Quota::per_hour(10))]).await;
        assert!(answer(&buckets, ask(Verb::Take, "alice", 3)).await.is_ok());
        let clients = || {
            let list = server.command(&["CLIENT", "LIST", "TYPE", "normal"]);
            let ids = list.lines().filter_map(|line| line.strip_prefix("id="));
            ids.filter_map(|line| line.split(' ').next().map(str::to_string)).collect::<Vec<_>>()
        };
        let before = clients();
        server.command(&["REPLICAOF", "127.0.0.1", "1"]);
        let refused = answer(&buckets, ask(Verb::Take, "alice", 3)).await;
        let Err(StoreError::Refused(why)) = refused else { panic!("{kind}: {refused:?}") };
        assert!(why.starts_with("READONLY"), "{kind}: {why}");
        server.command(&["REPLICAOF", "NO", "ONE"]);
        eventually(|| async {
            let answer = answer(&buckets, ask(Verb::Take, "alice", 1)).await;
            answer.is_ok_and(|answer| matches!(answer.outcome, Outcome::Done { .. }))
        })
        .await;
        // The first of the clients was the store's.
        assert!(!clients().contains(&before[0]), "{kind}: the connection was replaced");
    }
}
