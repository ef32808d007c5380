//! A key as it was before a decision over several limits, in case foreign code panics in the middle of it.

use std::hash::BuildHasher;

use super::key::{Key, KeyRef};
use super::shard::{At, Call, Cell, Kept, Shard, Special};
use super::terms::Own;
use crate::algorithm::{Algorithm, Packed};

/// A key as it was. Permits that could be given back then no longer can.
pub(super) enum Was<A: Algorithm> {
    Unknown,
    /// Plain, or in a tier.
    Packed(Own<A>, A::State),
    Special(Kept<A>, A::State),
    /// In the bucket of keys without room.
    Shared(A::State),
}

impl<K: Key, A: Algorithm> Shard<K, A> {
    /// The key as it is.
    pub(super) fn save<Q: KeyRef<K> + ?Sized>(&mut self, hash: u64, key: &Q) -> Was<A> {
        let Some(at) = self.find(hash, key) else { return Was::Unknown };
        let (own, now, epoch) = (self.own_of(&at), self.latest, self.basis.epoch);
        if let Some((packed, rule)) = self.packed_mut(&at) {
            if packed.is_full(rule, epoch, now) {
                return Was::Unknown;
            }
            return Was::Packed(own, packed.peek(rule, epoch, now, A::State::clone));
        }
        let kept = self.kept_of(&at);
        let At::Special(index) = at else { return Was::Unknown };
        match self.special.get_bucket(index).map(|special| &special.cell) {
            Some(Cell::Idle(state)) => Was::Special(kept, state.clone()),
            Some(Cell::Busy(core)) => Was::Special(kept, core.state.clone()),
            Some(Cell::Lent) | None => Was::Unknown,
        }
    }

    /// Puts the key back as it was.
    pub(super) fn restore_key<Q, S>(&mut self, call: &Call<'_, S>, key: &Q, was: Was<A>)
    where
        Q: KeyRef<K> + ?Sized,
        S: BuildHasher,
    {
        let at = self.find(call.hash, key);
        if let Some(At::Special(index)) = at {
            if let Some(special) = self.special.get_bucket_mut(index) {
                if let Cell::Busy(core) = &mut special.cell {
                    // Its waits have not changed: somebody who waits is never overtaken.
                    if let Was::Special(kept, state) = was {
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
            Was::Unknown | Was::Shared(_) => {}
            Was::Packed(own, state) => match self.pack(&own, state) {
                Ok(state) => self.insert_packed(call, key(), &own, state),
                Err(state) => {
                    let kept = Kept::of(own);
                    let special = Special { key: key(), kept, cell: Cell::Idle(state) };
                    self.insert_special(call, special);
                }
            },
            Was::Special(kept, state) => {
                let special = Special { key: key(), kept, cell: Cell::Idle(state) };
                self.insert_special(call, special);
            }
        }
    }
}
