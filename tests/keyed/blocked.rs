//! Keys that are blocked for a while: the block ends by itself, and leaves nothing behind.

use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use tollgate::keyed::{Terms, WhenFull};
use tollgate::{
    CarryOver, Clock, KeyedLimiter, ManualClock, Quota, RateLimiter, Rejection, Sleep, Timer,
    Timestamp, WaitError,
};

use crate::{Hasher, OnManual};

const SECOND: Duration = Duration::from_secs(1);
const BLOCK: Duration = SECOND.saturating_mul(600);

/// A timer that never rings; the clock wakes by itself.
struct Never;

impl Timer for Never {
    fn sleep(&self, _: Duration) -> Option<Sleep> {
        Some(Box::pin(std::future::pending()))
    }
}

type Builder =
    tollgate::keyed::KeyedBuilder<u64, tollgate::algorithm::GreedyRefill, ManualClock, Hasher>;

fn builder(quota: Quota, clock: &ManualClock) -> Builder {
    let builder = KeyedLimiter::<u64>::builder(quota).clock(clock.clone());
    builder.hasher(Hasher::default()).shards(1)
}

fn limiter(clock: &ManualClock) -> OnManual {
    builder(Quota::per_minute(10), clock).build().unwrap()
}

fn blocked_for(seconds: u64) -> Rejection {
    Rejection::BlockedFor { retry_after: Duration::from_secs(seconds) }
}

#[test]
fn a_block_of_600_seconds_ends_by_itself_at_600_seconds() {
    let clock = ManualClock::new();
    let limiter = limiter(&clock);
    assert!(limiter.allow(&1));
    limiter.block_for(&1, BLOCK).unwrap();
    clock.advance(Duration::from_secs(599));
    let refused = limiter.try_acquire(&1, 1).unwrap_err();
    assert_eq!((refused, refused.retry_after()), (blocked_for(1), Some(SECOND)));
    assert_eq!(refused.retry_after_secs(), Some(1));
    clock.advance(SECOND - Duration::from_nanos(1));
    assert!(!limiter.allow(&1));
    clock.advance(Duration::from_nanos(1));
    assert!(limiter.allow(&1), "at the very moment");
    clock.advance(SECOND);
    assert!(limiter.allow(&1), "and at 601 s");
}

#[test]
fn every_verb_that_takes_permits_is_refused_while_a_block_lasts() {
    for global in [false, true] {
        let clock = ManualClock::new();
        let builder = builder(Quota::per_minute(10), &clock);
        let builder = if global { builder.global(Quota::per_hour(100)) } else { builder };
        let limiter = builder.build().unwrap();
        limiter.block_for(&1, BLOCK).unwrap();
        let (why, ended) = (blocked_for(600), WaitError::BlockedFor { retry_after: BLOCK });
        assert!(!limiter.allow(&1) && !limiter.allow_n(&1, 0));
        assert_eq!(limiter.try_acquire(&1, 1), Err(why));
        assert_eq!(limiter.delay_for(&1, 1), Err(why));
        assert_eq!(limiter.wait(&1), Err(ended));
        assert_eq!(limiter.wait_timeout(&1, 1, 2 * BLOCK), Err(ended));
        assert_eq!(limiter.reserve(&1, 1).err(), Some(ended));
        assert_eq!(limiter.for_key(&1).try_acquire_up_to(5), 0);
        assert_eq!(limiter.usage(&1).used, 0);
        assert_eq!(limiter.terms_for(&1), Terms::blocked_until(clock.now() + BLOCK));
        assert!(limiter.allow(&2), "others do not notice");
        clock.advance(BLOCK);
        assert_eq!(limiter.terms_for(&1), Terms::default());
        assert!(limiter.allow_n(&1, 10), "all permits are there");
    }
}

#[test]
fn those_who_wait_end_when_their_key_is_blocked_for_a_while() {
    for global in [false, true] {
        let clock = ManualClock::new();
        let builder = builder(Quota::per_minute(1), &clock);
        let builder = if global { builder.global(Quota::per_hour(100)) } else { builder };
        let limiter = builder.build().unwrap();
        assert!(limiter.allow(&1));
        let mut context = Context::from_waker(Waker::noop());
        let mut waiting = pin!(limiter.acquire_on(&1, 1, &Never));
        assert!(waiting.as_mut().poll(&mut context).is_pending());
        limiter.block_for(&1, BLOCK).unwrap();
        let ended = waiting.as_mut().poll(&mut context);
        let expected = WaitError::BlockedFor { retry_after: BLOCK };
        assert!(matches!(ended, Poll::Ready(Err(error)) if error == expected), "{ended:?}");
        clock.advance(BLOCK);
        assert!(limiter.allow(&1), "the wait has taken nothing");
    }
}

/// An outcome that nobody has fetched keeps the key's state apart: the block must end there too.
#[test]
fn a_block_ends_for_a_key_with_an_outcome_to_fetch() {
    let clock = ManualClock::new();
    let limiter = builder(Quota::per_second(1), &clock).build().unwrap();
    assert!(limiter.allow(&1));
    let held = limiter.reserve(&1, 1).unwrap();
    limiter.block_for(&1, BLOCK).unwrap();
    assert!(!limiter.allow(&1));
    clock.advance(BLOCK);
    assert!(limiter.allow(&1));
    assert_eq!(held.wait(), Err(WaitError::BlockedFor { retry_after: BLOCK }));
}

#[test]
fn unblock_ends_a_block_and_other_terms_replace_it() {
    let clock = ManualClock::new();
    let limiter = limiter(&clock);
    limiter.block_for(&1, BLOCK).unwrap();
    limiter.unblock(&1);
    assert!(limiter.allow(&1));
    limiter.block_for(&1, BLOCK).unwrap();
    limiter.set_terms_for(&1, Terms::from(Quota::per_hour(7))).unwrap();
    assert!(limiter.allow(&1));
    limiter.block_for(&1, BLOCK).unwrap();
    assert_eq!(limiter.try_acquire(&1, 1), Err(blocked_for(600)));
    limiter.clear_terms_for(&1);
    assert!(limiter.allow(&1));
    limiter.block_for(&1, BLOCK).unwrap();
    limiter.remove(&1);
    assert!(limiter.allow(&1));
}

#[test]
fn a_block_leaves_the_rest_of_the_terms() {
    let clock = ManualClock::new();
    let limiter = limiter(&clock);
    let terms = Terms::from(Quota::per_hour(7)).cost(2);
    limiter.set_terms_for(&1, terms).unwrap();
    limiter.block_for(&1, BLOCK).unwrap();
    assert_eq!(limiter.usage(&1).limit, 7);
    clock.advance(BLOCK);
    assert_eq!((limiter.terms_for(&1), limiter.try_acquire(&1, 1).unwrap().remaining), (terms, 5));
    clock.advance(100 * BLOCK);
    limiter.sweep();
    assert_eq!(limiter.terms_for(&1), terms, "what was set by hand stays");
}

#[test]
fn of_two_blocks_the_later_end_counts() {
    let clock = ManualClock::new();
    let limiter = limiter(&clock);
    limiter.block_for(&1, BLOCK).unwrap();
    limiter.block_for(&1, SECOND).unwrap();
    assert_eq!(limiter.try_acquire(&1, 1), Err(blocked_for(600)));
    limiter.block_for(&1, 2 * BLOCK).unwrap();
    assert_eq!(limiter.try_acquire(&1, 1), Err(blocked_for(1_200)));
    limiter.block(&1).unwrap();
    limiter.block_for(&1, SECOND).unwrap();
    clock.advance(3 * BLOCK);
    assert_eq!(limiter.try_acquire(&1, 1), Err(Rejection::Blocked), "one without end stays");
    limiter.unblock(&1);
    assert!(limiter.allow(&1));
}

#[test]
fn a_block_of_no_time_or_of_all_time_is_no_special_case() {
    let clock = ManualClock::new();
    let limiter = limiter(&clock);
    limiter.block_for(&1, Duration::ZERO).unwrap();
    assert!(limiter.is_empty() && limiter.allow(&1));
    limiter.block_for(&2, Duration::MAX).unwrap();
    clock.set(Timestamp::from_nanos(u64::MAX - 5));
    assert!(matches!(limiter.try_acquire(&2, 1), Err(Rejection::BlockedFor { .. })));
    clock.set(Timestamp::from_nanos(u64::MAX));
    assert!(!limiter.allow(&2));
}

#[test]
fn a_block_that_has_ended_leaves_no_memory() {
    let clock = ManualClock::new();
    let limiter = builder(Quota::per_minute(10), &clock).max_keys(100).build().unwrap();
    for key in 0..100 {
        limiter.block_for(&key, BLOCK).unwrap();
    }
    clock.advance(BLOCK - SECOND);
    assert_eq!((limiter.sweep(), limiter.len()), (0, 100), "as long as they are blocked");
    clock.advance(SECOND);
    assert_eq!((limiter.sweep(), limiter.len()), (100, 0));
    // And new keys make room by themselves.
    for key in 0..100 {
        limiter.block_for(&key, SECOND).unwrap();
    }
    clock.advance(SECOND);
    for key in 1_000..3_000 {
        assert!(limiter.allow(&key));
        clock.advance(BLOCK);
    }
    assert!(limiter.len() < 50, "{}", limiter.len());
}

#[test]
fn a_key_in_use_keeps_its_place_while_it_is_blocked_and_a_new_one_needs_none() {
    for when_full in [WhenFull::Deny, WhenFull::Share] {
        let clock = ManualClock::new();
        let builder = builder(Quota::per_day(10), &clock).max_keys(2).when_full(when_full);
        let limiter = builder.build().unwrap();
        assert!(limiter.allow(&1) && limiter.allow(&2));
        limiter.block_for(&1, BLOCK).unwrap();
        limiter.block_for(&3, BLOCK).unwrap();
        assert_eq!(limiter.try_acquire(&3, 1), Err(blocked_for(600)), "{when_full:?}");
        assert_eq!(limiter.len(), 3);
        let new = limiter.for_key(&4).try_acquire(1);
        if when_full == WhenFull::Deny {
            assert_eq!(new, Err(Rejection::TooManyKeys { max_keys: 2 }), "1 has its place still");
        }
        clock.advance(BLOCK);
        assert_eq!(limiter.try_acquire(&1, 1).unwrap().remaining, 8, "and what it had used");
        limiter.sweep();
        assert_eq!(limiter.len(), 2);
    }
}

/// Whoever is banned by a rule that watches requests must not take memory without bound.
#[test]
fn blocking_one_key_after_another_for_a_while_exceeds_no_bound() {
    let clock = ManualClock::new();
    let limiter = builder(Quota::per_day(10), &clock).max_keys(5).build().unwrap();
    for key in 0..1_000 {
        if limiter.allow(&key) {
            limiter.block_for(&key, BLOCK).unwrap();
        }
        assert!(limiter.len() <= 5);
    }
}

#[test]
fn a_function_may_say_until_when_a_key_is_blocked() {
    let clock = ManualClock::new();
    let end = clock.now() + BLOCK;
    let terms = move |key: &u64| match key {
        1 => Terms::blocked_until(end),
        _ => Terms::default(),
    };
    let limiter = builder(Quota::per_minute(10), &clock).terms_by(terms).build().unwrap();
    assert_eq!(limiter.try_acquire(&1, 1), Err(blocked_for(600)));
    assert!(limiter.allow(&2));
    assert_eq!(limiter.len(), 1, "nothing is held for a full bucket");
    clock.advance(BLOCK);
    assert!(limiter.allow(&1));
}

#[test]
fn a_block_survives_a_refresh_and_so_does_the_newest_plan() {
    let clock = ManualClock::new();
    let plan = std::sync::Arc::new(std::sync::atomic::AtomicU64::new(10));
    let by = std::sync::Arc::clone(&plan);
    let terms = move |_: &u64| Quota::per_hour(by.load(std::sync::atomic::Ordering::SeqCst));
    let limiter = builder(Quota::per_hour(1), &clock).terms_by(terms).build().unwrap();
    assert!(limiter.allow(&1));
    limiter.block_for(&1, BLOCK).unwrap();
    plan.store(300, std::sync::atomic::Ordering::SeqCst);
    limiter.refresh_terms();
    limiter.refresh_terms_for(&1, CarryOver::Keep);
    assert_eq!(limiter.try_acquire(&1, 1), Err(blocked_for(600)));
    assert_eq!(limiter.usage(&1).limit, 300);
    clock.advance(BLOCK);
    assert!(limiter.allow_n(&1, 290));
}

#[test]
fn totals_count_what_a_block_refuses_and_it_makes_nobody_an_offender() {
    let clock = ManualClock::new();
    let limiter = limiter(&clock);
    limiter.block_for(&1, BLOCK).unwrap();
    (0..5).for_each(|_| assert!(!limiter.allow(&1)));
    assert_eq!((limiter.totals().denied, limiter.most_limited(9).len()), (5, 0));
}

#[test]
fn a_key_that_is_a_limiter_of_its_own_is_blocked_like_any_other() {
    let clock = ManualClock::new();
    let limiter = limiter(&clock);
    let view = limiter.for_key(&1);
    limiter.block_for(&1, BLOCK).unwrap();
    assert_eq!(view.try_acquire(1), Err(blocked_for(600)));
    assert!(!view.is_closed());
    view.close();
    assert_eq!(view.try_acquire(1), Err(Rejection::Closed));
    clock.advance(BLOCK);
    assert_eq!(view.try_acquire(1), Err(Rejection::Closed), "that has no end");
}
