//! Bugs by which more passed than the limit.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use tollgate::{
    FixedWindowLimiter, ManualClock, Quota, RateLimiter, Rejection, StrictLimiter, TokenBucket,
};

use super::limiters::{all, passes_at_once};

const SECOND: Duration = Duration::from_secs(1);

/// throttlecrab: a stored time far in the past counted as credit: 17 of a burst of 10 passed.
#[test]
fn bug_01_idle_key_gets_exactly_its_burst() {
    let idle = [
        Duration::ZERO,
        Duration::from_nanos(1),
        Duration::from_millis(99),
        Duration::from_millis(100),
        Duration::from_millis(999),
        SECOND,
        SECOND * 3 / 2,
        SECOND * 2,
        SECOND * 31_536_000,
    ];
    for used in [0, 1, 9, 10] {
        for idle in idle {
            let clock = ManualClock::new();
            for (name, limiter) in all(Quota::per_second(10), &clock) {
                assert!(limiter.allow_n(used));
                clock.advance(idle);
                let passed = passes_at_once(&*limiter);
                assert!(passed <= 10, "{name} passed {passed} after {idle:?}");
                if idle >= SECOND * 2 {
                    assert_eq!(passed, 10, "{name} after {idle:?}");
                }
            }
        }
    }
}

/// `axum_gcra`: an idle key passed one more than its burst, so a burst of 1 passed 2.
#[test]
fn bug_02_a_burst_of_one_passes_one() {
    let clock = ManualClock::new();
    for (name, limiter) in all(Quota::per_second(1), &clock) {
        for _ in 0..3 {
            assert_eq!(passes_at_once(&*limiter), 1, "{name}");
            clock.advance(SECOND * 1000);
        }
    }
}

/// flux-limiter, and governor before 0.8: a burst of 5 passed 6; fresh and idle keys differed.
#[test]
fn bug_03_fresh_and_idle_behave_alike() {
    let clock = ManualClock::new();
    let idle = all(Quota::per_second(5), &clock);
    for (_, limiter) in &idle {
        assert!(limiter.allow_n(5));
    }
    clock.advance(SECOND * 100);
    let fresh = all(Quota::per_second(5), &clock);
    for ((name, idle), (_, fresh)) in idle.iter().zip(&fresh) {
        for request in [2, 1, 3, 2, 0, 1] {
            let (idle, fresh) = (idle.try_acquire(request), fresh.try_acquire(request));
            assert_eq!(idle.is_ok(), fresh.is_ok(), "{name} {request}");
            let left =
                |answer: Result<tollgate::Grant, _>| answer.map(|grant| grant.remaining).ok();
            assert_eq!(left(idle), left(fresh), "{name} {request}");
        }
    }
}

/// How long `permits` permits take, one after the other, each as soon as it may be had.
fn time_of(limiter: &dyn RateLimiter, clock: &ManualClock, permits: u64) -> u128 {
    limiter.drain();
    let start = limiter.now();
    for _ in 0..permits {
        let wait = limiter.delay_for(1).unwrap();
        clock.advance(wait);
        assert!(limiter.allow(), "refused after the quoted wait");
    }
    (limiter.now() - start).as_nanos()
}

/// The time `permits` permits take is exact for the locked bucket, and within a millionth, on the
/// slow side, for the atomic one.
fn check_long_run_rate(quota: Quota, permits: u64) {
    let quota = quota.burst(10);
    let exact = (u128::from(permits) * quota.period().as_nanos()).div_ceil(quota.permits().into());
    let clock = ManualClock::new();
    let locked = TokenBucket::builder(quota).clock(clock.clone()).build().unwrap();
    assert_eq!(time_of(&locked, &clock, permits), exact, "{quota}");
    let clock = ManualClock::new();
    let atomic = TokenBucket::builder(quota).clock(clock.clone()).build_atomic().unwrap();
    let taken = time_of(&atomic, &clock, permits);
    assert!(taken >= exact, "{quota} runs fast: {taken} for {exact}");
    assert!((taken - exact) * 1_000_000 <= exact + 1_000_000, "{quota}: {taken} for {exact}");
}

/// throttle-kit: the interval was cut to whole milliseconds: 600/s let 1000/s pass, so did 5000/s.
#[test]
fn bug_04_the_long_run_rate_is_exact_from_1_a_day_to_a_billion_a_second() {
    for quota in [Quota::per_day(1), Quota::per_day(7), Quota::per_hour(1), Quota::per_minute(7)] {
        check_long_run_rate(quota, 3_000);
    }
    let mut rate = 1;
    while rate <= 1_000_000_000 {
        for rate in [rate, rate * 6, rate * 7 - 1] {
            check_long_run_rate(Quota::per_second(rate.min(1_000_000_000)), 3_000);
        }
        rate *= 10;
    }
}

/// governor: the interval was cut to whole nanoseconds: 700 million a second let a billion pass.
#[test]
fn bug_05_an_interval_of_broken_nanoseconds_is_kept() {
    for quota in [
        Quota::per_second(700_000_000),
        Quota::per_second(30_000_000),
        Quota::per_minute(90_000_000),
        Quota::per_second(999_999_937),
        Quota::per(7, Duration::from_nanos(9)),
    ] {
        check_long_run_rate(quota, 70_000);
    }
}

/// gcra: an impossible request removed the key, and the next one found a full bucket.
#[test]
fn bug_06_an_impossible_request_leaves_the_state_alone() {
    let clock = ManualClock::new();
    for (name, limiter) in all(Quota::per_second(10), &clock) {
        assert!(limiter.allow_n(7));
        let before = limiter.usage();
        for request in [11, 1000, u64::MAX] {
            let answer = limiter.try_acquire(request);
            assert!(matches!(answer, Err(Rejection::ExceedsBurst { burst: 10, .. })), "{name}");
            assert!(limiter.reserve(request).is_err(), "{name}");
            assert!(limiter.wait_n(request).is_err(), "{name}");
            assert!(limiter.delay_for(request).is_err(), "{name}");
        }
        let after = limiter.usage();
        let numbers = |usage: tollgate::Usage| (usage.used, usage.remaining, usage.reset_after);
        assert_eq!(numbers(after), numbers(before), "{name}");
        assert_eq!(passes_at_once(&*limiter), 3, "{name}");
    }
}

/// tokio-rate-limit: its cheap mode ignored the limit: 20 000 of 20 000 passed a limit of 200.
#[test]
fn bug_08_the_cheap_mode_has_the_same_limit() {
    let clock = ManualClock::new();
    let quota = Quota::per_second(1_000).burst(1_000);
    let leased = TokenBucket::builder(quota).clock(clock.clone()).build_leased(8).unwrap();
    let passed = AtomicU64::new(0);
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..5_000 {
                    passed.fetch_add(u64::from(leased.allow()), Ordering::Relaxed);
                }
            });
        }
    });
    let passed = passed.into_inner();
    assert!(passed <= 1_000, "{passed} of a burst of 1000");
    assert!(passed >= 1_000 - 16 * 8 - 4 * 8, "only {passed}: more held back than said");
}

/// limitador: callers that checked at once all added; what fell into a roll-over was lost.
#[test]
fn bug_10_concurrent_callers_never_overshoot() {
    const PERIODS: u64 = 10;
    let clock = ManualClock::new();
    for (name, limiter) in all(Quota::per_second(50), &clock) {
        let (passed, over) = (AtomicU64::new(0), AtomicBool::new(false));
        thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| {
                    while !over.load(Ordering::Relaxed) {
                        passed.fetch_add(u64::from(limiter.allow()), Ordering::Relaxed);
                    }
                });
            }
            for _ in 0..PERIODS * 10 {
                clock.advance(SECOND / 10);
                thread::yield_now();
            }
            over.store(true, Ordering::Relaxed);
        });
        let (passed, counted) = (passed.into_inner(), limiter.usage().allowed);
        assert!(passed <= 50 * (PERIODS + 1), "{name} passed {passed}");
        if name != "atomic token bucket" {
            assert_eq!(passed, counted, "{name} lost count");
        }
    }
}

/// limitador: with the clock at rest, every caller past the limit must be refused.
#[test]
fn bug_10_a_burst_is_shared_out_exactly_among_threads() {
    let clock = ManualClock::new();
    for (name, limiter) in all(Quota::per_second(100), &clock) {
        let passed = AtomicU64::new(0);
        thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..200 {
                        passed.fetch_add(u64::from(limiter.allow()), Ordering::Relaxed);
                    }
                });
            }
        });
        assert_eq!(passed.into_inner(), 100, "{name}");
    }
}

/// tower, limitador, actix-limitation: twice the limit passed around a window's border.
#[test]
fn bug_11_around_a_border_the_strict_window_passes_the_limit_once() {
    let around_a_border = |limiter: &dyn RateLimiter, clock: &ManualClock| {
        clock.advance(SECOND * 99 / 100);
        let before = passes_at_once(limiter);
        clock.advance(SECOND / 50);
        before + passes_at_once(limiter)
    };
    let quota = Quota::per_second(100);
    let clock = ManualClock::new();
    let strict = StrictLimiter::builder(quota).clock(clock.clone()).build().unwrap();
    assert_eq!(around_a_border(&strict, &clock), 100);
    // A fixed window does pass twice as many; its documentation says so, and not more.
    let clock = ManualClock::new();
    let fixed = FixedWindowLimiter::builder(quota).clock(clock.clone()).build().unwrap();
    assert_eq!(around_a_border(&fixed, &clock), 200);
}

/// redis-cell: an interval below a millisecond was no limit at all.
#[test]
fn bug_13_intervals_below_a_millisecond_and_below_a_nanosecond_limit() {
    for (permits, in_a_microsecond) in [(3_000_000, 3), (5_000_000_000, 5_000)] {
        let clock = ManualClock::new();
        let quota = Quota::per_second(permits).burst(7_000);
        let limiter = TokenBucket::builder(quota).clock(clock.clone()).build().unwrap();
        assert_eq!(passes_at_once(&limiter), 7_000);
        clock.advance(Duration::from_micros(1));
        assert_eq!(passes_at_once(&limiter), in_a_microsecond);
    }
}
