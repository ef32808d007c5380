//! Leave for one request to go out.

use super::Tokens;
use std::time::SystemTime;

use super::engine::{Handle, OnDrop};
use super::headers::ServerLimits;
use crate::wait::queue::Taken;
use crate::{Clock, CounterClock};

/// Leave for one request to go out, with so many tokens estimated.
///
/// [`settle`](Self::settle) it with what the response says was used, or [`cancel`](Self::cancel) it if the
/// request was never made. Dropped without either, it does what the builder's
/// [`on_drop`](super::LimiterBuilder::on_drop) says: by default the estimate counts as used. In any case the
/// request is no longer in flight.
///
/// ```
/// use tollgate::llm::{LimitKind, Limiter, Tokens};
///
/// let limiter = Limiter::builder().tokens_per_minute(10_000).build()?;
/// let permit = limiter.try_acquire(Tokens::new(1_000, 500))?;
/// // ... the request ...
/// permit.settle(Tokens::new(1_000, 120));
/// assert_eq!(limiter.usage().of(LimitKind::Tokens).map(|tokens| tokens.used), Some(1_120));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
#[must_use = "a permit that is dropped counts as used in full, unless built otherwise"]
pub struct Permit<'a, C: Clock = CounterClock> {
    engine: Handle<'a, C>,
    taken: Taken,
    estimate: Tokens,
    ended: bool,
}

/// A [`Permit`] that borrows nothing.
pub type OwnedPermit<C = CounterClock> = Permit<'static, C>;

impl<'a, C: Clock> Permit<'a, C> {
    #[inline]
    pub(crate) fn new(engine: Handle<'a, C>, taken: Taken, estimate: Tokens) -> Self {
        Self { engine, taken, estimate, ended: false }
    }

    /// The tokens that were acquired: the estimate, unless it was clamped.
    #[must_use]
    pub fn estimate(&self) -> Tokens {
        self.estimate
    }

    pub(crate) fn key(&self) -> u32 {
        self.taken.by
    }

    /// The request is over and took `actual` tokens: the difference is given back, or owed.
    #[inline]
    pub fn settle(mut self, actual: impl Into<Tokens>) {
        self.ended = true;
        self.engine.settle(self.taken, self.estimate, actual.into());
    }

    /// The request was not made: everything is given back, the request itself too.
    pub fn cancel(mut self) {
        self.ended = true;
        self.engine.cancel(self.taken, self.estimate);
    }

    /// Learns from the headers of the response; see [`Limiter::observe`](super::Limiter::observe).
    pub fn observe<N, V>(&self, headers: impl IntoIterator<Item = (N, V)>)
    where
        N: AsRef<[u8]>,
        V: AsRef<[u8]>,
    {
        self.observe_limits(&ServerLimits::from_headers(headers, SystemTime::now()));
    }

    /// As [`observe`](Self::observe), with headers that were read already.
    pub fn observe_limits(&self, said: &ServerLimits) {
        self.engine.observe(self.taken.by, said);
    }

    /// The server answered 429: learns from its headers, and rests the key for as long as they say,
    /// or, if they don't, for 1 s, 2 s, 4 s and so on up to a minute, with jitter. The request counts,
    /// as providers count it; its tokens are given back.
    pub fn limited<N, V>(self, headers: impl IntoIterator<Item = (N, V)>)
    where
        N: AsRef<[u8]>,
        V: AsRef<[u8]>,
    {
        self.limited_by(&ServerLimits::from_headers(headers, SystemTime::now()));
    }

    pub(crate) fn limited_by(mut self, said: &ServerLimits) {
        self.ended = true;
        self.engine.rest(self.taken, said);
        self.engine.fail(self.taken, self.estimate);
    }

    /// The request went well, and nobody knows what it took.
    pub(crate) fn went_well(mut self) {
        if self.engine.options.on_drop == OnDrop::Keep {
            self.ended = true;
            self.engine.keep(self.taken, self.estimate, true);
        } else {
            // Dropped, it gives back what it took.
            self.engine.edit(|keys, _| keys.went_well(self.taken.by));
        }
    }

    /// Takes the key out, and gives everything back. Who waits for no other key has none to wait for.
    pub(crate) fn take_out(mut self) {
        self.ended = true;
        self.engine.edit(|keys, _| keys.take_out(self.taken.by));
        self.engine.cancel(self.taken, self.estimate);
        self.engine.end_hopeless_waits();
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
