//! Many threads on one limiter, with every permit counted.
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use std::sync::Barrier;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use tollgate::{
    AtomicTokenBucket, CancelToken, CarryOver, Clock, Composite, FixedWindowLimiter,
    IntervalTokenBucket, LeasedTokenBucket, ManualClock, Quota, RateLimiter, SlidingWindowLimiter,
    StrictLimiter, Timestamp, TokenBucket,
};

const THREADS: u64 = 8;
const ASKS: u64 = 4_000;

#[derive(Debug, Default)]
struct Count {
    granted: u64,
    refused: u64,
}

/// Asks in all ways that do not wait.
fn ask(limiter: &dyn RateLimiter, seed: u64, asks: u64, between: &(dyn Fn(u64) + Sync)) -> Count {
    let mut count = Count::default();
    for i in 0..asks {
        let n = 1 + (seed + i) % 3;
        let granted = match i % 4 {
            0 => limiter.try_acquire(n).is_ok(),
            1 => limiter.wait_timeout(n, Duration::ZERO).is_ok(),
            _ => limiter.allow_n(n),
        };
        *(if granted { &mut count.granted } else { &mut count.refused }) += n;
        between(i);
    }
    count
}

/// What [`THREADS`] threads were granted and refused.
fn hammer(limiter: &dyn RateLimiter, asks: u64, between: &(dyn Fn(u64) + Sync)) -> Count {
    let start = Barrier::new(usize::try_from(THREADS).unwrap());
    thread::scope(|scope| {
        let threads: Vec<_> = (0..THREADS)
            .map(|seed| {
                let start = &start;
                scope.spawn(move || {
                    start.wait();
                    ask(limiter, seed, asks, between)
                })
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).fold(Count::default(), |a, b| {
            Count { granted: a.granted + b.granted, refused: a.refused + b.refused }
        })
    })
}

/// The clock is moved on by the asking threads, 1 ms at a time; at 1000 a second, that is a permit.
fn checked(
    limiter: &dyn RateLimiter,
    clock: &ManualClock,
    most: impl Fn(u64) -> u64,
    counts: bool,
) {
    let count = hammer(limiter, ASKS, &|i| {
        if i % 16 == 0 {
            clock.advance(Duration::from_millis(1));
        }
    });
    let elapsed = clock.now().as_nanos() / 1_000_000;
    let most = most(elapsed);
    assert!(count.granted <= most, "{} of {most} in {elapsed} ms", count.granted);
    let usage = limiter.usage();
    let expected = if counts { (count.granted, count.refused) } else { (0, 0) };
    assert_eq!((usage.allowed, usage.denied), expected);
}

fn quota() -> Quota {
    Quota::per_second(1_000).burst(100)
}

fn window() -> Quota {
    Quota::per(100, Duration::from_millis(100))
}

#[test]
fn a_token_bucket_counts_every_permit() {
    let clock = ManualClock::new();
    let limiter = TokenBucket::builder(quota()).clock(clock.clone()).build().unwrap();
    checked(&limiter, &clock, |ms| 100 + ms, true);
}

#[test]
fn an_atomic_bucket_admits_no_more() {
    let clock = ManualClock::new();
    let limiter: AtomicTokenBucket<_> =
        TokenBucket::builder(quota()).clock(clock.clone()).build_atomic().unwrap();
    checked(&limiter, &clock, |ms| 100 + ms, false);
}

#[test]
fn an_interval_bucket_counts_every_permit() {
    let clock = ManualClock::new();
    let limiter = IntervalTokenBucket::builder(window()).clock(clock.clone()).build().unwrap();
    checked(&limiter, &clock, |ms| 100 + ms / 100 * 100, true);
}

#[test]
fn windows_count_every_permit() {
    let clock = ManualClock::new();
    let fixed = FixedWindowLimiter::builder(window()).clock(clock.clone()).build().unwrap();
    checked(&fixed, &clock, |ms| 100 * (ms / 100 + 1), true);
    let clock = ManualClock::new();
    let sliding = SlidingWindowLimiter::builder(window()).clock(clock.clone()).build().unwrap();
    checked(&sliding, &clock, |ms| 100 * (ms / 100 + 1), true);
    let clock = ManualClock::new();
    let strict = StrictLimiter::builder(window()).clock(clock.clone()).build().unwrap();
    checked(&strict, &clock, |ms| 100 * (ms / 100 + 1), true);
}

#[test]
fn a_composite_counts_every_permit() {
    let clock = ManualClock::new();
    let limits = [("fast", quota()), ("slow", Quota::per_second(500).burst(200))];
    let limiter = Composite::builder_of(limits).clock(clock.clone()).build().unwrap();
    checked(&limiter, &clock, |ms| (100 + ms).min(200 + ms / 2), true);
}

#[test]
fn leases_admit_no_more() {
    let clock = ManualClock::new();
    let limiter: LeasedTokenBucket<_> =
        TokenBucket::builder(quota()).clock(clock.clone()).build_leased(4).unwrap();
    let count = hammer(&limiter, ASKS, &|i| {
        if i % 16 == 0 {
            clock.advance(Duration::from_millis(1));
        }
    });
    let elapsed = clock.now().as_nanos() / 1_000_000;
    assert!(count.granted <= 100 + elapsed, "{} in {elapsed} ms", count.granted);
    let usage = limiter.usage();
    assert_eq!(usage.denied, count.refused);
    assert_eq!(usage.allowed, count.granted);
}

/// A thousand threads that come, ask for a while and end, beside eight that hold a part of a lease
/// and do nothing: no more passes than the quota allows, and nearly all of it can be used.
#[test]
fn threads_that_end_or_idle_keep_nothing() {
    const BATCH: u64 = 16;
    const BURST: u64 = 16 * BATCH + 400;
    let clock = ManualClock::new();
    let quota = Quota::per_second(1_000_000).burst(BURST);
    let builder = TokenBucket::builder(quota).clock(clock.clone());
    let limiter: LeasedTokenBucket<_> = builder.build_leased(16).unwrap();
    let (used, ended) = (AtomicU64::new(0), AtomicU64::new(0));
    let (holding, leave) = (Barrier::new(9), Barrier::new(9));
    let ask = |times| {
        let got: u64 = (0..times).map(|_| u64::from(limiter.allow())).sum();
        used.fetch_add(got, Ordering::Relaxed);
    };
    thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                ask(20);
                holding.wait();
                leave.wait();
            });
        }
        holding.wait();
        for _ in 0..125 {
            let short: Vec<_> = (0..8)
                .map(|_| {
                    scope.spawn(|| {
                        for _ in 0..10 {
                            ask(40);
                            // Brings 20 permits.
                            clock.advance(Duration::from_micros(20));
                        }
                        ended.fetch_add(1, Ordering::Relaxed);
                    })
                })
                .collect();
            // Whether one has panicked is seen below: those who wait here must be let go first.
            for thread in short {
                drop(thread.join());
            }
        }
        leave.wait();
    });
    assert_eq!(ended.into_inner(), 1_000);
    let used = used.into_inner();
    let brought = clock.now().as_nanos() / 1_000;
    assert!(used <= BURST + brought, "{used} of a burst of {BURST} and {brought}");
    let usable = BURST - 16 * BATCH + brought;
    assert!(used + limiter.usage().remaining >= usable * 95 / 100, "{used} of {usable}");
    assert_eq!(limiter.drain() + used, limiter.usage().allowed);
    assert_eq!(limiter.usage().remaining, 0);
}

/// On the real clock: the time that has passed is read after the last permit.
#[test]
fn no_more_than_real_time_allows() {
    fn check(limiter: &dyn RateLimiter, clock: &impl Clock) {
        let start = clock.now();
        let count = hammer(limiter, 20_000, &|_| ());
        let elapsed = (clock.now() - start).as_nanos();
        let most = 100 + elapsed / 1_000_000;
        assert!(u128::from(count.granted) <= most, "{} of {most}", count.granted);
    }
    let bucket = TokenBucket::new(quota()).unwrap();
    check(&bucket, bucket.clock());
    let atomic = AtomicTokenBucket::new(quota()).unwrap();
    check(&atomic, atomic.clock());
    let leased = LeasedTokenBucket::new(quota(), 4).unwrap();
    check(&leased, leased.clock());
}

/// The quota goes to and fro while all threads ask; the clock stands still. What is kept by number
/// is worth 100 permits at most; what is kept by share, as many as the largest burst.
#[test]
fn new_quotas_are_no_refill() {
    fn check(limiter: &dyn RateLimiter, held_back: u64) {
        let turn = |limit: u64, how| {
            let quota = Quota::per_second(1_000).burst(limit + held_back);
            limiter.set_quota_with(quota, how).unwrap();
        };
        for (how, most) in [(CarryOver::Keep, 100), (CarryOver::Proportional, 1_000)] {
            limiter.reset();
            let count = hammer(limiter, 2_000, &|i| turn([1_000, 70, 100][(i % 3) as usize], how));
            assert!((1..=most).contains(&count.granted), "{how:?}: {}", count.granted);
            turn(100, how);
            limiter.drain();
            turn(1_000, how);
            turn(100, how);
            assert!(!limiter.allow(), "what was used stays used");
        }
    }
    let builder = |burst| TokenBucket::builder(quota().burst(burst)).clock(ManualClock::new());
    check(&builder(100).build().unwrap(), 0);
    check(&builder(100).build_atomic().unwrap(), 0);
    check(&builder(116).build_leased(1).unwrap(), 16);
}

/// Threads that wait, give up, reserve and ask, until each has had its share.
#[test]
fn nothing_deadlocks_and_nobody_is_forgotten() {
    fn check(limiter: &dyn RateLimiter, clock: &ManualClock) {
        let waited = AtomicU64::new(0);
        let token = CancelToken::new();
        thread::scope(|scope| {
            for seed in 0..THREADS {
                let (waited, token) = (&waited, &token);
                scope.spawn(move || {
                    for i in 0..200 {
                        match (seed + i) % 5 {
                            0 => drop(limiter.reserve(1 + i % 7)),
                            1 => limiter.reserve(2).unwrap().cancel(),
                            2 => drop(limiter.wait_timeout(2, Duration::from_millis(3))),
                            3 => drop(limiter.wait_cancellable(1, token)),
                            _ => drop(limiter.wait_n(1 + i % 4).unwrap()),
                        }
                    }
                    waited.fetch_add(1, Ordering::Relaxed);
                });
            }
            while waited.load(Ordering::Relaxed) < THREADS {
                clock.advance(Duration::from_micros(100));
                thread::yield_now();
                if clock.now() > Timestamp::from_nanos(200_000_000) {
                    token.cancel();
                }
            }
        });
        assert_eq!(limiter.usage().waiting, 0);
    }
    let clock = ManualClock::new();
    check(&TokenBucket::builder(quota()).clock(clock.clone()).build().unwrap(), &clock);
    let clock = ManualClock::new();
    check(&TokenBucket::builder(quota()).clock(clock.clone()).build_atomic().unwrap(), &clock);
    let clock = ManualClock::new();
    check(&TokenBucket::builder(quota()).clock(clock.clone()).build_leased(4).unwrap(), &clock);
    let clock = ManualClock::new();
    check(&StrictLimiter::builder(window()).clock(clock.clone()).build().unwrap(), &clock);
}
