//! Bugs by which less passed than the limit, or nothing ever again.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use tollgate::{CancelToken, ManualClock, Quota, RateLimiter, Rejection, Timestamp, TokenBucket};

use super::limiters::{all, buckets};

const SECOND: Duration = Duration::from_secs(1);
const NANO: Duration = Duration::from_nanos(1);

/// leaky-bucket: a cancelled waiter wrote back what it had read, and nothing ever passed again.
#[test]
fn bug_14_a_storm_of_tries_waits_and_cancels_leaves_a_full_limiter() {
    let clock = ManualClock::new();
    for (name, limiter) in all(Quota::per_second(20), &clock) {
        let finished = AtomicUsize::new(0);
        let cancel = CancelToken::new();
        thread::scope(|scope| {
            scope.spawn(|| {
                for _ in 0..2_000 {
                    let _ = limiter.allow();
                }
                finished.fetch_add(1, Ordering::SeqCst);
            });
            scope.spawn(|| {
                for i in 0..100_u64 {
                    let place = limiter.reserve(i % 3);
                    if i % 2 == 0 {
                        drop(place);
                    } else {
                        let _ = place.map(tollgate::Reservation::cancel);
                    }
                }
                finished.fetch_add(1, Ordering::SeqCst);
            });
            scope.spawn(|| {
                for _ in 0..50 {
                    let timeout = limiter.wait_timeout(2, SECOND / 20);
                    assert!(timeout.is_ok() || timeout.is_err_and(|e| e != closed()));
                }
                finished.fetch_add(1, Ordering::SeqCst);
            });
            scope.spawn(|| {
                while limiter.wait_cancellable(1, &cancel).is_ok() {}
                finished.fetch_add(1, Ordering::SeqCst);
            });
            for round in 0.. {
                clock.advance(SECOND / 20);
                if round == 100 {
                    cancel.cancel();
                }
                if round > 100 && finished.load(Ordering::SeqCst) == 4 {
                    break;
                }
                thread::yield_now();
            }
        });
        clock.advance(SECOND * 100);
        let usage = limiter.usage();
        assert_eq!((usage.waiting, usage.used, usage.remaining), (0, 0, 20), "{name}");
        assert!(limiter.allow_n(20), "{name}");
        assert!(!limiter.allow(), "{name}");
    }
}

fn closed() -> tollgate::WaitError {
    tollgate::WaitError::Closed
}

/// iops ratelimit: each poll cost the fraction that had come since the last: 2 of 5 were delivered.
#[test]
fn bug_15_what_is_delivered_does_not_depend_on_how_often_one_asks() {
    let quota = Quota::per(60, SECOND * 60);
    let (often, seldom) = (ManualClock::new(), ManualClock::new());
    for ((name, polled), (_, left_alone)) in all(quota, &often).into_iter().zip(all(quota, &seldom))
    {
        polled.drain();
        left_alone.drain();
        let step = Duration::from_nanos(999_983);
        let mut delivered = 0;
        for round in 0..5_003_u32 {
            often.advance(step);
            polled.usage();
            assert!(!polled.allow_n(61), "{name}");
            if round % 2 == 0 {
                assert!(polled.delay_for(60).is_ok(), "{name}");
            }
            delivered += u64::from(polled.allow());
        }
        seldom.advance(step * 5_003);
        let mut expected = 0;
        while left_alone.allow() {
            expected += 1;
        }
        assert_eq!(delivered, expected, "{name}");
        assert_eq!(polled.usage().used, left_alone.usage().used, "{name}");
        // Windows count when permits were taken, and these were taken at other times.
        if !name.ends_with("window") {
            assert_eq!(polled.delay_for(1), left_alone.delay_for(1), "{name}");
        }
    }
}

/// iops ratelimit: whoever slept exactly the quoted time was refused again; others quoted 10 times
/// too much.
#[test]
fn bug_16_one_nanosecond_before_the_quoted_time_no_at_it_yes() {
    for quota in [
        Quota::per_second(10),
        Quota::per(7, SECOND * 3),
        Quota::per_second(999_983),
        Quota::per_second(999_999_937).burst(999_999_937),
        Quota::per(13, Duration::from_nanos(101)),
        Quota::per_day(11),
    ] {
        for n in [1, 2, 3, 7] {
            for used in [1, quota.burst_size() - n / 2, quota.burst_size()] {
                let clock = ManualClock::new();
                for (name, limiter) in all(quota, &clock) {
                    check_quoted_wait(name, &*limiter, &clock, used, n);
                }
            }
        }
    }
}

fn check_quoted_wait(
    name: &str,
    limiter: &dyn RateLimiter,
    clock: &ManualClock,
    used: u64,
    n: u64,
) {
    assert!(limiter.allow_n(used), "{name}");
    clock.advance(Duration::from_nanos(17));
    let retry_after = match limiter.try_acquire(n) {
        Err(Rejection::Denied { retry_after, .. }) => retry_after,
        answer => return assert!(answer.is_ok(), "{name}: {answer:?}"),
    };
    assert_eq!(limiter.delay_for(n), Ok(retry_after), "{name}");
    clock.advance(retry_after.saturating_sub(NANO));
    assert!(!limiter.allow_n(n), "{name}: {n} after {used} passed before {retry_after:?}");
    clock.advance(NANO);
    assert!(limiter.allow_n(n), "{name}: {n} after {used} refused after {retry_after:?}");
}

/// iops ratelimit, tokio-rate-limit: between the claim of a refill and its arrival, other threads
/// saw an empty bucket and a wrong wait.
#[test]
fn bug_17_no_thread_sees_half_a_refill() {
    let clock = ManualClock::new();
    for (name, limiter) in buckets(Quota::per_second(8), &clock) {
        limiter.drain();
        for _ in 0..100 {
            clock.advance(SECOND);
            let passed = AtomicU64::new(0);
            thread::scope(|scope| {
                for _ in 0..2 {
                    scope.spawn(|| {
                        for _ in 0..4 {
                            match limiter.try_acquire(1) {
                                Ok(_) => passed.fetch_add(1, Ordering::Relaxed),
                                refused => panic!("{name}: {refused:?} with permits left"),
                            };
                        }
                    });
                }
            });
            assert_eq!(passed.into_inner(), 8, "{name}");
            let Err(Rejection::Denied { retry_after, .. }) = limiter.try_acquire(1) else {
                panic!("{name}: a ninth")
            };
            assert_eq!(retry_after, SECOND / 8, "{name}");
        }
    }
}

/// leaky-bucket: an interval of 1.5 ms was cut to 1 ms: 3001 permits after 3 s, not 2000.
#[test]
fn bug_19_a_millisecond_and_a_half_is_not_a_millisecond() {
    let clock = ManualClock::new();
    let quota = Quota::every(Duration::from_micros(1_500)).burst(5_000);
    for (name, limiter) in buckets(quota, &clock) {
        limiter.drain();
        clock.advance(SECOND * 3);
        assert_eq!(limiter.drain(), 2_000, "{name}");
    }
}

/// leaky-bucket: what was left of a millisecond at each late wake-up was lost.
#[test]
fn bug_19_a_late_wake_up_costs_no_permit() {
    let clock = ManualClock::new();
    let quota = Quota::every(Duration::from_micros(1_500)).burst(1);
    for (name, limiter) in buckets(quota, &clock) {
        let start = limiter.now();
        limiter.drain();
        for _ in 0..100 {
            let place = limiter.reserve(1).unwrap();
            let next = limiter.reserve(1).unwrap();
            // Both are looked at a whole interval late: they were served when they were due.
            clock.advance(Duration::from_millis(4));
            assert_eq!(
                (place.delay().expect("it comes"), next.delay().expect("it comes")),
                (Duration::ZERO, Duration::ZERO),
                "{name}"
            );
            let waited = limiter.delay_for(1).unwrap();
            assert_eq!(waited, Duration::from_micros(500), "{name}");
            clock.advance(waited);
            assert!(limiter.allow(), "{name}");
        }
        let taken = limiter.now() - start;
        assert_eq!(taken, Duration::from_micros(1_500) * 300, "{name}");
    }
}

/// leaky-bucket: an idle bucket overflowed its maximum.
#[test]
fn bug_19_ages_of_idleness_fill_a_bucket_and_no_more() {
    let clock = ManualClock::new();
    for (name, limiter) in all(Quota::per_second(10), &clock) {
        limiter.drain();
        clock.advance(SECOND * 31_536_000 * 50);
        assert_eq!(limiter.usage().remaining, 10, "{name}");
    }
    let clock = ManualClock::new();
    let limiter = TokenBucket::builder(Quota::per_second(10)).clock(clock.clone()).build().unwrap();
    limiter.drain();
    clock.set(Timestamp::MAX);
    assert_eq!(limiter.drain(), 10);
}
