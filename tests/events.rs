//! What is told to tracing: refusals, changes of quota, close.
#![allow(clippy::unwrap_used, reason = "a test that fails shall panic")]

#[path = "support/recorder.rs"]
mod recorder;

use recorder::Recorder;
use tollgate::{ManualClock, Quota, RateLimiter, TokenBucket};
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
}
