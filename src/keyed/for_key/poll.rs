//! Advancing and ending a wait for a key's limit and the global limit.

use std::hash::BuildHasher;
use std::ops::Deref;
use std::task::Waker;

use crate::algorithm::Algorithm;
use crate::keyed::for_key::ForKey;
use crate::keyed::for_key::both_limits::{global_part, tighter};
use crate::keyed::for_key::join::join_global;
use crate::keyed::for_key::waits::{PairWait, Stage};
use crate::keyed::key::{Key, KeyRef};
use crate::keyed::max_keys::is_from_overflow;
use crate::keyed::{Global, Keyed};
use crate::limiters::verbs::{Gate, Need};
use crate::wait::{Joined, Progress, Ticket, WaitQueue};
use crate::{Clock, Timestamp, WaitError};

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
    pub(super) fn poll_both(
        &self,
        global: &Global<C>,
        wait: &mut PairWait,
        waker: Option<&Waker>,
    ) -> Progress {
        let mut until = Timestamp::ZERO;
        let terms = self.bucket.terms();
        let refusal = terms.refusal(self.bucket.now());
        if let (Stage::Granted(_) | Stage::SetAside { .. }, Some(why)) = (wait.key, refusal) {
            return Progress::Done(Err(why.into()));
        }
        if terms.is_exempt() && matches!(wait.global, Stage::NotJoined) {
            wait.global = Stage::NotNeeded;
        }
        match (wait.key, wait.global) {
            (Stage::Waiting(ticket), Stage::NotJoined) => {
                match self.poll_key(global, wait, ticket, waker) {
                    Ok(due) => until = due,
                    Err(error) => return Progress::Done(Err(error)),
                }
            }
            (Stage::SetAside { shared }, Stage::Waiting(ticket)) => {
                match self.poll_global(global, wait, shared, ticket, waker) {
                    Ok(due) => until = due,
                    Err(error) => return Progress::Done(Err(error)),
                }
            }
            (key, all) => {
                if let Stage::Waiting(ticket) = key {
                    match self.bucket.poll(ticket, waker, true) {
                        Progress::Until(due) => until = due,
                        Progress::Done(Ok(granted)) => wait.key = Stage::Granted(granted),
                        Progress::Done(Err(error)) => {
                            // The ticket is spent and may by now belong to another waiter.
                            wait.key = Stage::NotJoined;
                            return Progress::Done(Err(error));
                        }
                    }
                }
                if let Stage::Waiting(ticket) = all {
                    match global.poll(ticket, waker, true) {
                        Progress::Until(due) => until = until.max(due),
                        Progress::Done(Ok(granted)) => wait.global = Stage::Granted(granted),
                        Progress::Done(Err(error)) => {
                            wait.global = Stage::NotJoined;
                            return Progress::Done(Err(error.by_global()));
                        }
                    }
                }
            }
        }
        match (wait.key, wait.global) {
            (Stage::Granted(own), Stage::Granted(by_global)) => {
                Progress::Done(Ok(tighter(own, by_global)))
            }
            (Stage::Granted(own), Stage::NotNeeded) => Progress::Done(Ok(own)),
            _ => Progress::Until(until),
        }
    }

    /// Polls a wait in the key's queue; once it has the key's permits, it joins the global queue.
    fn poll_key(
        &self,
        global: &Global<C>,
        wait: &mut PairWait,
        ticket: Ticket,
        waker: Option<&Waker>,
    ) -> Result<Timestamp, WaitError> {
        Gate::with_core_for(&self.bucket, Need::Known, |core, now, wakers| {
            let own = match core.poll(now, ticket, waker, true, wakers) {
                Progress::Until(due) => return Ok(due),
                Progress::Done(own) => {
                    // The ticket is spent and may by now belong to another waiter.
                    wait.key = Stage::NotJoined;
                    own?
                }
            };
            match join_global(core, global, own, wait.deadline, waker, now, wakers)? {
                Joined::Granted(both) => {
                    wait.key = Stage::Granted(own);
                    wait.global = global_part(both).map_or(Stage::NotNeeded, Stage::Granted);
                    Ok(Timestamp::ZERO)
                }
                Joined::Queued(ticket, due) => {
                    wait.key = Stage::SetAside { shared: is_from_overflow(&own.taken) };
                    wait.global = Stage::Waiting(ticket);
                    Ok(due)
                }
            }
        })
    }

    /// Polls a wait in the global queue whose key's permits are set aside. The outcome and what
    /// becomes of those permits are one step under the key's lock.
    fn poll_global(
        &self,
        global: &Global<C>,
        wait: &mut PairWait,
        shared: bool,
        ticket: Ticket,
        waker: Option<&Waker>,
    ) -> Result<Timestamp, WaitError> {
        let permits = wait.permits;
        self.bucket.with_core_where(shared, |core, now, wakers| {
            let progress =
                global.lend(wakers, |all, wakers| all.poll(now, ticket, waker, true, wakers));
            let outcome = match progress {
                Progress::Until(due) => return Ok(due),
                Progress::Done(outcome) => outcome,
            };
            (wait.key, wait.global) = (Stage::NotJoined, Stage::NotJoined);
            let aside = core.take_set_aside(ticket);
            let ended_by_key = aside.is_none();
            let own = aside.unwrap_or_default();
            match outcome {
                Ok(by_global) => {
                    wait.key = Stage::Granted(core.grant(permits, own));
                    wait.global = Stage::Granted(by_global);
                    // Wakes the waiters behind this one that may be due by now.
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

    /// Leaves both queues, and gives back what was taken.
    pub(super) fn give_up(&self, wait: &PairWait, global: &Global<C>) {
        if let (Stage::SetAside { shared }, Stage::Waiting(ticket)) = (wait.key, wait.global) {
            return self.bucket.with_core_where(shared, |core, now, wakers| {
                global.lend(wakers, |all, wakers| all.leave(now, ticket, wakers));
                let own = core.take_set_aside(ticket).unwrap_or_default();
                core.undo(now, wait.permits, own, wakers);
            });
        }
        match wait.key {
            Stage::NotJoined | Stage::NotNeeded | Stage::SetAside { .. } => {}
            Stage::Waiting(ticket) => self.bucket.leave(ticket),
            Stage::Granted(grant) => self.bucket.give_back(grant),
        }
        match wait.global {
            Stage::NotJoined | Stage::NotNeeded | Stage::SetAside { .. } => {}
            Stage::Waiting(ticket) => global.leave(ticket),
            Stage::Granted(grant) => global.refund(grant),
        }
    }
}
