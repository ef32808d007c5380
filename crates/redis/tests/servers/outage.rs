//! Servers that stop, die and come back.

use std::time::{Duration, Instant};

use tollgate::Quota;
use tollgate::shared::store::{Outcome, Rule, Store, StoreError, Verb};
use tollgate_redis::Redis;

use crate::support::server::{Server, free_port, kinds};
use crate::support::{answer, ask, eventually, one_limit, open};

/// Enough for a server that runs, also on a busy machine.
const DEADLINE: Duration = Duration::from_millis(200);

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_dies_is_unreachable_at_once_and_comes_back() {
    for kind in kinds() {
        let mut server = Server::start(kind);
        let buckets = open(&server, &[one_limit(Rule::TokenBucket, Quota::per_hour(10))]).await;
        assert!(answer(&buckets, ask(Verb::Take, "alice", 10)).await.is_ok());
        server.kill();
        eventually(|| async {
            let answer = answer(&buckets, ask(Verb::Take, "alice", 1)).await;
            assert!(answer.is_err(), "{kind}: {answer:?}");
            matches!(answer, Err(StoreError::Unreachable(_)))
        })
        .await;
        // Nothing is waited for: a thousand asks are answered although each connection fails.
        for _ in 0..1_000 {
            let answer = answer(&buckets, ask(Verb::Take, "alice", 1)).await;
            assert!(matches!(answer, Err(StoreError::Unreachable(_))), "{kind}: {answer:?}");
        }
        server.restart();
        eventually(|| async { answer(&buckets, ask(Verb::Take, "alice", 1)).await.is_ok() }).await;
        // The server has forgotten everything: at most one burst more.
        let level = answer(&buckets, ask(Verb::Look, "alice", 0)).await.unwrap().levels[0];
        assert_eq!(level.used, 1, "{kind}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stopped_server_charges_nothing_that_nobody_waits_for() {
    for kind in kinds() {
        let server = Server::start(kind);
        let store = Redis::builder(&server.url()).deadline(DEADLINE).connect().await.unwrap();
        let quota = Quota::per_hour(1_000);
        let buckets = store.open(&[one_limit(Rule::FixedWindow, quota)]).unwrap();
        let mut taken = 0;
        for _ in 0..10 {
            assert!(answer(&buckets, ask(Verb::Take, "alice", 1)).await.is_ok());
            taken += 1;
        }
        server.signal("-STOP");
        let began = Instant::now();
        let mut errors = (0, 0);
        while began.elapsed() < Duration::from_secs(1) {
            let asks = (0..20).map(|_| {
                let buckets = buckets.clone();
                tokio::spawn(async move {
                    let mut ask = ask(Verb::Take, "alice", 1);
                    ask.lifetime = DEADLINE;
                    answer(&buckets, ask).await
                })
            });
            for ask in asks.collect::<Vec<_>>() {
                match ask.await.unwrap() {
                    Err(StoreError::Lost(_)) => errors.0 += 1,
                    Err(StoreError::Unreachable(_)) => errors.1 += 1,
                    other => panic!("{kind}: {other:?}"),
                }
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        eprintln!("{kind}: {} were lost, {} unreachable", errors.0, errors.1);
        assert!(errors.0 > 0 && errors.1 > 0, "{errors:?}");
        server.signal("-CONT");
        eventually(|| async { answer(&buckets, ask(Verb::Look, "alice", 0)).await.is_ok() }).await;
        taken += 1;
        let level = answer(&buckets, ask(Verb::Take, "alice", 1)).await.unwrap().levels[0];
        assert_eq!(level.used, taken, "{kind}: nothing was charged late");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_ask_that_is_too_late_is_not_sent() {
    for kind in kinds() {
        let server = Server::start(kind);
        let buckets = open(&server, &[one_limit(Rule::FixedWindow, Quota::per_hour(10))]).await;
        let mut late = ask(Verb::Take, "alice", 1);
        late.lifetime = Duration::ZERO;
        let answers = buckets.ask(vec![late.clone(), ask(Verb::Take, "alice", 2), late]);
        tokio::time::sleep(Duration::from_millis(1)).await;
        let answers: Vec<_> = answers.await.into_iter().map(Result::unwrap).collect();
        let outcomes: Vec<_> = answers.iter().map(|answer| answer.outcome).collect();
        let done = Outcome::Done { after: Duration::ZERO };
        assert_eq!(outcomes, [Outcome::Expired, done, Outcome::Expired], "{kind}");
        assert_eq!(answers[1].levels[0].used, 2);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_can_be_there_before_its_server() {
    for kind in kinds() {
        let port = free_port();
        let url = format!("redis://127.0.0.1:{port}");
        let now = Redis::connect(&url).await;
        assert!(matches!(now, Err(tollgate_redis::ConnectError::Unreachable(_))), "{now:?}");
        let store = Redis::builder(&url).connect_later().unwrap();
        let namespaces = [one_limit(Rule::TokenBucket, Quota::per_hour(10))];
        let buckets = store.open(&namespaces).unwrap();
        let first = answer(&buckets, ask(Verb::Take, "alice", 1)).await;
        assert!(matches!(first, Err(StoreError::Unreachable(_))), "{kind}: {first:?}");
        let _server = Server::start_on(kind, port);
        eventually(|| async { answer(&buckets, ask(Verb::Take, "alice", 1)).await.is_ok() }).await;
    }
}

#[test]
fn a_connection_outlives_the_runtime_on_which_it_was_made() {
    for kind in kinds() {
        let server = Server::start(kind);
        let runtime = || tokio::runtime::Runtime::new().unwrap();
        let namespaces = [one_limit(Rule::TokenBucket, Quota::per_hour(10))];
        let buckets = runtime().block_on(open(&server, &namespaces));
        let second = runtime();
        second.block_on(eventually(|| async {
            answer(&buckets, ask(Verb::Take, "alice", 1)).await.is_ok()
        }));
        let later = Redis::builder(&server.url()).connect_later();
        assert_eq!(later.err(), Some(tollgate_redis::ConnectError::NoRuntime));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn dropped_asks_take_what_they_say_or_nothing() {
    for kind in kinds() {
        let server = Server::start(kind);
        let buckets =
            open(&server, &[one_limit(Rule::FixedWindow, Quota::per_hour(100_000))]).await;
        let (mut done, mut dropped) = (0, 0);
        for number in 0..600_u64 {
            let ask = buckets.ask(vec![ask(Verb::Take, "alice", 1)]);
            if number % 3 == 0 {
                let wait = Duration::from_micros(number % 100);
                if tokio::time::timeout(wait, ask).await.is_ok() { done += 1 } else { dropped += 1 }
            } else {
                assert!(ask.await[0].is_ok());
                done += 1;
            }
        }
        let used = answer(&buckets, ask(Verb::Look, "alice", 0)).await.unwrap().levels[0].used;
        assert!((done..=done + dropped).contains(&used), "{kind}: {used}, {done}, {dropped}");
    }
}
