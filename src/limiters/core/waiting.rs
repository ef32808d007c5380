//! The verbs of those who wait.
//!
//! When a waiter is due is worked out when it joins. What happens later moves all who wait by about the same:
//! the *drift* is by how much the first in line is due later (or earlier) than was worked out, and counts for
//! all. So a change costs as much with one waiter as with a hundred thousand. What it does not tell exactly is
//! made good when the waiter looks, when it becomes the first in line, or when the whole queue is worked
//! out anew, after as many changes as a quarter of those who wait.

use std::task::Waker;
use std::time::Duration;

use super::{Core, Rest, Rule, UNKNOWN};
use crate::wait::queue::{Outcome, Taken, Ticket, Waiter, Wakers, moved};
use crate::wait::{Joined, Progress};
use crate::{Grant, Timestamp, WaitError};

/// So many of the first in line are told when something is given back.
const FIRST: usize = 16;

/// A queue of so many is short: a walk through it is nothing.
const SHORT: usize = 16;

/// Whether nobody can tell when that is.
fn is_unknown<A: Rule>(due: Timestamp) -> bool {
    A::OPEN_ENDED && due == UNKNOWN
}

/// When one who waits looks again by itself: when it is due, or at its deadline if nobody can tell.
pub(super) fn alarm<A: Rule>(due: Timestamp, deadline: Timestamp) -> Timestamp {
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
        let (mut taken, mut ready_beside) = self.take_at_once(ready, ask, held);
        let is_late = self.is_too_late(ready.min(ready_beside), deadline)
            && (self.rest.stale > 0 || (A::OPEN_ENDED && !self.rest.is_planned()));
        if taken.is_none() && (is_late || self.is_worth_a_walk(deadline)) {
            // Only a guess, or some of those before it can't be served in time themselves.
            self.retime(wakers);
            ready = self.ready_behind_queue(ask);
            (taken, ready_beside) = self.take_at_once(ready, ask, held);
        }
        if let Some(taken) = taken {
            return Ok(Joined::Granted(self.grant(ask, taken)));
        }
        ready = ready.min(ready_beside);
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
        let due = if is_unknown::<A>(ready) { ready } else { moved(ready, -self.rest.drift) };
        let alarm = alarm::<A>(ready, deadline);
        let queue = &mut self.rest.queue;
        let ticket = queue.push(ask, A::permits(ask), due, alarm, deadline, waker);
        self.book(ticket, ready, ask);
        self.line_up(ticket, ask, ready_beside);
        self.update_flag();
        Ok(Joined::Queued(ticket, alarm))
    }

    /// Takes what nobody who waits has a claim to; else when it could be had beside them.
    fn take_at_once(
        &mut self,
        ready: Timestamp,
        ask: A::Ask,
        held: bool,
    ) -> (Option<Taken>, Timestamp) {
        if !self.rest.queue.is_empty() {
            return self.beside(ask);
        }
        let taken = match held {
            _ if ready > self.latest => None,
            true => self.hold_if_ready(ask),
            false => self.take_if_ready(ask).map(Taken::finally),
        };
        (taken, Timestamp::MAX)
    }

    /// Whether one who is due then can't be served by its deadline.
    pub(super) fn is_too_late(&self, due: Timestamp, deadline: Timestamp) -> bool {
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
        self.recall(ticket, wakers);
        // Whoever looks in time is served in time: those before it who have not looked may never do.
        let in_time = self.rest.queue.get(ticket).is_some_and(|waiter| {
            let late = self.latest - self.expected(waiter);
            // A rule that catches nothing up still serves whoever looks at the very moment.
            late + Lateness::ROUNDED < self.rest.lateness.bearable
                || (late.is_zero() && !self.rest.rule.catches_up())
        });
        self.serve_all(!in_time, wakers);
        if self.rest.queue.missed(ticket).is_some() {
            // It was later than expected.
            self.recall(ticket, wakers);
            self.serve(wakers);
        }
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
                // Those behind it may have waited for nobody else.
                self.serve_beside(wakers);
                self.update_flag();
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

    /// A waiter that has missed its turn looks: it gets what is left of the permits that were spent for such as it, or
    /// has its place back and is served as of now.
    fn recall(&mut self, ticket: Ticket, wakers: &mut Wakers) {
        let Some(ask) = self.rest.queue.missed(ticket) else { return };
        self.serve(wakers);
        let never = self.rest.rule.never(&self.state, self.latest, ask);
        let (refusal, permits) = (self.rest.shut.or(never), A::permits(ask));
        if refusal.is_none() && permits <= self.rest.missed {
            self.rest.missed -= permits;
            self.allowed = self.allowed.wrapping_add(permits);
            self.rest.queue.make_up(ticket);
            return;
        }
        let due = moved(self.rest.rule.ready_at(&self.state, self.latest, ask), -self.rest.drift);
        self.rest.queue.put_back(ticket, permits, due);
        if let Some(refusal) = refusal {
            self.rest.queue.finish(ticket, refusal.into(), wakers);
            return;
        }
        // Nobody else is due, and whoever waits is served behind it.
        self.rest.served_until = self.latest;
        self.rest.stale += 1;
        self.forget_booked();
        self.update_flag();
    }

    /// How a wait has ended, handed out once: from then on its permits are final, unless they are `held`.
    fn fetch(&mut self, ticket: Ticket, held: bool) -> Option<Result<Grant, WaitError>> {
        let (ask, outcome) = self.rest.queue.fetch(ticket)?;
        match outcome {
            Outcome::Served(taken) => {
                if !held {
                    self.rest.rule.release(&mut self.state, ask, taken);
                }
                Some(Ok(self.grant(ask, taken)))
            }
            Outcome::Failed(error) => {
                self.count_denied(A::permits(ask));
                Some(Err(error))
            }
            // It was put back before.
            Outcome::Missed { .. } => None,
        }
    }

    /// When a waiter will be served, as far as is known without working out the whole queue. Never
    /// before anybody can be.
    fn expected(&self, waiter: &Waiter<A::Ask>) -> Timestamp {
        let now = |due| if is_unknown::<A>(due) { due } else { moved(due, self.rest.drift) };
        let head = self.rest.queue.head().map_or(Timestamp::ZERO, |(_, head)| now(head.due));
        now(waiter.due).max(head.min(self.rest.lines.next)).min(waiter.beside)
    }

    /// When `ticket` will be served, worked out anew; time zero if it has been, never if it has failed.
    pub(crate) fn due(&mut self, now: Timestamp, ticket: Ticket, wakers: &mut Wakers) -> Timestamp {
        self.settle(now, wakers);
        if !self.rest.is_planned() {
            self.retime(wakers);
        }
        let Rest { queue, rule, .. } = &*self.rest;
        match (queue.get(ticket), queue.missed(ticket)) {
            (Some(waiter), _) => waiter.due,
            (None, Some(ask)) => rule.ready_at(&self.state, self.latest, ask),
            (None, None) if queue.is_granted(ticket) => Timestamp::ZERO,
            (None, None) => Timestamp::MAX,
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
            if let Outcome::Served(taken) = outcome {
                self.undo(now, ask, taken, wakers);
            }
        } else if let Some(permits) =
            self.rest.queue.remove(ticket, self.latest, self.rest.drift, wakers)
        {
            self.end_departure(ticket, permits, wakers);
        }
    }

    /// Ends the wait of `ticket` for a reason that is not this limiter's.
    pub(crate) fn fail(&mut self, ticket: Ticket, error: WaitError, wakers: &mut Wakers) {
        if let Some(waiter) = self.rest.queue.get(ticket) {
            let permits = A::permits(waiter.ask);
            self.rest.queue.finish(ticket, error, wakers);
            self.end_departure(ticket, permits, wakers);
        } else {
            self.rest.queue.fail_missed(ticket, error);
        }
    }

    /// One who waited for `permits` has left: those behind it move up.
    fn end_departure(&mut self, ticket: Ticket, permits: u64, wakers: &mut Wakers) {
        let is_near = self.rest.queue.iter().take(FIRST).any(|(other, _)| ticket < other);
        if self.rest.queue.head().is_none_or(|(head, _)| ticket < head) {
            // Whoever moves up to the head can't have been served before.
            self.rest.served_until = self.latest;
        }
        self.rest.stale += 1;
        self.forget_booked();
        self.rest.gave_back(permits);
        self.serve(wakers);
        if is_near {
            self.tell_first(wakers);
        }
    }

    /// Serves all who are due, in order, and tells the next one when it will be.
    pub(super) fn serve(&mut self, wakers: &mut Wakers) {
        self.serve_all(true, wakers);
    }

    /// The same; `stalled` says whether waiters who are overdue may all have been held up. If not, somebody behind
    /// them looks in time, and who is long overdue has missed its turn.
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
            let is_promise = waiter.is_promise;
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
            // Served at another time than was planned, it may be by another bucket.
            let is_off = A::OPEN_ENDED
                && (is_unknown::<A>(planned) || due != moved(planned, self.rest.drift));
            self.rest.stale += usize::from(is_off);
            if !stalled && !is_promise && self.is_missed(due) {
                self.pass_by(ticket, ask, due, wakers);
            } else {
                self.grant_waiter(ticket, ask, due, wakers);
            }
        }
        self.serve_beside(wakers);
        self.update_flag();
        // To work out the whole queue at each change would be quadratic.
        if self.rest.stale * 4 > self.rest.queue.len()
            || self.rest.given_back.saturating_mul(4) > self.rest.queue.permits()
            || self.is_worth_a_walk(self.rest.queue.earliest_deadline())
        {
            self.retime(wakers);
        }
    }

    /// Whether who was due then is noticed too late to be served as of then.
    fn is_missed(&self, due: Timestamp) -> bool {
        let late = self.latest - due;
        !A::OPEN_ENDED && !late.is_zero() && late + Lateness::ROUNDED >= self.rest.lateness.bearable
    }

    /// Spends the permits of a waiter that has missed its turn, so that those behind it are served at their times.
    fn pass_by(&mut self, ticket: Ticket, ask: A::Ask, at: Timestamp, wakers: &mut Wakers) {
        self.rest.rule.take(&mut self.state, at, ask);
        self.rest.served_until = at;
        if self.rest.rule.catches_up() {
            let missed = self.rest.missed.saturating_add(A::permits(ask));
            self.rest.missed = missed.min(self.rest.rule.limit());
        }
        self.rest.queue.miss(ticket, wakers);
    }

    /// Serves a waiter as of `at`.
    fn grant_waiter(&mut self, ticket: Ticket, ask: A::Ask, at: Timestamp, wakers: &mut Wakers) {
        let receipt = self.next_receipt(at);
        let by = self.rest.rule.hold(&mut self.state, at, ask, ticket.number(), receipt);
        self.rest.served_until = at;
        self.allowed = self.allowed.wrapping_add(A::permits(ask));
        self.rest.queue.grant(ticket, Taken { by, receipt, by_all: None }, self.latest, wakers);
    }

    /// The first in line move up because something was given back before them: tells those who would be late. That
    /// takes more than one, since the first may not be polled, and then nobody would look for those behind it.
    fn tell_first(&mut self, wakers: &mut Wakers) {
        if A::OPEN_ENDED || self.rest.queue.is_empty() {
            return;
        }
        let (mut state, mut at) = (self.state.clone(), self.rest.served_until);
        let mut told = Vec::with_capacity(FIRST);
        for (ticket, waiter) in self.rest.queue.iter().take(FIRST) {
            at = self.rest.rule.ready_at(&state, at, waiter.ask);
            self.rest.rule.take(&mut state, at, waiter.ask);
            told.push((ticket, at));
        }
        for (ticket, due) in told {
            self.rest.queue.set_due(ticket, moved(due, -self.rest.drift));
            self.rest.queue.call_if_late(ticket, due, self.latest, wakers);
        }
    }

    /// Whether the queue is short enough to find out at once who can't be served by its deadline any more.
    fn is_worth_a_walk(&self, earliest_deadline: Timestamp) -> bool {
        A::OPEN_ENDED
            && earliest_deadline < Timestamp::MAX
            && self.rest.queue.len() <= SHORT
            && !self.rest.is_planned()
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

    /// `permits` were given back: whoever waits moves up, like after a departure.
    pub(crate) fn sooner(&mut self, permits: u64, wakers: &mut Wakers) {
        if self.rest.queue.is_empty() {
            return;
        }
        self.rest.served_until = self.latest;
        self.rest.stale += 1;
        self.forget_booked();
        self.rest.gave_back(permits);
        self.serve(wakers);
        self.tell_first(wakers);
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
    /// for each change, they learn it when they look, which is when they were due before; or at once, if it is short.
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
        self.line_up_anew();
        self.serve(wakers);
        self.retime(wakers);
    }

    pub(super) fn give_up_on(&mut self, ticket: Ticket, due: Timestamp, wakers: &mut Wakers) {
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
        let mut has_left = false;
        for (ticket, at, alarm, in_time) in due {
            if in_time {
                self.rest.queue.set_due(ticket, at);
                self.rest.queue.call(ticket, alarm, wakers);
            } else {
                self.give_up_on(ticket, at, wakers);
                has_left = true;
            }
        }
        if has_left {
            // As planned: those behind them may have waited for nobody else.
            self.serve_beside(wakers);
            self.rest.planned_now();
        }
        self.rest.queue.find_earliest_deadline();
        self.update_flag();
        self.rest.booked = (!self.rest.queue.is_empty()).then_some(booked);
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
    /// By how much lateness and the bearable one may be wrong together, because times are whole nanoseconds.
    const ROUNDED: Duration = Duration::from_nanos(2);

    /// At one instant at most so many permits are granted to waiters as the burst, or as come within
    /// `catch_up`; by default within 10 ms.
    pub(super) fn of<A: Rule>(rule: &A, catch_up: Option<Duration>) -> Self {
        let quota = rule.quota();
        if !rule.catches_up() || quota.permits() == 0 {
            return Self { bearable: Duration::ZERO, made_up: Duration::ZERO };
        }
        let fill = u128::from(quota.burst_size()).saturating_mul(quota.period().as_nanos());
        let fill = fill.div_ceil(quota.permits().into());
        let fill = Duration::from_nanos(u64::try_from(fill).unwrap_or(u64::MAX));
        let bearable = catch_up.unwrap_or(Self::TIMERS.max(fill));
        Self { bearable, made_up: bearable.saturating_sub(fill) }
    }
}
