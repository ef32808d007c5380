//! The methods of all limiters, written once. Limiters differ only in how they lend their core.

use std::task::Waker;
use std::time::Duration;

use crate::algorithm::Algorithm;
use crate::limiters::core::Core;
use crate::wait::queue::Ticket;
use crate::wait::{Enqueued, Jitter, Joined, Progress, QueueHandle, Request, WaitQueue};
use crate::wakers::Wakers;
use crate::{
    CarryOver, Clock, ConsumeError, Grant, Quota, QuotaError, Rejection, Timestamp, Usage,
    WaitError,
};

/// The options of a limiter other than its rule and clock.
#[derive(Clone, Debug, Default)]
pub(crate) struct Settings {
    pub(crate) name: String,
    pub(crate) jitter: Jitter,
}

/// What a method needs of a limiter that may not exist yet, such as that of one key of many.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Need {
    /// The limiter itself, because the method may change it. It is created if need be.
    Place,
    /// The limiter as it would be if it were created now, because the method only reads it.
    Look,
    /// The limiter if it exists. The method gives permits back or asks about a wait, and has no
    /// effect on a new limiter.
    Known,
}

/// A limiter that lends its core to one caller at a time.
pub(crate) trait Gate: Send + Sync {
    type Rule: Algorithm;
    type Clock: Clock;

    fn clock(&self) -> &Self::Clock;

    fn settings(&self) -> &Settings;

    /// Lends the core to `act`, with the present time. The wakers that `act` collects are called
    /// after the core is given back.
    fn with_core<R>(
        &self,
        act: impl FnOnce(&mut Core<Self::Rule>, Timestamp, &mut Wakers) -> R,
    ) -> R;

    /// As [`with_core`](Self::with_core), for a method that needs no more than `need`.
    fn with_core_for<R>(
        &self,
        need: Need,
        act: impl FnOnce(&mut Core<Self::Rule>, Timestamp, &mut Wakers) -> R,
    ) -> R {
        let _ = need;
        self.with_core(act)
    }

    /// Called before a rule is replaced. Returns the new rule as this limiter keeps it, if it can.
    fn adapt(&self, rule: Self::Rule) -> Result<Self::Rule, QuotaError> {
        Ok(rule)
    }

    /// The hot path of this limiter.
    fn allow_n(&self, permits: u64) -> bool;

    fn try_acquire(&self, permits: u64) -> Result<Grant, Rejection>;

    fn usage(&self) -> Usage;

    fn enqueue(&self, request: Request<'_>) -> Result<Enqueued<'_>, WaitError>
    where
        Self: Sized,
    {
        request.join(QueueHandle::Borrowed(self))
    }

    /// Decides a `try_acquire` in full, in the core.
    fn acquire_now(&self, permits: u64) -> Result<Grant, Rejection> {
        let answer = self.with_core(|core, now, wakers| core.try_acquire(now, permits, wakers));
        if let Err(rejection) = &answer {
            self.log_rejection(permits, rejection);
        }
        answer
    }

    fn delay_for(&self, permits: u64) -> Result<Duration, Rejection> {
        self.with_core_for(Need::Look, |core, now, wakers| {
            let ready = core.check(now, permits, wakers)?;
            match core.denial(ready, permits) {
                Rejection::Denied { retry_after, .. } => Ok(retry_after),
                other => Err(other),
            }
        })
    }

    fn consume(&self, permits: u64) -> Result<Duration, ConsumeError> {
        self.with_core(|core, now, wakers| core.consume(now, permits, wakers))
    }

    fn credit(&self, permits: u64) {
        self.with_core_for(Need::Known, |core, now, wakers| core.credit(now, permits, wakers));
    }

    fn try_acquire_up_to(&self, permits: u64) -> u64 {
        self.with_core(|core, now, wakers| core.take_up_to(now, permits, wakers))
    }

    /// The usage as the core knows it.
    fn look(&self) -> Usage {
        self.with_core_for(Need::Look, Core::usage)
    }

    fn set_quota_with(&self, quota: Quota, how: CarryOver) -> Result<(), QuotaError> {
        self.replace_rule(how, |rule| rule.with_quota(quota))
    }

    /// Replaces the rule by the one that `new` makes of it, under one lock.
    fn replace_rule(
        &self,
        how: CarryOver,
        new: impl FnOnce(&Self::Rule) -> Result<Self::Rule, QuotaError>,
    ) -> Result<(), QuotaError> {
        let quota = self.with_core(|core, now, wakers| {
            let rule = self.adapt(new(&core.rest.rule)?)?;
            core.set_rule(now, rule, how, wakers);
            Ok(core.rest.rule.quota())
        })?;
        self.log_quota(quota, how);
        Ok(())
    }

    fn quota(&self) -> Quota {
        self.with_core_for(Need::Look, |core, _, _| core.rest.rule.quota())
    }

    fn reset(&self) {
        self.with_core_for(Need::Known, Core::reset);
        self.log_reset();
    }

    fn close(&self) {
        if self.with_core(Core::close) {
            self.log_closed();
        }
    }

    fn is_closed(&self) -> bool {
        self.with_core_for(Need::Look, |core, _, _| core.is_closed())
    }

    fn log_quota(&self, quota: Quota, how: CarryOver) {
        let limiter = &self.settings().name;
        crate::events::info!(limiter, %quota, carry_over = ?how, "quota changed");
    }

    fn log_reset(&self) {
        crate::events::info!(limiter = self.settings().name, "reset");
    }

    fn log_closed(&self) {
        crate::events::info!(limiter = self.settings().name, "closed");
    }

    /// Logs a refusal of the hot path, for which no [`Rejection`] was computed.
    #[inline]
    fn log_refusal(&self, permits: u64) {
        // The event is in a function that is not inlined: its code is larger than the decision's.
        if crate::events::is_debug_heard() {
            log_refusal(&self.settings().name, permits);
        }
    }

    #[inline]
    fn log_rejection(&self, permits: u64, rejection: &Rejection) {
        if crate::events::is_debug_heard() {
            log_rejection(&self.settings().name, permits, rejection);
        }
    }
}

#[cold]
pub(crate) fn log_refusal(limiter: &str, permits: u64) {
    crate::events::debug!(limiter, permits, "refused");
}

#[cold]
fn log_rejection(limiter: &str, permits: u64, rejection: &Rejection) {
    crate::events::debug!(limiter, permits, %rejection, "refused");
}

impl<G: Gate> WaitQueue for G {
    fn now(&self) -> Timestamp {
        self.clock().now()
    }

    fn wake_at(&self, deadline: Timestamp, waker: &Waker) -> bool {
        self.clock().wake_at(deadline, waker)
    }

    fn jitter(&self) -> Duration {
        self.settings().jitter.draw()
    }

    fn join(
        &self,
        permits: u64,
        deadline: Timestamp,
        waker: Option<&Waker>,
    ) -> Result<Joined, WaitError> {
        let joined =
            self.with_core(|core, now, wakers| core.join(now, permits, deadline, waker, wakers));
        if let Err(error) = &joined {
            crate::events::debug!(limiter = self.settings().name, permits, %error, "wait refused");
        }
        joined
    }

    fn poll(&self, ticket: Ticket, waker: Option<&Waker>, held: bool) -> Progress {
        self.with_core_for(Need::Known, |core, now, wakers| {
            core.poll(now, ticket, waker, held, wakers)
        })
    }

    fn due(&self, ticket: Ticket) -> Timestamp {
        self.with_core_for(Need::Known, |core, now, wakers| core.due(now, ticket, wakers))
    }

    fn is_granted(&self, ticket: Ticket) -> bool {
        self.with_core_for(Need::Known, |core, now, wakers| core.is_granted(now, ticket, wakers))
    }

    fn leave(&self, ticket: Ticket) {
        self.with_core_for(Need::Known, |core, now, wakers| core.leave(now, ticket, wakers));
    }

    fn refund(&self, grant: Grant) {
        let (permits, taken) = (grant.permits, grant.taken);
        self.with_core_for(Need::Known, |core, now, wakers| core.undo(now, permits, taken, wakers));
    }

    fn keep(&self, grant: Grant) {
        let (permits, taken) = (grant.permits, grant.taken);
        self.with_core_for(Need::Known, |core, _, _| core.release(permits, taken));
    }
}
