//! The limits of one API key.

mod acquire;
mod builder;
mod state;

pub(crate) use acquire::{acquire, delay_for, wait_until};
pub use builder::LimiterBuilder;

use std::sync::Arc;

use crate::clock::wall;
use crate::llm::engine::{Engine, Handle};
use crate::llm::headers::ServerLimits;
use crate::llm::{Limits, Reply, Tokens, Usage};
use crate::{Clock, CounterClock, QuotaError};

/// The limits of one API key in one model: requests and tokens per minute, per day and over other
/// periods, and concurrent requests. A request takes from all of them, or from none.
///
/// **Use one limiter for each model**, since providers limit each model by itself;
/// [`ModelPool`](crate::llm::ModelPool) does that for several keys and models.
///
/// Acquire an estimate before the request. After it, [`settle`](crate::llm::Permit::settle) the
/// permit with the usage that the response reports, and [`observe`](Self::observe) the response's
/// headers: they teach the limiter the server's limits, and how much other clients of the account
/// use.
///
/// **Mind the first minute.** By default a limit's burst is a full minute's worth, as providers
/// describe their limits, so up to twice the limit can pass in the first minute. For a server that
/// counts strictly, build with [`Burst::Strict`](crate::llm::Burst::Strict).
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
    /// Starts building a limiter. Without options it has no limits until it
    /// [observes](Self::observe) some.
    pub fn builder() -> LimiterBuilder {
        LimiterBuilder::new()
    }
}

impl<C: Clock> Limiter<C> {
    pub(crate) fn borrowed(&self) -> Handle<'_, C> {
        Handle::Borrowed(&self.engine)
    }

    /// The clock that the limiter reads.
    #[must_use]
    pub fn clock(&self) -> &C {
        self.engine.clock()
    }

    /// Charges tokens that were used without a permit.
    pub fn consume_tokens(&self, tokens: impl Into<Tokens>) {
        let tokens = tokens.into();
        self.engine.edit(|keys, now| {
            if let Some(account) = keys.account_of(0) {
                account.consume(now, tokens);
            }
        });
    }

    /// The current usage of all limits. Takes nothing.
    ///
    /// ```
    /// use tollgate::llm::{LimitKind, Limiter, Period};
    /// let model = Limiter::builder().requests_per_minute(500).build()?;
    /// model.try_acquire(1_500)?.settle(900);
    /// let requests = model.usage().of(LimitKind::Requests(Period::MINUTE)).expect("limited");
    /// assert_eq!((requests.used, requests.remaining), (1, 499));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn usage(&self) -> Usage {
        self.engine.usage(0)
    }

    /// Replaces the limits, and updates the due times of all waiters. What was used stays used.
    ///
    /// A kind of limit that `limits` does not set becomes unlimited, until a response teaches it
    /// again. A pause that a server asked for ends.
    ///
    /// # Errors
    ///
    /// [`QuotaError`] if a limit is outside the supported range. Nothing changes then.
    ///
    /// ```
    /// use tollgate::llm::{LimitKind, Limiter, Limits, Period};
    /// let model = Limiter::builder().requests_per_minute(10).build()?;
    /// model.allow();
    /// model.set_limits(Limits::new().requests_per_minute(500))?;
    /// let requests = model.usage().of(LimitKind::Requests(Period::MINUTE));
    /// assert_eq!(requests.map(|it| it.remaining), Some(499));
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

    /// Discards what responses have taught: the configured limits are in force again, and a pause
    /// ends. What was used stays used.
    ///
    /// Use it to recover from a mistaken header. [`set_limits`](Self::set_limits) does the same and
    /// changes the configured limits.
    ///
    /// ```
    /// use tollgate::llm::{LimitKind, Limiter, Period};
    /// let model = Limiter::builder().tokens_per_minute(200_000).build()?;
    /// let limit = || model.usage().of(LimitKind::Tokens(Period::MINUTE)).map(|it| it.limit);
    /// model.observe([("x-ratelimit-limit-tokens", "1")]);
    /// assert_eq!(limit(), Some(1));
    /// model.forget_learned();
    /// assert_eq!(limit(), Some(200_000));
    /// # Ok::<(), tollgate::QuotaError>(())
    /// ```
    pub fn forget_learned(&self) {
        self.engine.edit(|keys, now| keys.forget_learned(0, now));
    }

    /// Ends a pause that a server asked for. Learned limits stay in force.
    ///
    /// ```
    /// use tollgate::llm::{Limiter, Reply};
    /// let model = Limiter::builder().build()?;
    /// model.observe_reply(&Reply::new(429).headers([("retry-after", "86400")]));
    /// model.resume();
    /// assert_eq!(model.usage().paused_for, None);
    /// # Ok::<(), tollgate::QuotaError>(())
    /// ```
    pub fn resume(&self) {
        self.engine.edit(|keys, _| keys.resume(0));
    }

    /// Learns from the headers of a response: the limits, the periods that they count over, and what
    /// remains of them. Pauses nothing, since without the status nobody knows what `retry-after`
    /// means; see [`observe_reply`](Self::observe_reply).
    ///
    /// * A configured limit is only ever lowered by a response, never raised above its configured
    ///   value. A limit that was not configured follows the server.
    /// * **The period** is the one that the headers state. If they state none, `reset × limit /
    ///   used` gives it for a limit that is refilled evenly: the period that agrees with the last
    ///   answers, and else the nearest of second, minute, hour and day that no answer contradicts.
    ///   Without any reset it is a minute. A configured limit of the same number says the period
    ///   too, until answers show another one.
    /// * **Windows.** Unless answers have shown that a limit is refilled evenly, what remains is
    ///   all that passes before the reset: with 0 remaining, nothing passes. If no reset is stated,
    ///   nothing passes for a minute (or the period, if it is shorter; a sixth of a longer period,
    ///   but at most an hour), and then one answer says more.
    /// * **Evenly refilled.** If the server reports less remaining than expected, other clients use
    ///   the account too, and the difference is charged. If it reports more, that is ignored.
    ///   Because the reported number is out of date when it arrives, some of what remains is kept
    ///   in reserve: a twentieth of the burst, and for limits in tokens up to another fifth, for
    ///   what requests in flight may use beyond their estimates. Limits over more than a minute have
    ///   no reserve.
    /// * Nothing that is reported holds requests up for longer than
    ///   [`max_pause`](crate::llm::LimiterBuilder::max_pause).
    ///
    /// [`ServerLimits`] lists the headers that are read, and how invalid values are handled.
    ///
    /// ```
    /// use tollgate::llm::{LimitKind, Limiter, Period};
    /// let model = Limiter::builder().build()?;
    /// model.observe([
    ///     ("x-ratelimit-limit-tokens", "150000"),
    ///     ("x-ratelimit-remaining-tokens", "149000"),
    /// ]);
    /// let tokens = model.usage().of(LimitKind::Tokens(Period::MINUTE)).expect("learned");
    /// assert_eq!((tokens.limit, tokens.remaining), (150_000, 149_000));
    /// # Ok::<(), tollgate::QuotaError>(())
    /// ```
    pub fn observe<N, V>(&self, headers: impl IntoIterator<Item = (N, V)>)
    where
        N: AsRef<[u8]>,
        V: AsRef<[u8]>,
    {
        self.observe_limits(&ServerLimits::from_headers(headers, wall::now()));
    }

    /// Applies all that a response says, also its status: learns limits, and pauses the limiter if
    /// the response [means](crate::llm::Meaning) so. For a request with a permit, use
    /// [`Permit::end`](crate::llm::Permit::end) or
    /// [`Permit::observe_reply`](crate::llm::Permit::observe_reply): they know when the request was
    /// sent, and so which responses belong to one overload.
    ///
    /// ```
    /// use std::time::Duration;
    /// use tollgate::ManualClock;
    /// use tollgate::llm::{Limiter, Reply};
    /// let model = Limiter::builder().clock(ManualClock::new()).build()?;
    /// let wait = [("retry-after", "20")];
    /// model.observe_reply(&Reply::new(200).headers(wait));
    /// assert_eq!(model.usage().paused_for, None); // it was a success
    /// model.observe_reply(&Reply::new(429).headers(wait));
    /// assert_eq!(model.usage().paused_for, Some(Duration::from_secs(20)));
    /// # Ok::<(), tollgate::QuotaError>(())
    /// ```
    pub fn observe_reply(&self, reply: &Reply) {
        self.engine.answered(0, None, reply);
    }

    /// As [`observe`](Self::observe), with headers that are parsed already.
    pub fn observe_limits(&self, reported: &ServerLimits) {
        self.engine.observe(0, reported);
    }

    /// Closes the limiter: all further requests are rejected, and all waiters fail with
    /// [`Error::Closed`](crate::llm::Error::Closed).
    pub fn close(&self) {
        self.engine.close();
    }
}
