//! What is told to tracing: refusals, changes of quota, close.
#![cfg(feature = "tracing")]
#![allow(clippy::unwrap_used, reason = "a test that fails shall panic")]

#[path = "support/recorder.rs"]
mod recorder;

use recorder::Recorder;
use tollgate::algorithm::GreedyRefill;
use tollgate::{KeyedLimiter, LimiterBuilder, ManualClock, Quota, RateLimiter, TokenBucket};
use tracing::Level;

#[test]
fn refusals_changes_and_close_are_told_with_the_limiters_name() {
    let recorder = Recorder::default();
    tracing::subscriber::with_default(recorder.clone(), || {
        let builder = TokenBucket::builder(Quota::per_second(1)).name("mail");
        let limiter = builder.clock(ManualClock::new()).build().unwrap();
        assert!(limiter.allow());
        assert!(!limiter.allow());
        assert!(!limiter.allow(), "the hot denial tells too");
        assert!(limiter.try_acquire(1).is_err());
        assert!(limiter.wait_timeout(1, std::time::Duration::ZERO).is_err());
        limiter.set_quota(Quota::per_minute(5)).unwrap();
        assert!(limiter.set_quota(Quota::per_minute(0)).is_err());
        limiter.close();
        limiter.close();
    });
    let events = recorder.events();
    let count = |level: Level, word: &str| {
        let told = |(l, text): &&(Level, String)| *l == level && text.contains(word);
        events.iter().filter(told).count()
    };
    assert!(events.iter().all(|(_, text)| text.contains("limiter=\"mail\"")), "{events:?}");
    assert_eq!(count(Level::DEBUG, "message=refused"), 3, "{events:?}");
    assert_eq!(count(Level::DEBUG, "message=wait refused"), 1, "{events:?}");
    assert_eq!(count(Level::INFO, "quota=5/min"), 1, "{events:?}");
    assert_eq!(count(Level::INFO, "message=closed"), 1, "{events:?}");
    assert_eq!(events.len(), 6, "{events:?}");
    the_other_buckets_tell_the_same();
    keys_tell_the_same();
}

/// Not a test of its own: two that begin at once may each keep events from the other.
fn the_other_buckets_tell_the_same() {
    type Named = LimiterBuilder<GreedyRefill, ManualClock>;
    let build: [fn(Named) -> Box<dyn RateLimiter>; 2] = [
        |builder| Box::new(builder.build_atomic().unwrap()),
        |builder| Box::new(builder.build_leased(1).unwrap()),
    ];
    for build in build {
        let recorder = Recorder::default();
        tracing::subscriber::with_default(recorder.clone(), || {
            let builder = TokenBucket::builder(Quota::per_minute(100)).name("mail");
            let limiter = build(builder.clock(ManualClock::new()));
            assert!(!limiter.allow_n(101));
            limiter.drain();
            assert!(!limiter.allow() && limiter.try_acquire(1).is_err());
            limiter.set_quota(Quota::per_hour(100)).unwrap();
            limiter.reset();
            limiter.close();
            limiter.close();
        });
        let events = recorder.events();
        assert!(events.iter().all(|(_, text)| text.contains("limiter=\"mail\"")), "{events:?}");
        let refused = ["message=refused"; 3].into_iter();
        let told: Vec<_> =
            refused.chain(["quota=100/h", "message=reset", "message=closed"]).collect();
        assert_eq!(events.len(), told.len(), "{events:?}");
        for ((_, text), told) in events.iter().zip(told) {
            assert!(text.contains(told), "{told}: {text}");
        }
    }
}

fn keys_tell_the_same() {
    let recorder = Recorder::default();
    tracing::subscriber::with_default(recorder.clone(), || {
        let builder = KeyedLimiter::<u64>::builder(Quota::per_minute(1)).name("mail");
        let limiter = builder.clock(ManualClock::new()).build().unwrap();
        assert!(limiter.allow(&1));
        assert!(!limiter.allow(&1) && limiter.try_acquire(&1, 1).is_err());
        limiter.set_quota(Quota::per_hour(1)).unwrap();
        limiter.close();
    });
    let events = recorder.events();
    let told = ["message=refused", "message=refused", "quota=1/h", "message=closed"];
    assert_eq!(events.len(), told.len(), "{events:?}");
    for ((_, text), told) in events.iter().zip(told) {
        assert!(text.contains(told) && text.contains("limiter=\"mail\""), "{told}: {text}");
    }
}
