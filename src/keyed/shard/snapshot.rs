//! Snapshots of a key, to undo a decision over several limits if foreign code panics in the middle
//! of it.

use std::hash::BuildHasher;

use crate::algorithm::{Algorithm, Packed};
use crate::keyed::key::{Key, KeyRef};
use crate::keyed::shard::{At, Call, Kept, Shard, Special, SpecialState};
use crate::keyed::terms::KeyTerms;

/// A key's state before the decision. Once it is restored, earlier grants can no longer be given
/// back.
pub(crate) enum Snapshot<A: Algorithm> {
    Unknown,
    /// Plain or tiered.
    Packed(KeyTerms<A>, A::State),
    Special(Kept<A>, A::State),
    /// In the overflow bucket.
    Shared(A::State),
}

impl<K: Key, A: Algorithm> Shard<K, A> {
    /// Takes a snapshot of the key.
    pub(crate) fn save<Q: KeyRef<K> + ?Sized>(&mut self, hash: u64, key: &Q) -> Snapshot<A> {
        let Some(at) = self.find(hash, key) else { return Snapshot::Unknown };
        let (own, now, epoch) = (self.own_of(&at), self.latest, self.basis.epoch);
        if let Some((packed, rule)) = self.packed_mut(&at) {
            if packed.is_full(rule, epoch, now) {
                return Snapshot::Unknown;
            }
            return Snapshot::Packed(own, packed.peek(rule, epoch, now, A::State::clone));
        }
        let kept = self.kept_of(&at);
        let At::Special(index) = at else { return Snapshot::Unknown };
        match self.special.get_bucket(index).map(|special| &special.state) {
            Some(SpecialState::Idle(state)) => Snapshot::Special(kept, state.clone()),
            Some(SpecialState::Busy(core)) => Snapshot::Special(kept, core.state.clone()),
            Some(SpecialState::Lent) | None => Snapshot::Unknown,
        }
    }

    /// Restores a key from a snapshot.
    pub(crate) fn restore_key<Q, S>(&mut self, call: &Call<'_, S>, key: &Q, was: Snapshot<A>)
    where
        Q: KeyRef<K> + ?Sized,
        S: BuildHasher,
    {
        let at = self.find(call.hash, key);
        if let Some(At::Special(index)) = at {
            if let Some(special) = self.special.get_bucket_mut(index) {
                if let SpecialState::Busy(core) = &mut special.state {
                    // The waiters have not changed: a decision never overtakes a waiter.
                    if let Snapshot::Special(kept, state) = was {
                        core.put_rule(self.basis.rule_of(&kept.own).clone());
                        core.state = state;
                        special.kept.own = kept.own;
                    }
                    return;
                }
            }
        }
        let known = match at {
            Some(At::Special(index)) => self.remove_special(index).map(|special| special.key),
            Some(at) => self.remove_packed(&at),
            None => None,
        };
        let key = || known.unwrap_or_else(|| key.to_key());
        match was {
            Snapshot::Unknown | Snapshot::Shared(_) => {}
            Snapshot::Packed(own, state) => match self.pack(&own, state) {
                Ok(state) => self.insert_packed(call, key(), &own, state),
                Err(state) => {
                    let kept = Kept::of(own);
                    let special = Special { key: key(), kept, state: SpecialState::Idle(state) };
                    self.insert_special(call, special);
                }
            },
            Snapshot::Special(kept, state) => {
                let special = Special { key: key(), kept, state: SpecialState::Idle(state) };
                self.insert_special(call, special);
            }
        }
    }
}
