//! The wait queue of one key, which includes the wait for the global limit.

use std::hash::BuildHasher;
use std::ops::Deref;
use std::task::Waker;
use std::time::Duration;

use crate::algorithm::Algorithm;
use crate::keyed::Keyed;
use crate::keyed::for_key::ForKey;
use crate::keyed::for_key::both_limits::global_part;
use crate::keyed::for_key::waits::Stage;
use crate::keyed::key::{Key, KeyRef};
use crate::wait::{Joined, Progress, Ticket, WaitQueue};
use crate::{Clock, Grant, Timestamp, WaitError};

fn due(queue: &impl WaitQueue, stage: Stage) -> Timestamp {
    match stage {
        Stage::Waiting(ticket) => queue.due(ticket),
        Stage::NotJoined | Stage::Granted(_) | Stage::SetAside { .. } | Stage::NotNeeded => {
            Timestamp::ZERO
        }
    }
}

fn is_granted(queue: &impl WaitQueue, stage: Stage) -> bool {
    match stage {
        Stage::Waiting(ticket) => queue.is_granted(ticket),
        Stage::NotJoined => false,
        Stage::Granted(_) | Stage::SetAside { .. } | Stage::NotNeeded => true,
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
        self.bucket.now()
    }

    fn wake_at(&self, deadline: Timestamp, waker: &Waker) -> bool {
        self.bucket.wake_at(deadline, waker)
    }

    fn jitter(&self) -> Duration {
        self.bucket.jitter()
    }

    fn join(
        &self,
        permits: u64,
        deadline: Timestamp,
        waker: Option<&Waker>,
    ) -> Result<Joined, WaitError> {
        let (permits, global) = self.permits_and_global(permits);
        match global {
            Some(global) => {
                let joined = self.join_both(global, permits, deadline, waker);
                joined.map_err(|error| self.correct_timeout(global, permits, error))
            }
            // The key's own ticket is not used: all tickets of one `ForKey` must be of one kind.
            None if self.bucket.limiter.global.as_ref().is_some() => {
                self.join_own(permits, deadline, waker)
            }
            None => self.bucket.join(permits, deadline, waker),
        }
    }

    fn poll(&self, ticket: Ticket, waker: Option<&Waker>, held: bool) -> Progress {
        let (Some(global), Some(mut wait)) =
            (self.bucket.limiter.global.as_ref(), self.waits.get(ticket))
        else {
            return self.bucket.poll(ticket, waker, held);
        };
        let progress = self.poll_both(global, &mut wait, waker);
        let Progress::Done(outcome) = progress else {
            self.waits.set(ticket, wait);
            return progress;
        };
        self.waits.remove(ticket);
        Progress::Done(match outcome {
            Ok(grant) => {
                if !held {
                    self.keep(grant);
                }
                Ok(grant)
            }
            Err(error) => {
                self.give_up(&wait, global);
                Err(self.correct_timeout(global, wait.permits, error))
            }
        })
    }

    fn due(&self, ticket: Ticket) -> Timestamp {
        let (Some(global), Some(wait)) =
            (self.bucket.limiter.global.as_ref(), self.waits.get(ticket))
        else {
            return self.bucket.due(ticket);
        };
        due(&self.bucket, wait.key).max(due(global, wait.global)).max(self.bucket.now())
    }

    fn is_granted(&self, ticket: Ticket) -> bool {
        match (self.bucket.limiter.global.as_ref(), self.waits.get(ticket)) {
            (Some(global), Some(wait)) => {
                is_granted(&self.bucket, wait.key) && is_granted(global, wait.global)
            }
            _ => self.bucket.is_granted(ticket),
        }
    }

    fn leave(&self, ticket: Ticket) {
        match (self.bucket.limiter.global.as_ref(), self.waits.remove(ticket)) {
            (Some(global), Some(wait)) => self.give_up(&wait, global),
            _ => self.bucket.leave(ticket),
        }
    }

    fn refund(&self, grant: Grant) {
        self.bucket.give_back(grant);
        if let (Some(global), Some(part)) =
            (self.bucket.limiter.global.as_ref(), global_part(grant))
        {
            global.refund(part);
        }
    }

    fn keep(&self, grant: Grant) {
        self.bucket.finalize(grant);
        if let (Some(global), Some(part)) =
            (self.bucket.limiter.global.as_ref(), global_part(grant))
        {
            global.keep(part);
        }
    }
}
