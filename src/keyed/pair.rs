//! Waiting for a key's permits and for everybody's.
//!
//! A waiter stands in its key's line first, and joins everybody's only when its key's permits are
//! its own: a key with a long line of its own keeps nobody else waiting. A reservation is a promise,
//! so it takes its place in both lines at once.

use std::collections::HashMap;
use std::hash::BuildHasher;
use std::ops::Deref;
use std::sync::Arc;
use std::task::Waker;
use std::time::Duration;

use super::Keyed;
use super::key::{Key, KeyRef};
use super::view::ForKey;
use crate::algorithm::Algorithm;
use crate::bucket::gate::Gate;
use crate::sync::Mutex;
use crate::wait::{Joined, Progress, Ticket, WaitQueue};
use crate::{Clock, Grant, RateLimiter, Rejection, Timestamp, TokenBucket, WaitError};

/// Where those who wait by way of one view stand.
#[derive(Debug, Default)]
pub(super) struct Places(Mutex<Tickets>);

#[derive(Debug, Default)]
struct Tickets {
    last: Option<Ticket>,
    places: HashMap<Ticket, Place>,
}

/// A line in which somebody stands, or has what it stood for.
#[derive(Clone, Copy, Debug)]
enum Line {
    NotYet,
    At(Ticket),
    Done,
    /// There is nothing to stand for: the key is exempt.
    Never,
}

#[derive(Clone, Copy, Debug)]
struct Place {
    permits: u64,
    deadline: Timestamp,
    key: Line,
    global: Line,
}

impl Places {
    fn enter(&self, place: Place) -> Ticket {
        let mut all = self.0.lock();
        let ticket = all.last.map_or(Ticket::FIRST, Ticket::next);
        all.last = Some(ticket);
        all.places.insert(ticket, place);
        ticket
    }

    fn get(&self, ticket: Ticket) -> Option<Place> {
        self.0.lock().places.get(&ticket).copied()
    }

    fn set(&self, ticket: Ticket, changed: Place) {
        if let Some(place) = self.0.lock().places.get_mut(&ticket) {
            *place = changed;
        }
    }

    fn remove(&self, ticket: Ticket) -> Option<Place> {
        self.0.lock().places.remove(&ticket)
    }
}

/// In a grant: everybody's limit has been charged, too.
const BOTH: u32 = 1;

/// A grant by both.
pub(super) fn least(one: Grant, other: Grant) -> Grant {
    Grant {
        permits: one.permits,
        remaining: one.remaining.min(other.remaining),
        by: BOTH,
        reset_after: one.reset_after.max(other.reset_after),
    }
}

impl Rejection {
    /// The same from the limit for everybody.
    pub(super) fn by_global(self) -> Self {
        match self {
            Self::Denied { retry_after, available, .. } => {
                Self::Denied { retry_after, available, limit: Self::GLOBAL }
            }
            Self::ExceedsBurst { requested, burst, .. } => {
                Self::ExceedsBurst { requested, burst, limit: Self::GLOBAL }
            }
            other => other,
        }
    }
}

impl WaitError {
    fn by_global(self) -> Self {
        match self {
            Self::ExceedsBurst { requested, burst, .. } => {
                Self::ExceedsBurst { requested, burst, limit: Rejection::GLOBAL }
            }
            other => other,
        }
    }
}

type Global<C> = TokenBucket<Arc<C>>;

impl<L, Q, K, A, C, S> ForKey<L, Q>
where
    L: Deref<Target = Keyed<K, A, C, S>> + Send + Sync,
    Q: Deref + Send + Sync,
    Q::Target: KeyRef<K>,
    K: Key,
    A: Algorithm,
    C: Clock,
    S: BuildHasher + Send + Sync + 'static,
{
    fn join_both(
        &self,
        global: &Global<C>,
        permits: u64,
        deadline: Timestamp,
        waker: Option<&Waker>,
    ) -> Result<Joined, WaitError> {
        self.refuse_by(global, permits, deadline)?;
        let mut place = Place { permits, deadline, key: Line::Done, global: Line::NotYet };
        let (granted, due) = match self.cell.join(permits, deadline, waker)? {
            Joined::Granted(grant) => (Some(grant), Timestamp::ZERO),
            Joined::Queued(ticket, due) => {
                place.key = Line::At(ticket);
                (None, due)
            }
        };
        if granted.is_none() && waker.is_some() {
            // Not before its turn.
            return Ok(Joined::Queued(self.places.enter(place), due));
        }
        match global.join(permits, deadline, waker) {
            Err(error) => {
                self.give_up(&place, global);
                Err(error.by_global())
            }
            Ok(Joined::Granted(by_all)) => {
                if let Some(grant) = granted {
                    return Ok(Joined::Granted(least(grant, by_all)));
                }
                place.global = Line::Done;
                Ok(Joined::Queued(self.places.enter(place), due))
            }
            Ok(Joined::Queued(ticket, later)) => {
                place.global = Line::At(ticket);
                Ok(Joined::Queued(self.places.enter(place), due.max(later)))
            }
        }
    }

    /// Says so if everybody's limit can't serve in time. Nothing is taken from the key before that
    /// is known: not everything could be given back as if it had never been taken.
    fn refuse_by(
        &self,
        global: &Global<C>,
        permits: u64,
        deadline: Timestamp,
    ) -> Result<(), WaitError> {
        let delay = RateLimiter::delay_for(global, permits);
        let by_all = match delay.map_err(Rejection::by_global) {
            Ok(delay) if self.cell.now() + delay <= deadline => return Ok(()),
            Ok(delay) => WaitError::Timeout { retry_after: delay },
            Err(rejection) => rejection.into(),
        };
        Gate::with_core(&self.cell, |core, now, wakers| {
            let own = core.check(now, permits, wakers);
            core.count_denied(permits);
            let ready = own?;
            if ready > deadline {
                return Err(WaitError::Timeout { retry_after: ready - core.latest() });
            }
            Err(by_all)
        })
    }

    /// An exempt key's wait, where other keys would stand in two lines.
    fn join_own(
        &self,
        permits: u64,
        deadline: Timestamp,
        waker: Option<&Waker>,
    ) -> Result<Joined, WaitError> {
        let mut joined = self.cell.join(permits, deadline, waker)?;
        if let Joined::Queued(ticket, _) = &mut joined {
            let (key, global) = (Line::At(*ticket), Line::Never);
            *ticket = self.places.enter(Place { permits, deadline, key, global });
        }
        Ok(joined)
    }

    fn poll_both(&self, global: &Global<C>, place: &mut Place, waker: Option<&Waker>) -> Progress {
        let mut until = Timestamp::ZERO;
        let mut grant = None;
        let terms = self.cell.terms();
        if let (Line::Done, Some(why)) = (place.key, terms.refusal(self.cell.now())) {
            return Progress::Done(Err(why.into()));
        }
        if terms.is_exempt() && matches!(place.global, Line::NotYet) {
            place.global = Line::Never;
        }
        if let Line::At(ticket) = place.key {
            match self.cell.poll(ticket, waker) {
                Progress::Until(due) => until = due,
                Progress::Done(Ok(granted)) => {
                    (place.key, grant) = (Line::Done, Some(granted));
                }
                Progress::Done(Err(error)) => {
                    // The ticket is spent: by now it may be somebody else's.
                    place.key = Line::NotYet;
                    return Progress::Done(Err(error));
                }
            }
        }
        if let (Line::Done, Line::NotYet) = (place.key, place.global) {
            place.global = match global.join(place.permits, place.deadline, waker) {
                Err(error) => return Progress::Done(Err(error.by_global())),
                Ok(Joined::Granted(granted)) => {
                    grant = Some(grant.map_or(granted, |grant| least(grant, granted)));
                    Line::Done
                }
                Ok(Joined::Queued(ticket, due)) => {
                    until = until.max(due);
                    Line::At(ticket)
                }
            };
        } else if let Line::At(ticket) = place.global {
            match global.poll(ticket, waker) {
                Progress::Until(due) => until = until.max(due),
                Progress::Done(Ok(granted)) => {
                    grant = Some(grant.map_or(granted, |grant| least(grant, granted)));
                    place.global = Line::Done;
                }
                Progress::Done(Err(error)) => return Progress::Done(Err(error.by_global())),
            }
        }
        match (place.key, place.global, grant) {
            (Line::Done, Line::Done, Some(grant)) => {
                Progress::Done(Ok(Grant { by: BOTH, ..grant }))
            }
            (Line::Done, Line::Never, Some(grant)) => Progress::Done(Ok(grant)),
            _ => Progress::Until(until),
        }
    }

    /// Leaves both lines, and gives back what was taken.
    fn give_up(&self, place: &Place, global: &Global<C>) {
        give_up(&self.cell, place.key, place.permits);
        give_up(global, place.global, place.permits);
    }
}

fn give_up(queue: &impl WaitQueue, line: Line, permits: u64) {
    match line {
        Line::NotYet | Line::Never => {}
        Line::At(ticket) => queue.leave(ticket),
        Line::Done => queue.refund(Grant::of(permits)),
    }
}

fn due(queue: &impl WaitQueue, line: Line) -> Timestamp {
    match line {
        Line::At(ticket) => queue.due(ticket),
        Line::NotYet | Line::Done | Line::Never => Timestamp::ZERO,
    }
}

fn is_granted(queue: &impl WaitQueue, line: Line) -> bool {
    match line {
        Line::At(ticket) => queue.is_granted(ticket),
        Line::NotYet => false,
        Line::Done | Line::Never => true,
    }
}

impl<L, Q, K, A, C, S> WaitQueue for ForKey<L, Q>
where
    L: Deref<Target = Keyed<K, A, C, S>> + Send + Sync,
    Q: Deref + Send + Sync,
    Q::Target: KeyRef<K>,
    K: Key,
    A: Algorithm,
    C: Clock,
    S: BuildHasher + Send + Sync + 'static,
{
    fn now(&self) -> Timestamp {
        self.cell.now()
    }

    fn wake_at(&self, deadline: Timestamp, waker: &Waker) -> bool {
        self.cell.wake_at(deadline, waker)
    }

    fn jitter(&self) -> Duration {
        self.cell.jitter()
    }

    fn join(
        &self,
        permits: u64,
        deadline: Timestamp,
        waker: Option<&Waker>,
    ) -> Result<Joined, WaitError> {
        let (permits, global) = self.asked(permits);
        match global {
            Some(global) => self.join_both(global, permits, deadline, waker),
            // Not with the key's own ticket: of one view, all have tickets of one kind.
            None if self.cell.limiter.global().is_some() => self.join_own(permits, deadline, waker),
            None => self.cell.join(permits, deadline, waker),
        }
    }

    fn poll(&self, ticket: Ticket, waker: Option<&Waker>) -> Progress {
        let (Some(global), Some(mut place)) = (self.cell.limiter.global(), self.places.get(ticket))
        else {
            return self.cell.poll(ticket, waker);
        };
        let progress = self.poll_both(global, &mut place, waker);
        match progress {
            Progress::Until(_) => self.places.set(ticket, place),
            Progress::Done(outcome) => {
                self.places.remove(ticket);
                if outcome.is_err() {
                    self.give_up(&place, global);
                }
            }
        }
        progress
    }

    fn due(&self, ticket: Ticket) -> Timestamp {
        let (Some(global), Some(place)) = (self.cell.limiter.global(), self.places.get(ticket))
        else {
            return self.cell.due(ticket);
        };
        due(&self.cell, place.key).max(due(global, place.global)).max(self.cell.now())
    }

    fn is_granted(&self, ticket: Ticket) -> bool {
        match (self.cell.limiter.global(), self.places.get(ticket)) {
            (Some(global), Some(place)) => {
                is_granted(&self.cell, place.key) && is_granted(global, place.global)
            }
            _ => self.cell.is_granted(ticket),
        }
    }

    fn leave(&self, ticket: Ticket) {
        match (self.cell.limiter.global(), self.places.remove(ticket)) {
            (Some(global), Some(place)) => self.give_up(&place, global),
            _ => self.cell.leave(ticket),
        }
    }

    fn refund(&self, grant: Grant) {
        self.cell.refund(grant);
        if let Some(global) = self.cell.limiter.global().filter(|_| grant.by == BOTH) {
            global.refund(grant);
        }
    }
}
