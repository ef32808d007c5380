//! What every limiter does under its lock: rule, state, counters and queue, and the verbs on them.
//!
//! Time is an argument, and nobody is woken here: [`Wakers`] leave with the caller.
//!
//! Those who wait are served in order, each **at the time it is due**, even if that is noticed
//! later: [`settle`](Core::settle) replays what has come due before any verb looks at the state.
//! So a timer's lateness costs no permit, and it does not matter who notices: a waiter's own alarm,
//! another one's, or any other call. After a stall that is bounded, see `Lateness`.

mod beside;
mod lines;
mod plan;
mod rule;
mod set_aside;
mod waiting;

use super::refusal::Refusal;
pub(crate) use lines::Buckets;
use lines::Lines;
use plan::Booked;
pub(crate) use rule::Rule;
use waiting::Lateness;

use std::time::Duration;

use crate::algorithm::{Algorithm, Receipt};
use crate::wait::queue::{Queue, Taken, Ticket, Wakers};
use crate::{CarryOver, ConsumeError, Grant, Rejection, Timestamp, Usage};

/// The latest time that counts: "never" must stay ahead.
pub(crate) const LAST: Timestamp = Timestamp::from_nanos(u64::MAX - 1);

/// A rule's answer when it can't tell: it depends on when somebody gives something back.
pub(crate) const UNKNOWN: Timestamp = LAST;

/// What became of a state under [`edit`](Core::edit).
#[cfg(feature = "llm")]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Edited {
    /// Nothing has changed.
    Nothing,
    /// Nothing comes later than before.
    GaveBack,
    /// Nothing comes sooner than before.
    Took,
    /// Anything.
    Changed,
}

/// What a plain decision writes comes first and fits one cache line with the lock around it; the rest
/// is apart, so that two threads pass just that line to and fro.
#[derive(Debug)]
pub(crate) struct Core<A: Rule> {
    pub(crate) state: A::State,
    /// The newest time seen; an older one counts as this one.
    latest: Timestamp,
    allowed: u64,
    /// Neither waiters nor shut: the common case, in one flag.
    open_and_idle: bool,
    pub(crate) rest: Box<Rest<A>>,
}

/// What plain decisions only read, or don't need.
#[derive(Debug)]
pub(crate) struct Rest<A: Rule> {
    pub(crate) rule: A,
    denied: u64,
    /// Why nobody is let in any more, if so.
    shut: Option<Rejection>,
    max_waiters: usize,
    queue: Queue<A::Ask>,
    /// The time of the last grant to a waiter: the state is as of then while somebody waits.
    served_until: Timestamp,
    /// Who waits for which buckets; for rules with several.
    lines: Lines,
    /// How it is once all who wait are served; for rules that can't tell at once.
    booked: Option<Booked<A>>,
    /// How many changes there were since the due times of the queue were last worked out.
    stale: usize,
    /// Permits that were given back since then, by those who left and otherwise.
    given_back: u128,
    /// By how many nanoseconds all who wait are due later than was worked out.
    drift: i128,
    /// Whether permits were taken since then: the due times may be wrong by less than a nanosecond, which can
    /// make one of them another nanosecond.
    shifted: bool,
    lateness: Lateness,
    /// Permits of those who have missed their turn, for whoever of them looks first: at most a burst.
    missed: u64,
    catch_up: Option<Duration>,
    /// Numbers the grants that may be given back.
    pub(crate) next_receipt: u64,
    /// Permits of those who still wait for a second limit.
    set_aside: Option<Box<set_aside::SetAside>>,
}

impl<A: Rule> Rest<A> {
    /// Whether the due times that were worked out are exact still.
    fn is_planned(&self) -> bool {
        self.stale == 0 && self.drift == 0 && !self.shifted
    }

    /// Notes that `permits` were given back, for which all behind move up.
    fn gave_back(&mut self, permits: u64) {
        if !A::OPEN_ENDED {
            self.given_back = self.given_back.saturating_add(permits.into());
        }
    }

    /// The due times of all who wait have just been worked out.
    fn planned_now(&mut self) {
        (self.stale, self.given_back, self.drift, self.shifted) = (0, 0, 0, false);
    }
}

impl<A: Rule> Core<A> {
    pub(crate) fn new(rule: A, state: A::State, now: Timestamp, max_waiters: usize) -> Self {
        let lateness = Lateness::of(&rule, None);
        Self {
            state,
            latest: now.min(LAST),
            allowed: 0,
            open_and_idle: true,
            rest: Box::new(Rest {
                rule,
                denied: 0,
                shut: None,
                max_waiters,
                queue: Queue::default(),
                served_until: now,
                lines: Lines::default(),
                booked: None,
                stale: 0,
                given_back: 0,
                drift: 0,
                shifted: false,
                lateness,
                missed: 0,
                catch_up: None,
                next_receipt: 0,
                set_aside: None,
            }),
        }
    }

    /// How much is made up for at one instant after a stall: see
    /// [`LimiterBuilder::catch_up`](crate::LimiterBuilder::catch_up).
    pub(crate) fn set_catch_up(&mut self, catch_up: Option<Duration>) {
        self.rest.catch_up = catch_up;
        self.rest.lateness = Lateness::of(&self.rest.rule, catch_up);
    }

    /// Puts another rule in without a change of the state, for a state put in from elsewhere.
    pub(crate) fn put_rule(&mut self, rule: A) {
        self.rest.lateness = Lateness::of(&rule, self.rest.catch_up);
        self.rest.rule = rule;
        self.rest.missed = 0;
    }

    /// The receipt of a grant that was made at `at` and may be given back.
    fn next_receipt(&mut self, at: Timestamp) -> Receipt {
        self.rest.next_receipt += 1;
        Receipt::new(self.rest.next_receipt, at)
    }

    /// Moves on to `now`; an earlier one is no move.
    #[inline]
    pub(crate) fn see(&mut self, now: Timestamp) {
        self.latest = self.latest.max(now.min(LAST));
    }

    /// Takes what is asked if it is there and nobody waits, and says from which bucket: the hot path.
    /// `None` decides nothing.
    #[inline]
    pub(crate) fn allow_if_idle(&mut self, now: Timestamp, ask: A::Ask) -> Option<u32> {
        if !self.open_and_idle {
            return None;
        }
        self.see(now);
        self.take_if_ready(ask)
    }

    /// Whether what is asked is there and nobody waits.
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

    #[inline]
    fn take_if_ready(&mut self, ask: A::Ask) -> Option<u32> {
        let now = self.latest;
        let by = self.rest.rule.try_take(&mut self.state, now, ask);
        if by.is_some() {
            self.allowed = self.allowed.wrapping_add(A::permits(ask));
        }
        by
    }

    /// The same for a grant that may be given back.
    #[inline]
    fn hold_if_ready(&mut self, ask: A::Ask) -> Option<Taken> {
        let (now, receipt) = (self.latest, self.next_receipt(self.latest));
        let by = self.rest.rule.try_hold(&mut self.state, now, ask, receipt)?;
        self.allowed = self.allowed.wrapping_add(A::permits(ask));
        Some(Taken { by, receipt, by_all: None })
    }

    /// Takes what is asked if it is there and nobody waits, for a grant that may be given back: the hot path.
    /// `None` decides nothing.
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
            let (beside, ready_beside) = self.beside(ask);
            let idle = self.rest.queue.is_empty() && ready <= self.latest;
            let taken = if idle { self.hold_if_ready(ask) } else { beside };
            taken.ok_or_else(|| self.denial(ready.min(ready_beside), ask))
        });
        if answer.is_err() {
            self.count_denied(A::permits(ask));
        }
        answer
    }

    /// Takes what is asked, or says why not.
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

    /// Takes what a [`check`](Self::check) under the same lock has found to be there.
    pub(crate) fn take_checked(&mut self, ask: A::Ask) -> Grant {
        let by = self.rest.rule.take(&mut self.state, self.latest, ask);
        let grant = self.grant(ask, Taken::finally(by));
        self.allowed = self.allowed.wrapping_add(A::permits(ask));
        grant
    }

    /// Undoes a [`take_checked`](Self::take_checked) from `state`, in which nothing may be given back.
    pub(crate) fn restore(&mut self, state: A::State, ask: A::Ask) {
        self.state = state;
        self.allowed = self.allowed.wrapping_sub(A::permits(ask));
    }

    /// Counts a refusal of `own` permits, and says why `all` of them can't be had.
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

    /// When `ask` could be had by one who asks now and does not queue.
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

    pub(crate) fn denial(&self, ready: Timestamp, ask: A::Ask) -> Rejection {
        let limit = self.rest.rule.refused_by(&self.state, self.latest, ask);
        let available = if self.rest.queue.is_empty() { self.remaining() } else { 0 };
        let (rule, now) = (&self.rest.rule, self.latest);
        let reset_after = rule.full_at(&self.state, now) - now;
        let burst = rule.limit();
        Rejection::Denied { retry_after: ready - now, available, reset_after, burst, limit }
    }

    /// Refuses everybody from now on, those who wait first.
    pub(crate) fn close(&mut self, now: Timestamp, wakers: &mut Wakers) -> bool {
        let first_time = !self.is_closed();
        self.shut(now, Rejection::Closed, wakers);
        first_time
    }

    /// The same for any reason.
    pub(crate) fn shut(&mut self, now: Timestamp, why: Rejection, wakers: &mut Wakers) {
        self.settle(now, wakers);
        self.rest.shut = Some(why);
        self.rest.queue.finish_all(why.into(), wakers);
        self.update_flag();
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.rest.shut == Some(Rejection::Closed)
    }

    /// Goes on at `now`, with nobody waiting, for a state put in from elsewhere.
    pub(crate) fn resume(&mut self, now: Timestamp, shut: Option<Rejection>) {
        self.see(now);
        self.rest.shut = shut;
        self.update_flag();
    }

    /// Counts a refusal that was decided elsewhere.
    pub(crate) fn count_denied(&mut self, permits: u64) {
        self.rest.denied = self.rest.denied.saturating_add(permits);
    }

    /// Whether nobody is let in any more.
    pub(crate) fn is_shut(&self) -> bool {
        self.rest.shut.is_some()
    }

    /// Whether the state is all there is to it: nobody waits, or has an outcome to fetch.
    pub(crate) fn is_at_rest(&self) -> bool {
        self.rest.queue.is_unused() && self.rest.set_aside.is_none()
    }

    /// Permits allowed and denied since the last call.
    pub(crate) fn take_counts(&mut self) -> (u64, u64) {
        (std::mem::take(&mut self.allowed), std::mem::take(&mut self.rest.denied))
    }

    /// The newest time seen.
    pub(crate) fn latest(&self) -> Timestamp {
        self.latest
    }

    /// Whether nobody waits and the limiter is open.
    pub(crate) fn is_open_and_idle(&self) -> bool {
        self.open_and_idle
    }

    pub(crate) fn usage(&mut self, now: Timestamp, wakers: &mut Wakers) -> Usage {
        self.settle(now, wakers);
        Usage {
            allowed: self.allowed,
            denied: self.rest.denied,
            waiting: self.rest.queue.len(),
            ..usage_of(&self.rest.rule, &self.state, self.latest)
        }
    }

    /// The state as of `now`.
    pub(crate) fn snapshot(
        &mut self,
        now: Timestamp,
        wakers: &mut Wakers,
    ) -> (A::State, Timestamp) {
        self.settle(now, wakers);
        (self.state.clone(), self.latest)
    }

    /// Ends the waits for which `why` has a reason.
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

    /// Changes the state by hand.
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

    /// The same if nobody waits, and so nobody has to be told. `None` changes nothing.
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

    /// Gives back a grant that will not be used, as far as its permits have not come back by themselves.
    pub(crate) fn undo(&mut self, now: Timestamp, ask: A::Ask, taken: Taken, wakers: &mut Wakers) {
        self.allowed = self.allowed.wrapping_sub(A::permits(ask));
        self.settle(now, wakers);
        self.rest.rule.undo(&mut self.state, self.latest, ask, taken);
        self.sooner(A::permits(ask), wakers);
    }

    /// A grant is final: nothing of it will be given back.
    pub(crate) fn release(&mut self, ask: A::Ask, taken: Taken) {
        self.rest.rule.release(&mut self.state, ask, taken);
    }

    /// Moves on to `now` and serves all who are due.
    #[inline]
    pub(crate) fn settle(&mut self, now: Timestamp, wakers: &mut Wakers) {
        self.see(now);
        if !self.open_and_idle {
            self.serve(wakers);
        }
    }

    fn update_flag(&mut self) {
        self.open_and_idle = self.rest.shut.is_none() && self.rest.queue.is_empty();
        if self.rest.queue.is_empty() {
            self.rest.booked = None;
            if A::OPEN_ENDED {
                self.rest.lines = Lines::default();
            }
            self.rest.planned_now();
        }
    }

    fn remaining(&self) -> u64 {
        remaining(&self.rest.rule, &self.state, self.latest)
    }

    pub(crate) fn grant(&self, ask: A::Ask, taken: Taken) -> Grant {
        Grant { taken, ..grant_of(&self.rest.rule, &self.state, self.latest, A::permits(ask)) }
    }

    /// The first time at which one permit could be had by anyone, as far as is known now; zero if
    /// that has come: a clock may step back behind it.
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

    /// A refusal of `ask`, as it holds until somebody takes or gives something; `None` if there is nothing that holds.
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

/// The verbs of those who ask for a number of permits.
impl<A: Algorithm> Core<A> {
    /// Full again; debts are forgotten, counters go on.
    pub(crate) fn reset(&mut self, now: Timestamp, wakers: &mut Wakers) {
        self.settle(now, wakers);
        self.without_set_aside(|core| core.state = core.rest.rule.start(core.latest, 0));
        self.rest.missed = 0;
        self.changed(wakers);
    }

    /// Replaces the rule; what was used carries over, and those who wait are re-timed.
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

    /// Takes as many as there are, up to `permits`, and says how many.
    pub(crate) fn take_up_to(&mut self, now: Timestamp, permits: u64, wakers: &mut Wakers) -> u64 {
        let taken = permits.min(self.available(now, wakers));
        if taken > 0 && self.take_if_ready(taken).is_some() { taken } else { 0 }
    }

    /// Permits that [`take_up_to`](Self::take_up_to) could take.
    pub(crate) fn available(&mut self, now: Timestamp, wakers: &mut Wakers) -> u64 {
        self.settle(now, wakers);
        if self.open_and_idle { self.remaining() } else { 0 }
    }

    /// Records permits that are already spent; says how long until the debt is paid.
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

    /// The same by way of `take`, which takes the permits of a state at a time.
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

    /// When `permits` more would be paid for.
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

    /// The same by way of `give_back`, which gives the permits back to a state at a time.
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

/// What a rule says of a state, without counters and queue.
pub(crate) fn usage_of<A: Rule>(rule: &A, state: &A::State, now: Timestamp) -> Usage {
    let used = saturate(rule.used(state, now));
    Usage {
        quota: rule.quota(),
        limit: rule.limit(),
        used,
        remaining: rule.limit().saturating_sub(used),
        reset_after: rule.full_at(state, now) - now,
        allowed: 0,
        denied: 0,
        waiting: 0,
    }
}

/// Why `permits` can't be had now, if so, by one whom nobody waits before.
pub(crate) fn refusal_of<A: Algorithm>(
    rule: &A,
    state: &A::State,
    now: Timestamp,
    permits: u64,
) -> Option<Rejection> {
    let burst = rule.limit();
    if permits > burst {
        let limit = rule.refused_by(state, now, permits);
        return Some(Rejection::ExceedsBurst { requested: permits, burst, limit });
    }
    let ready = rule.ready_at(state, now, permits);
    (ready > now).then(|| Rejection::Denied {
        retry_after: ready - now,
        available: remaining(rule, state, now),
        reset_after: rule.full_at(state, now) - now,
        burst,
        limit: rule.refused_by(state, now, permits),
    })
}

/// What one who was just granted `permits` is told.
pub(crate) fn grant_of<A: Rule>(rule: &A, state: &A::State, now: Timestamp, permits: u64) -> Grant {
    let reset_after = rule.full_at(state, now) - now;
    let remaining = remaining(rule, state, now);
    Grant { permits, remaining, limit: rule.limit(), reset_after, taken: Taken::default() }
}

fn remaining<A: Rule>(rule: &A, state: &A::State, now: Timestamp) -> u64 {
    rule.limit().saturating_sub(saturate(rule.used(state, now)))
}

/// A wide count as 64 bits; what does not fit is as many as there are.
fn saturate(permits: u128) -> u64 {
    u64::try_from(permits).unwrap_or(u64::MAX)
}
