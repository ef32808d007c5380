//! A limiter on a manual clock, and futures that are polled by hand.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use tollgate::llm::{
    Error, KeyPool, LimitKind, Limiter, Limits, Period, Permit, PoolPermit, Reply, Tokens,
};
use tollgate::{ManualClock, Sleep, Timer};

pub(crate) type OnManual = Limiter<ManualClock>;
pub(crate) type Pool = KeyPool<&'static str, ManualClock>;

pub(crate) const SECOND: Duration = Duration::from_secs(1);
pub(crate) const MINUTE: Duration = Duration::from_secs(60);
pub(crate) const NANO: Duration = Duration::from_nanos(1);

/// All limits but that on requests at the same time.
pub(crate) const METERED: [LimitKind; 6] = [
    LimitKind::Requests(Period::MINUTE),
    LimitKind::Tokens(Period::MINUTE),
    LimitKind::InputTokens(Period::MINUTE),
    LimitKind::OutputTokens(Period::MINUTE),
    LimitKind::Requests(Period::DAY),
    LimitKind::Tokens(Period::DAY),
];

pub(crate) fn limiter(clock: &ManualClock, limits: Limits) -> OnManual {
    Limiter::builder().limits(limits).clock(clock.clone()).build().unwrap()
}

/// A pool whose keys are used at once, also if nothing is known about them.
pub(crate) fn pool(clock: &ManualClock) -> Pool {
    KeyPool::builder().try_first(false).clock(clock.clone()).build()
}

/// A response with status 429 and these headers has arrived.
pub(crate) fn limited<'a>(
    limiter: &OnManual,
    headers: impl IntoIterator<Item = (&'a str, &'a str)>,
) {
    limiter.observe_reply(&Reply::new(429).headers(headers));
}

pub(crate) fn rpm(requests: u64) -> Limits {
    Limits::new().requests_per_minute(requests)
}

pub(crate) fn tpm(tokens: u64) -> Limits {
    Limits::new().tokens_per_minute(tokens)
}

pub(crate) fn used(limiter: &OnManual, kind: LimitKind) -> u64 {
    limiter.usage().of(kind).unwrap().used
}

pub(crate) fn left(limiter: &OnManual, kind: LimitKind) -> u64 {
    limiter.usage().of(kind).unwrap().remaining
}

/// A nanosecond less.
pub(crate) fn just_before(time: Duration) -> Duration {
    time.checked_sub(NANO).unwrap()
}

/// What a refusal said.
pub(crate) fn refused_by<T>(answer: Result<T, Error>) -> (LimitKind, Option<Duration>) {
    match answer.err() {
        Some(Error::Denied { limit, retry_after }) => (limit, retry_after),
        other => panic!("{other:?}"),
    }
}

/// A manual clock wakes by itself: no timer is ever asked for.
pub(crate) struct NoTimer;

impl Timer for NoTimer {
    fn sleep(&self, _: Duration) -> Option<Sleep> {
        None
    }
}

struct Flag(AtomicBool);

impl Wake for Flag {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// A future, and whether it was woken.
pub(crate) struct Task<'a, T> {
    future: Pin<Box<dyn Future<Output = T> + 'a>>,
    woken: Arc<Flag>,
}

impl<'a, T> Task<'a, T> {
    pub(crate) fn new(future: impl Future<Output = T> + 'a) -> Self {
        Self { future: Box::pin(future), woken: Arc::new(Flag(AtomicBool::new(true))) }
    }

    /// Polls it if it was woken, as a runtime does: who is not woken must have no reason to be.
    pub(crate) fn run(&mut self) -> Option<T> {
        if !self.woken.0.swap(false, Ordering::Relaxed) {
            return None;
        }
        let waker = Waker::from(Arc::clone(&self.woken));
        match self.future.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(done) => Some(done),
            Poll::Pending => None,
        }
    }
}

impl<T> Task<'_, T> {
    /// Wakes it without a reason.
    #[cfg(feature = "tokio")]
    pub(crate) fn wake(&self) {
        self.woken.0.store(true, Ordering::Relaxed);
    }

    pub(crate) fn is_woken(&self) -> bool {
        self.woken.0.load(Ordering::Relaxed)
    }
}

impl<T: std::fmt::Debug> Task<'_, T> {
    #[track_caller]
    pub(crate) fn done(&mut self) -> T {
        self.run().expect("it is over")
    }

    #[track_caller]
    pub(crate) fn waits(&mut self) {
        let done = self.run();
        assert!(done.is_none(), "{done:?}");
    }
}

pub(crate) type Waiting<'a> = Task<'a, Result<Permit<'a, ManualClock>, Error>>;

/// A place in the queue.
#[track_caller]
pub(crate) fn queued(limiter: &OnManual, tokens: impl Into<Tokens>) -> Waiting<'_> {
    let mut task = Task::new(limiter.acquire_on(tokens.into(), &NoTimer));
    task.waits();
    task
}

pub(crate) type WaitingForKey<'a> =
    Task<'a, Result<PoolPermit<'a, &'static str, ManualClock>, Error>>;

#[track_caller]
pub(crate) fn queued_at(pool: &Pool, tokens: impl Into<Tokens>) -> WaitingForKey<'_> {
    let mut task = Task::new(pool.acquire_on(tokens.into(), &NoTimer));
    task.waits();
    task
}

/// The ids of so many keys in turn, each used up as it comes.
pub(crate) fn ids(pool: &Pool, tokens: u64, count: usize) -> Vec<String> {
    let take = |_| {
        let permit = pool.try_acquire(tokens).unwrap();
        let id = permit.id().to_owned();
        permit.settle(tokens);
        id
    };
    (0..count).map(take).collect()
}
