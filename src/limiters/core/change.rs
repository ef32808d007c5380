//! Changes of a limiter from outside: permits that are consumed or credited, another rule, the end.

use std::time::Duration;

use super::{Core, Rule};
use crate::algorithm::Algorithm;
use crate::answer::Taken;
use crate::wait::queue::Ticket;
use crate::wakers::Wakers;
use crate::{CarryOver, ConsumeError, Rejection, Timestamp};

/// What an [`edit`](Core::edit) has done to the state.
#[cfg(feature = "llm")]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Edited {
    /// Nothing has changed.
    Nothing,
    /// No request can be served later than before.
    GaveBack,
    /// No request can be served sooner than before.
    Took,
    /// Requests may be served sooner or later than before.
    Changed,
}

#[cfg(feature = "llm")]
impl Edited {
    /// What both together have done.
    pub(crate) fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::Nothing, edited) | (edited, Self::Nothing) => edited,
            (one, other) if one == other => one,
            _ => Self::Changed,
        }
    }
}

impl<A: Rule> Core<A> {
    /// Refuses all requests from now on, and ends all waits. Returns whether the limiter was open.
    pub(crate) fn close(&mut self, now: Timestamp, wakers: &mut Wakers) -> bool {
        let first_time = !self.is_closed();
        self.shut(now, Rejection::Closed, wakers);
        first_time
    }

    /// As [`close`](Self::close), for any reason.
    pub(crate) fn shut(&mut self, now: Timestamp, why: Rejection, wakers: &mut Wakers) {
        self.settle(now, wakers);
        self.rest.shut = Some(why);
        self.rest.queue.finish_all(why.into(), wakers);
        self.update_flag();
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.rest.shut == Some(Rejection::Closed)
    }

    /// Continues at `now`, with an empty queue, for a state that comes from elsewhere.
    pub(crate) fn resume(&mut self, now: Timestamp, shut: Option<Rejection>) {
        self.see(now);
        self.rest.shut = shut;
        self.update_flag();
    }

    /// Whether all requests are refused from now on.
    pub(crate) fn is_shut(&self) -> bool {
        self.rest.shut.is_some()
    }

    /// Ends the waits for which `why` returns an error.
    #[cfg(feature = "llm")]
    pub(crate) fn fail_where(
        &mut self,
        wakers: &mut Wakers,
        why: impl Fn(&A::State, A::Ask) -> Option<crate::WaitError>,
    ) {
        let waiting = self.rest.queue.iter();
        let failed: Vec<(Ticket, crate::WaitError)> = waiting
            .filter_map(|(ticket, waiter)| Some((ticket, why(&self.state, waiter.ask)?)))
            .collect();
        if failed.is_empty() {
            return;
        }
        for (ticket, error) in failed {
            self.rest.queue.finish(ticket, error, wakers);
        }
        self.update_flag();
        self.changed(wakers);
    }

    /// Changes the state by `act`, which returns what kind of change it was.
    #[cfg(feature = "llm")]
    pub(crate) fn edit<R>(
        &mut self,
        now: Timestamp,
        wakers: &mut Wakers,
        act: impl FnOnce(&mut A::State, Timestamp) -> (R, Edited),
    ) -> R {
        self.settle(now, wakers);
        let (result, edited) = act(&mut self.state, self.latest);
        match edited {
            Edited::Nothing => {}
            Edited::GaveBack => self.sooner(0, wakers),
            Edited::Took => self.later(wakers),
            Edited::Changed => self.changed(wakers),
        }
        result
    }

    /// As [`edit`](Self::edit), but only if nobody waits, so that no waiter has to be told. `None`
    /// means that nothing was changed.
    #[cfg(feature = "llm")]
    #[inline]
    pub(crate) fn edit_if_idle<R>(
        &mut self,
        now: Timestamp,
        act: impl FnOnce(&mut A::State, Timestamp) -> R,
    ) -> Option<R> {
        if !self.open_and_idle {
            return None;
        }
        self.see(now);
        Some(act(&mut self.state, self.latest))
    }

    /// Gives back a grant that will not be used, except for permits that were refilled since.
    pub(crate) fn undo(&mut self, now: Timestamp, ask: A::Ask, taken: Taken, wakers: &mut Wakers) {
        self.allowed = self.allowed.wrapping_sub(A::permits(ask));
        self.settle(now, wakers);
        self.rest.rule.undo(&mut self.state, self.latest, ask, taken);
        self.sooner(A::permits(ask), wakers);
    }

    /// Makes a grant final: it will not be given back.
    pub(crate) fn release(&mut self, ask: A::Ask, taken: Taken) {
        self.rest.rule.release(&mut self.state, ask, taken);
    }
}

impl<A: Algorithm> Core<A> {
    /// Refills the limiter and cancels its debt. Counters keep running.
    pub(crate) fn reset(&mut self, now: Timestamp, wakers: &mut Wakers) {
        self.settle(now, wakers);
        self.without_set_aside(|core| core.state = core.rest.rule.start(core.latest, 0));
        self.rest.missed = 0;
        self.changed(wakers);
    }

    /// Replaces the rule. The used permits carry over, and the due times of all waiters are
    /// computed anew.
    pub(crate) fn set_rule(
        &mut self,
        now: Timestamp,
        rule: A,
        how: CarryOver,
        wakers: &mut Wakers,
    ) {
        self.settle(now, wakers);
        self.without_set_aside(|core| {
            core.state = rule.carry_over(&core.rest.rule, &core.state, core.latest, how);
            core.put_rule(rule);
        });
        let never = |ask| self.rest.rule.never(&self.state, self.latest, ask);
        let waiting = self.rest.queue.iter();
        let too_large: Vec<(Ticket, Rejection)> =
            waiting.filter_map(|(ticket, waiter)| Some((ticket, never(waiter.ask)?))).collect();
        for (ticket, never) in too_large {
            self.rest.queue.finish(ticket, never.into(), wakers);
        }
        self.changed(wakers);
    }

    /// Takes as many permits as are available, up to `permits`, and returns how many.
    pub(crate) fn take_up_to(&mut self, now: Timestamp, permits: u64, wakers: &mut Wakers) -> u64 {
        let taken = permits.min(self.available(now, wakers));
        if taken > 0 && self.take_if_ready(taken).is_some() { taken } else { 0 }
    }

    /// How many permits [`take_up_to`](Self::take_up_to) could take.
    pub(crate) fn available(&mut self, now: Timestamp, wakers: &mut Wakers) -> u64 {
        self.settle(now, wakers);
        if self.open_and_idle { self.remaining() } else { 0 }
    }

    /// Records permits that are already spent. Returns how long it takes until the debt is repaid.
    pub(crate) fn consume(
        &mut self,
        now: Timestamp,
        permits: u64,
        wakers: &mut Wakers,
    ) -> Result<Duration, ConsumeError> {
        self.consume_by(now, permits, wakers, |rule, state, now| {
            Algorithm::take(rule, state, now, permits);
        })
    }

    /// As [`consume`](Self::consume); `take` takes the permits from a state at a time.
    pub(crate) fn consume_by(
        &mut self,
        now: Timestamp,
        permits: u64,
        wakers: &mut Wakers,
        take: impl Fn(&A, &mut A::State, Timestamp),
    ) -> Result<Duration, ConsumeError> {
        let paid = self.paid_by(now, permits, wakers, &take)?;
        take(&self.rest.rule, &mut self.state, self.latest);
        self.allowed = self.allowed.wrapping_add(permits);
        self.later(wakers);
        Ok(paid - self.latest)
    }

    /// When the debt would be repaid if `permits` more were consumed.
    pub(crate) fn paid_at(
        &mut self,
        now: Timestamp,
        permits: u64,
        wakers: &mut Wakers,
    ) -> Result<Timestamp, ConsumeError> {
        self.paid_by(now, permits, wakers, |rule, state, now| {
            Algorithm::take(rule, state, now, permits);
        })
    }

    fn paid_by(
        &mut self,
        now: Timestamp,
        permits: u64,
        wakers: &mut Wakers,
        take: impl Fn(&A, &mut A::State, Timestamp),
    ) -> Result<Timestamp, ConsumeError> {
        self.settle(now, wakers);
        if let Some(Rejection::TooManyKeys { max_keys }) = self.rest.shut {
            return Err(ConsumeError::TooManyKeys { max_keys });
        }
        let mut state = self.state.clone();
        take(&self.rest.rule, &mut state, self.latest);
        let paid = Rule::ready_at(&self.rest.rule, &state, self.latest, 0);
        if paid == Timestamp::MAX {
            return Err(ConsumeError::DebtTooLarge { permits });
        }
        Ok(paid)
    }

    /// Gives permits back.
    pub(crate) fn credit(&mut self, now: Timestamp, permits: u64, wakers: &mut Wakers) {
        self.credit_by(now, permits, wakers, |rule, state, now| {
            Algorithm::give_back(rule, state, now, permits);
        });
    }

    /// As [`credit`](Self::credit); `give_back` gives the permits back to a state at a time.
    pub(crate) fn credit_by(
        &mut self,
        now: Timestamp,
        permits: u64,
        wakers: &mut Wakers,
        give_back: impl FnOnce(&A, &mut A::State, Timestamp),
    ) {
        self.settle(now, wakers);
        give_back(&self.rest.rule, &mut self.state, self.latest);
        self.sooner(permits, wakers);
    }
}
