//! Beginning a wait for a key's limit and the global limit.
//!
//! A waiter joins the key's queue first, and the global queue only when it has the key's permits,
//! so a long queue on one key does not hold up other keys. A reservation joins both queues at once,
//! because its delay must be known from the start.

use std::hash::BuildHasher;
use std::ops::Deref;
use std::task::Waker;

use crate::algorithm::Algorithm;
use crate::keyed::for_key::ForKey;
use crate::keyed::for_key::both_limits::{global_part, tighter};
use crate::keyed::for_key::waits::{PairWait, Stage};
use crate::keyed::key::{Key, KeyRef};
use crate::keyed::max_keys::is_from_overflow;
use crate::keyed::{Global, Keyed};
use crate::limiters::core::Core;
use crate::limiters::verbs::Gate;
use crate::wait::{Joined, WaitQueue};
use crate::wakers::Wakers;
use crate::{Clock, Grant, RateLimiter, Rejection, Timestamp, WaitError};

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
    pub(super) fn join_both(
        &self,
        global: &Global<C>,
        permits: u64,
        deadline: Timestamp,
        waker: Option<&Waker>,
    ) -> Result<Joined, WaitError> {
        self.check_global(global, permits, deadline)?;
        if waker.is_some() {
            return self.join_in_turn(global, permits, deadline, waker);
        }
        // A reservation is in both queues at once, and both go by the latest time that either limit
        // has seen.
        Gate::with_core(&self.bucket, |_, now, wakers| {
            global.lend(wakers, |all, wakers| all.settle(now, wakers));
        });
        let (key, due) = match join_held(&self.bucket, permits, deadline, waker)? {
            Joined::Granted(grant) => (Stage::Granted(grant), Timestamp::ZERO),
            Joined::Queued(ticket, due) => (Stage::Waiting(ticket), due),
        };
        let mut wait = PairWait { permits, deadline, key, global: Stage::NotJoined };
        match join_held(global, permits, deadline, waker) {
            Err(error) => {
                self.give_up(&wait, global);
                Err(error.by_global())
            }
            Ok(Joined::Granted(by_global)) => {
                if let Stage::Granted(grant) = key {
                    return Ok(Joined::Granted(tighter(grant, by_global)));
                }
                wait.global = Stage::Granted(by_global);
                Ok(Joined::Queued(self.waits.enter(wait), due))
            }
            Ok(Joined::Queued(ticket, later)) => {
                wait.global = Stage::Waiting(ticket);
                Ok(Joined::Queued(self.waits.enter(wait), due.max(later)))
            }
        }
    }

    /// Joins the key's queue; if that grants the permits at once, joins the global queue.
    fn join_in_turn(
        &self,
        global: &Global<C>,
        permits: u64,
        deadline: Timestamp,
        waker: Option<&Waker>,
    ) -> Result<Joined, WaitError> {
        let wait = |key, global| PairWait { permits, deadline, key, global };
        Gate::with_core(&self.bucket, |core, now, wakers| {
            let own = match core.join_held(now, permits, deadline, waker, wakers)? {
                Joined::Granted(own) => own,
                Joined::Queued(ticket, due) => {
                    let wait = wait(Stage::Waiting(ticket), Stage::NotJoined);
                    return Ok(Joined::Queued(self.waits.enter(wait), due));
                }
            };
            Ok(match join_global(core, global, own, deadline, waker, now, wakers)? {
                Joined::Granted(both) => {
                    // The grant is final: nobody will give it back.
                    core.release(both.permits, both.taken);
                    if let Some(part) = global_part(both) {
                        global.lend(wakers, |all, _| all.release(part.permits, part.taken));
                    }
                    Joined::Granted(both)
                }
                Joined::Queued(ticket, due) => {
                    let shared = is_from_overflow(&own.taken);
                    let wait = wait(Stage::SetAside { shared }, Stage::Waiting(ticket));
                    Joined::Queued(self.waits.enter(wait), due)
                }
            })
        })
    }

    /// Fails if the global limit cannot serve the request in time. This is checked before anything
    /// is taken from the key, because permits taken could not always be given back without a trace.
    fn check_global(
        &self,
        global: &Global<C>,
        permits: u64,
        deadline: Timestamp,
    ) -> Result<(), WaitError> {
        let delay = RateLimiter::delay_for(global, permits);
        let by_global = match delay.map_err(Rejection::by_global) {
            Ok(delay) if self.bucket.now() + delay <= deadline => return Ok(()),
            Ok(delay) => WaitError::Timeout { retry_after: delay },
            Err(rejection) => rejection.into(),
        };
        Gate::with_core(&self.bucket, |core, now, wakers| {
            let own = core.check(now, permits, wakers);
            core.count_denied(permits);
            let ready = own?;
            if ready > deadline {
                return Err(WaitError::Timeout { retry_after: ready - core.latest() });
            }
            Err(by_global)
        })
    }

    /// Corrects the time in a timeout error: both limits are likely to allow the permits after it,
    /// as far as is known now. The limit that ended the wait knows only its own time.
    pub(super) fn correct_timeout(
        &self,
        global: &Global<C>,
        permits: u64,
        error: WaitError,
    ) -> WaitError {
        let WaitError::Timeout { .. } = error else { return error };
        let own = Gate::delay_for(&self.bucket, permits);
        match (own, RateLimiter::delay_for(global, permits)) {
            (Ok(own), Ok(by_global)) => WaitError::Timeout { retry_after: own.max(by_global) },
            _ => error,
        }
    }

    /// Begins the wait of an exempt key on a limiter where other keys wait for both limits.
    pub(super) fn join_own(
        &self,
        permits: u64,
        deadline: Timestamp,
        waker: Option<&Waker>,
    ) -> Result<Joined, WaitError> {
        let mut joined = self.bucket.join(permits, deadline, waker)?;
        if let Joined::Queued(ticket, _) = &mut joined {
            let (key, global) = (Stage::Waiting(*ticket), Stage::NotNeeded);
            *ticket = self.waits.enter(PairWait { permits, deadline, key, global });
        }
        Ok(joined)
    }
}

/// Joins the global queue with the key's permits, which are set aside until the global limit serves
/// the wait.
pub(super) fn join_global<A: Algorithm, C: Clock>(
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
        Ok(Joined::Granted(by_global)) => Ok(Joined::Granted(tighter(own, by_global))),
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

/// Joins a queue; a grant stays revocable even if it comes at once.
fn join_held<G: Gate>(
    gate: &G,
    permits: u64,
    deadline: Timestamp,
    waker: Option<&Waker>,
) -> Result<Joined, WaitError> {
    gate.with_core(|core, now, wakers| core.join_held(now, permits, deadline, waker, wakers))
}
