//! Waiting: on threads, in order, with deadlines, tokens and bounds.

use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use tollgate::{CancelToken, Rejection, Sleep, Timer, WaitError};

use crate::subject::{LIMIT, Make, NANO, Options};
use crate::threads::{parked, wait_on, wait_on_a_thread};

pub(crate) fn a_wait_ends_when_it_is_due(make: Make) {
    let s = make(Options::default());
    s.drain();
    let delay = s.delay(3);
    let thread = wait_on_a_thread(&s, 3);
    parked(&s, 1);
    s.clock.advance(delay - NANO);
    assert_eq!(s.waiting(), 1);
    s.clock.advance(NANO);
    assert_eq!(thread.join().unwrap().unwrap().permits, 3);
    assert_eq!(s.waiting(), 0);
}

pub(crate) fn first_come_first_served(make: Make) {
    let s = make(Options::default());
    s.drain();
    let start = s.limiter.now();
    let waits = [3, 1, LIMIT, 2, 5, 1].map(|permits| {
        let due = start + s.delay(permits);
        (due, permits, wait_on_a_thread(&s, permits))
    });
    assert!(waits.is_sorted_by_key(|(due, ..)| *due), "nobody is before who came before");
    let dues = waits.each_ref().map(|(due, ..)| *due);
    parked(&s, waits.len());
    for (due, permits, thread) in waits {
        if due > s.limiter.now() {
            s.clock.advance(due - s.limiter.now() - NANO);
            let left = dues.iter().filter(|other| **other >= due).count();
            assert_eq!(s.waiting(), left, "nobody is served before it is due");
            s.clock.advance(NANO);
        }
        assert_eq!(thread.join().unwrap().unwrap().permits, permits);
    }
    assert_eq!(s.waiting(), 0);
}

pub(crate) fn nobody_overtakes_who_waits(make: Make) {
    let s = make(Options::default());
    assert!(s.limiter.allow_n(LIMIT - 3));
    let waiter = s.limiter.reserve(5).unwrap();
    assert!(!s.limiter.allow(), "3 are there, but not for those who do not wait");
    assert!(!s.limiter.allow_n(0));
    assert_eq!(s.limiter.drain(), 0);
    let refused = s.limiter.try_acquire(1);
    let Err(Rejection::Denied { available: 0, retry_after, .. }) = refused else {
        panic!("{refused:?}")
    };
    assert!(retry_after >= waiter.delay().expect("it comes"));
    assert_eq!(retry_after, s.delay(1));
    s.clock.advance(waiter.delay().expect("it comes") - NANO);
    assert!(!s.limiter.allow());
    s.clock.advance(NANO);
    assert_eq!(s.waiting(), 0);
    s.clock.advance(s.delay(1));
    assert!(s.limiter.allow());
}

pub(crate) fn a_wait_too_long_fails_at_once(make: Make) {
    let s = make(Options::default());
    s.drain();
    let retry_after = s.delay(3);
    let timeout = Err(WaitError::Timeout { retry_after });
    assert_eq!(s.limiter.wait_timeout(3, retry_after - NANO), timeout);
    let deadline = s.limiter.now() + (retry_after - NANO);
    assert_eq!(s.limiter.wait_deadline(3, deadline), timeout);
    assert_eq!(s.limiter.reserve_within(3, retry_after - NANO).map(drop), timeout.map(drop));
    assert_eq!((s.waiting(), s.delay(3)), (0, retry_after), "nothing was taken");
    let in_time = s.limiter.reserve_within(3, retry_after).unwrap();
    s.clock.advance(retry_after);
    assert_eq!(in_time.wait().unwrap().permits, 3);
}

pub(crate) fn a_cancelled_wait_takes_nothing(make: Make) {
    let s = make(Options::default());
    let token = CancelToken::new();
    s.drain();
    let (first, second) = (s.delay(2), s.delay(5));
    let cancelled = wait_on(&s, 5, &token);
    let behind = wait_on_a_thread(&s, 2);
    parked(&s, 2);
    token.cancel();
    assert_eq!(cancelled.join().unwrap(), Err(WaitError::Cancelled));
    assert!(first <= second);
    s.clock.advance(first);
    assert!(behind.join().unwrap().is_ok(), "it has moved up");
    assert_eq!(s.waiting(), 0);
    s.limiter.reset();
    assert_eq!(s.limiter.wait_cancellable(1, &token), Err(WaitError::Cancelled));
    s.drain();
}

pub(crate) fn the_queue_can_be_bounded(make: Make) {
    let s = make(Options { max_waiters: 1, ..Options::default() });
    s.drain();
    let full = Err(WaitError::QueueFull { max_waiters: 1 });
    let first = s.limiter.reserve(1).unwrap();
    assert_eq!(s.limiter.wait(), full);
    assert_eq!(s.limiter.reserve(2).map(drop), full.map(drop));
    first.cancel();
    let second = s.limiter.reserve(2).unwrap();
    assert_eq!(s.waiting(), 1);
    drop(second);

    let s = make(Options { max_waiters: 0, ..Options::default() });
    assert!(s.limiter.wait_n(LIMIT).is_ok());
    assert_eq!(s.limiter.wait(), Err(WaitError::QueueFull { max_waiters: 0 }));
}

/// A manual clock wakes by itself: no timer must be asked.
struct NoTimer;

impl Timer for NoTimer {
    fn sleep(&self, _: Duration) -> Option<Sleep> {
        None
    }
}

pub(crate) fn a_future_waits_alike(make: Make) {
    let s = make(Options::default());
    let mut context = Context::from_waker(Waker::noop());
    s.drain();
    let delay = s.delay(3);
    let mut first = pin!(s.limiter.acquire_on(3, &NoTimer));
    assert_eq!(s.waiting(), 0, "it takes its place when first polled");
    assert!(first.as_mut().poll(&mut context).is_pending());
    assert_eq!(s.waiting(), 1);
    let refused = pin!(s.limiter.acquire_timeout_on(3, NANO, &NoTimer)).poll(&mut context);
    assert!(matches!(refused, Poll::Ready(Err(WaitError::Timeout { .. }))));
    s.clock.advance(delay - NANO);
    assert!(first.as_mut().poll(&mut context).is_pending());
    s.clock.advance(NANO);
    let Poll::Ready(Ok(grant)) = first.as_mut().poll(&mut context) else { panic!("it is due") };
    assert_eq!(grant.permits, 3);
}

pub(crate) fn a_dropped_future_takes_nothing(make: Make) {
    let s = make(Options::default());
    let mut context = Context::from_waker(Waker::noop());
    s.drain();
    let delay = s.delay(3);
    {
        let mut dropped = Box::pin(s.limiter.acquire_on(5, &NoTimer));
        assert!(dropped.as_mut().poll(&mut context).is_pending());
    }
    assert_eq!((s.waiting(), s.delay(3)), (0, delay));
    let mut granted = Box::pin(s.limiter.acquire_on(3, &NoTimer));
    assert!(granted.as_mut().poll(&mut context).is_pending());
    s.clock.advance(delay);
    let there = s.remaining();
    drop(granted);
    assert_eq!(s.remaining(), there + 3, "a grant that was not fetched is given back");
}
