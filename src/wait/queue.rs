//! Who waits, in which order: a plain data structure under the limiter's lock.

use std::collections::{BTreeMap, HashMap};
use std::task::Waker;

use crate::{Timestamp, WaitError};

/// A place in the queue. Tickets count up, so their order is the order of arrival.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ticket(u64);

impl Ticket {
    pub(crate) const FIRST: Self = Self(0);

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
    /// When it is to be served, as last told to it; it wakes no later.
    pub(crate) due: Timestamp,
    /// It gives up after this.
    pub(crate) deadline: Timestamp,
    waker: Option<Waker>,
}

/// How a wait ended: served from this bucket, or why not.
pub(crate) type Outcome = Result<u32, WaitError>;

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

impl Drop for Wakers {
    fn drop(&mut self) {
        for waker in self.wake.drain(..) {
            waker.wake();
        }
    }
}

impl<Q> Default for Queue<Q> {
    fn default() -> Self {
        Self { waiting: BTreeMap::new(), outcomes: HashMap::new(), next: 0, permits: 0, widest: 0 }
    }
}

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

    pub(crate) fn push(
        &mut self,
        ask: Q,
        permits: u64,
        due: Timestamp,
        deadline: Timestamp,
        waker: Option<&Waker>,
    ) -> Ticket {
        let ticket = Ticket(self.next);
        self.next += 1;
        self.widest = if self.is_empty() { permits } else { self.widest.max(permits) };
        self.permits += u128::from(permits);
        self.waiting.insert(ticket, Waiter { ask, permits, due, deadline, waker: waker.cloned() });
        ticket
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

    /// Ends a wait well at `now`. Its waiter is woken only if its own alarm would ring later.
    pub(crate) fn grant(&mut self, ticket: Ticket, by: u32, now: Timestamp, wakers: &mut Wakers) {
        if let Some(waiter) = self.take(ticket) {
            if waiter.due > now {
                wakers.push(waiter.waker);
            } else {
                wakers.discard(waiter.waker);
            }
            self.outcomes.insert(ticket, (waiter.ask, Ok(by)));
        }
    }

    /// Ends a wait; its waiter is woken to fetch the outcome.
    pub(crate) fn finish(&mut self, ticket: Ticket, outcome: Outcome, wakers: &mut Wakers) {
        if let Some(waiter) = self.take(ticket) {
            wakers.push(waiter.waker);
            self.outcomes.insert(ticket, (waiter.ask, outcome));
        }
    }

    /// Ends all waits.
    pub(crate) fn finish_all(&mut self, outcome: Outcome, wakers: &mut Wakers) {
        while let Some((ticket, _)) = self.head() {
            self.finish(ticket, outcome, wakers);
        }
    }

    /// Gives up a place; says whether there was one.
    pub(crate) fn remove(&mut self, ticket: Ticket, wakers: &mut Wakers) -> bool {
        let Some(waiter) = self.take(ticket) else { return false };
        wakers.discard(waiter.waker);
        true
    }

    fn take(&mut self, ticket: Ticket) -> Option<Waiter<Q>> {
        let waiter = self.waiting.remove(&ticket)?;
        self.permits -= u128::from(waiter.permits);
        Some(waiter)
    }

    /// The outcome of a finished wait and what it asked for, handed out once.
    pub(crate) fn fetch(&mut self, ticket: Ticket) -> Option<(Q, Outcome)> {
        self.outcomes.remove(&ticket)
    }

    /// Whether a wait has ended well and nobody has fetched that yet.
    pub(crate) fn is_granted(&self, ticket: Ticket) -> bool {
        self.outcomes.get(&ticket).is_some_and(|(_, outcome)| outcome.is_ok())
    }

    /// Who to wake when something changes for `ticket`.
    pub(crate) fn set_waker(&mut self, ticket: Ticket, waker: &Waker, wakers: &mut Wakers) {
        if let Some(waiter) = self.waiting.get_mut(&ticket)
            && !waiter.waker.as_ref().is_some_and(|old| old.will_wake(waker))
        {
            wakers.discard(waiter.waker.replace(waker.clone()));
        }
    }

    /// Re-times a waiter. It must be woken only if its own alarm would ring too late.
    pub(crate) fn set_due(&mut self, ticket: Ticket, due: Timestamp, wakers: &mut Wakers) {
        if let Some(waiter) = self.waiting.get_mut(&ticket) {
            if due < waiter.due {
                wakers.push(waiter.waker.take());
            }
            waiter.due = due;
        }
    }
}
