//! The verbs of those who wait.
//!
//! When a waiter is due is worked out when it joins. What happens later moves all who wait by about the same:
//! the *drift* is by how much the first in line is due later (or earlier) than was worked out, and counts for
//! all. So a change costs as much with one waiter as with a hundred thousand. What it does not tell exactly is
//! made good when the waiter looks, when it becomes the first in line, or when the whole queue is worked
//! out anew, after as many changes as a quarter of those who wait.

use std::task::Waker;
use std::time::Duration;

use super::{Core, Rule, UNKNOWN};
use crate::wait::queue::{Taken, Ticket, Waiter, Wakers, moved};
use crate::{Grant, Timestamp, WaitError};

/// What became of a request to wait.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum Joined {
    /// The permits were there.
    Granted(Grant),
    /// A place in the queue, and when it is due.
    Queued(Ticket, Timestamp),
}

/// Where a wait stands.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum Progress {
    /// It has ended.
    Done(Result<Grant, WaitError>),
    /// Ask again at this time.
    Until(Timestamp),
}

/// Whether nobody can tell when that is.
fn is_unknown<A: Rule>(due: Timestamp) -> bool {
    A::OPEN_ENDED && due == UNKNOWN
}

/// When one who waits looks again by itself: when it is due, or at its deadline if nobody can tell.
fn alarm<A: Rule>(due: Timestamp, deadline: Timestamp) -> Timestamp {
    if is_unknown::<A>(due) { deadline.min(due) } else { due }
}

/// By how many nanoseconds `to` is later than `from`.
fn drift(from: Timestamp, to: Timestamp) -> i128 {
    i128::from(to.as_nanos()) - i128::from(from.as_nanos())
}

impl<A: Rule> Core<A> {
    /// Takes `permits`, or a place in the queue if they can be had by `deadline`; `waker` is called
    /// when that place becomes due earlier, or the wait ends. Without a waker it is a reservation, whose permits
    /// may be given back also if they were there at once.
    pub(crate) fn join(
        &mut self,
        now: Timestamp,
        ask: A::Ask,
        deadline: Timestamp,
        waker: Option<&Waker>,
        wakers: &mut Wakers,
    ) -> Result<Joined, WaitError> {
        self.join_as(now, ask, deadline, waker, waker.is_none(), wakers)
    }

    /// As [`join`](Self::join), but also what is granted at once to a waiter may be given back.
    pub(crate) fn join_held(
        &mut self,
        now: Timestamp,
        ask: A::Ask,
        deadline: Timestamp,
        waker: Option<&Waker>,
        wakers: &mut Wakers,
    ) -> Result<Joined, WaitError> {
        self.join_as(now, ask, deadline, waker, true, wakers)
    }

    fn join_as(
        &mut self,
        now: Timestamp,
        ask: A::Ask,
        deadline: Timestamp,
        waker: Option<&Waker>,
        held: bool,
        wakers: &mut Wakers,
    ) -> Result<Joined, WaitError> {
        let joined = self.try_join(now, ask, deadline, waker, held, wakers);
        if joined.is_err() {
            self.count_denied(A::permits(ask));
        }
        joined
    }

    fn try_join(
        &mut self,
        now: Timestamp,
        ask: A::Ask,
        deadline: Timestamp,
        waker: Option<&Waker>,
        held: bool,
        wakers: &mut Wakers,
    ) -> Result<Joined, WaitError> {
        let mut ready = self.check(now, ask, wakers)?;
        if ready <= self.latest && self.rest.queue.is_empty() {
            let taken = if held {
                self.hold_if_ready(ask)
            } else {
                self.take_if_ready(ask).map(Taken::finally)
            };
            if let Some(taken) = taken {
                return Ok(Joined::Granted(self.grant(ask, taken)));
            }
        }
        let (beside, ready_beside) = self.beside(ask);
        if let Some(taken) = beside {
            return Ok(Joined::Granted(self.grant(ask, taken)));
        }
        ready = ready.min(ready_beside);
        if self.is_too_late(ready, deadline) && self.rest.stale > 0 {
            // Only a guess, or some of those before it can't be served in time themselves.
            self.retime(wakers);
            ready = self.ready_behind_queue(ask);
        }
        if self.is_too_late(ready, deadline) || ready == Timestamp::MAX {
            return Err(WaitError::Timeout { retry_after: ready - self.latest });
        }
        if self.rest.queue.len() >= self.rest.max_waiters {
            return Err(WaitError::QueueFull { max_waiters: self.rest.max_waiters });
        }
        if self.rest.queue.is_empty() {
            self.rest.served_until = self.latest;
            self.rest.planned_now();
        }
        if let Some((state, at)) = &mut self.rest.booked {
            self.rest.rule.take(state, ready, ask);
            *at = ready;
        }
        let due = if is_unknown::<A>(ready) { ready } else { moved(ready, -self.rest.drift) };
        let alarm = alarm::<A>(ready, deadline);
        let queue = &mut self.rest.queue;
        let ticket = queue.push(ask, A::permits(ask), due, alarm, deadline, waker);
        queue.set_beside(ticket, ready_beside);
        self.update_flag();
        Ok(Joined::Queued(ticket, alarm))
    }

    /// Whether one who is due then can't be served by its deadline.
    fn is_too_late(&self, due: Timestamp, deadline: Timestamp) -> bool {
        due > deadline && (!is_unknown::<A>(due) || deadline <= self.latest)
    }

    /// Where the wait of `ticket` stands; `waker` is called when that changes for the better. A grant is final, unless
    /// it is `held`: then it must be released or given back.
    pub(crate) fn poll(
        &mut self,
        now: Timestamp,
        ticket: Ticket,
        waker: Option<&Waker>,
        held: bool,
        wakers: &mut Wakers,
    ) -> Progress {
        self.see(now);
        // Whoever looks in time is served in time: those before it who have not looked may never do.
        let in_time = self.rest.queue.get(ticket).is_some_and(|waiter| {
            self.latest - self.expected(waiter) < self.rest.lateness.bearable.max(Lateness::TIMERS)
        });
        self.serve_all(!in_time, wakers);
        if let Some(outcome) = self.fetch(ticket, held) {
            return Progress::Done(outcome);
        }
        let Some(waiter) = self.rest.queue.get(ticket) else {
            // Not waiting and no outcome: it was fetched before.
            return Progress::Done(Err(WaitError::Closed));
        };
        let (mut due, deadline) = (self.expected(waiter), waiter.deadline);
        if self.is_too_late(due, deadline) {
            if self.rest.is_planned() {
                self.give_up_on(ticket, due, wakers);
            } else {
                self.retime(wakers);
            }
            if let Some(outcome) = self.fetch(ticket, held) {
                return Progress::Done(outcome);
            }
            due = self.rest.queue.get(ticket).map_or(due, |waiter| self.expected(waiter));
        }
        let alarm = alarm::<A>(due, deadline);
        self.rest.queue.set_alarm(ticket, alarm);
        if let Some(waker) = waker {
            self.rest.queue.set_waker(ticket, waker, wakers);
        }
        Progress::Until(alarm)
    }

    /// How a wait has ended, handed out once: from then on its permits are final, unless they are `held`.
    fn fetch(&mut self, ticket: Ticket, held: bool) -> Option<Result<Grant, WaitError>> {
        let (ask, outcome) = self.rest.queue.fetch(ticket)?;
        Some(match outcome {
            Ok(taken) => {
                if !held {
                    self.rest.rule.release(&mut self.state, ask, taken);
                }
                Ok(self.grant(ask, taken))
            }
            Err(error) => {
                self.count_denied(A::permits(ask));
                Err(error)
            }
        })
    }

    /// When a waiter will be served, as far as is known without working out the whole queue. Never
    /// before the first in line.
    fn expected(&self, waiter: &Waiter<A::Ask>) -> Timestamp {
        if is_unknown::<A>(waiter.due) {
            return if waiter.beside > self.latest {
                waiter.beside.min(UNKNOWN)
            } else {
                waiter.due
            };
        }
        let head = self.rest.queue.head().map_or(Timestamp::ZERO, |(_, head)| head.due);
        let head = if is_unknown::<A>(head) { Timestamp::ZERO } else { head };
        let due = moved(waiter.due.max(head), self.rest.drift);
        if waiter.beside > self.latest { due.min(waiter.beside) } else { due }
    }

    /// When `ticket` will be served, worked out anew; time zero if it has been, never if it has failed.
    pub(crate) fn due(&mut self, now: Timestamp, ticket: Ticket, wakers: &mut Wakers) -> Timestamp {
        self.settle(now, wakers);
        if !self.rest.is_planned() {
            self.retime(wakers);
        }
        match self.rest.queue.get(ticket) {
            Some(waiter) => waiter.due,
            None if self.rest.queue.is_granted(ticket) => Timestamp::ZERO,
            None => Timestamp::MAX,
        }
    }

    /// Whether `ticket` was served and not fetched yet.
    pub(crate) fn is_granted(
        &mut self,
        now: Timestamp,
        ticket: Ticket,
        wakers: &mut Wakers,
    ) -> bool {
        self.settle(now, wakers);
        self.rest.queue.is_granted(ticket)
    }

    /// Gives up a place in the queue, or gives back what was granted and not fetched.
    pub(crate) fn leave(&mut self, now: Timestamp, ticket: Ticket, wakers: &mut Wakers) {
        self.settle(now, wakers);
        if let Some((ask, outcome)) = self.rest.queue.fetch(ticket) {
            if let Ok(taken) = outcome {
                self.undo(now, ask, taken, wakers);
            }
        } else if self.rest.queue.remove(ticket, self.latest, self.rest.drift, wakers) {
            if self.rest.queue.head().is_none_or(|(head, _)| ticket < head) {
                // Whoever moves up to the head can't have been served before.
                self.rest.served_until = self.latest;
            }
            self.rest.stale += 1;
            self.forget_booked();
            self.serve(wakers);
        }
    }

    /// Serves all who are due, in order, and tells the next one when it will be.
    pub(super) fn serve(&mut self, wakers: &mut Wakers) {
        self.serve_all(true, wakers);
    }

    /// The same; `stalled` says whether waiters who are overdue may all have been held up.
    fn serve_all(&mut self, stalled: bool, wakers: &mut Wakers) {
        if self.open_and_idle {
            return;
        }
        while let Some((ticket, waiter)) = self.rest.queue.head() {
            if stalled && !waiter.is_promise {
                self.catch_up(waiter.ask);
            }
            let Some((_, waiter)) = self.rest.queue.head() else { break };
            let (ask, planned, deadline) = (waiter.ask, waiter.due, waiter.deadline);
            let due = self.rest.rule.ready_at(&self.state, self.rest.served_until, ask);
            let never = A::OPEN_ENDED && due == Timestamp::MAX;
            if never || self.is_too_late(due, deadline) {
                // Who can't be served in time must not hold up those behind.
                self.give_up_on(ticket, due, wakers);
                self.rest.stale += 1;
                continue;
            }
            if due > self.latest {
                if !is_unknown::<A>(due) && !is_unknown::<A>(planned) {
                    self.rest.drift = drift(planned, due);
                } else {
                    self.rest.queue.set_due(ticket, due);
                    self.rest.drift = 0;
                }
                // Its own alarm may be set for later, if somebody before it has left.
                self.rest.queue.call(ticket, alarm::<A>(due, deadline), wakers);
                break;
            }
            let receipt = self.next_receipt(due);
            let by = self.rest.rule.hold(&mut self.state, due, ask, receipt);
            self.rest.served_until = due;
            self.allowed = self.allowed.wrapping_add(A::permits(ask));
            self.rest.queue.grant(ticket, Taken { by, receipt, by_all: None }, self.latest, wakers);
        }
        self.serve_beside(wakers);
        self.update_flag();
        // To work out the whole queue at each change would be quadratic.
        if self.rest.stale * 4 > self.rest.queue.len() {
            self.retime(wakers);
        }
    }

    /// After a stall, not everybody who was due meanwhile is served at once: if the first in line is overdue for too
    /// long, it is served as of a later time. Reservations are served as they were promised.
    fn catch_up(&mut self, head: A::Ask) {
        let due = self.rest.rule.ready_at(&self.state, self.rest.served_until, head);
        let Lateness { bearable, made_up } = self.rest.lateness;
        if due >= self.latest || self.latest - due < bearable {
            return;
        }
        let made_up = u64::try_from(made_up.as_nanos()).unwrap_or(u64::MAX);
        let from = Timestamp::from_nanos(self.latest.as_nanos().saturating_sub(made_up));
        self.rest.served_until = self.rest.served_until.max(from);
        // A timer's usual lateness makes what was worked out only a little too early.
        if self.latest - due > Lateness::TIMERS {
            self.forget_booked();
        }
    }

    /// Something was given back: whoever waits moves up, like after a departure.
    pub(crate) fn sooner(&mut self, wakers: &mut Wakers) {
        if self.rest.queue.is_empty() {
            return;
        }
        self.rest.served_until = self.latest;
        self.rest.stale += 1;
        self.forget_booked();
        self.serve(wakers);
    }

    /// Something was taken: whoever waits is served later. Each learns it when it looks, but who can't be served
    /// by its deadline any more is told at once.
    pub(super) fn later(&mut self, wakers: &mut Wakers) {
        if self.rest.queue.is_empty() {
            return;
        }
        self.rest.served_until = self.latest;
        self.rest.stale += usize::from(A::OPEN_ENDED);
        self.rest.shifted = true;
        self.forget_booked();
        self.serve(wakers);
        self.check_deadlines(wakers);
    }

    /// Tells those who can't be served by their deadline any more. Where that takes a walk through the whole queue
    /// for each change, they learn it when they look, which is when they were due before.
    fn check_deadlines(&mut self, wakers: &mut Wakers) {
        let earliest = self.rest.queue.earliest_deadline();
        if self.rest.queue.is_empty() || earliest == Timestamp::MAX || A::OPEN_ENDED {
            return;
        }
        if self.behind_all(0).is_none_or(|last| last > earliest) {
            self.retime(wakers);
        }
    }

    /// The state has jumped: whoever waits is served or re-timed.
    pub(super) fn changed(&mut self, wakers: &mut Wakers) {
        if self.rest.queue.is_empty() {
            self.update_flag();
            return;
        }
        // Nobody was due before the jump, so the state may be taken to be as of now.
        self.rest.served_until = self.latest;
        self.rest.booked = None;
        self.rest.stale = 0;
        self.serve(wakers);
        self.retime(wakers);
    }

    fn give_up_on(&mut self, ticket: Ticket, due: Timestamp, wakers: &mut Wakers) {
        let Some(waiter) = self.rest.queue.get(ticket) else { return };
        let late = WaitError::Timeout { retry_after: due - self.latest };
        let never = self.rest.rule.never(&self.state, self.latest, waiter.ask);
        self.rest.queue.finish(ticket, never.map_or(late, WaitError::from), wakers);
    }

    /// What is known of the time behind all who wait holds no more; where nobody can tell it exactly anyway, it still
    /// serves as a guess.
    fn forget_booked(&mut self) {
        if !A::OPEN_ENDED {
            self.rest.booked = None;
        }
    }

    /// Works out when each waiter is due, and wakes those whose alarm would ring too late. Who can't
    /// be served by its deadline any more is told so at once, and is in nobody's way.
    fn retime(&mut self, wakers: &mut Wakers) {
        let mut due = Vec::with_capacity(self.rest.queue.len());
        let booked = self.plan(|ticket, at, alarm, in_time| due.push((ticket, at, alarm, in_time)));
        self.rest.planned_now();
        for (ticket, at, alarm, in_time) in due {
            if in_time {
                self.rest.queue.set_due(ticket, at);
                self.rest.queue.call(ticket, alarm, wakers);
            } else {
                self.give_up_on(ticket, at, wakers);
            }
        }
        self.rest.queue.find_earliest_deadline();
        self.update_flag();
        self.rest.booked = (!self.rest.queue.is_empty()).then_some(booked);
    }

    /// Goes through the queue as time will: tells when each is due, when it should look, and whether that is in
    /// time, and returns the state once all are served, and when that is.
    fn plan(
        &self,
        mut tell: impl FnMut(Ticket, Timestamp, Timestamp, bool),
    ) -> (A::State, Timestamp) {
        let (mut state, mut at) = (self.state.clone(), self.rest.served_until);
        for (ticket, waiter) in self.rest.queue.iter() {
            let due = self.rest.rule.ready_at(&state, at, waiter.ask);
            // Who can never be served must not hold up those behind it, whatever its deadline.
            let never = A::OPEN_ENDED && due == Timestamp::MAX;
            let served = !never && !self.is_too_late(due, waiter.deadline);
            let beside = waiter.beside > self.latest && waiter.beside <= waiter.deadline;
            let in_time = served || (beside && waiter.beside != Timestamp::MAX);
            if served {
                at = due;
                self.rest.rule.take(&mut state, at, waiter.ask);
            }
            tell(ticket, due, alarm::<A>(due, waiter.deadline), in_time);
        }
        (state, at)
    }

    /// When `ask` can be had behind all who wait.
    pub(super) fn ready_behind_queue(&mut self, ask: A::Ask) -> Timestamp {
        if self.rest.queue.is_empty() {
            return self.rest.rule.ready_at(&self.state, self.latest, ask);
        }
        if let Some(ready) = self.behind_all(A::permits(ask)) {
            return ready;
        }
        if self.rest.booked.is_none() {
            // Nobody needs to be woken for this: due times only move up here, and `settle` tells.
            self.rest.booked = Some(self.plan(|_, _, _, _| ()));
        }
        match &self.rest.booked {
            Some((state, at)) => self.rest.rule.ready_at(state, (*at).max(self.latest), ask),
            None => Timestamp::MAX,
        }
    }

    /// When `permits` can be had behind all who wait, if that can be told without going through the queue.
    fn behind_all(&self, permits: u64) -> Option<Timestamp> {
        if !A::CUMULATIVE || !self.is_lossless(self.rest.queue.widest().max(permits)) {
            return None;
        }
        let total = u64::try_from(self.rest.queue.permits() + u128::from(permits)).ok()?;
        let (rule, since) = (&self.rest.rule, self.rest.served_until);
        Some(rule.ready_at(&self.state, since, A::ask(total)).max(self.latest))
    }

    /// Whether a wait for `permits` wastes nothing. One for all of the burst ends up to a nanosecond
    /// after the bucket was full, unless permits come at whole nanoseconds.
    fn is_lossless(&self, permits: u64) -> bool {
        let quota = self.rest.rule.quota();
        let (rate, period) = (u128::from(quota.permits()), quota.period().as_nanos());
        period.is_multiple_of(rate)
            || u128::from(permits) + rate.div_ceil(period.max(1)) <= self.rest.rule.limit().into()
    }
}

/// What happens to waiters who are noticed late: because a timer was late, or the whole process was held up.
#[derive(Clone, Copy, Debug)]
pub(super) struct Lateness {
    /// Who is overdue for less than this is served as of the time when it was due.
    bearable: Duration,
    /// Others are served as of this long ago.
    made_up: Duration,
}

impl Lateness {
    /// How long a late timer may be late without a loss of rate.
    const TIMERS: Duration = Duration::from_millis(10);

    /// At one instant at most so many permits are granted to waiters as the burst, or as come within
    /// `catch_up`; by default within 10 ms.
    pub(super) fn of<A: Rule>(rule: &A, catch_up: Option<Duration>) -> Self {
        let quota = rule.quota();
        if !A::CATCHES_UP || quota.permits() == 0 {
            return Self { bearable: Duration::ZERO, made_up: Duration::ZERO };
        }
        let fill = u128::from(quota.burst_size()).saturating_mul(quota.period().as_nanos());
        let fill = fill.div_ceil(quota.permits().into());
        let fill = Duration::from_nanos(u64::try_from(fill).unwrap_or(u64::MAX));
        let bearable = catch_up.unwrap_or(Self::TIMERS.max(fill));
        Self { bearable, made_up: bearable.saturating_sub(fill) }
    }
}
