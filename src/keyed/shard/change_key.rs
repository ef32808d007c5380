//! Changing what applies to one key, and moving the key to the table where it then belongs.

use std::hash::BuildHasher;
use std::sync::Arc;

use crate::algorithm::Algorithm;
use crate::keyed::key::{Key, KeyRef};
use crate::keyed::shard::{At, Call, Hold, Kept, Shard, Special, SpecialState};
use crate::keyed::terms::KeyTerms;
use crate::limiters::core::Core;
use crate::wakers::Wakers;
use crate::{CarryOver, Rejection, Timestamp};

/// What applies to a key after a change.
#[derive(Debug)]
pub(crate) struct Change<A> {
    pub(crate) own: KeyTerms<A>,
    pub(crate) hold: Hold,
    pub(crate) how: CarryOver,
    /// Also refills the bucket.
    pub(crate) reset: bool,
}

/// Updates a core about its waiters that also wait for the global limit, and ends the waits that
/// have become impossible. Called before and after a change.
pub(crate) type Sync<'a, A> = dyn FnMut(&mut Core<A>, Timestamp, &mut Wakers) + 'a;
impl<K: Key, A: Algorithm> Shard<K, A> {
    /// Changes what applies to the key at `at`.
    pub(crate) fn change<Q, S>(
        &mut self,
        call: &Call<'_, S>,
        key: &Q,
        at: &At<A>,
        change: Change<A>,
        sync: &mut Sync<'_, A>,
        wakers: &mut Wakers,
    ) where
        Q: KeyRef<K> + ?Sized,
        S: BuildHasher,
    {
        self.latest = self.latest.max(call.now);
        let Change { own, hold, how, reset } = change;
        let before = self.own_of(at);
        let moves = matches!(at, At::Plain(_) | At::Tiered(_)) && !before.is_in_tier_of(&own);
        // Whatever could panic runs first.
        let spare = if moves {
            self.reserve_special(call);
            if before.tier.is_some() != own.tier.is_some() {
                self.reserve_packed(call, &own);
            }
            Some(self.basis.rule_of(&own).start(self.latest, 0))
        } else {
            None
        };
        let core = self.lend(call, at, &before);
        let (basis, now) = (Arc::clone(&self.basis), self.latest);
        let refusal = if basis.closed { Some(Rejection::Closed) } else { own.refusal(now) };
        let act = |core: &mut Core<A>| {
            sync(core, now, wakers);
            if reset {
                core.reset(now, wakers);
            }
            core.set_rule(now, basis.rule_of(&own).clone(), how, wakers);
            match refusal {
                Some(why) => core.shut(now, why, wakers),
                None => core.resume(now, None),
            }
            sync(core, now, wakers);
        };
        let ((), mut core, full) = self.run(call, at, core, act);
        self.count(call.hash, key, core.take_counts(), false);
        // With a temporary block, a key keeps the slot that it has, and a key without a slot is
        // blocked without one. Terms that are set explicitly free the slot.
        let known = match at {
            At::Plain(_) | At::Tiered(_) => true,
            At::Special(index) => {
                self.special.get_bucket(*index).is_some_and(|special| special.kept.counted)
            }
            At::New(_) | At::NoRoom(..) => hold == Hold::No,
        };
        let kept = Kept { own, hold, counted: known && hold != Hold::Always };
        match at {
            At::Plain(_) | At::Tiered(_) => {
                let packs = !kept.is_held(now) && kept.own.is_default(now);
                if (full && !kept.is_held(now)) || (packs && spare.is_none()) {
                    return self.end_packed(call, at, &kept.own, core, full);
                }
                self.reserve_special(call);
                let Some(key) = self.remove_packed(at) else { return };
                match spare.filter(|_| packs && core.is_at_rest()) {
                    Some(spare) => self.insert_anew(call, key, kept, core, spare),
                    None => self
                        .insert_special(call, Special { key, kept, state: SpecialState::of(core) }),
                }
            }
            At::Special(index) => {
                if let Some(special) = self.special.get_bucket_mut(*index) {
                    self.uncounted -= usize::from(!special.kept.counted);
                    self.uncounted += usize::from(!kept.counted);
                    special.kept = kept;
                    self.end_special(call, *index, core, full);
                }
            }
            At::New(_) | At::NoRoom(..) => self.put(call, || key.to_key(), kept, core, full),
        }
    }

    /// Reinserts a key that was plain or tiered into the table where it now belongs.
    #[allow(clippy::boxed_local, reason = "a core is kept and handed on in its box")]
    fn insert_anew<S: BuildHasher>(
        &mut self,
        call: &Call<'_, S>,
        key: K,
        kept: Kept<A>,
        mut core: Box<Core<A>>,
        spare: A::State,
    ) {
        let state = std::mem::replace(&mut core.state, spare);
        match self.pack(&kept.own, state) {
            Ok(state) => self.insert_packed(call, key, &kept.own, state),
            Err(state) => {
                let own = kept.own.clone();
                self.insert_special(call, Special { key, kept, state: SpecialState::Idle(state) });
                self.scratch = Some((own, core));
                return;
            }
        }
        self.scratch = Some((kept.own, core));
    }

    /// What is stored with the key besides its state.
    pub(crate) fn kept_of(&self, at: &At<A>) -> Kept<A> {
        match at {
            At::Special(index) => self.special.get_bucket(*index).map_or_else(
                || Kept::of(KeyTerms::default()),
                |special| {
                    let Kept { own, hold, counted } = &special.kept;
                    Kept { own: own.clone(), hold: *hold, counted: *counted }
                },
            ),
            At::New(own) | At::NoRoom(_, own) => Kept::of(own.clone()),
            At::Plain(_) | At::Tiered(_) => Kept::of(self.own_of(at)),
        }
    }
}
