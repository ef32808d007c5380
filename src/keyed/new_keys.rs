//! Admitting unknown keys: their terms, and a slot for them if the number of keys is limited.

use std::hash::BuildHasher;

use crate::algorithm::Algorithm;
use crate::keyed::Keyed;
use crate::keyed::key::{Key, KeyRef};
use crate::keyed::max_keys::{KeyLimit, ReservedSlot};
use crate::keyed::shard::guard::ShardGuard;
use crate::keyed::shard::{At, Call, Shard, sweep};
use crate::keyed::terms::{KeyTerms, Terms};
use crate::keyed::tier::Under;
use crate::limiters::core::Core;
use crate::limiters::verbs::Need;
use crate::sync::Mutex;
use crate::{Clock, Rejection, Timestamp};

impl<K: Key, A: Algorithm, C: Clock, S: BuildHasher> Keyed<K, A, C, S> {
    /// Counts a key against the key limit that did not count while its terms were set explicitly.
    /// If there is no free slot, the key is evicted, so the limit holds.
    pub(super) fn count_or_evict<Q: KeyRef<K> + ?Sized>(&self, hash: u64, key: &Q) {
        let now = self.now();
        let place = self.reserve_slot(Need::Place, hash, now);
        let mut shard = self.lock(hash);
        let Some(At::Special(index)) = shard.find(hash, key) else { return };
        if !shard.lacks_slot(index, now) {
            return;
        }
        let gone = match place {
            Ok(reserved) => {
                shard.count_special(index);
                shard.adopt(reserved);
                None
            }
            Err(_) => shard.remove_special(index),
        };
        drop(shard);
        drop(gone);
    }

    /// Locates a key that was unknown a moment ago, and reserves a slot for it if it is still
    /// unknown. Returns with the key's shard locked.
    pub(super) fn find_or_reserve<Q>(
        &self,
        need: Need,
        call: &Call<'_, S>,
        key: &Q,
        under: Under<'_, A>,
    ) -> (ShardGuard<'_, K, A>, At<A>, ReservedSlot<'_, A>)
    where
        Q: KeyRef<K> + ?Sized,
    {
        let (hash, now) = (call.hash, call.now);
        let mut tries = self.terms_function.tries();
        loop {
            // Calls the user's function and locks other shards, so this shard must not be locked.
            let version = self.terms_function.version(hash);
            let own = self.terms_of(hash, key).under(under);
            let room = match own.rule().filter(|rule| rule.quota().is_unlimited()) {
                // Always full, so it needs no slot.
                Some(_) => Ok(ReservedSlot::NONE),
                None => self.reserve_slot(need, hash, now),
            };
            let refusal = own.refusal(now);
            let shard = self.lock(hash);
            tries -= 1;
            if version != self.terms_function.version(hash) && tries > 0 {
                // The terms may have changed meanwhile, and the change did not find the key in the
                // shard.
                continue;
            }
            return match (shard.find(hash, key), room) {
                (Some(at), room) => (shard, at, room.unwrap_or(ReservedSlot::NONE)),
                (None, Ok(reserved)) => (shard, At::New(own), reserved),
                (None, Err(rejection)) => {
                    let closed = shard.basis.closed.then_some(Rejection::Closed);
                    let why = closed.or(refusal).unwrap_or(rejection);
                    (shard, At::NoRoom(why, own), ReservedSlot::NONE)
                }
            };
        }
    }

    /// The rejection for a key that has no slot.
    pub(super) fn bound_rejection(&self) -> Rejection {
        self.key_limit.as_ref().map_or(Rejection::TooManyKeys { max_keys: 0 }, KeyLimit::rejection)
    }

    /// The bucket shared by keys without a slot, if the limiter has one.
    pub(super) fn overflow(&self) -> Option<&Mutex<Core<A>>> {
        self.key_limit.as_ref()?.overflow.as_ref()
    }

    /// The terms of an unknown key. If they have an unsupported quota, the key is blocked: a limit
    /// that was intended must not silently become a larger one.
    pub(super) fn terms_of<Q: KeyRef<K> + ?Sized>(&self, hash: u64, key: &Q) -> KeyTerms<A> {
        let applied = match self.terms_function.ask(|| key.to_key()) {
            Some(terms) => self.terms.apply(hash, terms).map_err(Some),
            None => Err(None),
        };
        applied.unwrap_or_else(|error| {
            let limiter = &self.settings.name;
            if let Some(error) = error {
                crate::events::warn!(
                    limiter,
                    %error,
                    "the quota of a key is not supported: the key is blocked"
                );
            } else {
                crate::events::warn!(
                    limiter,
                    "the terms function calls itself through the limiter: the key is blocked"
                );
            }
            // Terms without a quota always work.
            self.terms.apply(hash, Terms::unusable()).unwrap_or_default()
        })
    }

    /// Reserves a slot for a new key or, if `need` says so, only checks that there is one.
    pub(super) fn reserve_slot(
        &self,
        need: Need,
        hash: u64,
        now: Timestamp,
    ) -> Result<ReservedSlot<'_, A>, Rejection> {
        let Some(bound) = &self.key_limit else { return Ok(ReservedSlot::NONE) };
        let place = || match need {
            Need::Place => bound.reserve(),
            Need::Look | Need::Known => bound.has_room().then_some(ReservedSlot::NONE),
        };
        if let Some(place) = place() {
            return Ok(place);
        }
        // Look in the key's own shard first: the key may be there itself, idle.
        if self.make_room(self.shard(hash), now) {
            if let Some(place) = place() {
                return Ok(place);
            }
        }
        for _ in 0..sweep::OTHER_SHARDS {
            let Some(next) = bound.search.next(self.shards.len(), now) else { break };
            if self.make_room(&self.shards[next].0, now) {
                if let Some(place) = place() {
                    return Ok(place);
                }
            }
        }
        Err(bound.rejection())
    }

    /// Evicts full buckets from a part of a shard; returns whether there were any.
    pub(super) fn make_room(&self, shard: &Mutex<Shard<K, A>>, now: Timestamp) -> bool {
        let mut shard = self.locked(shard.lock());
        let before = shard.bounded();
        shard.latest = shard.latest.max(now);
        shard.sweep_some(sweep::SWEEP_WHEN_FULL, &self.hasher);
        shard.bounded() < before
    }
}
