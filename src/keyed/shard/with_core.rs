//! Moves a key's state into a core, runs an operation on it, and stores the state where it then
//! belongs.
//!
//! Algorithms, keys and hashers may be foreign code. Whatever could panic runs before anything is
//! moved, or while [`restore`](Shard::restore) can still put the state back.

use std::hash::BuildHasher;
use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use crate::Rejection;
use crate::algorithm::{Algorithm, Packed, restart_if_full};
use crate::keyed::key::{Key, KeyRef};
use crate::keyed::shard::{At, Call, Kept, Shard, Special, SpecialState};
use crate::keyed::terms::{KeyTerms, Terms};
use crate::limiters::core::Core;
use crate::wakers::Wakers;

#[allow(clippy::unnecessary_box_returns, reason = "a core is kept and handed on in its box")]
impl<K: Key, A: Algorithm> Shard<K, A> {
    /// Runs `verb` on the key's core.
    pub(crate) fn act<Q, S, R>(
        &mut self,
        call: &Call<'_, S>,
        key: &Q,
        at: At<A>,
        wakers: &mut Wakers,
        verb: impl FnOnce(&mut Core<A>, Terms, &mut Wakers) -> R,
    ) -> R
    where
        Q: KeyRef<K> + ?Sized,
        S: BuildHasher,
    {
        self.latest = self.latest.max(call.now);
        let own = self.own_of(&at);
        let core = self.lend(call, &at, &own);
        let act = |core: &mut Core<A>| verb(core, own.terms(), wakers);
        let (result, mut core, full) = self.run(call, &at, core, act);
        let (limited, counts) = (!core.is_shut(), core.take_counts());
        match at {
            At::Plain(_) | At::Tiered(_) => self.end_packed(call, &at, &own, core, full),
            At::Special(index) => self.end_special(call, index, core, full),
            At::New(own) => self.put(call, || key.to_key(), Kept::of(own), core, full),
            At::NoRoom(_, own) => self.scratch = Some((own, core)),
        }
        // Last, because it may copy the key, and a panic then loses no waiter.
        self.count(call.hash, key, counts, limited);
        result
    }

    /// Runs `act` on a core, and returns whether the key's bucket is full after it. If foreign code
    /// panics, the core is put back first.
    pub(crate) fn run<S: BuildHasher, R>(
        &mut self,
        call: &Call<'_, S>,
        at: &At<A>,
        mut core: Box<Core<A>>,
        act: impl FnOnce(&mut Core<A>) -> R,
    ) -> (R, Box<Core<A>>, bool) {
        let ran = catch_unwind(AssertUnwindSafe(|| {
            let result = act(&mut core);
            self.latest = self.latest.max(core.latest());
            self.next_receipt = self.next_receipt.max(core.rest.next_receipt);
            if matches!(at, At::Plain(_) | At::Tiered(_)) && !core.is_at_rest() {
                self.reserve_special(call);
            }
            (result, self.is_full(&core))
        }));
        match ran {
            Ok((result, full)) => (result, core, full),
            Err(panic) => {
                self.restore(at, core);
                resume_unwind(panic)
            }
        }
    }

    /// Reserves memory for one more special key.
    pub(crate) fn reserve_special<S: BuildHasher>(&mut self, call: &Call<'_, S>) {
        self.special.reserve(1, |special| call.hasher.hash_one(&special.key));
    }

    /// The core of the key at `at`: its own or, if it has none, the scratch core with the key's
    /// state.
    pub(crate) fn lend<S>(
        &mut self,
        call: &Call<'_, S>,
        at: &At<A>,
        own: &KeyTerms<A>,
    ) -> Box<Core<A>> {
        let now = self.latest;
        let shut = match at {
            _ if self.basis.closed => Some(Rejection::Closed),
            At::NoRoom(rejection, _) => Some(*rejection),
            _ => own.refusal(now),
        };
        if let At::Special(index) = at {
            if let Some(special) = self.special.get_bucket_mut(*index) {
                if let SpecialState::Busy(_) = special.state {
                    if let SpecialState::Busy(mut core) =
                        mem::replace(&mut special.state, SpecialState::Lent)
                    {
                        // A temporary block may have ended since.
                        core.resume(now, shut);
                        core.rest.next_receipt = core.rest.next_receipt.max(self.next_receipt);
                        return core;
                    }
                }
            }
        }
        let mut core = self.scratch(call, own);
        let basis = &*self.basis;
        let rule = basis.rule_of(own);
        let mut fresh = true;
        match at {
            At::Plain(_) | At::Tiered(_) => {
                let epoch = basis.epoch;
                if let Some((packed, rule)) = self.packed_mut(at) {
                    packed.lend(rule, epoch, now, &mut core.state);
                    fresh = false;
                }
            }
            At::Special(index) => {
                if let Some(special) = self.special.get_bucket_mut(*index) {
                    if let SpecialState::Idle(state) = &mut special.state {
                        restart_if_full(rule, state, now);
                        mem::swap(state, &mut core.state);
                        fresh = false;
                    }
                }
            }
            At::New(_) | At::NoRoom(..) => {}
        }
        if fresh {
            core.state = self.basis.rule_of(own).start(now, 0);
        }
        core.resume(now, shut);
        core.rest.next_receipt = core.rest.next_receipt.max(self.next_receipt);
        core
    }

    /// The scratch core, set up with the algorithm of the terms `own`.
    fn scratch<S>(&mut self, call: &Call<'_, S>, own: &KeyTerms<A>) -> Box<Core<A>> {
        let rule = self.basis.rule_of(own);
        match self.scratch.take() {
            Some((of, core)) if of.shares_terms_with(own) => core,
            Some((_, mut core)) => {
                core.put_rule(rule.clone());
                core
            }
            None => {
                let state = rule.start(self.latest, 0);
                Box::new(Core::new(rule.clone(), state, self.latest, call.max_waiters))
            }
        }
    }

    /// Puts a core back after a panic, in whatever state it is.
    fn restore(&mut self, at: &At<A>, mut core: Box<Core<A>>) {
        match at {
            At::Plain(_) | At::Tiered(_) => {
                let epoch = self.basis.epoch;
                if let Some((packed, rule)) = self.packed_mut(at) {
                    // A state that cannot be packed stays as it was.
                    packed.settle(rule, epoch, &mut core.state);
                }
            }
            At::Special(index) => {
                let Some(special) = self.special.get_bucket_mut(*index) else { return };
                match &mut special.state {
                    SpecialState::Idle(state) => mem::swap(state, &mut core.state),
                    state => *state = SpecialState::Busy(core),
                }
            }
            At::New(_) | At::NoRoom(..) => {}
        }
    }

    /// Puts back the core of a plain or tiered key with the terms `own`.
    pub(crate) fn end_packed<S: BuildHasher>(
        &mut self,
        call: &Call<'_, S>,
        at: &At<A>,
        own: &KeyTerms<A>,
        mut core: Box<Core<A>>,
        full: bool,
    ) {
        let rest = core.is_at_rest();
        if rest && !full {
            let epoch = self.basis.epoch;
            let settled = self
                .packed_mut(at)
                .is_some_and(|(packed, rule)| packed.settle(rule, epoch, &mut core.state));
            if settled {
                self.scratch = Some((own.clone(), core));
                return;
            }
            self.reserve_special(call);
        }
        let Some(key) = self.remove_packed(at) else { return };
        if rest && full {
            self.scratch = Some((own.clone(), core));
            return;
        }
        self.insert_special(
            call,
            Special { key, kept: Kept::of(own.clone()), state: SpecialState::of(core) },
        );
    }

    /// Puts back the core of a special key.
    pub(crate) fn end_special<S: BuildHasher>(
        &mut self,
        call: &Call<'_, S>,
        index: usize,
        mut core: Box<Core<A>>,
        full: bool,
    ) {
        let now = self.latest;
        let Some(special) = self.special.get_bucket_mut(index) else { return };
        if !core.is_at_rest() {
            special.state = SpecialState::Busy(core);
            return;
        }
        let held = special.kept.is_held(now);
        if full && !held {
            let own = special.kept.own.clone();
            drop(self.remove_special(index));
            self.scratch = Some((own, core));
            return;
        }
        if let SpecialState::Idle(state) = &mut special.state {
            mem::swap(state, &mut core.state);
            self.scratch = Some((special.kept.own.clone(), core));
        } else {
            special.state = SpecialState::Idle(core.state);
        }
        if !held && !special.kept.counted {
            self.needs_slot = true;
        } else if !held && special.kept.own.is_default(now) {
            self.make_packed(call, index);
        }
    }

    /// Turns a special key into a plain or a tiered one, if its state can be packed.
    fn make_packed<S: BuildHasher>(&mut self, call: &Call<'_, S>, index: usize) {
        let own = self.own_of(&At::Special(index));
        self.reserve_packed(call, &own);
        let fresh = self.basis.rule_of(&own).start(self.latest, 0);
        let Some(state) = self.swap_idle(index, fresh) else { return };
        match self.pack(&own, state) {
            Ok(state) => {
                let Some(special) = self.remove_special(index) else { return };
                self.insert_packed(call, special.key, &own, state);
                self.sweep_on_insert(call.hasher);
            }
            Err(state) => drop(self.swap_idle(index, state)),
        }
    }

    /// Replaces the state of an idle special key, and returns the old one.
    fn swap_idle(&mut self, index: usize, state: A::State) -> Option<A::State> {
        match &mut self.special.get_bucket_mut(index)?.state {
            SpecialState::Idle(old) => Some(mem::replace(old, state)),
            SpecialState::Busy(_) | SpecialState::Lent => None,
        }
    }
}
