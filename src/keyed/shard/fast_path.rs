//! The fast path: requests that are decided in place in the key's table.

use std::hash::BuildHasher;
use std::hint::black_box;
use std::sync::Arc;

use hashbrown::HashTable;

use crate::Timestamp;
use crate::algorithm::{Algorithm, Packed, restart_if_full};
use crate::keyed::key::{Key, KeyRef};
use crate::keyed::shard::{Call, Plain, Shard, Special, SpecialState, Tiered};
use crate::keyed::terms::SharedTerms;
use crate::keyed::tier::{Under, is_same};

/// The outcome of a request on the fast path.
pub(crate) enum Outcome<G, R> {
    Yes(G),
    No(R),
    /// The fast path cannot decide.
    Undecided,
    NotPlain,
}

impl<K: Key, A: Algorithm> Shard<K, A> {
    /// Takes `permits` permits of a plain key. Returns what `granted` makes of the new state or, if
    /// too few permits are available, what `refused` makes of the state.
    #[inline]
    pub(crate) fn try_take<Q, G, R>(
        &mut self,
        hash: u64,
        key: &Q,
        now: Timestamp,
        permits: u64,
        granted: impl FnOnce(&A, &A::State, Timestamp, u64) -> G,
        refused: impl FnOnce(&A, &A::State, Timestamp, u64) -> Option<R>,
    ) -> Outcome<G, R>
    where
        Q: KeyRef<K> + ?Sized,
    {
        let basis = &*self.basis;
        if basis.closed {
            return Outcome::Undecided;
        }
        self.latest = self.latest.max(now);
        let now = self.latest;
        let (rule, epoch) = (&basis.rule, basis.epoch);
        let same = |plain: &Plain<K, A>| key.equivalent(&plain.key);
        // A table lookup waits for memory twice: for the control byte and then for the entry. So
        // first look at the entry where the key most likely is: its address does not depend on the
        // control byte, so both loads run in parallel. With a million keys, this saves a third of a
        // decision.
        let home = home(hash, &self.plain);
        let at_home = self.plain.get_bucket(home).is_some_and(|plain| {
            if std::mem::needs_drop::<K>() {
                // Comparing a key that owns heap memory could wait for the memory of another key.
                black_box(plain.state.is_full(rule, epoch, now));
                return false;
            }
            same(plain)
        });
        let plain =
            if at_home { self.plain.get_bucket_mut(home) } else { self.plain.find_mut(hash, same) };
        let Some(plain) = plain else { return Outcome::NotPlain };
        let at = (now, epoch);
        let taken = take_packed(&mut plain.state, rule, at, permits, granted, refused);
        self.count_outcome(hash, key, permits, taken)
    }

    /// Counts the outcome of a request for a packed key.
    #[inline]
    fn count_outcome<Q, G, R>(
        &mut self,
        hash: u64,
        key: &Q,
        permits: u64,
        taken: Outcome<G, R>,
    ) -> Outcome<G, R>
    where
        Q: KeyRef<K> + ?Sized,
    {
        match taken {
            Outcome::Yes(_) => self.allowed = self.allowed.wrapping_add(permits),
            Outcome::No(_) => self.count(hash, key, (0, permits), true),
            Outcome::Undecided | Outcome::NotPlain => {}
        }
        taken
    }

    /// Takes `permits` permits of a key that is packed under `under`, if they are available and
    /// `rest` returns `true`; then returns what `granted` makes of the new state. Otherwise nothing
    /// changes. The algorithm must be one of this crate.
    #[inline]
    #[allow(clippy::too_many_arguments, reason = "as its twin has, and what the rest says")]
    pub(crate) fn take_if<Q, R>(
        &mut self,
        hash: u64,
        key: &Q,
        now: Timestamp,
        under: Under<'_, A>,
        permits: u64,
        rest: &mut dyn FnMut() -> bool,
        granted: impl FnOnce(&A, &A::State, Timestamp, u64) -> R,
    ) -> Option<R>
    where
        Q: KeyRef<K> + ?Sized,
    {
        let basis = &*self.basis;
        if basis.closed {
            return None;
        }
        self.latest = self.latest.max(now);
        let (now, epoch) = (self.latest, basis.epoch);
        let (packed, rule) = match under {
            Under::Tier(tier) => {
                let same = |tiered: &Tiered<K, A>| key.equivalent(&tiered.key);
                let tiered = self.tiered.find_mut(hash, same)?;
                if !is_same(&tier.0, &tiered.tier) {
                    return None;
                }
                (&mut tiered.state, tier.0.rule_or(&basis.rule))
            }
            Under::Last | Under::Limiter => {
                let same = |plain: &Plain<K, A>| key.equivalent(&plain.key);
                (&mut self.plain.find_mut(hash, same)?.state, &basis.rule)
            }
        };
        if !packed.could_take(rule, epoch, now, permits) || !rest() {
            return None;
        }
        self.allowed = self.allowed.wrapping_add(permits);
        packed.try_take(rule, epoch, now, permits, |state| granted(rule, state, now, permits))
    }

    /// As [`try_take`](Self::try_take), for a key that is in `tier` already.
    #[allow(clippy::too_many_arguments, reason = "as its twin has, and a tier")]
    pub(crate) fn try_take_in_tier<Q, G, R>(
        &mut self,
        tier: &Arc<SharedTerms<A>>,
        hash: u64,
        key: &Q,
        now: Timestamp,
        permits: u64,
        granted: impl FnOnce(&A, &A::State, Timestamp, u64) -> G,
        refused: impl FnOnce(&A, &A::State, Timestamp, u64) -> Option<R>,
    ) -> Outcome<G, R>
    where
        Q: KeyRef<K> + ?Sized,
    {
        let basis = &*self.basis;
        if basis.closed {
            return Outcome::Undecided;
        }
        self.latest = self.latest.max(now);
        let now = self.latest;
        let same = |tiered: &Tiered<K, A>| key.equivalent(&tiered.key);
        let Some(tiered) = self.tiered.find_mut(hash, same) else { return Outcome::NotPlain };
        if !is_same(tier, &tiered.tier) {
            return Outcome::Undecided;
        }
        let (rule, epoch) = (tiered.tier.rule_or(&basis.rule), basis.epoch);
        let at = (now, epoch);
        let taken = take_packed(&mut tiered.state, rule, at, permits, granted, refused);
        self.count_outcome(hash, key, permits, taken)
    }

    /// Takes the permits of `requests` requests from a special key, or from a new one.
    pub(crate) fn try_take_elsewhere<Q, S, G>(
        &mut self,
        call: &Call<'_, S>,
        key: &Q,
        requests: u64,
        granted: impl FnOnce(&A, &A::State, Timestamp, u64) -> G,
    ) -> Option<G>
    where
        Q: KeyRef<K> + ?Sized,
        S: BuildHasher,
    {
        let (basis, now) = (&*self.basis, self.latest);
        let same = |special: &Special<K, A>| key.equivalent(&special.key);
        if let Some(special) = self.special.find_mut(call.hash, same) {
            let SpecialState::Idle(state) = &mut special.state else { return None };
            let kept = &special.kept;
            if kept.own.tier.is_some() {
                // The request has no tier, so the key has to leave its own.
                return None;
            }
            // A key that may have to move to another table, or to be counted, is not decided here.
            if !kept.is_held(now) && (!kept.counted || kept.own.is_default(now)) {
                return None;
            }
            let terms = kept.own.terms();
            if terms.refusal(now).is_some() {
                return None;
            }
            let permits = terms.permits(requests);
            let rule = basis.rule_of(&kept.own);
            restart_if_full(rule, state, now);
            if !rule.try_take(state, now, permits) {
                return None;
            }
            self.allowed = self.allowed.wrapping_add(permits);
            return Some(granted(rule, state, now, permits));
        }
        if !call.inserts_freely || self.find_tiered(call.hash, key).is_some() {
            return None;
        }
        let mut state = basis.rule.start(now, 0);
        if !basis.rule.try_take(&mut state, now, requests) {
            return None;
        }
        let answer = granted(&basis.rule, &state, now, requests);
        let state = A::Packed::pack(&basis.rule, basis.epoch, state).ok()?;
        // An unlimited quota, or a request without cost, leaves nothing to store.
        if !state.is_full(&basis.rule, basis.epoch, now) {
            let plain = Plain { key: key.to_key(), state };
            self.plain.insert_unique(call.hash, plain, |plain| call.hasher.hash_one(&plain.key));
            self.sweep_on_insert(call.hasher);
        }
        self.allowed = self.allowed.wrapping_add(requests);
        Some(answer)
    }
}

/// Takes `permits` permits of a packed state, if they are available.
#[inline]
fn take_packed<A: Algorithm, G, R>(
    packed: &mut A::Packed,
    rule: &A,
    (now, epoch): (Timestamp, Timestamp),
    permits: u64,
    granted: impl FnOnce(&A, &A::State, Timestamp, u64) -> G,
    refused: impl FnOnce(&A, &A::State, Timestamp, u64) -> Option<R>,
) -> Outcome<G, R> {
    let answer = |state: &A::State| granted(rule, state, now, permits);
    if let Some(answer) = packed.try_take(rule, epoch, now, permits, answer) {
        return Outcome::Yes(answer);
    }
    let answer = |state: &A::State| refused(rule, state, now, permits);
    packed.peek(rule, epoch, now, answer).map_or(Outcome::Undecided, Outcome::No)
}

/// The index where a key with this hash is, unless another key took it first. If the table places
/// keys differently, the lookup is only slower.
#[inline]
fn home<T>(hash: u64, table: &HashTable<T>) -> usize {
    // Only the lowest bits matter.
    #[allow(clippy::cast_possible_truncation, reason = "only the lowest bits are wanted")]
    let low = hash as usize;
    low & (table.num_buckets() - 1)
}
