//! Decisions about requests that do not wait.

use super::{Core, Rule};
use crate::answer::Taken;
use crate::limiters::refusal::Refusal;
use crate::wakers::Wakers;
use crate::{Grant, Rejection, Timestamp};

impl<A: Rule> Core<A> {
    /// Takes what is asked for if it is available and nobody waits, and returns from which bucket.
    /// `None` means that nothing is decided. This is the hot path.
    #[inline]
    pub(crate) fn allow_if_idle(&mut self, now: Timestamp, ask: A::Ask) -> Option<u32> {
        if !self.open_and_idle {
            return None;
        }
        self.see(now);
        self.take_if_ready(ask)
    }

    /// Whether what is asked for is available and nobody waits.
    #[inline]
    pub(crate) fn is_there_if_idle(&mut self, now: Timestamp, ask: A::Ask) -> bool {
        if !self.open_and_idle {
            return false;
        }
        self.see(now);
        let (rule, state) = (&self.rest.rule, &self.state);
        rule.never(state, self.latest, ask).is_none()
            && rule.ready_at(state, self.latest, ask) <= self.latest
    }

    /// Takes what is asked for if it is available, and returns from which bucket.
    #[inline]
    pub(super) fn take_if_ready(&mut self, ask: A::Ask) -> Option<u32> {
        let now = self.latest;
        let by = self.rest.rule.try_take(&mut self.state, now, ask);
        if by.is_some() {
            self.allowed = self.allowed.wrapping_add(A::permits(ask));
        }
        by
    }

    /// As [`take_if_ready`](Self::take_if_ready), for a grant that may be given back.
    #[inline]
    pub(super) fn hold_if_ready(&mut self, ask: A::Ask) -> Option<Taken> {
        let (now, receipt) = (self.latest, self.next_receipt(self.latest));
        let by = self.rest.rule.try_hold(&mut self.state, now, ask, receipt)?;
        self.allowed = self.allowed.wrapping_add(A::permits(ask));
        Some(Taken { by, receipt, by_all: None })
    }

    /// As [`allow_if_idle`](Self::allow_if_idle), for a grant that may be given back.
    #[cfg(feature = "llm")]
    #[inline]
    pub(crate) fn hold_if_idle(&mut self, now: Timestamp, ask: A::Ask) -> Option<Taken> {
        if !self.open_and_idle {
            return None;
        }
        self.see(now);
        self.hold_if_ready(ask)
    }

    /// As [`try_acquire`](Self::try_acquire), for a grant that may be given back.
    #[cfg(feature = "llm")]
    pub(crate) fn try_hold(
        &mut self,
        now: Timestamp,
        ask: A::Ask,
        wakers: &mut Wakers,
    ) -> Result<Taken, Rejection> {
        let answer = self.check(now, ask, wakers).and_then(|ready| {
            let (unclaimed, ready_unclaimed) = self.take_unclaimed(ask);
            let idle = self.rest.queue.is_empty() && ready <= self.latest;
            let taken = if idle { self.hold_if_ready(ask) } else { unclaimed };
            taken.ok_or_else(|| self.denial(ready.min(ready_unclaimed), ask))
        });
        if answer.is_err() {
            self.count_denied(A::permits(ask));
        }
        answer
    }

    /// Takes what is asked for, or says why not.
    pub(crate) fn try_acquire(
        &mut self,
        now: Timestamp,
        ask: A::Ask,
        wakers: &mut Wakers,
    ) -> Result<Grant, Rejection> {
        let answer = self.check(now, ask, wakers).and_then(|ready| {
            let by = if ready <= self.latest { self.take_if_ready(ask) } else { None };
            by.map(|by| self.grant(ask, Taken::finally(by))).ok_or_else(|| self.denial(ready, ask))
        });
        if answer.is_err() {
            self.count_denied(A::permits(ask));
        }
        answer
    }

    /// Takes what a [`check`](Self::check) under the same lock has found to be available.
    pub(crate) fn take_checked(&mut self, ask: A::Ask) -> Grant {
        let by = self.rest.rule.take(&mut self.state, self.latest, ask);
        let grant = self.grant(ask, Taken::finally(by));
        self.allowed = self.allowed.wrapping_add(A::permits(ask));
        grant
    }

    /// Undoes a [`take_checked`](Self::take_checked): `state` is the state before it, which must
    /// not contain grants that may be given back.
    pub(crate) fn restore(&mut self, state: A::State, ask: A::Ask) {
        self.state = state;
        self.allowed = self.allowed.wrapping_sub(A::permits(ask));
    }

    /// Counts a refusal of `own` permits, and returns why `all` cannot be taken.
    pub(crate) fn refuse(
        &mut self,
        now: Timestamp,
        all: A::Ask,
        own: u64,
        wakers: &mut Wakers,
    ) -> Rejection {
        let rejection = match self.check(now, all, wakers) {
            Ok(ready) => self.denial(ready, all),
            Err(rejection) => rejection,
        };
        self.count_denied(own);
        rejection
    }

    /// When `ask` could be taken by a request that is made now, behind all waiters.
    pub(crate) fn check(
        &mut self,
        now: Timestamp,
        ask: A::Ask,
        wakers: &mut Wakers,
    ) -> Result<Timestamp, Rejection> {
        self.settle(now, wakers);
        if let Some(rejection) = self.rest.shut {
            return Err(rejection);
        }
        match self.rest.rule.never(&self.state, self.latest, ask) {
            Some(never) => Err(never),
            None => Ok(self.ready_behind_queue(ask)),
        }
    }

    /// The refusal of a request that could be served at `ready`.
    pub(crate) fn denial(&self, ready: Timestamp, ask: A::Ask) -> Rejection {
        let limit = self.rest.rule.refused_by(&self.state, self.latest, ask);
        let available = if self.rest.queue.is_empty() { self.remaining() } else { 0 };
        let (rule, now) = (&self.rest.rule, self.latest);
        let reset_after = rule.full_at(&self.state, now) - now;
        let burst = rule.limit();
        Rejection::Denied { retry_after: ready - now, available, reset_after, burst, limit }
    }

    /// Counts a refusal.
    pub(crate) fn count_denied(&mut self, permits: u64) {
        self.rest.denied = self.rest.denied.saturating_add(permits);
    }

    /// The first time at which any request could get a permit, as far as is known now; zero if that
    /// time has come. (It is not the time itself, because a clock may step back behind it.)
    pub(crate) fn earliest(&self) -> Timestamp {
        let earliest = match self.rest.queue.head() {
            _ if self.rest.shut.is_some() => Timestamp::ZERO,
            Some((_, waiter)) => {
                self.rest.rule.ready_at(&self.state, self.rest.served_until, waiter.ask)
            }
            None => self.rest.rule.ready_at(&self.state, self.latest, A::ask(1)),
        };
        if earliest > self.latest { earliest } else { Timestamp::ZERO }
    }

    /// The refusal of `ask` that holds until permits are taken or given back, if there is one.
    pub(crate) fn refusal(&mut self, ask: A::Ask) -> Option<Refusal> {
        let until = self.earliest();
        if until == Timestamp::ZERO {
            return None;
        }
        let (ready, one_ready) = (self.ready_behind_queue(ask), self.ready_behind_queue(A::ask(1)));
        let (rule, state, latest) = (&self.rest.rule, &self.state, self.latest);
        Some(Refusal {
            until,
            latest,
            permits: A::permits(ask),
            ready,
            limit: rule.refused_by(state, latest, ask),
            one_ready,
            one_limit: rule.refused_by(state, latest, A::ask(1)),
            full_at: rule.full_at(state, latest),
            burst: rule.limit(),
        })
    }
}
