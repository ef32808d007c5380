//! What an adversary tried against the core, the waiting and the windows, as deterministic tests.
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod give_back;
mod levels;
mod waiting;

use std::time::Duration;

use tollgate::{
    FixedWindowLimiter, IntervalTokenBucket, ManualClock, Quota, RateLimiter, SlidingWindowLimiter,
    StrictLimiter, Timestamp, TokenBucket,
};

/// A clock that shows 100 seconds.
fn clock() -> ManualClock {
    let clock = ManualClock::new();
    clock.set(Timestamp::from_nanos(100_000_000_000));
    clock
}

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// All limiters that one thread can test on a manual clock, by name.
fn all(quota: Quota, clock: &ManualClock) -> Vec<(&'static str, Box<dyn RateLimiter>)> {
    let bucket = || TokenBucket::builder(quota).clock(clock.clone());
    vec![
        ("bucket", Box::new(bucket().build().unwrap())),
        ("atomic", Box::new(bucket().build_atomic().unwrap())),
        (
            "interval",
            Box::new(IntervalTokenBucket::builder(quota).clock(clock.clone()).build().unwrap()),
        ),
        (
            "fixed",
            Box::new(FixedWindowLimiter::builder(quota).clock(clock.clone()).build().unwrap()),
        ),
        (
            "sliding",
            Box::new(SlidingWindowLimiter::builder(quota).clock(clock.clone()).build().unwrap()),
        ),
        ("strict", Box::new(StrictLimiter::builder(quota).clock(clock.clone()).build().unwrap())),
    ]
}
