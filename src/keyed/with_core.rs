//! The slow path: finds a key, locks its shard and runs an operation on the key's core.

use std::hash::BuildHasher;

use crate::algorithm::Algorithm;
use crate::keyed::Keyed;
use crate::keyed::key::{Key, KeyRef};
use crate::keyed::shard::guard::ShardGuard;
use crate::keyed::shard::{At, Call};
use crate::keyed::terms::{KeyTerms, Terms};
use crate::keyed::tier::Under;
use crate::limiters::core::Core;
use crate::limiters::verbs::Need;
use crate::sync::Mutex;
use crate::wakers::Wakers;
use crate::{Clock, Rejection, Timestamp};

impl<K: Key, A: Algorithm, C: Clock, S: BuildHasher> Keyed<K, A, C, S> {
    /// Runs `verb` on the key's core. `verb` also gets the current time and the key's terms.
    pub(super) fn with_core<Q, R>(
        &self,
        need: Need,
        hash: u64,
        key: &Q,
        verb: impl FnOnce(&mut Core<A>, Timestamp, Terms, &mut Wakers) -> R,
    ) -> R
    where
        Q: KeyRef<K> + ?Sized,
    {
        let call = self.call(hash, self.now());
        self.with_locked(self.lock(hash), need, &call, key, Under::Last, verb)
    }

    /// As [`with_core`](Self::with_core), with the key's shard already locked.
    pub(super) fn with_locked<'a, Q, R>(
        &'a self,
        mut shard: ShardGuard<'a, K, A>,
        need: Need,
        call: &Call<'_, S>,
        key: &Q,
        under: Under<'_, A>,
        verb: impl FnOnce(&mut Core<A>, Timestamp, Terms, &mut Wakers) -> R,
    ) -> R
    where
        Q: KeyRef<K> + ?Sized,
    {
        let (hash, now) = (call.hash, call.now);
        // Dropped, which wakes the waiters, after the lock is released.
        let mut wakers = Wakers::default();
        let mut found = shard.find(hash, key);
        if let Some(At::Special(index)) = found {
            if shard.lacks_slot(index, now) {
                drop(shard);
                self.count_or_evict(hash, key);
                shard = self.lock(hash);
                found = shard.find(hash, key);
            }
        }
        let at = match found {
            Some(at) => at,
            // The bucket is full and the operation leaves it full.
            None if call.inserts_freely || need == Need::Known => At::New(KeyTerms::default()),
            None => {
                drop(shard);
                let (at, reserved);
                (shard, at, reserved) = self.find_or_reserve(need, call, key, under);
                shard.adopt(reserved);
                at
            }
        };
        if let At::NoRoom(Rejection::TooManyKeys { .. }, own) = &at {
            if let Some(overflow) = self.overflow() {
                drop(shard);
                return self.with_overflow(overflow, hash, key, |core, now, wakers| {
                    verb(core, now.max(core.latest()), own.terms(), wakers)
                });
            }
        }
        let at = shard.switch_tier(call, key, at, under, &mut self.sync(), &mut wakers);
        let result = shard.act(call, key, at, &mut wakers, |core, terms, wakers| {
            // The latest time seen, which also applies to the global limit.
            let now = now.max(core.latest());
            self.refresh_set_aside(core, now, wakers);
            verb(core, now, terms, wakers)
        });
        let needs_slot = shard.take_needs_slot();
        drop(shard);
        drop(wakers);
        if needs_slot {
            self.count_or_evict(hash, key);
        }
        result
    }

    /// Runs `verb` on the overflow bucket, which is shared by the keys for which there was no slot.
    /// Permits allowed and denied are counted for `key`.
    pub(super) fn with_overflow<Q: KeyRef<K> + ?Sized, R>(
        &self,
        shared: &Mutex<Core<A>>,
        hash: u64,
        key: &Q,
        verb: impl FnOnce(&mut Core<A>, Timestamp, &mut Wakers) -> R,
    ) -> R {
        // Dropped, which wakes the waiters, after the lock is released.
        let mut wakers = Wakers::default();
        let now = self.now();
        let mut core = shared.lock();
        self.refresh_set_aside(&mut core, now, &mut wakers);
        let result = verb(&mut core, now, &mut wakers);
        let (limited, counts) = (!core.is_shut(), core.take_counts());
        drop(core);
        drop(wakers);
        self.shard(hash).lock().count(hash, key, counts, limited);
        result
    }

    /// Updates the permits that are set aside for waiters of the global limit, so that they count
    /// as in use now.
    pub(super) fn refresh_set_aside(
        &self,
        core: &mut Core<A>,
        now: Timestamp,
        wakers: &mut Wakers,
    ) {
        if let Some(global) = self.global.as_ref().filter(|_| core.has_set_aside()) {
            global.lend(wakers, |all, wakers| core.refresh_beside(all, now, wakers));
        }
    }

    /// Returns a function to call before and after a change. It updates the permits that are set
    /// aside and ends the waits for the global limit that the change has made impossible.
    pub(super) fn sync(&self) -> impl FnMut(&mut Core<A>, Timestamp, &mut Wakers) + '_ {
        |core, now, wakers| {
            if let Some(global) = self.global.as_ref().filter(|_| core.has_set_aside()) {
                global.lend(wakers, |all, wakers| core.end_hopeless_beside(all, now, wakers));
            }
        }
    }
}
