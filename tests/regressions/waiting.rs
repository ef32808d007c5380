//! Bugs of those who wait: their places, their order, what their leaving costs.

use std::pin::pin;
use std::sync::Mutex;
use std::task::{Context, Poll, Waker};
use std::thread;
use std::time::Duration;

use tollgate::{Composite, ManualClock, Quota, RateLimiter, Sleep, Timer, WaitError};

use super::limiters::{all, buckets};

const SECOND: Duration = Duration::from_secs(1);
const NANO: Duration = Duration::from_nanos(1);

/// A manual clock wakes by itself: no timer is needed.
struct NoTimer;

impl Timer for NoTimer {
    fn sleep(&self, _: Duration) -> Option<Sleep> {
        None
    }
}

fn poll_once<F: Future + Unpin>(future: &mut F) -> Poll<F::Output> {
    pin!(future).poll(&mut Context::from_waker(Waker::noop()))
}

/// async-rate-limiter: dropping a wait added a permit at once instead of freeing its place.
#[test]
fn bug_12_a_dropped_wait_frees_its_place_and_not_a_permit() {
    let clock = ManualClock::new();
    for (name, limiter) in all(Quota::per_second(1), &clock) {
        limiter.drain();
        let first = limiter.reserve(1).unwrap();
        let mut future = limiter.acquire_on(1, &NoTimer);
        assert!(poll_once(&mut future).is_pending(), "{name}");
        let last = limiter.reserve(1).unwrap();
        let (first_due, before) =
            (first.delay().expect("it comes"), last.delay().expect("it comes"));
        drop(future);
        assert!(last.delay().expect("it comes") < before, "{name}: nobody moved up");
        drop(first);
        assert!(!limiter.allow(), "{name}: a permit out of nothing");
        assert_eq!(last.delay().expect("it comes"), first_due, "{name}");
        clock.advance(last.delay().expect("it comes"));
        assert!(last.wait().is_ok(), "{name}");
        assert!(!limiter.allow(), "{name}");
        clock.advance(SECOND * 5);
    }
}

/// async-rate-limiter: each wait that timed out had already moved the next permit away.
#[test]
fn bug_18_a_refused_wait_costs_nothing() {
    let clock = ManualClock::new();
    for (name, limiter) in all(Quota::per_second(10), &clock) {
        limiter.drain();
        let before = limiter.usage();
        let delay = limiter.delay_for(1).unwrap();
        for _ in 0..100 {
            let short = delay.saturating_sub(NANO);
            assert!(matches!(limiter.wait_timeout(1, short), Err(WaitError::Timeout { .. })));
            assert!(limiter.reserve_within(10, short).is_err());
            let mut future = limiter.acquire_timeout_on(1, short, &NoTimer);
            assert!(matches!(poll_once(&mut future), Poll::Ready(Err(_))), "{name}");
        }
        assert_eq!(limiter.delay_for(1), Ok(delay), "{name}");
        assert_eq!(limiter.usage().used, before.used, "{name}");
        assert_eq!(limiter.usage().waiting, 0, "{name}");
        clock.advance(delay);
        assert!(limiter.allow(), "{name}");
    }
}

/// leaky-bucket: a future that was held and not polled, or forgotten, stalled everybody else.
#[test]
fn bug_19_who_is_held_or_forgotten_stalls_nobody() {
    let clock = ManualClock::new();
    for (name, limiter) in all(Quota::per_second(1), &clock) {
        limiter.drain();
        let mut held = limiter.acquire_on(1, &NoTimer);
        assert!(poll_once(&mut held).is_pending(), "{name}");
        let mut forgotten = limiter.acquire_on(1, &NoTimer);
        assert!(poll_once(&mut forgotten).is_pending(), "{name}");
        std::mem::forget(forgotten);
        let due = limiter.delay_for(1).unwrap();
        // Behind those two, a thread waits and gets its permit when that is due.
        let sleepers = clock.sleepers();
        let early = thread::scope(|scope| {
            let waiter = scope.spawn(|| limiter.wait());
            while clock.sleepers() == sleepers {
                thread::yield_now();
            }
            clock.advance(due.saturating_sub(NANO));
            let early = waiter.is_finished();
            clock.advance(NANO);
            assert!(waiter.join().unwrap().is_ok(), "{name}");
            early
        });
        assert!(!early, "{name}");
        // Its turn was two seconds ago. Where a limit holds for the times at which permits are
        // used, it has the next turn.
        if ["strict window", "sliding window"].contains(&name) {
            assert!(poll_once(&mut held).is_pending(), "{name}");
            clock.advance(SECOND * 2);
        }
        assert!(matches!(poll_once(&mut held), Poll::Ready(Ok(_))), "{name}");
        clock.advance(SECOND * 10);
        assert_eq!(limiter.usage().remaining, 1, "{name}");
    }
}

/// leaky-bucket: the same in a runtime, with futures in a select that goes on elsewhere.
#[cfg(feature = "tokio")]
#[tokio::test(start_paused = true)]
async fn bug_19_a_future_that_lost_a_race_stalls_nobody() {
    let clock = tollgate::TokioClock::new();
    let limiter =
        tollgate::TokenBucket::builder(Quota::per_second(1)).clock(clock).build().unwrap();
    limiter.acquire(1).await.unwrap();
    let start = tokio::time::Instant::now();
    let mut held = limiter.acquire(1);
    assert!(poll_once(&mut held).is_pending());
    let mut forgotten = limiter.acquire(1);
    assert!(poll_once(&mut forgotten).is_pending());
    std::mem::forget(forgotten);
    limiter.acquire(1).await.unwrap();
    assert_eq!(start.elapsed(), SECOND * 3);
    held.await.unwrap();
    assert_eq!(start.elapsed(), SECOND * 3);
}

/// llm-budget, axum-governor: each refusal by the second limit cost a permit of the first.
#[test]
fn bug_20_a_refusal_by_one_limit_takes_from_none() {
    let clock = ManualClock::new();
    let limits = [("requests", Quota::per_hour(1_000)), ("small", Quota::per_hour(5))];
    let limiter = Composite::builder_of(limits).clock(clock.clone()).build().unwrap();
    let used_each = |limiter: &Composite<ManualClock>| {
        limiter.usage_each().into_iter().map(|(name, usage)| (name, usage.used)).collect::<Vec<_>>()
    };
    let used = |n: u64| [("requests".to_owned(), n), ("small".to_owned(), n)];
    assert!(limiter.allow_n(3));
    for _ in 0..10 {
        assert!(!limiter.allow_n(3));
        assert!(!limiter.allow_n(6));
        assert!(limiter.reserve_within(3, SECOND).is_err());
        assert!(limiter.wait_n(6).is_err());
    }
    assert_eq!(used_each(&limiter), used(3));
    // Places that are given up leave nothing behind either.
    limiter.reserve(3).unwrap().cancel();
    drop(limiter.reserve(4).unwrap());
    let mut future = limiter.acquire_on(5, &NoTimer);
    assert!(poll_once(&mut future).is_pending());
    drop(future);
    assert_eq!(used_each(&limiter), used(3));
    thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                for _ in 0..300 {
                    let _ = limiter.allow_n(2);
                    let _ = limiter.reserve(2).map(drop);
                }
            });
        }
    });
    // The one pair that was left has been taken, by whomever.
    assert_eq!(used_each(&limiter), used(5));
}

/// governor: those who wait for many starved behind those who ask for one; order was luck.
#[test]
fn bug_21_a_big_request_is_served_in_its_turn() {
    let clock = ManualClock::new();
    for (name, limiter) in buckets(Quota::per_second(10), &clock) {
        limiter.drain();
        let served = Mutex::new(Vec::new());
        // Asserted when nobody waits any more: a panic in the scope would wait for ever.
        let (mut overtaken, mut early) = (0, 0);
        let requests: [u64; 5] = [10, 1, 1, 7, 1];
        thread::scope(|scope| {
            let (limiter, served) = (&*limiter, &served);
            for (place, request) in requests.into_iter().enumerate() {
                scope.spawn(move || {
                    limiter.wait_n(request).unwrap();
                    served.lock().unwrap().push(place);
                });
                while clock.sleepers() <= place {
                    thread::yield_now();
                }
                overtaken += u32::from(limiter.allow());
            }
            for (place, request) in requests.into_iter().enumerate() {
                let due = SECOND / 10 * u32::try_from(request).unwrap();
                clock.advance(due.saturating_sub(NANO));
                overtaken += u32::from(limiter.allow());
                early += u32::from(clock.sleepers() != requests.len() - place);
                clock.advance(NANO);
                while served.lock().unwrap().len() <= place {
                    // If it was overtaken it is late; it shall end all the same.
                    clock.advance(SECOND * overtaken);
                    thread::yield_now();
                }
            }
        });
        assert_eq!((overtaken, early), (0, 0), "{name}");
        assert_eq!(served.into_inner().unwrap(), [0, 1, 2, 3, 4], "{name}");
        assert_eq!(limiter.usage().waiting, 0, "{name}");
    }
}

/// governor: for every rule, places are served in the order in which they were taken.
#[test]
fn bug_21_places_are_due_in_order() {
    let clock = ManualClock::new();
    for (name, limiter) in all(Quota::per_second(10), &clock) {
        limiter.drain();
        let places: Vec<_> =
            [10, 1, 1, 7, 1, 10].into_iter().map(|n| limiter.reserve(n).unwrap()).collect();
        let delay = |place: &tollgate::Reservation<'_>| place.delay().unwrap();
        let due: Vec<Duration> = places.iter().map(delay).collect();
        assert!(due.is_sorted(), "{name}: {due:?}");
        assert!(!due[0].is_zero() && due[0] <= SECOND * 2, "{name}: {due:?}");
        assert!(due[5] <= SECOND * 8, "{name}: {due:?}");
        assert!(!limiter.allow(), "{name}: overtaken");
        clock.advance(due[5]);
        assert!(
            places.into_iter().all(|place| place.delay().expect("it comes").is_zero()),
            "{name}"
        );
    }
}
