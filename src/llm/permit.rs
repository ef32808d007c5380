//! A permit: permission to send one request.

use std::time::Duration;

use super::engine::Handle;
use super::headers::ServerLimits;
use super::{Meaning, Reply, Tokens};
use crate::answer::Taken;
use crate::clock::wall;
use crate::{Clock, CounterClock};

/// Permission to send one request with an estimated number of tokens.
///
/// [`settle`](Self::settle) it with the usage that the response reports, or
/// [`cancel`](Self::cancel) it if the request was not sent. If it is dropped without either, the
/// builder's [`on_drop`](super::LimiterBuilder::on_drop) decides: by default the estimate counts as
/// used. In each case the request is no longer in flight.
///
/// ```
/// use tollgate::ManualClock;
/// use tollgate::llm::{LimitKind, Limiter, Period, Tokens};
///
/// let builder = Limiter::builder().tokens_per_minute(10_000);
/// let limiter = builder.clock(ManualClock::new()).build()?;
/// let permit = limiter.try_acquire(Tokens::new(1_000, 500))?;
/// // ... the request ...
/// permit.settle(Tokens::new(1_000, 120));
/// let tokens = limiter.usage().of(LimitKind::Tokens(Period::MINUTE));
/// assert_eq!(tokens.map(|it| it.used), Some(1_120));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
#[must_use = "a permit that is dropped counts its estimate as used, unless configured otherwise"]
pub struct Permit<'a, C: Clock = CounterClock> {
    engine: Handle<'a, C>,
    taken: Taken,
    estimate: Tokens,
    /// The estimate before it was lowered.
    asked: Tokens,
    ended: bool,
}

/// What happens when a permit is dropped without being settled.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum OnDrop {
    /// The estimate counts as used. This is the safe choice, because the server may have counted
    /// the request.
    #[default]
    Keep,
    /// Everything is given back. **Requests that fail are then free**: a client whose requests all
    /// time out after the server has counted them sends without limit.
    Refund,
}

/// A [`Permit`] that borrows nothing, and so can be moved to another task.
pub type OwnedPermit<C = CounterClock> = Permit<'static, C>;

impl<'a, C: Clock> Permit<'a, C> {
    #[inline]
    pub(crate) fn new(
        engine: Handle<'a, C>,
        taken: Taken,
        estimate: Tokens,
        asked: Tokens,
    ) -> Self {
        Self { engine, taken, estimate, asked, ended: false }
    }

    /// The tokens that were acquired: the estimate, unless it was lowered; see
    /// [`asked`](Self::asked).
    #[must_use]
    pub fn estimate(&self) -> Tokens {
        self.estimate
    }

    /// The estimate that the caller gave. It is more than [`estimate`](Self::estimate) if it was
    /// lowered to a limit, by [`clamp_estimates`](super::LimiterBuilder::clamp_estimates) or
    /// because a response has taught a limit that no request of that size could ever pass. Then the
    /// server may refuse the request.
    ///
    /// ```
    /// use tollgate::llm::{Limiter, Tokens};
    /// let model = Limiter::builder().tokens_per_minute(1_000).clamp_estimates().build()?;
    /// let permit = model.try_acquire(5_000)?;
    /// assert_eq!((permit.asked(), permit.estimate()), (Tokens::from(5_000), Tokens::from(1_000)));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn asked(&self) -> Tokens {
        self.asked
    }

    pub(crate) fn key(&self) -> u32 {
        self.taken.by
    }

    /// Ends the request, which used `actual` tokens. The difference to the estimate is given back,
    /// or becomes debt.
    #[inline]
    pub fn settle(mut self, actual: impl Into<Tokens>) {
        self.ended = true;
        self.engine.settle(self.taken, self.estimate, actual.into());
    }

    /// Gives back everything, tokens and request, because the request was not sent.
    pub fn cancel(mut self) {
        self.ended = true;
        self.engine.cancel(self.taken, self.estimate);
    }

    /// Learns from the headers of the response; see [`Limiter::observe`](super::Limiter::observe).
    /// Without the status, `retry-after` is ignored: see [`observe_reply`](Self::observe_reply).
    pub fn observe<N, V>(&self, headers: impl IntoIterator<Item = (N, V)>)
    where
        N: AsRef<[u8]>,
        V: AsRef<[u8]>,
    {
        self.observe_limits(&ServerLimits::from_headers(headers, wall::now()));
    }

    /// As [`observe`](Self::observe), with headers that are parsed already.
    pub fn observe_limits(&self, reported: &ServerLimits) {
        self.engine.heard(self.taken.by, reported);
    }

    /// Applies what a response says before it has ended, such as the status and the headers of a
    /// stream: learns limits, and pauses or disables the key as the response
    /// [means](super::Meaning). The permit stays open.
    pub fn observe_reply(&self, reply: &Reply) {
        self.engine.answered(self.taken.by, Some(self.taken.receipt.seq), reply);
    }

    /// Applies what the head of a response says: its status and its headers. The permit stays open
    /// for the body, which may take long.
    ///
    /// This is [`observe_reply`](Self::observe_reply) but for one thing: a success counts as one
    /// only when the permit is [ended](Self::end) or [settled](Self::settle), because a stream can
    /// still fail. So a key whose streams fail one after the other rests for a growing time. An
    /// account that sends one request first, because nothing is known of it, has its answer now.
    ///
    /// ```
    /// use tollgate::ManualClock;
    /// use tollgate::llm::{KeyPool, Limits, Reply};
    /// let pool = KeyPool::builder().clock(ManualClock::new()).build();
    /// pool.add("main", "sk-1", Limits::new())?;
    /// let stream = pool.try_acquire(100)?;
    /// assert!(pool.try_acquire(100).is_err());
    /// stream.observe_head(&Reply::new(200));
    /// pool.try_acquire(100)?.settle(100);
    /// stream.end(&Reply::new(200).spent(90));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn observe_head(&self, reply: &Reply) {
        if reply.meaning() == Meaning::Success {
            self.engine.accepted(self.taken.by, reply.reported());
        } else {
            self.observe_reply(reply);
        }
    }

    /// Ends the request with its response: applies what the response says, and settles the permit.
    ///
    /// * Success: settled with the usage of the reply, else as [`OnDrop`] says.
    /// * Limited, overloaded, key spent: the request counts as used, because providers count it.
    ///   Its tokens are given back, except for the usage of the reply, if it has one.
    /// * Key refused: everything is given back. A [`Limiter`](super::Limiter) has just one key,
    ///   which stays in use; a [`KeyPool`](super::KeyPool) disables the key.
    /// * Failed, request refused: settled with the usage of the reply, else as [`OnDrop`] says.
    ///
    /// ```
    /// use std::time::Duration;
    /// use tollgate::ManualClock;
    /// use tollgate::llm::{Limiter, Reply};
    /// let model = Limiter::builder().clock(ManualClock::new()).build()?;
    /// let permit = model.try_acquire(1_500)?;
    /// permit.end(&Reply::new(429).headers([("retry-after", "20")]));
    /// assert_eq!(model.usage().paused_for, Some(Duration::from_secs(20)));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn end(mut self, reply: &Reply) {
        if reply.meaning() == Meaning::Success && reply.reported().closed_for.is_none() {
            // Settling notes the success.
            let used = reply.tokens().unwrap_or_default();
            self.engine.observe_success(self.taken, used, reply.reported());
        } else {
            self.observe_reply(reply);
        }
        match reply.meaning() {
            Meaning::Limited | Meaning::Overloaded | Meaning::KeySpent => {
                self.ended = true;
                // A stream may have used tokens before it failed.
                let used = reply.tokens().unwrap_or_default();
                self.engine.settle_failed(self.taken, self.estimate, used);
            }
            Meaning::KeyRefused => self.cancel(),
            meaning => match reply.tokens() {
                Some(tokens) if meaning == Meaning::Success => self.settle(tokens),
                Some(tokens) => {
                    self.ended = true;
                    self.engine.settle_failed(self.taken, self.estimate, tokens);
                }
                None if meaning == Meaning::Success => self.succeeded(),
                None => drop(self),
            },
        }
    }

    /// Records that the server answered 429: learns from the headers, and pauses the key for the
    /// duration that they ask for. If they ask for none, the pause is 1 s, then 2 s, 4 s and so on
    /// up to a minute for each further 429 in a row, and up to a quarter longer at random.
    ///
    /// The request still counts as used, because providers count it. Its tokens are given back.
    pub fn limited<N, V>(self, headers: impl IntoIterator<Item = (N, V)>)
    where
        N: AsRef<[u8]>,
        V: AsRef<[u8]>,
    {
        self.end(&Reply::new(429).headers(headers));
    }

    /// As [`limited`](Self::limited), for a server that says the wait in the body: "Please try
    /// again in 20s".
    pub fn limited_for(self, wait: Duration) {
        self.end(&Reply::new(429).limited_for(wait));
    }

    /// Ends a request that succeeded with an unknown usage.
    pub(crate) fn succeeded(mut self) {
        if self.engine.options.on_drop == OnDrop::Keep {
            self.ended = true;
            self.engine.keep(self.taken, self.estimate, true);
        } else {
            // Dropping the permit gives back what it took.
            self.observe_reply(&Reply::new(200));
        }
    }

    /// The tokens that count if the request [ends](Self::end) with this response; `None` if all that
    /// it took is given back.
    #[cfg(feature = "shared")]
    pub(crate) fn counted(&self, reply: &Reply) -> Option<Tokens> {
        match reply.meaning() {
            Meaning::Limited | Meaning::Overloaded | Meaning::KeySpent => {
                Some(reply.tokens().unwrap_or_default())
            }
            Meaning::KeyRefused => None,
            Meaning::Success | Meaning::Failed | Meaning::RequestRefused => {
                reply.tokens().or_else(|| self.counted_if_dropped())
            }
        }
    }

    /// The tokens that count if the permit is dropped; `None` if all that it took is given back.
    #[cfg(feature = "shared")]
    pub(crate) fn counted_if_dropped(&self) -> Option<Tokens> {
        match self.engine.options.on_drop {
            OnDrop::Keep => Some(self.estimate),
            OnDrop::Refund => None,
        }
    }

    /// Disables the key. If no key remains active, all waiters fail.
    pub(crate) fn disable_key(&self) {
        self.engine.edit(|keys, _| keys.disable(self.taken.by));
        self.engine.fail_hopeless_waits();
    }
}

impl<C: Clock> Drop for Permit<'_, C> {
    #[inline]
    fn drop(&mut self) {
        if self.ended {
            return;
        }
        match self.engine.options.on_drop {
            OnDrop::Keep => self.engine.keep(self.taken, self.estimate, false),
            OnDrop::Refund => self.engine.cancel(self.taken, self.estimate),
        }
    }
}
