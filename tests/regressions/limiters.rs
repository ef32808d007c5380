//! Every limiter there is, by one quota, on a clock that the test moves.

use tollgate::{
    Composite, FixedWindowLimiter, IntervalTokenBucket, ManualClock, Quota, RateLimiter,
    SlidingWindowLimiter, StrictLimiter, TokenBucket,
};

pub(super) type Named = (&'static str, Box<dyn RateLimiter>);

/// All kinds for a quota without a burst of its own.
pub(super) fn all(quota: Quota, clock: &ManualClock) -> Vec<Named> {
    let mut all = buckets(quota, clock);
    let clock = || clock.clone();
    let interval = IntervalTokenBucket::builder(quota).clock(clock()).build().unwrap();
    let fixed = FixedWindowLimiter::builder(quota).clock(clock()).build().unwrap();
    let sliding = SlidingWindowLimiter::builder(quota).clock(clock()).build().unwrap();
    let strict = StrictLimiter::builder(quota).clock(clock()).build().unwrap();
    all.push(("interval", Box::new(interval)));
    all.push(("fixed window", Box::new(fixed)));
    all.push(("sliding window", Box::new(sliding)));
    all.push(("strict window", Box::new(strict)));
    all
}

/// The token buckets that refill evenly.
pub(super) fn buckets(quota: Quota, clock: &ManualClock) -> Vec<Named> {
    let clock = || clock.clone();
    let locked = TokenBucket::builder(quota).clock(clock()).build().unwrap();
    let atomic = TokenBucket::builder(quota).clock(clock()).build_atomic().unwrap();
    let limits = [("one", quota), ("same", quota)];
    let composite = Composite::builder_of(limits).clock(clock()).build().unwrap();
    vec![
        ("token bucket", Box::new(locked)),
        ("atomic token bucket", Box::new(atomic)),
        ("composite", Box::new(composite)),
    ]
}

/// How many single permits pass in a row.
pub(super) fn passes_at_once(limiter: &dyn RateLimiter) -> u64 {
    let mut passed = 0;
    while limiter.allow() {
        passed += 1;
        assert!(passed < 1_000_000, "no limit at all");
    }
    passed
}
