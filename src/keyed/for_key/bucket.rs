//! Access to one key's bucket, from which all operations of a limiter are derived.

use std::hash::BuildHasher;
use std::ops::Deref;

use crate::algorithm::Algorithm;
use crate::keyed::Keyed;
use crate::keyed::key::{Key, KeyRef};
use crate::keyed::max_keys::is_from_overflow;
use crate::keyed::terms::Terms;
use crate::limiters::core::Core;
use crate::limiters::verbs::{Gate, Need, Settings};
use crate::wakers::Wakers;
use crate::{Clock, Grant, Rejection, Timestamp, Usage};

/// The bucket of one key, without the global limit.
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
    /// The key's terms.
    pub(crate) fn terms(&self) -> Terms {
        self.limiter.with_core(Need::Look, self.hash, &*self.key, |_, _, terms, _| terms)
    }

    /// Returns a revocable grant to the bucket that it came from: the key's own, or the overflow
    /// bucket if there was no slot for the key.
    pub(crate) fn give_back(&self, grant: Grant) {
        self.end_grant(grant, |core, now, wakers| {
            core.undo(now, grant.permits, grant.taken, wakers);
        });
    }

    /// Makes a revocable grant final.
    pub(crate) fn finalize(&self, grant: Grant) {
        self.end_grant(grant, |core, _, _| core.release(grant.permits, grant.taken));
    }

    fn end_grant(&self, grant: Grant, act: impl FnOnce(&mut Core<A>, Timestamp, &mut Wakers)) {
        self.with_core_where(is_from_overflow(&grant.taken), act);
    }

    /// Runs `act` on the core of the key, or on that of the overflow bucket.
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
