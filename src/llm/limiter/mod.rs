//! The limits of one API key.
mod builder;

pub use builder::LimiterBuilder;

use std::sync::Arc;
use std::time::{Duration, SystemTime};

#[cfg(feature = "tokio")]
use crate::llm::OwnedPermit;
use crate::llm::engine::{Engine, Handle, Request};
use crate::llm::headers::ServerLimits;
use crate::llm::{Error, Limits, Permit, Reservation, Tokens, Usage};
use crate::wait::{Acquire, QueueHandle, Timer, blocking};
use crate::{CancelToken, Clock, CounterClock, QuotaError, Timestamp, WaitError};

/// The limits of one API key, taken together: requests and tokens per minute and day, and requests
/// at the same time. A request takes from all of them, or from none.
///
/// Acquire an estimate before the request, [`settle`](Permit::settle) the permit with what the
/// response says was used, and [`observe`](Self::observe) its headers: they teach the limiter the
/// server's limits, and what other clients of the account use.
///
/// **Mind the first minute.** By default a limit's burst is all of a minute's, as providers
/// describe theirs, so up to twice the limit can pass in the first minute. For a server that counts
/// strictly, build with [`Burst::Strict`](crate::llm::Burst::Strict).
///
/// ```
/// use tollgate::llm::Limiter;
///
/// let model = Limiter::builder().requests_per_minute(500).tokens_per_minute(200_000).build()?;
/// let permit = model.try_acquire(1_500)?;
/// // ... the request: its response says that 900 tokens were used ...
/// permit.settle(900);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Limiter<C: Clock = CounterClock> {
    pub(crate) engine: Arc<Engine<C>>,
}

impl Limiter {
    /// Options of a limiter. Without any, it has no limits until it [observes](Self::observe) some.
    pub fn builder() -> LimiterBuilder {
        LimiterBuilder::new()
    }
}

impl<C: Clock> Limiter<C> {
    fn borrowed(&self) -> Handle<'_, C> {
        Handle::Borrowed(&self.engine)
    }

    /// The clock.
    #[must_use]
    pub fn clock(&self) -> &C {
        self.engine.clock()
    }

    /// Takes a request and its estimated tokens now, or says which limit refused and when all of them
    /// will agree.
    ///
    /// # Errors
    ///
    /// [`Error::Denied`], or [`Error::Never`] for an estimate larger than a limit.
    ///
    /// ```
    /// use tollgate::llm::{Error, LimitKind, Limiter};
    /// let model = Limiter::builder().requests_per_minute(60).tokens_per_minute(600).build()?;
    /// model.try_acquire(600)?.settle(600);
    /// let Err(Error::Denied { limit, .. }) = model.try_acquire(10) else { panic!() };
    /// assert_eq!(limit, LimitKind::Tokens);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[inline]
    pub fn try_acquire(&self, estimate: impl Into<Tokens>) -> Result<Permit<'_, C>, Error> {
        let (taken, tokens) = self.engine.try_acquire(estimate.into())?;
        Ok(Permit::new(self.borrowed(), taken, tokens))
    }

    /// Whether a request without tokens may go out now; takes it. It is over at once.
    #[must_use]
    pub fn allow(&self) -> bool {
        self.try_acquire(0).map(|permit| permit.settle(0)).is_ok()
    }

    /// Blocks until a request with so many tokens may go out.
    ///
    /// # Errors
    ///
    /// [`Error::Never`], [`Error::ServerWait`], [`Error::QueueFull`] or [`Error::Closed`].
    pub fn wait(&self, estimate: impl Into<Tokens>) -> Result<Permit<'_, C>, Error> {
        self.wait_until(estimate.into(), Timestamp::MAX, None)
    }

    /// Blocks for at most `timeout`; what would take longer fails at once.
    ///
    /// # Errors
    ///
    /// As [`wait`](Self::wait), and [`Error::Timeout`].
    pub fn wait_timeout(
        &self,
        estimate: impl Into<Tokens>,
        timeout: Duration,
    ) -> Result<Permit<'_, C>, Error> {
        self.wait_until(estimate.into(), self.clock().now() + timeout, None)
    }

    /// Blocks until it may go out, or `cancel` is cancelled.
    ///
    /// # Errors
    ///
    /// As [`wait`](Self::wait), and [`Error::Cancelled`].
    pub fn wait_cancellable(
        &self,
        estimate: impl Into<Tokens>,
        cancel: &CancelToken,
    ) -> Result<Permit<'_, C>, Error> {
        self.wait_until(estimate.into(), Timestamp::MAX, Some(cancel))
    }

    fn wait_until(
        &self,
        tokens: Tokens,
        deadline: Timestamp,
        cancel: Option<&CancelToken>,
    ) -> Result<Permit<'_, C>, Error> {
        let request = Request::new(self.borrowed(), tokens)?;
        let enqueue = |asked: crate::wait::Request<'_>| asked.join(QueueHandle::Borrowed(&request));
        let granted = blocking::wait(enqueue, 1, deadline, cancel);
        let grant = granted.map_err(|error| self.engine.explain(error, request.tokens))?;
        Ok(Permit::new(self.borrowed(), grant.taken, request.tokens))
    }

    /// Promises a request with so many tokens for later, behind those who wait.
    ///
    /// # Errors
    ///
    /// As [`wait`](Self::wait).
    pub fn reserve(&self, estimate: impl Into<Tokens>) -> Result<Reservation<'_, C>, Error> {
        Reservation::new(&self.engine, estimate.into())
    }

    /// Waits on any runtime's `timer`.
    ///
    /// # Errors
    ///
    /// As [`wait`](Self::wait), and [`Error::NoTimer`].
    ///
    /// # Cancel safety
    ///
    /// Dropping the future takes nothing and gives its place in the queue to those behind it.
    pub async fn acquire_on(
        &self,
        estimate: impl Into<Tokens>,
        timer: &dyn Timer,
    ) -> Result<Permit<'_, C>, Error> {
        acquire(self.borrowed(), estimate.into(), Timestamp::MAX, timer).await
    }

    /// Waits on tokio until a request with so many tokens may go out.
    ///
    /// # Errors
    ///
    /// As [`wait`](Self::wait), and [`Error::NoTimer`] outside of a tokio runtime.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future takes nothing and gives its place in the queue to those behind it.
    ///
    /// ```
    /// # use tollgate::llm::Limiter;
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let model = Limiter::builder().tokens_per_minute(200_000).build()?;
    /// let permit = model.acquire(1_500).await?;
    /// permit.settle(900);
    /// # Ok(())
    /// # }
    /// ```
    #[cfg(feature = "tokio")]
    pub async fn acquire(&self, estimate: impl Into<Tokens>) -> Result<Permit<'_, C>, Error> {
        self.acquire_on(estimate, &crate::TokioTimer).await
    }

    /// As [`acquire`](Self::acquire), but fails at once if it would take longer than `timeout`,
    /// counted from the call, whenever the future is polled first.
    ///
    /// # Errors
    ///
    /// As [`acquire`](Self::acquire), and [`Error::Timeout`].
    ///
    /// # Cancel safety
    ///
    /// As [`acquire`](Self::acquire).
    #[cfg(feature = "tokio")]
    pub fn acquire_timeout(
        &self,
        estimate: impl Into<Tokens>,
        timeout: Duration,
    ) -> impl Future<Output = Result<Permit<'_, C>, Error>> {
        let (tokens, deadline) = (estimate.into(), self.clock().now() + timeout);
        acquire(self.borrowed(), tokens, deadline, &crate::TokioTimer)
    }

    /// [`acquire`](Self::acquire) with a permit that borrows nothing, to be sent to another task.
    ///
    /// # Errors
    ///
    /// As [`acquire`](Self::acquire).
    ///
    /// # Cancel safety
    ///
    /// As [`acquire`](Self::acquire).
    #[cfg(feature = "tokio")]
    pub async fn acquire_owned(
        &self,
        estimate: impl Into<Tokens>,
    ) -> Result<OwnedPermit<C>, Error> {
        let engine = Handle::Shared(Arc::clone(&self.engine));
        acquire(engine, estimate.into(), Timestamp::MAX, &crate::TokioTimer).await
    }

    /// How long until a request with so many tokens could go out, behind those who wait.
    ///
    /// # Errors
    ///
    /// [`Error::Never`], [`Error::ServerWait`] or [`Error::Closed`]; [`Error::Denied`] if it depends
    /// on when a request in flight ends.
    pub fn delay_for(&self, estimate: impl Into<Tokens>) -> Result<Duration, Error> {
        let request = Request::new(self.borrowed(), estimate.into())?;
        self.engine.with_core(|core, now, wakers| {
            let ready = core.check(now, request.tokens, wakers)?;
            match Error::from(core.denial(ready, request.tokens)) {
                Error::Denied { retry_after: Some(delay), .. } => Ok(delay),
                unknown => Err(unknown),
            }
        })
    }

    /// Records tokens that were used without a permit.
    pub fn consume_tokens(&self, tokens: impl Into<Tokens>) {
        let tokens = tokens.into();
        self.engine.edit(|keys, now| {
            if let Some(account) = keys.account_of(0) {
                account.consume(now, tokens);
            }
        });
    }

    /// A look at all limits. Takes nothing.
    ///
    /// ```
    /// use tollgate::llm::{LimitKind, Limiter};
    /// let model = Limiter::builder().requests_per_minute(500).build()?;
    /// model.try_acquire(1_500)?.settle(900);
    /// let requests = model.usage().of(LimitKind::Requests).expect("limited");
    /// assert_eq!((requests.used, requests.remaining), (1, 499));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn usage(&self) -> Usage {
        self.engine.usage(0)
    }

    /// Changes the limits; what was used stays used, and those who wait are re-timed. A limit that
    /// is not among them is lifted, until the server tells it anew. A pause that a server has asked for ends.
    ///
    /// # Errors
    ///
    /// When a limit can't be kept; then nothing changes.
    ///
    /// ```
    /// use tollgate::llm::{LimitKind, Limiter, Limits};
    /// let model = Limiter::builder().requests_per_minute(10).build()?;
    /// model.allow();
    /// model.set_limits(Limits::new().requests_per_minute(500))?;
    /// assert_eq!(model.usage().of(LimitKind::Requests).expect("limited").remaining, 499);
    /// # Ok::<(), tollgate::QuotaError>(())
    /// ```
    pub fn set_limits(&self, limits: Limits) -> Result<(), QuotaError> {
        self.engine.edit(|keys, now| match keys.account_of(0) {
            Some(account) => account.set_limits(limits, now),
            None => Ok(()),
        })?;
        self.resume();
        Ok(())
    }

    /// Forgets what servers have said: the limits are those that were given, and a pause ends. What was used stays used.
    ///
    /// A way back from a mistaken header. [`set_limits`](Self::set_limits) does the same with other limits.
    ///
    /// ```
    /// use tollgate::llm::{LimitKind, Limiter};
    /// let model = Limiter::builder().tokens_per_minute(200_000).build()?;
    /// model.observe([("x-ratelimit-limit-tokens", "1"), ("retry-after", "86400")]);
    /// assert!(model.try_acquire(1_000).is_err());
    /// model.forget_learned();
    /// assert!(model.try_acquire(1_000).is_ok());
    /// # Ok::<(), tollgate::QuotaError>(())
    /// ```
    pub fn forget_learned(&self) {
        self.engine.edit(|keys, now| keys.forget_learned(0, now));
    }

    /// Ends the pause that a server has asked for, and what was learned stays.
    ///
    /// ```
    /// use tollgate::llm::Limiter;
    /// let model = Limiter::builder().build()?;
    /// model.observe([("retry-after", "86400")]);
    /// model.resume();
    /// assert_eq!(model.usage().paused_for, None);
    /// # Ok::<(), tollgate::QuotaError>(())
    /// ```
    pub fn resume(&self) {
        self.engine.edit(|keys, _| keys.resume(0));
    }

    /// Learns from the headers of a response: limits, what remains of them, and how long to wait.
    ///
    /// A limit that was built in is never raised by what a server says, only lowered; one that was
    /// not follows the server. Less remaining than is known here means that others use the account,
    /// and counts; more does not. The last twentieth of what may come at once is kept in reserve, because
    /// what a server tells is old when it comes. [`ServerLimits`] says which headers are read, and
    /// what becomes of wrong ones.
    ///
    /// ```
    /// use tollgate::llm::{LimitKind, Limiter};
    /// let model = Limiter::builder().build()?;
    /// model.observe([
    ///     ("x-ratelimit-limit-tokens", "150000"),
    ///     ("x-ratelimit-remaining-tokens", "149000"),
    /// ]);
    /// let tokens = model.usage().of(LimitKind::Tokens).expect("learned");
    /// assert_eq!((tokens.limit, tokens.remaining), (150_000, 149_000));
    /// # Ok::<(), tollgate::QuotaError>(())
    /// ```
    pub fn observe<N, V>(&self, headers: impl IntoIterator<Item = (N, V)>)
    where
        N: AsRef<[u8]>,
        V: AsRef<[u8]>,
    {
        self.observe_limits(&ServerLimits::from_headers(headers, SystemTime::now()));
    }

    /// As [`observe`](Self::observe), with headers that were read already.
    pub fn observe_limits(&self, said: &ServerLimits) {
        self.engine.observe(0, said);
    }

    /// Refuses everybody from now on, and wakes those who wait.
    pub fn close(&self) {
        self.engine.with_core(crate::limiters::core::Core::close);
    }
}

/// Waits for a permit.
pub(crate) async fn acquire<'a, C: Clock>(
    engine: Handle<'a, C>,
    tokens: Tokens,
    deadline: Timestamp,
    timer: &dyn Timer,
) -> Result<Permit<'a, C>, Error> {
    let request = Request::new(engine.clone(), tokens)?;
    let tokens = request.tokens;
    let queue = QueueHandle::Borrowed(&request);
    let granted: Result<_, WaitError> = Acquire::in_queue(queue, 1, deadline, timer).await;
    match granted {
        Ok(grant) => Ok(Permit::new(engine, grant.taken, tokens)),
        Err(error) => Err(engine.explain(error, tokens)),
    }
}
