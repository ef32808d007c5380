//! What LLM limits tell: events and errors, and never a secret.
//!
//! A test binary of its own, with one test at a time: `tracing` keeps for the whole process which
//! events somebody listens to, and an event that another test meets first at the same moment may be
//! lost.
#![cfg(all(feature = "llm", feature = "tracing"))]
#![allow(clippy::unwrap_used, reason = "a test that fails shall panic")]

#[path = "../support/recorder.rs"]
mod recorder;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tollgate::ManualClock;
use tollgate::llm::{Error, KeyPool, LimitKind, Limiter, Limits, Period, Reply};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Metadata, Subscriber};

use crate::recorder::Recorder;

const SECOND: Duration = Duration::from_secs(1);

fn rpm(requests: u64) -> Limits {
    Limits::new().requests_per_minute(requests)
}

fn alone() -> MutexGuard<'static, ()> {
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner)
}

fn events(act: impl FnOnce(&ManualClock)) -> Vec<(Level, String)> {
    let _alone = alone();
    let recorder = Recorder::default();
    tracing::subscriber::with_default(recorder.clone(), || act(&ManualClock::new()));
    recorder.events()
}

#[track_caller]
fn told(events: &[(Level, String)], level: Level, parts: &[&str]) {
    let told = |(l, text): &&(Level, String)| *l == level && parts.iter().all(|p| text.contains(p));
    assert_eq!(events.iter().filter(told).count(), 1, "{parts:?} among {events:#?}");
}

#[test]
fn refusals_lessons_and_waits_are_told_with_the_limiters_name() {
    let events = events(|clock| {
        let builder = Limiter::builder().requests_per_minute(1).name("chat");
        let limiter = builder.clock(clock.clone()).build().unwrap();
        assert!(limiter.allow());
        assert!(!limiter.allow());
        assert!(limiter.wait_timeout(0, SECOND).is_err());
        let headers = [("x-ratelimit-limit-tokens", "500"), ("retry-after", "3")];
        limiter.observe_reply(&Reply::new(429).headers(headers));
        limiter.observe([("x-ratelimit-limit-tokens", "500")]);
    });
    told(&events, Level::DEBUG, &["chat", "refused", "limited by requests per minute", "60s"]);
    told(&events, Level::DEBUG, &["chat", "refused", "exceed its timeout"]);
    told(&events, Level::INFO, &["limit learned", "tokens per minute", "500"]);
    told(&events, Level::INFO, &["chat", "account paused by a response", "3s"]);
    assert_eq!(events.len(), 4, "{events:#?}");
}

#[test]
fn what_becomes_of_keys_is_told_by_their_ids_and_secrets_are_not() {
    let events = events(|clock| {
        let pool = KeyPool::builder().clock(clock.clone()).name("keys").build();
        pool.add("main", "sk-very-secret", rpm(10)).unwrap();
        let permit = pool.try_acquire(0).unwrap();
        permit.observe([("x-ratelimit-limit-requests", "sk-hostile")]);
        permit.unauthorized();
        assert!(pool.try_acquire(0).is_err());
        pool.restore("main");
        pool.try_acquire(0).unwrap().limited([("retry-after", "7")]);
        assert!(pool.try_acquire(0).is_err());
        pool.remove("main");
    });
    told(&events, Level::INFO, &["keys", "key added", "main"]);
    told(&events, Level::WARN, &["key disabled", "main"]);
    told(&events, Level::DEBUG, &["refused", "no active key"]);
    told(&events, Level::DEBUG, &["refused", "a pause that a response has caused", "7s"]);
    told(&events, Level::INFO, &["account paused by a response", "7s"]);
    told(&events, Level::INFO, &["keys", "key removed", "main"]);
    assert!(events.iter().all(|(_, text)| !text.contains("sk-")), "{events:#?}");
}

type Shared = (Limiter<ManualClock>, KeyPool<(), ManualClock>);

/// Asks and changes the limiter and the pool whose events it hears.
struct Asks(Arc<Shared>, Arc<AtomicUsize>);

impl Subscriber for Asks {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target().starts_with("tollgate")
    }

    fn event(&self, _: &Event<'_>) {
        let (limiter, pool) = &*self.0;
        let _ = (limiter.usage(), pool.usage("a"), pool.ids());
        limiter.observe([("x-ratelimit-remaining-tokens", "1")]);
        drop((limiter.try_acquire(0), pool.try_acquire(0)));
        self.1.fetch_add(1, Ordering::Relaxed);
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}
    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}
}

/// Every event of a limiter and a pool, each heard by one who uses both.
fn make_all_events((limiter, pool): &Shared) {
    limiter.observe_reply(&Reply::new(429).headers([
        ("x-ratelimit-limit-tokens", "500"),
        ("anthropic-ratelimit-requests-limit", "7"),
        ("retry-after", "3"),
    ]));
    assert!(limiter.try_acquire(0).is_err());
    assert!(limiter.wait_timeout(0, SECOND).is_err());
    limiter.forget_learned();
    limiter.set_limits(Limits::new().tokens_per_minute(10)).unwrap();
    limiter.try_acquire(1).unwrap().settle(u64::MAX);
    pool.add("a", (), rpm(100)).unwrap();
    pool.try_acquire(0).unwrap().limited([("x-ratelimit-limit-requests", "50")]);
    assert!(pool.restore("a"));
    pool.try_acquire(0).unwrap().unauthorized();
    assert!(pool.try_acquire(0).is_err());
    assert!(pool.remove("a"));
}

#[test]
fn who_listens_may_use_what_tells() {
    let (tell, told) = channel();
    std::thread::spawn(move || {
        let _alone = alone();
        let clock = ManualClock::new();
        let limiter = Limiter::builder().clock(clock.clone()).build().unwrap();
        let shared = Arc::new((limiter, KeyPool::builder().clock(clock).build()));
        let heard = Arc::new(AtomicUsize::new(0));
        let asks = Asks(Arc::clone(&shared), Arc::clone(&heard));
        tracing::subscriber::with_default(asks, || make_all_events(&shared));
        // Nobody listens any more if it took too long.
        let _ = tell.send(heard.load(Ordering::Relaxed));
    });
    let heard =
        told.recv_timeout(30 * SECOND).expect("it panicked, or waits for a lock of its own");
    assert!(heard >= 10, "{heard} events");
}

#[test]
fn only_what_counts_in_part_is_told_as_far_more_than_acquired() {
    let used = |tokens: u64| {
        events(|clock| {
            let limits = Limits::new().tokens_per_minute(600);
            let limiter = Limiter::builder().limits(limits).clock(clock.clone()).build().unwrap();
            limiter.try_acquire(1).unwrap().settle(tokens);
        })
    };
    // What comes at once and in ten minutes, the one that was acquired included.
    assert_eq!(used(700), []);
    assert_eq!(used(600 + 6_000), []);
    let events = used(600 + 6_000 + 1);
    told(&events, Level::WARN, &["far more used than acquired", "tokens per minute"]);
    assert_eq!(events.len(), 1, "{events:#?}");
}

#[test]
fn what_is_known_already_is_not_told_again() {
    let both =
        [("x-ratelimit-limit-tokens", "150000"), ("x-ratelimit-limit-project-tokens", "60000")];
    let events = events(|clock| {
        let limiter = Limiter::builder().clock(clock.clone()).build().unwrap();
        for _ in 0..100 {
            limiter.observe(both);
            limiter.observe([both[0]]);
            limiter.observe([both[1]]);
        }
    });
    told(&events, Level::INFO, &["limit learned", "tokens per minute", "150000"]);
    told(&events, Level::INFO, &["limit learned", "tokens of the project per minute", "60000"]);
    assert_eq!(events.len(), 2, "{events:#?}");
}

#[test]
fn errors_say_what_to_do() {
    let denied = |limit, retry_after| Error::Denied { limit, retry_after }.to_string();
    assert_eq!(
        denied(LimitKind::Tokens(Period::MINUTE), Some(2 * SECOND)),
        "limited by tokens per minute: retry after 2s"
    );
    assert_eq!(denied(LimitKind::Concurrency, None), "limited by concurrent requests");
    let never = Error::Never { limit: LimitKind::Tokens(Period::DAY), requested: 9, most: 5 };
    assert_eq!(
        never.to_string(),
        "can never pass: 9 exceeds the 5 that the limit on tokens per day allows at once"
    );
    let wait = Error::ServerWait { retry_after: 500 * SECOND };
    assert_eq!(wait.to_string(), "paused at the server's request: retry after 500s");
}
