//! Finding a charge's key, and getting its terms and a slot while no lock is held.

use std::hash::BuildHasher;

use super::work::{Needs, NewKey, TierSource};
use super::{GLOBAL_LOCK, KEY_LOCK, KeyCharge};
use crate::algorithm::Algorithm;
use crate::charges::party::{Decision, Shown, Slot, State};
use crate::keyed::Tier;
use crate::keyed::key::{Key, KeyRef};
use crate::keyed::max_keys::ReservedSlot;
use crate::keyed::shard::{At, Shard};
use crate::keyed::terms::KeyTerms;
use crate::limiters::verbs::Need;
use crate::{Clock, Timestamp};

impl<K, Q, A, C, S> KeyCharge<'_, K, Q, A, C, S>
where
    Q: KeyRef<K> + ?Sized,
    K: Key,
    A: Algorithm,
    C: Clock,
    S: BuildHasher + Send + Sync + 'static,
{
    /// Finds the key in its shard; returns `false` if [`resolve_key`](Self::resolve_key) must run
    /// first.
    #[inline]
    pub(super) fn find_in(&self, shard: &mut Shard<K, A>, decision: &Decision<'_>) -> bool {
        let work = &mut *self.work();
        shard.latest = shard.latest.max(decision.now);
        work.needs = Needs::Nothing;
        work.at = match shard.find(self.hash, self.key) {
            Some(At::Special(index)) if shard.lacks_slot(index, shard.latest) => {
                work.needs = Needs::Slot;
                At::Special(index)
            }
            Some(at) => at,
            None if self.limiter.inserts_freely => At::New(KeyTerms::default()),
            None => match &work.new_key {
                Some(new_key)
                    if decision.last_try
                        // Inside the terms function, which would otherwise be called without end.
                        || self.limiter.terms_function.tries() == 1
                        || new_key.version == self.limiter.terms_function.version(self.hash) =>
                {
                    match &new_key.slot {
                        Ok(_) => At::New(new_key.own.clone()),
                        Err(why) => {
                            let why = new_key.own.refusal(shard.latest).unwrap_or(*why);
                            At::NoRoom(why, new_key.own.clone())
                        }
                    }
                }
                new_key => {
                    work.needs = Needs::NewKey;
                    let own =
                        new_key.as_ref().map(|new_key| new_key.own.clone()).unwrap_or_default();
                    At::NoRoom(self.limiter.bound_rejection(), own)
                }
            },
        };
        (work.permits, work.uses_global) = match work.at {
            At::Plain(_) | At::Tiered(_) => (self.requests, true),
            _ => {
                work.own = shard.own_of(&work.at);
                let terms = work.own.terms();
                (terms.permits(self.requests), !terms.is_exempt())
            }
        };
        work.needs == Needs::Nothing
    }

    /// Gets the terms of an unknown key, and reserves a slot for it.
    pub(super) fn resolve_key(&self, now: Timestamp) {
        let (limiter, hash) = (self.limiter, self.hash);
        let needs = self.work().needs;
        match needs {
            Needs::Nothing => {}
            Needs::Slot => limiter.count_or_evict(hash, self.key),
            Needs::NewKey => {
                self.work().new_key = None;
                let version = limiter.terms_function.version(hash);
                let own = limiter.terms_of(hash, self.key);
                let rule = own.clone().under(self.tier.into());
                let slot = match rule.rule().filter(|rule| rule.quota().is_unlimited()) {
                    // Always full, so it needs no slot.
                    Some(_) => Ok(ReservedSlot::NONE),
                    None => limiter.reserve_slot(Need::Place, hash, now),
                };
                self.work().new_key = Some(NewKey { version, own, slot });
            }
        }
    }

    /// Shows another charge where the key is or, if it is in no table, the key itself.
    pub(super) fn show_to(&self, lock: u8, to: &mut dyn FnMut(Shown<'_>)) {
        let work = self.work();
        let slot = match work.at {
            _ if lock != KEY_LOCK => Slot::Whole,
            At::Plain(index) => Slot::Plain(index),
            At::Tiered(index) => Slot::Tiered(index),
            At::Special(index) => Slot::Special(index),
            At::New(_) | At::NoRoom(..) => Slot::Nowhere,
        };
        let key = (slot == Slot::Nowhere).then(|| self.key.to_key());
        let tier = match &work.tier {
            TierSource::EarlierCharge(tier) => tier.as_ref(),
            TierSource::ThisCharge => self.tier,
        };
        let no_room = match work.at {
            At::NoRoom(why, _) => Some(why),
            _ => None,
        };
        to(Shown {
            slot,
            hash: self.hash,
            key: key.as_ref().map(|key| key as &State),
            tier: tier.map(|tier| tier as &State),
            own: Some(&work.own),
            no_room,
            permits: if lock == GLOBAL_LOCK && !work.uses_global { 0 } else { work.permits },
        });
    }

    /// Whether an earlier charge is for the same key; if so, this one uses the same tier.
    pub(super) fn meets_key(&self, earlier: Shown<'_>) -> bool {
        let work = &mut *self.work();
        let same = self.hash == earlier.hash
            && match (&work.at, earlier.slot) {
                (At::Plain(one), Slot::Plain(other))
                | (At::Tiered(one), Slot::Tiered(other))
                | (At::Special(one), Slot::Special(other)) => *one == other,
                (At::New(_) | At::NoRoom(..), Slot::Nowhere) => earlier
                    .key
                    .and_then(|key| key.downcast_ref())
                    .is_some_and(|key: &K| self.key.equivalent(key)),
                _ => false,
            };
        if same {
            let tier = earlier.tier.and_then(|tier| tier.downcast_ref::<Tier<A>>());
            work.tier = TierSource::EarlierCharge(tier.cloned());
            let own = earlier.own.and_then(|own| own.downcast_ref::<KeyTerms<A>>());
            if let (Some(own), Slot::Nowhere) = (own, earlier.slot) {
                // The terms and the slot are for both charges.
                work.needs = Needs::Nothing;
                work.own = own.clone();
                work.at = match earlier.no_room {
                    Some(why) => At::NoRoom(why, own.clone()),
                    None => At::New(own.clone()),
                };
                let terms = work.own.terms();
                work.permits = terms.permits(self.requests);
                work.uses_global = !terms.is_exempt();
            }
        }
        same
    }
}
