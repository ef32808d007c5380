//! LLM limits that processes share through real servers.

#![allow(
    dead_code,
    unreachable_pub,
    clippy::cast_possible_truncation,
    clippy::expect_used,
    clippy::unwrap_used,
    reason = "what fails here is a failed test, and tests share modules"
)]

#[path = "support/mod.rs"]
mod support;

use std::time::Duration;

use support::server::{Server, kinds};
use tollgate::llm::{self, Error, LimitKind, Limits, Period, Reply};
use tollgate::shared::{Client, ClientBuilder, Source};
use tollgate::shared_llm::{KeyPool, Limiter};
use tollgate_redis::Redis;

/// A busy machine is no outage.
const DEADLINE: Duration = Duration::from_secs(10);

/// A store with a connection of its own.
async fn store(server: &Server) -> ClientBuilder {
    let redis = Redis::builder(&server.url()).deadline(DEADLINE).connect_deadline(DEADLINE);
    Client::builder(redis.connect().await.expect("the server is there")).deadline(DEADLINE)
}

/// The limiter of one process.
async fn process(server: &Server, limits: Limits) -> Limiter {
    let local = llm::Limiter::builder().limits(limits).build().unwrap();
    Limiter::new(local, &store(server).await, "openai/gpt").unwrap()
}

/// Waits until something holds that another process tells in the background.
async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    for _ in 0..1_000 {
        if holds().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("never: {what}");
}

#[tokio::test]
async fn processes_share_what_is_used_and_what_is_given_back() {
    for kind in kinds() {
        let server = Server::start(kind);
        let limits = Limits::new().requests_per_day(10).tokens_per_day(1_000);
        let (one, other) = (process(&server, limits).await, process(&server, limits).await);
        let first = one.acquire(900).await.unwrap();
        assert_eq!(first.source(), Source::Shared);
        let Error::Denied { limit, retry_after } = other.try_acquire(200).await.unwrap_err() else {
            panic!("nothing is left for it")
        };
        assert_eq!(limit, LimitKind::Tokens(Period::DAY));
        assert!(retry_after.is_some_and(|wait| wait > Duration::from_secs(3_600)));
        first.settle(100);
        until("the rest is given back", async || match other.try_acquire(890).await {
            Ok(permit) => {
                permit.cancel();
                true
            }
            Err(_) => false,
        })
        .await;
        assert_eq!(server.keys_without_expiry(), 0);
    }
}

#[tokio::test]
async fn processes_share_pauses_and_what_servers_say_is_left() {
    for kind in kinds() {
        let server = Server::start(kind);
        let limits = Limits::new().tokens_per_day(10_000);
        let (one, other) = (process(&server, limits).await, process(&server, limits).await);
        let headers =
            [("x-ratelimit-limit-tokens", "10000"), ("x-ratelimit-remaining-tokens", "3000")];
        let left = Reply::new(200).headers(headers).spent(100);
        one.acquire(100).await.unwrap().end(&left);
        let refused = async || match other.try_acquire(8_000).await {
            Ok(permit) => {
                // What was reported meanwhile was in use already, and now it is not any more.
                permit.cancel();
                one.observe_reply(&left);
                false
            }
            Err(_) => true,
        };
        until("the other knows what is left", refused).await;
        let wait = Reply::new(429).headers([("retry-after", "3600")]);
        one.acquire(100).await.unwrap().end(&wait);
        let paused = async || matches!(other.try_acquire(1).await, Err(Error::ServerWait { .. }));
        until("the other is paused", paused).await;
        assert!(other.local().usage().paused_for.is_some());
        assert_eq!(server.keys_without_expiry(), 0);
    }
}

#[tokio::test]
async fn processes_share_slots_and_keys() {
    for kind in kinds() {
        let server = Server::start(kind);
        let pool = async || {
            let pool = KeyPool::new(llm::KeyPool::new(), store(&server).await, "openai");
            let limits = Limits::new().max_concurrent(1).requests_per_day(100);
            pool.add("main", "sk-1", limits).unwrap();
            pool.add("spare", "sk-2", limits).unwrap();
            pool
        };
        let (one, other) = (pool().await, pool().await);
        let first = one.acquire(10).await.unwrap();
        let second = other.acquire(10).await.unwrap();
        assert_ne!(first.id(), second.id());
        assert!(one.try_acquire(10).await.is_err());
        second.settle(10);
        // It waits until another process has freed a slot.
        let third = one.acquire(10).await.unwrap();
        assert_ne!(first.id(), third.id());
        first.settle(10);
        third.settle(10);
        assert_eq!(server.keys_without_expiry(), 0);
    }
}
