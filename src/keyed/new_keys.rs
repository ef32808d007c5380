//! NEWKEYS

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
    /// A key that did not count against the bound, because its terms were set by hand, is to count
    /// from now on. If there is no room for it, it is forgotten: the bound holds.
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

    /// Where a key is, or shall be, that was not known a moment ago: with its shard locked, and the
    /// place that was reserved for it.
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
            // A user's function, and other shards' locks: not under this lock.
            let version = self.terms_function.version(hash);
            let own = self.terms_of(hash, key).under(under);
            let room = match own.rule().filter(|rule| rule.quota().is_unlimited()) {
                // Always full: it takes no place.
                Some(_) => Ok(ReservedSlot::NONE),
                None => self.reserve_slot(need, hash, now),
            };
            let refusal = own.refusal(now);
            let shard = self.lock(hash);
            tries -= 1;
            if version != self.terms_function.version(hash) && tries > 0 {
                // Its terms may be others by now, and whoever changed them did not see it.
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

    /// What a key meets for which there is no room.
    pub(super) fn bound_rejection(&self) -> Rejection {
        self.key_limit.as_ref().map_or(Rejection::TooManyKeys { max_keys: 0 }, KeyLimit::rejection)
    }

    /// The bucket of those who found no room, if they share one.
    pub(super) fn overflow(&self) -> Option<&Mutex<Core<A>>> {
        self.key_limit.as_ref()?.overflow.as_ref()
    }

    /// What applies to a key that is not known yet. With terms that can't be kept, the key is
    /// blocked: a limit that was meant must not turn into a larger one.
    pub(super) fn terms_of<Q: KeyRef<K> + ?Sized>(&self, hash: u64, key: &Q) -> KeyTerms<A> {
        let applied = match self.terms_function.ask(|| key.to_key()) {
            Some(terms) => self.terms.apply(hash, terms).map_err(Some),
            None => Err(None),
        };
        applied.unwrap_or_else(|error| {
            let limiter = &self.settings.name;
            if let Some(error) = error {
                crate::events::warn!(limiter, %error, "terms of a key can't be kept: it is blocked");
            } else {
                crate::events::warn!(
                    limiter,
                    "the function that gives terms asks itself without end: the key is blocked"
                );
            }
            // Without a quota, there is nothing that can't be kept.
            self.terms.apply(hash, Terms::unusable()).unwrap_or_default()
        })
    }

    /// Takes a place for a new key, or just looks for one.
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
        // First where the key belongs: it may be there itself, grown idle.
        if self.make_room(self.shard(hash), now) {
            if let Some(place) = place() {
                return Ok(place);
            }
        }
        for _ in 0..sweep::OTHER_SHARDS {
            let Some(next) = bound.next_search(self.shards.len(), now) else { break };
            if self.make_room(&self.shards[next].0, now) {
                if let Some(place) = place() {
                    return Ok(place);
                }
            }
        }
        Err(bound.rejection())
    }

    /// Looks for full buckets in a part of a shard; whether any was there.
    pub(super) fn make_room(&self, shard: &Mutex<Shard<K, A>>, now: Timestamp) -> bool {
        let mut shard = self.locked(shard.lock());
        let before = shard.bounded();
        shard.latest = shard.latest.max(now);
        shard.sweep_some(sweep::SWEEP_WHEN_FULL, &self.hasher);
        shard.bounded() < before
    }
}
