//! Who is refused most: counted exactly where there are few, and in bounded memory.

use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use allocation_counter::measure;
use tollgate::{KeyedLimiter, ManualClock, Quota, RateLimiter, Sleep, Timer, WaitError};

use crate::{Hasher, OnManual};

fn limiter(quota: Quota, clock: &ManualClock) -> OnManual {
    let builder = KeyedLimiter::<u64>::builder(quota).clock(clock.clone());
    builder.hasher(Hasher::default()).shards(1).build().unwrap()
}

fn refuse(limiter: &OnManual, key: u64, times: u64) {
    for _ in 0..times {
        assert!(!limiter.allow(&key));
    }
}

#[test]
fn the_most_refused_come_first_and_clear_begins_anew() {
    let clock = ManualClock::new();
    let limiter = limiter(Quota::per_hour(1), &clock);
    for key in 1..=9 {
        assert!(limiter.allow(&key));
        refuse(&limiter, key, key * 10);
    }
    let worst = limiter.most_limited(3);
    let counts: Vec<_> =
        worst.iter().map(|worst| (worst.key, worst.denied, worst.overcount)).collect();
    assert_eq!(counts, [(9, 90, 0), (8, 80, 0), (7, 70, 0)]);
    limiter.clear();
    assert!(limiter.most_limited(9).is_empty());
    assert!(limiter.allow(&1));
    refuse(&limiter, 1, 1);
    assert_eq!(limiter.most_limited(9)[0].denied, 1);
}

/// A shard has sixteen counters: one that comes later takes the smallest over, and is named at its
/// second refusal.
#[test]
fn an_offender_that_comes_seventeenth_is_named() {
    let clock = ManualClock::new();
    let limiter = limiter(Quota::per_hour(1), &clock);
    for key in 0..16 {
        assert!(limiter.allow(&key));
        refuse(&limiter, key, 2 + key);
    }
    assert!(limiter.allow(&99));
    refuse(&limiter, 99, 1);
    assert!(limiter.most_limited(20).iter().all(|offender| offender.key != 99));
    refuse(&limiter, 99, 999);
    let worst = &limiter.most_limited(1)[0];
    assert_eq!((worst.key, worst.denied, worst.overcount), (99, 1_002, 2));
}

#[test]
fn refusals_by_the_limit_for_everybody_count() {
    let clock = ManualClock::new();
    let builder = KeyedLimiter::<u64>::builder(Quota::per_hour(9)).global(Quota::per_hour(2));
    let limiter = builder.clock(clock).hasher(Hasher::default()).build().unwrap();
    assert!(limiter.allow(&1) && limiter.allow(&2));
    assert!(!limiter.allow_n(&3, 2));
    assert!(limiter.try_acquire(&3, 1).is_err());
    assert!(limiter.wait_timeout(&3, 1, Duration::ZERO).is_err());
    assert!(!limiter.allow(&1));
    assert_eq!((limiter.totals().allowed, limiter.totals().denied), (2, 5));
    let worst = limiter.most_limited(5);
    let counts: Vec<_> = worst.iter().map(|worst| (worst.key, worst.denied)).collect();
    assert_eq!(counts, [(3, 4), (1, 1)]);
}

/// A timer that never rings; the clock wakes by itself.
struct Never;

impl Timer for Never {
    fn sleep(&self, _: Duration) -> Option<Sleep> {
        None
    }
}

#[test]
fn a_wait_that_the_limit_for_everybody_ends_counts_once_as_a_refusal_of_its_key() {
    const SECOND: Duration = Duration::from_secs(1);
    // In the line for everybody when others use its limit up; or still in its key's line, and then
    // too late.
    for in_everybodys_line in [true, false] {
        let clock = ManualClock::new();
        let builder =
            KeyedLimiter::<u64>::builder(Quota::per_second(1)).global(Quota::per_second(2));
        let limiter = builder.clock(clock.clone()).hasher(Hasher::default()).build().unwrap();
        let everybody = limiter.global().unwrap();
        if in_everybodys_line {
            assert!(everybody.allow_n(2));
        } else {
            assert!(limiter.allow(&1));
        }
        let key = limiter.for_key(&1);
        let mut waiting = pin!(key.acquire_timeout_on(1, SECOND * 2, &Never));
        let mut poll = || waiting.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        assert!(poll().is_pending());
        everybody.consume(20).unwrap();
        clock.advance(SECOND);
        assert!(matches!(poll(), Poll::Ready(Err(WaitError::Timeout { .. }))));
        assert_eq!(limiter.totals().denied, 1, "in everybody's line: {in_everybodys_line}");
        let worst = limiter.most_limited(5);
        assert_eq!((worst.len(), worst[0].key, worst[0].denied), (1, 1, 1));
    }
}

#[test]
fn a_sweep_forgets_the_keys_that_are_gone_and_their_memory() {
    let clock = ManualClock::new();
    let builder = KeyedLimiter::<String>::builder(Quota::per_second(1)).clock(clock.clone());
    let limiter = builder.build().unwrap();
    let left = measure(|| {
        for i in 0..500 {
            // Large ones, one at a time.
            let key = format!("{i:0>10000}");
            assert!(limiter.allow(&key) && !limiter.allow(&key));
            clock.advance(Duration::from_secs(1));
        }
        limiter.sweep();
    });
    assert_eq!((limiter.len(), limiter.most_limited(9).len()), (0, 0));
    assert!(left.bytes_current < 100_000, "{} bytes are left", left.bytes_current);
}

#[test]
fn a_sweep_forgets_no_offender_whose_key_is_held() {
    let clock = ManualClock::new();
    let limiter = limiter(Quota::per_hour(1), &clock);
    for key in 1..=5 {
        assert!(limiter.allow(&key));
        refuse(&limiter, key, 10 * key);
    }
    limiter.remove(&4);
    for _ in 0..2 {
        limiter.sweep();
        let worst: Vec<_> = limiter.most_limited(9).iter().map(|worst| worst.key).collect();
        assert_eq!(worst, [5, 3, 2, 1]);
    }
}

#[test]
fn keys_long_gone_are_forgotten_as_new_ones_come() {
    let clock = ManualClock::new();
    let limiter = limiter(Quota::per_second(1), &clock);
    assert!(limiter.allow(&1));
    refuse(&limiter, 1, 1_000);
    for key in 10..1_000 {
        clock.advance(Duration::from_secs(2));
        assert!(limiter.allow(&key));
    }
    assert!(limiter.most_limited(9).is_empty());
}

#[test]
fn an_offender_that_goes_on_is_not_forgotten() {
    let clock = ManualClock::new();
    let limiter = limiter(Quota::per_second(1), &clock);
    let mut refused = 0;
    for key in 10..1_000 {
        clock.advance(Duration::from_secs(2));
        assert!(limiter.allow(&key));
        refused += u64::from(!limiter.allow_n(&1, 2) && !limiter.allow(&1));
        let again = (0..3).filter(|_| !limiter.allow(&1)).count();
        refused += again as u64;
        if key % 100 == 0 {
            limiter.sweep();
        }
    }
    assert!(refused > 0);
    assert_eq!(limiter.most_limited(1)[0].key, 1);
}
