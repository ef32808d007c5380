//! Waiting for a key's permits and for everybody's.
//!
//! A waiter stands in its key's line first, and joins everybody's only when its key's permits are
//! its own: a key with a long line of its own keeps nobody else waiting. A reservation is a promise,
//! so it takes its place in both lines at once.

use std::collections::HashMap;
use std::hash::BuildHasher;
use std::ops::Deref;
use std::task::Waker;
use std::time::Duration;

use crate::algorithm::Algorithm;
use crate::keyed::bound::is_shared;
use crate::keyed::for_key::ForKey;
use crate::keyed::key::{Key, KeyRef};
use crate::keyed::{Global, Keyed};
use crate::limiters::core::Core;
use crate::limiters::verbs::{Gate, Need};
use crate::sync::Mutex;
use crate::wait::queue::{Taken, Wakers};
use crate::wait::{Joined, Progress, Ticket, WaitQueue};
use crate::{Clock, Grant, RateLimiter, Rejection, Timestamp, WaitError, WhichLimit};

/// Where those who wait by way of one view stand.
#[derive(Debug, Default)]
pub(crate) struct Places(Mutex<Tickets>);

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
    /// It has been served, with this grant, which may still be given back.
    Done(Grant),
    /// It has been served, and its permits are set aside until everybody's limit serves it too; in the
    /// key's bucket, or in the one that is `shared` by keys without room.
    SetAside {
        shared: bool,
    },
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

/// A grant by a key and by everybody's limit.
pub(crate) fn least(own: Grant, by_all: Grant) -> Grant {
    Grant {
        permits: own.permits,
        remaining: own.remaining.min(by_all.remaining),
        limit: own.limit.min(by_all.limit),
        reset_after: own.reset_after.max(by_all.reset_after),
        taken: Taken { by_all: Some(by_all.taken.receipt), ..own.taken },
    }
}

/// The part of a grant by both that everybody's limit has.
fn part_of_all(grant: Grant) -> Option<Grant> {
    let receipt = grant.taken.by_all?;
    Some(Grant { taken: Taken { receipt, ..Taken::default() }, ..grant })
}

impl Rejection {
    /// The same from the limit for everybody.
    pub(crate) fn by_global(self) -> Self {
        match self {
            Self::Denied { retry_after, available, reset_after, burst, .. } => Self::Denied {
                retry_after,
                available,
                reset_after,
                burst,
                limit: WhichLimit::Global,
            },
            Self::ExceedsBurst { requested, burst, .. } => {
                Self::ExceedsBurst { requested, burst, limit: WhichLimit::Global }
            }
            other => other,
        }
    }
}

impl WaitError {
    fn by_global(self) -> Self {
        match self {
            Self::ExceedsBurst { requested, burst, .. } => {
                Self::ExceedsBurst { requested, burst, limit: WhichLimit::Global }
            }
            other => other,
        }
    }
}

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
        if waker.is_some() {
            return self.join_in_turn(global, permits, deadline, waker);
        }
        // A reservation stands in both lines at once, and both go by the latest time that either has seen.
        Gate::with_core(&self.cell, |_, now, wakers| {
            global.lend(wakers, |all, wakers| all.settle(now, wakers));
        });
        let (key, due) = match join_held(&self.cell, permits, deadline, waker)? {
            Joined::Granted(grant) => (Line::Done(grant), Timestamp::ZERO),
            Joined::Queued(ticket, due) => (Line::At(ticket), due),
        };
        let mut place = Place { permits, deadline, key, global: Line::NotYet };
        match join_held(global, permits, deadline, waker) {
            Err(error) => {
                self.give_up(&place, global);
                Err(error.by_global())
            }
            Ok(Joined::Granted(by_all)) => {
                if let Line::Done(grant) = key {
                    return Ok(Joined::Granted(least(grant, by_all)));
                }
                place.global = Line::Done(by_all);
                Ok(Joined::Queued(self.places.enter(place), due))
            }
            Ok(Joined::Queued(ticket, later)) => {
                place.global = Line::At(ticket);
                Ok(Joined::Queued(self.places.enter(place), due.max(later)))
            }
        }
    }

    /// Stands in the key's line first. With the key's permits at once, in everybody's.
    fn join_in_turn(
        &self,
        global: &Global<C>,
        permits: u64,
        deadline: Timestamp,
        waker: Option<&Waker>,
    ) -> Result<Joined, WaitError> {
        let place = |key, global| Place { permits, deadline, key, global };
        Gate::with_core(&self.cell, |core, now, wakers| {
            let own = match core.join_held(now, permits, deadline, waker, wakers)? {
                Joined::Granted(own) => own,
                Joined::Queued(ticket, due) => {
                    let place = place(Line::At(ticket), Line::NotYet);
                    return Ok(Joined::Queued(self.places.enter(place), due));
                }
            };
            Ok(match go_on(core, global, own, deadline, waker, now, wakers)? {
                Joined::Granted(both) => {
                    // Nobody will give it back.
                    core.release(both.permits, both.taken);
                    if let Some(part) = part_of_all(both) {
                        global.lend(wakers, |all, _| all.release(part.permits, part.taken));
                    }
                    Joined::Granted(both)
                }
                Joined::Queued(ticket, due) => {
                    let shared = is_shared(&own.taken);
                    let place = place(Line::SetAside { shared }, Line::At(ticket));
                    Joined::Queued(self.places.enter(place), due)
                }
            })
        })
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

    /// An error that says when to come back says when both limits are likely to let the permits pass,
    /// as far as is known now: not when the one that ended the wait would have, then.
    fn quote(&self, global: &Global<C>, permits: u64, error: WaitError) -> WaitError {
        let WaitError::Timeout { .. } = error else { return error };
        let own = Gate::delay_for(&self.cell, permits);
        match (own, RateLimiter::delay_for(global, permits)) {
            (Ok(own), Ok(by_all)) => WaitError::Timeout { retry_after: own.max(by_all) },
            _ => error,
        }
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
        let terms = self.cell.terms();
        let refusal = terms.refusal(self.cell.now());
        if let (Line::Done(_) | Line::SetAside { .. }, Some(why)) = (place.key, refusal) {
            return Progress::Done(Err(why.into()));
        }
        if terms.is_exempt() && matches!(place.global, Line::NotYet) {
            place.global = Line::Never;
        }
        match (place.key, place.global) {
            (Line::At(ticket), Line::NotYet) => match self.poll_key(global, place, ticket, waker) {
                Ok(due) => until = due,
                Err(error) => return Progress::Done(Err(error)),
            },
            (Line::SetAside { shared }, Line::At(ticket)) => {
                match self.poll_second(global, place, shared, ticket, waker) {
                    Ok(due) => until = due,
                    Err(error) => return Progress::Done(Err(error)),
                }
            }
            (key, all) => {
                if let Line::At(ticket) = key {
                    match self.cell.poll(ticket, waker, true) {
                        Progress::Until(due) => until = due,
                        Progress::Done(Ok(granted)) => place.key = Line::Done(granted),
                        Progress::Done(Err(error)) => {
                            // The ticket is spent: by now it may be somebody else's.
                            place.key = Line::NotYet;
                            return Progress::Done(Err(error));
                        }
                    }
                }
                if let Line::At(ticket) = all {
                    match global.poll(ticket, waker, true) {
                        Progress::Until(due) => until = until.max(due),
                        Progress::Done(Ok(granted)) => place.global = Line::Done(granted),
                        Progress::Done(Err(error)) => {
                            place.global = Line::NotYet;
                            return Progress::Done(Err(error.by_global()));
                        }
                    }
                }
            }
        }
        match (place.key, place.global) {
            (Line::Done(own), Line::Done(by_all)) => Progress::Done(Ok(least(own, by_all))),
            (Line::Done(own), Line::Never) => Progress::Done(Ok(own)),
            _ => Progress::Until(until),
        }
    }

    /// Where one stands who waits for its key's permits first; with them, it joins everybody's line.
    fn poll_key(
        &self,
        global: &Global<C>,
        place: &mut Place,
        ticket: Ticket,
        waker: Option<&Waker>,
    ) -> Result<Timestamp, WaitError> {
        Gate::with_core_for(&self.cell, Need::Known, |core, now, wakers| {
            let own = match core.poll(now, ticket, waker, true, wakers) {
                Progress::Until(due) => return Ok(due),
                Progress::Done(own) => {
                    // The ticket is spent: by now it may be somebody else's.
                    place.key = Line::NotYet;
                    own?
                }
            };
            match go_on(core, global, own, place.deadline, waker, now, wakers)? {
                Joined::Granted(both) => {
                    place.key = Line::Done(own);
                    place.global = part_of_all(both).map_or(Line::Never, Line::Done);
                    Ok(Timestamp::ZERO)
                }
                Joined::Queued(ticket, due) => {
                    place.key = Line::SetAside { shared: is_shared(&own.taken) };
                    place.global = Line::At(ticket);
                    Ok(due)
                }
            }
        })
    }

    /// Where one stands in everybody's line whose key's permits are set aside. In one step with what
    /// becomes of those.
    fn poll_second(
        &self,
        global: &Global<C>,
        place: &mut Place,
        shared: bool,
        ticket: Ticket,
        waker: Option<&Waker>,
    ) -> Result<Timestamp, WaitError> {
        let permits = place.permits;
        self.cell.with_core_where(shared, |core, now, wakers| {
            let progress =
                global.lend(wakers, |all, wakers| all.poll(now, ticket, waker, true, wakers));
            let outcome = match progress {
                Progress::Until(due) => return Ok(due),
                Progress::Done(outcome) => outcome,
            };
            (place.key, place.global) = (Line::NotYet, Line::NotYet);
            let aside = core.take_set_aside(ticket);
            let ended_by_key = aside.is_none();
            let own = aside.unwrap_or_default();
            match outcome {
                Ok(by_all) => {
                    place.key = Line::Done(core.grant(permits, own));
                    place.global = Line::Done(by_all);
                    // Those behind, who may be due by now.
                    core.sooner(0, wakers);
                    Ok(Timestamp::ZERO)
                }
                Err(error) => {
                    core.undo(now, permits, own, wakers);
                    core.count_denied(permits);
                    Err(if ended_by_key { error } else { error.by_global() })
                }
            }
        })
    }

    /// Leaves both lines, and gives back what was taken.
    fn give_up(&self, place: &Place, global: &Global<C>) {
        if let (Line::SetAside { shared }, Line::At(ticket)) = (place.key, place.global) {
            return self.cell.with_core_where(shared, |core, now, wakers| {
                global.lend(wakers, |all, wakers| all.leave(now, ticket, wakers));
                let own = core.take_set_aside(ticket).unwrap_or_default();
                core.undo(now, place.permits, own, wakers);
            });
        }
        match place.key {
            Line::NotYet | Line::Never | Line::SetAside { .. } => {}
            Line::At(ticket) => self.cell.leave(ticket),
            Line::Done(grant) => self.cell.give_back(grant),
        }
        match place.global {
            Line::NotYet | Line::Never | Line::SetAside { .. } => {}
            Line::At(ticket) => global.leave(ticket),
            Line::Done(grant) => global.refund(grant),
        }
    }
}

/// With the key's permits, joins everybody's line: they are set aside until it is its turn there.
fn go_on<A: Algorithm, C: Clock>(
    core: &mut Core<A>,
    global: &Global<C>,
    own: Grant,
    deadline: Timestamp,
    waker: Option<&Waker>,
    now: Timestamp,
    wakers: &mut Wakers,
) -> Result<Joined, WaitError> {
    let permits = own.permits;
    let joined =
        global.lend(wakers, |all, wakers| all.join_held(now, permits, deadline, waker, wakers));
    match joined {
        Ok(Joined::Granted(by_all)) => Ok(Joined::Granted(least(own, by_all))),
        Ok(Joined::Queued(ticket, due)) => {
            core.set_aside(ticket, permits, own.taken);
            Ok(Joined::Queued(ticket, due))
        }
        Err(error) => {
            core.undo(now, permits, own.taken, wakers);
            core.count_denied(permits);
            Err(error.by_global())
        }
    }
}

/// Joins a line so that also what is granted at once may be given back.
fn join_held<G: Gate>(
    gate: &G,
    permits: u64,
    deadline: Timestamp,
    waker: Option<&Waker>,
) -> Result<Joined, WaitError> {
    gate.with_core(|core, now, wakers| core.join_held(now, permits, deadline, waker, wakers))
}

fn due(queue: &impl WaitQueue, line: Line) -> Timestamp {
    match line {
        Line::At(ticket) => queue.due(ticket),
        Line::NotYet | Line::Done(_) | Line::SetAside { .. } | Line::Never => Timestamp::ZERO,
    }
}

fn is_granted(queue: &impl WaitQueue, line: Line) -> bool {
    match line {
        Line::At(ticket) => queue.is_granted(ticket),
        Line::NotYet => false,
        Line::Done(_) | Line::SetAside { .. } | Line::Never => true,
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
            Some(global) => {
                let joined = self.join_both(global, permits, deadline, waker);
                joined.map_err(|error| self.quote(global, permits, error))
            }
            // Not with the key's own ticket: of one view, all have tickets of one kind.
            None if self.cell.limiter.global.as_ref().is_some() => {
                self.join_own(permits, deadline, waker)
            }
            None => self.cell.join(permits, deadline, waker),
        }
    }

    fn poll(&self, ticket: Ticket, waker: Option<&Waker>, held: bool) -> Progress {
        let (Some(global), Some(mut place)) =
            (self.cell.limiter.global.as_ref(), self.places.get(ticket))
        else {
            return self.cell.poll(ticket, waker, held);
        };
        let progress = self.poll_both(global, &mut place, waker);
        let Progress::Done(outcome) = progress else {
            self.places.set(ticket, place);
            return progress;
        };
        self.places.remove(ticket);
        Progress::Done(match outcome {
            Ok(grant) => {
                if !held {
                    self.keep(grant);
                }
                Ok(grant)
            }
            Err(error) => {
                self.give_up(&place, global);
                Err(self.quote(global, place.permits, error))
            }
        })
    }

    fn due(&self, ticket: Ticket) -> Timestamp {
        let (Some(global), Some(place)) =
            (self.cell.limiter.global.as_ref(), self.places.get(ticket))
        else {
            return self.cell.due(ticket);
        };
        due(&self.cell, place.key).max(due(global, place.global)).max(self.cell.now())
    }

    fn is_granted(&self, ticket: Ticket) -> bool {
        match (self.cell.limiter.global.as_ref(), self.places.get(ticket)) {
            (Some(global), Some(place)) => {
                is_granted(&self.cell, place.key) && is_granted(global, place.global)
            }
            _ => self.cell.is_granted(ticket),
        }
    }

    fn leave(&self, ticket: Ticket) {
        match (self.cell.limiter.global.as_ref(), self.places.remove(ticket)) {
            (Some(global), Some(place)) => self.give_up(&place, global),
            _ => self.cell.leave(ticket),
        }
    }

    fn refund(&self, grant: Grant) {
        self.cell.give_back(grant);
        if let (Some(global), Some(part)) = (self.cell.limiter.global.as_ref(), part_of_all(grant))
        {
            global.refund(part);
        }
    }

    fn keep(&self, grant: Grant) {
        self.cell.keep_for_good(grant);
        if let (Some(global), Some(part)) = (self.cell.limiter.global.as_ref(), part_of_all(grant))
        {
            global.keep(part);
        }
    }
}
