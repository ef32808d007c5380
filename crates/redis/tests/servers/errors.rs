//! Servers that refuse.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use tollgate::Quota;
use tollgate::shared::store::{Outcome, Rule, StoreError, Verb};

use crate::support::server::{Server, kinds};
use crate::support::{answer, ask, eventually, one_limit, open};

#[tokio::test(flavor = "multi_thread")]
async fn a_script_that_the_server_forgets_is_sent_again() {
    for kind in kinds() {
        let server = Server::start(kind);
        let rules = [Rule::TokenBucket, Rule::StrictWindow];
        for rule in rules {
            let month = Duration::from_secs(30 * 86_400);
            let buckets = open(&server, &[one_limit(rule, Quota::per(1_000_000, month))]).await;
            let stop = Arc::new(AtomicBool::new(false));
            let (port, stopped) = (server.port, Arc::clone(&stop));
            let flushes = Arc::new(AtomicU64::new(0));
            let count = Arc::clone(&flushes);
            let thread = std::thread::spawn(move || {
                while !stopped.load(Ordering::SeqCst) {
                    crate::support::server::command(port, &["SCRIPT", "FLUSH"]);
                    count.fetch_add(1, Ordering::SeqCst);
                }
            });
            let (mut errors, mut asks) = (Vec::new(), 0);
            while asks < 1_000 || flushes.load(Ordering::SeqCst) < 200 {
                errors.extend(answer(&buckets, ask(Verb::Take, "alice", 1)).await.err());
                asks += 1;
            }
            stop.store(true, Ordering::SeqCst);
            thread.join().unwrap();
            assert!(errors.is_empty(), "{kind} {rule:?}: {errors:?}");
            let level = answer(&buckets, ask(Verb::Look, "alice", 0)).await.unwrap().levels[0];
            // A token bucket is refilled a little.
            assert!((asks - 20..=asks).contains(&level.used), "{kind} {rule:?}: {}", level.used);
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
