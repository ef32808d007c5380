//! One key as a cell: with this, every verb of a limiter is there, and waiting too.

use std::hash::BuildHasher;
use std::ops::Deref;

use crate::algorithm::Algorithm;
use crate::keyed::Keyed;
use crate::keyed::key::{Key, KeyRef};
use crate::keyed::max_keys::is_shared;
use crate::keyed::terms::Terms;
use crate::limiters::core::Core;
use crate::limiters::verbs::{Gate, Need, Settings};
use crate::wait::queue::Wakers;
use crate::{Clock, Grant, Rejection, Timestamp, Usage};

/// A key of a limiter, by itself: without the limit for everybody.
#[derive(Debug)]
pub(crate) struct KeyBucket<L, Q> {
    pub(crate) limiter: L,
    pub(crate) key: Q,
    pub(crate) hash: u64,
}

impl<L, Q, K, A, C, S> KeyBucket<L, Q>
where
    L: Deref<Target = Keyed<K, A, C, S>> + Send + Sync,
    Q: Deref + Send + Sync,
    Q::Target: KeyRef<K>,
    K: Key,
    A: Algorithm,
    C: Clock,
    S: BuildHasher + Send + Sync + 'static,
{
    /// What applies to the key.
    pub(crate) fn terms(&self) -> Terms {
        self.limiter.with_core(Need::Look, self.hash, &*self.key, |_, _, terms, _| terms)
    }
}

impl<L, Q, K, A, C, S> KeyBucket<L, Q>
where
    L: Deref<Target = Keyed<K, A, C, S>> + Send + Sync,
    Q: Deref + Send + Sync,
    Q::Target: KeyRef<K>,
    K: Key,
    A: Algorithm,
    C: Clock,
    S: BuildHasher + Send + Sync + 'static,
{
    /// Gives a grant that is held back to where it came from: to the key, or to the bucket that it
    /// shared with others when there was no room for it.
    pub(crate) fn give_back(&self, grant: Grant) {
        self.end_grant(grant, |core, now, wakers| {
            core.undo(now, grant.permits, grant.taken, wakers);
        });
    }

    /// A grant that was held is final.
    pub(crate) fn keep_for_good(&self, grant: Grant) {
        self.end_grant(grant, |core, _, _| core.release(grant.permits, grant.taken));
    }

    fn end_grant(&self, grant: Grant, act: impl FnOnce(&mut Core<A>, Timestamp, &mut Wakers)) {
        self.with_core_where(is_shared(&grant.taken), act);
    }

    /// Lends the key's core, or that of the bucket which it shares with others.
    pub(crate) fn with_core_where<R>(
        &self,
        shared: bool,
        act: impl FnOnce(&mut Core<A>, Timestamp, &mut Wakers) -> R,
    ) -> R {
        match self.limiter.overflow().filter(|_| shared) {
            Some(shared) => self.limiter.with_overflow(shared, self.hash, &*self.key, act),
            None => self.with_core_for(Need::Known, act),
        }
    }
}

impl<L, Q, K, A, C, S> Gate for KeyBucket<L, Q>
where
    L: Deref<Target = Keyed<K, A, C, S>> + Send + Sync,
    Q: Deref + Send + Sync,
    Q::Target: KeyRef<K>,
    K: Key,
    A: Algorithm,
    C: Clock,
    S: BuildHasher + Send + Sync + 'static,
{
    type Rule = A;
    type Clock = C;

    fn clock(&self) -> &C {
        self.limiter.clock()
    }

    fn settings(&self) -> &Settings {
        &self.limiter.settings
    }

    fn with_core<R>(&self, act: impl FnOnce(&mut Core<A>, Timestamp, &mut Wakers) -> R) -> R {
        self.with_core_for(Need::Place, act)
    }

    fn with_core_for<R>(
        &self,
        need: Need,
        act: impl FnOnce(&mut Core<A>, Timestamp, &mut Wakers) -> R,
    ) -> R {
        let act = |core: &mut Core<A>, now, _, wakers: &mut Wakers| act(core, now, wakers);
        self.limiter.with_core(need, self.hash, &*self.key, act)
    }

    fn allow_n(&self, permits: u64) -> bool {
        self.acquire_now(permits).is_ok()
    }

    fn try_acquire(&self, permits: u64) -> Result<Grant, Rejection> {
        self.acquire_now(permits)
    }

    /// Counters are kept for all keys together.
    fn usage(&self) -> Usage {
        Usage { allowed: 0, denied: 0, ..self.look() }
    }
}
