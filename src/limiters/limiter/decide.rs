//! Decisions of a [`Limiter`]: from the published refusal, or under the lock.

use std::any::Any;

use super::Limiter;
use crate::algorithm::Algorithm;
use crate::answer::Taken;
use crate::limiters::core::Core;
use crate::limiters::refusal::Refusal;
use crate::limiters::verbs::{Gate, Settings};
use crate::wakers::Wakers;
use crate::{Clock, Grant, Rejection, Timestamp, Usage};

impl<A: Algorithm, C: Clock> Limiter<A, C> {
    /// Publishes when the next permit is available, for refusals without the lock.
    pub(crate) fn publish_earliest(&self) {
        let mut core = self.core.0.lock();
        self.refusal.publish(core.refusal(1));
    }

    /// Lends the core to `act`. The caller drops the wakers once it holds no lock of its own.
    pub(crate) fn lend<R>(
        &self,
        wakers: &mut Wakers,
        act: impl FnOnce(&mut Core<A>, &mut Wakers) -> R,
    ) -> R {
        let mut core = self.core.0.lock();
        let result = act(&mut core, wakers);
        self.refusal.withdraw();
        result
    }

    /// Locks the core for a decision over several limiters, which itself updates the published
    /// refusal.
    pub(crate) fn hold(&self, then: &mut dyn FnMut(&mut dyn Any)) {
        let mut core = self.core.0.lock();
        then(&mut *core);
    }

    /// A number that no other limiter of this process has.
    pub(crate) fn number(&self) -> u64 {
        self.number
    }

    /// Whether a refusal is published that still holds at `now`.
    #[inline]
    pub(crate) fn is_refusing(&self, now: Timestamp) -> bool {
        self.refusal.is_too_early(now)
    }

    /// Takes `permits` under the lock, if they are available and `rest` returns `true`. Otherwise
    /// nothing changes.
    #[inline]
    pub(crate) fn take_if(
        &self,
        now: Timestamp,
        permits: u64,
        rest: &mut dyn FnMut() -> bool,
    ) -> Option<Grant> {
        let mut core = self.core.0.lock();
        if !core.is_there_if_idle(now, permits) || !rest() {
            return None;
        }
        self.refusal.withdraw();
        Some(core.take_checked(permits))
    }

    /// The published refusal of `permits`, if it still holds at `now`.
    pub(crate) fn published(&self, now: Timestamp, permits: u64) -> Option<Rejection> {
        if self.is_hopeless(now, permits) { self.refusal.answer(now, permits) } else { None }
    }

    /// Adds the refusals without the lock to a usage.
    pub(crate) fn with_denied(&self, usage: Usage) -> Usage {
        Usage { denied: usage.denied.saturating_add(self.denied.sum()), ..usage }
    }

    /// Counts a refusal without the lock.
    pub(crate) fn count_denied(&self, permits: u64) {
        self.denied.add(permits);
    }

    /// Publishes a refusal, or withdraws the published one. To be called under the lock.
    pub(crate) fn publish(&self, refusal: Option<Refusal>) {
        self.refusal.publish(refusal);
    }

    /// Counts and logs a refusal without the lock.
    #[inline]
    pub(crate) fn refuse(&self, permits: u64) {
        self.denied.add(permits);
        self.log_refusal(permits);
    }

    /// Whether no request for `permits` can pass at `now`, by the published time.
    #[inline]
    pub(crate) fn is_hopeless(&self, now: Timestamp, permits: u64) -> bool {
        self.refusal.is_too_early(now) && permits != 0
    }

    /// Decides under the lock.
    #[inline]
    fn allow_locked(&self, now: Timestamp, permits: u64) -> bool {
        let mut core = self.core.0.lock();
        if core.allow_if_idle(now, permits).is_some() {
            self.refusal.withdraw();
            return true;
        }
        drop(core);
        self.decide_slowly(now, permits).is_ok()
    }

    /// Decides in full. In most cases it refuses, and publishes the refusal.
    #[cold]
    fn decide_slowly(&self, now: Timestamp, permits: u64) -> Result<Grant, Rejection> {
        let mut wakers = Wakers::default();
        let mut core = self.core.0.lock();
        let answer = core.try_acquire(now, permits, &mut wakers);
        match &answer {
            Err(Rejection::Denied { .. }) => self.refusal.publish(core.refusal(permits)),
            Err(_) => self.refusal.publish(core.refusal(1)),
            Ok(_) => self.refusal.withdraw(),
        }
        drop(core);
        drop(wakers);
        if let Err(rejection) = &answer {
            self.log_rejection(permits, rejection);
        }
        answer
    }
}

impl<A: Algorithm, C: Clock> Gate for Limiter<A, C> {
    type Rule = A;
    type Clock = C;

    fn clock(&self) -> &C {
        &self.clock
    }

    fn settings(&self) -> &Settings {
        &self.settings
    }

    #[inline]
    fn allow_n(&self, permits: u64) -> bool {
        let now = self.clock.now();
        if self.is_hopeless(now, permits) {
            self.refuse(permits);
            return false;
        }
        self.allow_locked(now, permits)
    }

    #[inline]
    fn try_acquire(&self, permits: u64) -> Result<Grant, Rejection> {
        let now = self.clock.now();
        if self.is_hopeless(now, permits) {
            if let Some(rejection) = self.refusal.answer(now, permits) {
                self.denied.add(permits);
                self.log_rejection(permits, &rejection);
                return Err(rejection);
            }
        }
        let mut core = self.core.0.lock();
        if let Some(by) = core.allow_if_idle(now, permits) {
            self.refusal.withdraw();
            return Ok(core.grant(permits, Taken::finally(by)));
        }
        drop(core);
        self.decide_slowly(now, permits)
    }

    fn usage(&self) -> Usage {
        self.with_denied(self.look())
    }

    fn with_core<R>(&self, act: impl FnOnce(&mut Core<A>, Timestamp, &mut Wakers) -> R) -> R {
        let now = self.clock.now();
        self.lend(&mut Wakers::default(), |core, wakers| act(core, now, wakers))
    }
}
