//! What the types promise, whatever they do: threads, trait objects, errors.

#![allow(clippy::unwrap_used, reason = "a test that fails shall panic")]

use std::error::Error;
use std::fmt::{Debug, Display};
use std::sync::Arc;

use tollgate::algorithm::{
    Algorithm, AllOf, FixedWindow, GreedyRefill, IntervalRefill, Level, SlidingWindow, StrictWindow,
};
use tollgate::wait::{Acquire, AcquireOwned, Enqueued, Request};
use tollgate::{
    AtomicTokenBucket, CancelToken, CarryOver, Clock, Composite, ConsumeError, FixedWindowLimiter,
    Grant, IntervalTokenBucket, Jitter, LeasedTokenBucket, LimiterBuilder, ManualClock,
    MonotonicClock, ParseQuotaError, Quota, QuotaError, RateLimiter, Rejection, Reservation,
    SlidingWindowLimiter, StrictLimiter, Timer, Timestamp, TokenBucket, Usage, WaitError,
};

fn shared<T: Send + Sync + Unpin + Debug>() {}
fn owned<T: Send + Sync + Unpin + 'static>() {}
fn value<T: Copy + Eq + Debug + Send + Sync + 'static>() {}
fn error<T: Error + Display + Clone + Eq + Send + Sync + 'static>() {}
fn limiter<T: RateLimiter + Debug + Unpin + 'static>() {}
fn future<T: Future + Send + Unpin>() {}
fn spawned<T: Future + Send + 'static>() {}
fn sent<T: Send>(_: &T) {}

/// A timer that is never asked.
struct Never;

impl Timer for Never {
    fn sleep(&self, _: std::time::Duration) -> Option<tollgate::Sleep> {
        None
    }
}

#[test]
fn limiters_are_shared_between_threads() {
    limiter::<TokenBucket>();
    limiter::<IntervalTokenBucket>();
    limiter::<FixedWindowLimiter>();
    limiter::<SlidingWindowLimiter>();
    limiter::<StrictLimiter>();
    limiter::<Composite>();
    limiter::<AtomicTokenBucket>();
    owned::<TokenBucket<Arc<dyn Clock>>>();
    shared::<LeasedTokenBucket>();
    shared::<LimiterBuilder<GreedyRefill>>();
    shared::<Reservation<'_>>();
    owned::<CancelToken>();
    owned::<ManualClock>();
    owned::<MonotonicClock>();
    shared::<Enqueued<'_>>();
    shared::<Request<'_>>();
}

#[test]
fn states_are_equal_if_they_remember_the_same() {
    fn check<A: Algorithm<State: PartialEq> + TryFrom<Quota, Error = QuotaError>>() {
        let rule = A::try_from(Quota::per_second(9)).expect("a valid quota");
        let at = Timestamp::from_nanos;
        let state = rule.start(at(5), 3);
        assert_eq!(state, rule.start(at(5), 3));
        assert_eq!(state, state.clone());
        assert_ne!(state, rule.start(at(5), 4));
        assert_ne!(state, rule.start(at(6), 3));
    }
    check::<GreedyRefill>();
    check::<IntervalRefill>();
    check::<FixedWindow>();
    check::<SlidingWindow>();
    check::<StrictWindow>();
}

#[test]
fn rules_are_values() {
    shared::<GreedyRefill>();
    shared::<IntervalRefill>();
    shared::<FixedWindow>();
    shared::<SlidingWindow>();
    shared::<StrictWindow>();
    shared::<AllOf<StrictWindow>>();
    value::<Level>();
    value::<Quota>();
    value::<Timestamp>();
    value::<Grant>();
    value::<Usage>();
    value::<CarryOver>();
    value::<Jitter>();
}

#[test]
fn errors_are_errors() {
    error::<QuotaError>();
    error::<ParseQuotaError>();
    error::<Rejection>();
    error::<WaitError>();
    error::<ConsumeError>();
    let told: Box<dyn Error + Send + Sync> = Box::new(QuotaError::ZeroRate);
    assert!(told.to_string().contains("rate is zero"));
}

#[test]
fn futures_can_be_sent_and_moved() {
    future::<Acquire<'_>>();
    future::<AcquireOwned>();
    spawned::<AcquireOwned>();

    let bucket = TokenBucket::new(Quota::per_second(1)).expect("a valid quota");
    sent(&bucket.acquire_on(1, &Never));
    let reservation = bucket.reserve(1).expect("one is there");
    sent(&reservation.wait_on(&Never));
}

#[test]
fn traits_are_object_safe() {
    let clock: Arc<dyn Clock> = Arc::new(ManualClock::new());
    let bucket = TokenBucket::builder(Quota::per_second(3)).clock(clock).build();
    let shared: Arc<dyn RateLimiter> = Arc::new(bucket.expect("a valid quota"));
    let borrowed: &dyn RateLimiter = &*shared;
    let boxed: Box<dyn RateLimiter> = Box::new(Arc::clone(&shared));
    assert!(shared.allow() && borrowed.allow() && boxed.allow());
    assert!(!shared.allow(), "all three were the same bucket");
    assert_eq!(shared.now(), Timestamp::ZERO);
}

#[cfg(feature = "tokio")]
#[test]
fn tokio_futures_can_be_sent() {
    let bucket = Arc::new(TokenBucket::new(Quota::per_second(1)).expect("a valid quota"));
    sent(&bucket.acquire(1));
    sent(&Arc::clone(&bucket).acquire_owned(1));
    owned::<tollgate::TokioTimer>();
    owned::<tollgate::TokioClock>();
}

#[test]
fn an_answer_has_what_headers_need_whatever_it_is() {
    use std::time::Duration;
    use tollgate::{Answer, ManualClock, Quota, Rejection, TokenBucket, take_all};

    let clock = ManualClock::new();
    let bucket = |quota| TokenBucket::builder(quota).clock(clock.clone()).build().unwrap();
    let (wide, narrow) = (bucket(Quota::per_second(10)), bucket(Quota::per_second(2)));
    let parts = |answer: Answer| (answer.limit(), answer.remaining(), answer.reset_after());
    let millis = |millis| Some(Duration::from_millis(millis));

    let (mut one, mut other) = (wide.charge(2), narrow.charge(2));
    assert_eq!(parts(one.answer()), (None, None, None));
    assert!(take_all(&mut [&mut one, &mut other]));
    assert_eq!(parts(one.answer()), (Some(10), Some(8), millis(200)));
    assert_eq!(parts(other.answer()), (Some(2), Some(0), millis(1_000)));

    let (mut one, mut other) = (wide.charge(3), narrow.charge(1));
    assert!(!take_all(&mut [&mut one, &mut other]));
    assert_eq!(parts(one.answer()), (Some(10), Some(8), millis(200)));
    assert_eq!(parts(other.answer()), (Some(2), Some(0), millis(1_000)));

    let (mut one, mut other) = (wide.charge(3), narrow.charge(3));
    assert!(!take_all(&mut [&mut one, &mut other]));
    assert_eq!(parts(other.answer()), (Some(2), None, None));
    let refused = |millis| Rejection::denied(Duration::from_millis(millis));
    let never = other.answer().rejection().unwrap();
    assert_eq!(never.http_status(), 413);
    // Of several refusals, the one that no wait would help, or else the longest wait.
    assert_eq!(
        [refused(5), never, refused(9)].into_iter().reduce(Rejection::stricter),
        Some(never)
    );
    assert_eq!(refused(5).stricter(refused(9)), refused(9));
    assert_eq!(refused(9).stricter(refused(5)), refused(9));
}
