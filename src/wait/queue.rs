//! Who waits, in which order: a plain data structure under the limiter's lock.

use std::any::Any;
use std::collections::{BTreeMap, HashMap};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::task::Waker;
use std::time::Duration;

use crate::algorithm::Receipt;
use crate::{Timestamp, WaitError};

/// How many places behind one that is given up are looked at for a waiter that can be told.
const LOOKED_AT: usize = 16;
/// Who moves up is told once it would be late by more than this part of what it has to wait,
const TOLERATED: u32 = 8;
/// and this.
const MOMENT: Duration = Duration::from_micros(500);

/// A place in the queue. Tickets count up, so their order is the order of arrival.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Ticket(u64);

impl Ticket {
    pub(crate) const FIRST: Self = Self(0);

    /// So many came before.
    pub(crate) fn number(self) -> u64 {
        self.0
    }

    /// The one after this.
    pub(crate) fn next(self) -> Self {
        Self(self.0.wrapping_add(1))
    }
}

/// One who waits.
#[derive(Debug)]
pub(crate) struct Waiter<Q> {
    pub(crate) ask: Q,
    /// The permits of it.
    permits: u64,
    /// When it is to be served, as of the last time that this was worked out for the whole queue.
    pub(crate) due: Timestamp,
    /// When it looks by itself.
    alarm: Timestamp,
    /// It gives up after this.
    pub(crate) deadline: Timestamp,
    /// Whether it is a promise to one who sleeps by itself, and need not look again.
    pub(crate) is_promise: bool,
    /// When it can be served beside those before it, by what they can't use.
    pub(crate) beside: Timestamp,
    waker: Option<Waker>,
}

impl<Q> Waiter<Q> {
    fn new(
        ask: Q,
        permits: u64,
        due: Timestamp,
        alarm: Timestamp,
        deadline: Timestamp,
        waker: Option<Waker>,
    ) -> Self {
        let (is_promise, beside) = (false, Timestamp::MAX);
        Self { ask, permits, due, alarm, deadline, is_promise, beside, waker }
    }

    /// It is due at `due`: wakes it if its alarm would ring much later. A few departures are no reason to.
    fn call_if_late(&mut self, due: Timestamp, now: Timestamp, wakers: &mut Wakers) {
        if self.alarm - due > (due - now) / TOLERATED + MOMENT {
            self.alarm = due;
            wakers.push(self.waker.take());
        }
    }
}

/// Where permits were taken from, and the receipt for giving them back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Taken {
    /// Which of several buckets served it.
    pub(crate) by: u32,
    pub(crate) receipt: Receipt,
    /// The receipt of the limit for everybody, if that was charged too.
    pub(crate) by_all: Option<Receipt>,
}

impl Taken {
    /// A grant that will not be given back.
    pub(crate) fn finally(by: u32) -> Self {
        Self { by, ..Self::default() }
    }
}

/// How a wait ended.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Outcome {
    Served(Taken),
    Failed(WaitError),
    /// Its turn has passed, long before anybody noticed: its permits are spent. Once it looks itself, it is
    /// the next to be served.
    Missed {
        deadline: Timestamp,
    },
}

/// `due` later by `drift` nanoseconds, or earlier.
pub(crate) fn moved(due: Timestamp, drift: i128) -> Timestamp {
    let nanos = i128::from(due.as_nanos()).saturating_add(drift).max(0);
    Timestamp::from_wide(nanos.unsigned_abs())
}

/// FIFO with removal from the middle. Served waiters leave an outcome behind until they fetch it.
#[derive(Debug)]
pub(crate) struct Queue<Q> {
    waiting: BTreeMap<Ticket, Waiter<Q>>,
    outcomes: HashMap<Ticket, (Q, Outcome)>,
    next: u64,
    /// Sum of the waiting permits.
    permits: u128,
    /// The most that one has asked for since the queue was empty.
    widest: u64,
    /// No deadline of a waiter is earlier.
    earliest_deadline: Timestamp,
}

/// Wakers to be called, or just dropped, once the lock is released: either may run foreign code, and
/// the last waker of a task may own its future.
#[derive(Debug, Default)]
#[must_use = "woken when dropped, which must not happen under the lock"]
pub(crate) struct Wakers {
    wake: Vec<Waker>,
    /// No longer needed. Mostly there is one, which then costs no allocation.
    spent: Option<Waker>,
    more_spent: Vec<Waker>,
}

impl Wakers {
    fn push(&mut self, waker: Option<Waker>) {
        self.wake.extend(waker);
    }

    fn discard(&mut self, waker: Option<Waker>) {
        if let Some(waker) = waker {
            self.more_spent.extend(self.spent.replace(waker));
        }
    }
}

impl FromIterator<Waker> for Wakers {
    fn from_iter<I: IntoIterator<Item = Waker>>(wakers: I) -> Self {
        Self { wake: wakers.into_iter().collect(), spent: None, more_spent: Vec::new() }
    }
}

impl Drop for Wakers {
    /// Wakes all, also if waking one panics: the others' own alarms may be far away. The first panic goes on
    /// after that, unless there is one already: a second would abort the process.
    fn drop(&mut self) {
        let mut panic = None;
        for waker in self.wake.drain(..) {
            keep_first(&mut panic, || waker.wake());
        }
        // The drop of a waker may run foreign code as well.
        for waker in self.spent.take().into_iter().chain(self.more_spent.drain(..)) {
            keep_first(&mut panic, || drop(waker));
        }
        match panic {
            Some(panic) if !std::thread::panicking() => resume_unwind(panic),
            // The drop of what was thrown could panic, too.
            Some(panic) => std::mem::forget(panic),
            None => {}
        }
    }
}

/// Runs foreign code, so that what comes after it is not left out if it panics.
fn keep_first(first: &mut Option<Box<dyn Any + Send>>, act: impl FnOnce()) {
    if let Err(panic) = catch_unwind(AssertUnwindSafe(act)) {
        match first {
            None => *first = Some(panic),
            Some(_) => std::mem::forget(panic),
        }
    }
}

impl<Q> Default for Queue<Q> {
    fn default() -> Self {
        Self {
            waiting: BTreeMap::new(),
            outcomes: HashMap::new(),
            next: 0,
            permits: 0,
            widest: 0,
            earliest_deadline: Timestamp::MAX,
        }
    }
}

/// An empty table of outcomes with room for more than this gives the room back.
const ROOM: usize = 64;

impl<Q: Copy> Queue<Q> {
    pub(crate) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Whether nobody waits or has an outcome to fetch.
    pub(crate) fn is_unused(&self) -> bool {
        self.waiting.is_empty() && self.outcomes.is_empty()
    }

    pub(crate) fn len(&self) -> usize {
        self.waiting.len()
    }

    pub(crate) fn permits(&self) -> u128 {
        self.permits
    }

    pub(crate) fn widest(&self) -> u64 {
        self.widest
    }

    /// No waiter gives up before this time.
    pub(crate) fn earliest_deadline(&self) -> Timestamp {
        self.earliest_deadline
    }

    /// Works the earliest deadline out anew.
    pub(crate) fn find_earliest_deadline(&mut self) {
        let deadlines = self.waiting.values().map(|waiter| waiter.deadline);
        self.earliest_deadline = deadlines.min().unwrap_or(Timestamp::MAX);
    }

    /// Adds a waiter that is `due` as the whole queue counts, and looks by itself at `alarm`.
    pub(crate) fn push(
        &mut self,
        ask: Q,
        permits: u64,
        due: Timestamp,
        alarm: Timestamp,
        deadline: Timestamp,
        waker: Option<&Waker>,
    ) -> Ticket {
        // Before anything changes, because it may panic.
        let waker = waker.cloned();
        let ticket = Ticket(self.next);
        self.next += 1;
        let is_promise = waker.is_none();
        let waiter = Waiter::new(ask, permits, due, alarm, deadline, waker);
        self.insert(ticket, Waiter { is_promise, ..waiter });
        ticket
    }

    fn insert(&mut self, ticket: Ticket, waiter: Waiter<Q>) {
        let Waiter { permits, deadline, .. } = waiter;
        if self.is_empty() {
            (self.widest, self.earliest_deadline) = (permits, deadline);
        }
        self.widest = self.widest.max(permits);
        self.earliest_deadline = self.earliest_deadline.min(deadline);
        self.permits += u128::from(permits);
        self.waiting.insert(ticket, waiter);
    }

    /// The one whose turn is next.
    pub(crate) fn head(&self) -> Option<(Ticket, &Waiter<Q>)> {
        self.waiting.first_key_value().map(|(ticket, waiter)| (*ticket, waiter))
    }

    pub(crate) fn get(&self, ticket: Ticket) -> Option<&Waiter<Q>> {
        self.waiting.get(&ticket)
    }

    /// Those who wait, in order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (Ticket, &Waiter<Q>)> {
        self.waiting.iter().map(|(ticket, waiter)| (*ticket, waiter))
    }

    /// The same, to be changed.
    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = (Ticket, &mut Waiter<Q>)> {
        self.waiting.iter_mut().map(|(ticket, waiter)| (*ticket, waiter))
    }

    /// Ends a wait well at `now`. Its waiter is woken only if its own alarm would ring later.
    pub(crate) fn grant(
        &mut self,
        ticket: Ticket,
        taken: Taken,
        now: Timestamp,
        wakers: &mut Wakers,
    ) {
        if let Some(waiter) = self.take(ticket) {
            if waiter.alarm > now {
                wakers.push(waiter.waker);
            } else {
                wakers.discard(waiter.waker);
            }
            self.outcomes.insert(ticket, (waiter.ask, Outcome::Served(taken)));
        }
    }

    /// Lets the turn of a waiter pass, whose alarm has rung long ago.
    pub(crate) fn miss(&mut self, ticket: Ticket, wakers: &mut Wakers) {
        if let Some(waiter) = self.take(ticket) {
            wakers.push(waiter.waker);
            let missed = Outcome::Missed { deadline: waiter.deadline };
            self.outcomes.insert(ticket, (waiter.ask, missed));
        }
    }

    /// Ends the wait of one that has missed its turn well after all. Nothing of that will be given back.
    pub(crate) fn make_up(&mut self, ticket: Ticket) {
        if let Some((_, outcome @ Outcome::Missed { .. })) = self.outcomes.get_mut(&ticket) {
            *outcome = Outcome::Served(Taken::default());
        }
    }

    /// Puts back the place of a waiter that has missed its turn and is now `due` as the whole queue counts.
    pub(crate) fn put_back(&mut self, ticket: Ticket, permits: u64, due: Timestamp) {
        let Some((ask, Outcome::Missed { deadline })) = self.outcomes.get(&ticket).copied() else {
            return;
        };
        self.fetch(ticket);
        self.insert(ticket, Waiter::new(ask, permits, due, Timestamp::MAX, deadline, None));
    }

    /// Ends a wait; its waiter is woken to fetch the outcome.
    pub(crate) fn finish(&mut self, ticket: Ticket, error: WaitError, wakers: &mut Wakers) {
        if let Some(waiter) = self.take(ticket) {
            wakers.push(waiter.waker);
            self.outcomes.insert(ticket, (waiter.ask, Outcome::Failed(error)));
        }
    }

    /// Ends all waits.
    pub(crate) fn finish_all(&mut self, error: WaitError, wakers: &mut Wakers) {
        while let Some((ticket, _)) = self.head() {
            self.finish(ticket, error, wakers);
        }
    }

    /// Gives up a place; says how many permits it was for, if there was one.
    ///
    /// All who wait are due `drift` nanoseconds later than is noted. The waiter behind it moves up. Those further back are told when it is served, or when the whole queue is
    /// worked out anew.
    pub(crate) fn remove(
        &mut self,
        ticket: Ticket,
        now: Timestamp,
        drift: i128,
        wakers: &mut Wakers,
    ) -> Option<u64> {
        let gone = self.take(ticket)?;
        let before = self.waiting.range(..ticket).next_back().map(|(_, waiter)| waiter.due);
        // A reservation has nobody to be told: its holder sleeps by itself.
        let behind = self.waiting.range_mut(ticket..).take(LOOKED_AT);
        if let Some((_, next)) = behind.into_iter().find(|(_, next)| next.waker.is_some()) {
            let due = if next.permits >= gone.permits { Some(gone.due) } else { before };
            next.due = next.due.min(due.unwrap_or(moved(now, -drift)));
            let expected = moved(next.due, drift);
            next.call_if_late(expected, now, wakers);
        }
        wakers.discard(gone.waker);
        Some(gone.permits)
    }

    fn take(&mut self, ticket: Ticket) -> Option<Waiter<Q>> {
        let waiter = self.waiting.remove(&ticket)?;
        self.permits -= u128::from(waiter.permits);
        Some(waiter)
    }

    /// The outcome of a finished wait and what it asked for, handed out once.
    pub(crate) fn fetch(&mut self, ticket: Ticket) -> Option<(Q, Outcome)> {
        let outcome = self.outcomes.remove(&ticket)?;
        if self.outcomes.is_empty() && self.outcomes.capacity() > ROOM {
            self.outcomes = HashMap::new();
        }
        Some(outcome)
    }

    /// Whether a wait has ended well and nobody has fetched that yet.
    pub(crate) fn is_granted(&self, ticket: Ticket) -> bool {
        matches!(self.outcomes.get(&ticket), Some((_, Outcome::Served(_))))
    }

    /// Ends the wait of one that has missed its turn.
    pub(crate) fn fail_missed(&mut self, ticket: Ticket, error: WaitError) {
        if let Some((_, outcome @ Outcome::Missed { .. })) = self.outcomes.get_mut(&ticket) {
            *outcome = Outcome::Failed(error);
        }
    }

    /// What a waiter asks for that has missed its turn.
    pub(crate) fn missed(&self, ticket: Ticket) -> Option<Q> {
        match self.outcomes.get(&ticket) {
            Some((ask, Outcome::Missed { .. })) => Some(*ask),
            _ => None,
        }
    }

    /// Who to wake when something changes for `ticket`.
    pub(crate) fn set_waker(&mut self, ticket: Ticket, waker: &Waker, wakers: &mut Wakers) {
        if let Some(waiter) = self.waiting.get_mut(&ticket) {
            if !waiter.waker.as_ref().is_some_and(|old| old.will_wake(waker)) {
                wakers.discard(waiter.waker.replace(waker.clone()));
            }
        }
    }

    /// Notes when a waiter is due as the whole queue counts.
    pub(crate) fn set_due(&mut self, ticket: Ticket, due: Timestamp) {
        if let Some(waiter) = self.waiting.get_mut(&ticket) {
            waiter.due = due;
        }
    }

    /// Notes when a waiter can be served beside those before it.
    pub(crate) fn set_beside(&mut self, ticket: Ticket, beside: Timestamp) {
        if let Some(waiter) = self.waiting.get_mut(&ticket) {
            waiter.beside = beside;
        }
    }

    /// The waiter will look by itself at `alarm`.
    pub(crate) fn set_alarm(&mut self, ticket: Ticket, alarm: Timestamp) {
        if let Some(waiter) = self.waiting.get_mut(&ticket) {
            waiter.alarm = alarm;
        }
    }

    /// The waiter is due at `due`: wakes it if its alarm would ring much later.
    pub(crate) fn call_if_late(
        &mut self,
        ticket: Ticket,
        due: Timestamp,
        now: Timestamp,
        wakers: &mut Wakers,
    ) {
        if let Some(waiter) = self.waiting.get_mut(&ticket) {
            waiter.call_if_late(due, now, wakers);
        }
    }

    /// The waiter must look at `at` or before: wakes it if its alarm would ring later.
    pub(crate) fn call(&mut self, ticket: Ticket, at: Timestamp, wakers: &mut Wakers) {
        if let Some(waiter) = self.waiting.get_mut(&ticket) {
            if at < waiter.alarm {
                waiter.alarm = at;
                wakers.push(waiter.waker.take());
            }
        }
    }
}
