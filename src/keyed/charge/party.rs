//! A charge as one party of a decision over several limits.

use std::any::TypeId;
use std::hash::BuildHasher;

use super::key_steps::refresh;
use super::work::{Needs, NewKey, RefusedBy, TierSource};
use super::{After, KEY_LOCK, KeyCharge, OVERFLOW_LOCK};
use crate::algorithm::{Algorithm, AnyRule, GreedyRefill, is_ours};
use crate::charges::party::{Decision, OVERFLOW, Party, Place, SHARD, Shown, State};
use crate::keyed::Global;
use crate::keyed::for_key::both_limits::tighter;
use crate::keyed::key::{Key, KeyRef};
use crate::keyed::shard::snapshot::Snapshot;
use crate::keyed::tier::Under;
use crate::limiters::charge::core_of;
use crate::limiters::core::grant_of;
use crate::{Answer, Clock, Rejection, Timestamp, Usage};

/// Whether copying a state is cheap.
fn is_small<A: 'static>() -> bool {
    TypeId::of::<A>() == TypeId::of::<GreedyRefill>()
}

impl<K, Q, A, C, S> Party for KeyCharge<'_, K, Q, A, C, S>
where
    Q: KeyRef<K> + ?Sized,
    K: Key,
    A: Algorithm,
    C: Clock,
    S: BuildHasher + Send + Sync + 'static,
{
    #[inline]
    fn now(&self) -> Timestamp {
        self.limiter.now()
    }

    #[inline]
    fn quick(&self, _: Timestamp) -> u64 {
        if !is_ours::<A>() || !self.limiter.no_global {
            return 0;
        }
        self.limiter.number_of(self.hash)
    }

    #[inline]
    fn decide_quickly(&self, now: Timestamp, rest: &mut dyn FnMut() -> bool) -> bool {
        let (under, requests) = (Under::from(self.tier), self.requests);
        let mut shard = self.limiter.shard(self.hash).lock();
        // If the algorithm was replaced since the limiter was built, the answer could not be
        // computed later.
        let answer_later = is_small::<A>() && (self.tier.is_some() || shard.basis.is_as_built);
        let granted = |rule: &A, state: &A::State, now, permits| {
            if answer_later {
                self.after.set(Some(After { state: state.clone(), now }));
            } else {
                self.after.set(None);
                self.answer.set(Answer::Taken(grant_of(rule, state, now, permits)));
            }
        };
        shard.take_if(self.hash, self.key, now, under, requests, rest, granted).is_some()
    }

    #[inline]
    fn begin(&self, _: Timestamp) -> bool {
        let work = &mut *self.work();
        self.answer.set(Answer::Undecided);
        self.after.set(None);
        (work.refused, work.needs) = (RefusedBy::Nobody, Needs::Nothing);
        (work.tier, work.new_key) = (TierSource::ThisCharge, None);
        false
    }

    #[inline]
    fn place(&self, lock: u8) -> Option<Place> {
        match lock {
            KEY_LOCK => Some(Place { kind: SHARD, number: self.limiter.number_of(self.hash) }),
            OVERFLOW_LOCK => {
                let no_room = matches!(
                    &self.work().new_key,
                    Some(NewKey { slot: Err(Rejection::TooManyKeys { .. }), .. })
                );
                let _ = self.limiter.overflow().filter(|_| no_room)?;
                Some(Place { kind: OVERFLOW, number: self.limiter.number })
            }
            _ => self.global().map(Global::<C>::place),
        }
    }

    #[inline]
    fn hold(&self, lock: u8, then: &mut dyn FnMut(&mut State)) {
        match lock {
            KEY_LOCK => then(&mut *self.limiter.lock(self.hash)),
            OVERFLOW_LOCK => {
                if let Some(shared) = self.limiter.overflow() {
                    then(&mut *shared.lock());
                }
            }
            _ => {
                if let Some(all) = self.global() {
                    all.hold(then);
                }
            }
        }
    }

    #[inline]
    fn find(&self, lock: u8, state: &mut State, decision: &Decision<'_>) -> bool {
        match Self::shard_of(state) {
            Some(shard) if lock == KEY_LOCK => self.find_in(shard, decision),
            _ => true,
        }
    }

    fn is_found(&self) -> bool {
        self.work().needs == Needs::Nothing
    }

    fn resolve(&self, now: Timestamp) {
        self.resolve_key(now);
    }

    fn show(&self, lock: u8, to: &mut dyn FnMut(Shown<'_>)) {
        self.show_to(lock, to);
    }

    fn meets(&self, lock: u8, earlier: Shown<'_>) -> bool {
        lock != KEY_LOCK || self.meets_key(earlier)
    }

    #[inline]
    fn look(
        &self,
        lock: u8,
        state: &mut State,
        second: Option<&mut State>,
        before: u64,
        decision: &mut Decision<'_>,
    ) -> bool {
        if lock == KEY_LOCK {
            let Some(shard) = Self::shard_of(state) else { return false };
            let passes = self.look_at_key(shard, second, before, decision);
            if !passes {
                self.work().refused = RefusedBy::Key;
            }
            return passes;
        }
        let work = &mut *self.work();
        let (now, permits) = (decision.now, before.saturating_add(work.permits));
        let wakers = &mut *decision.wakers;
        if lock == OVERFLOW_LOCK {
            let Some(core) = core_of::<A>(state).filter(|_| self.is_shared(work)) else {
                return true;
            };
            work.key_total = permits;
            refresh(core, second, now, wakers);
            let ready = core.check(now, permits, wakers);
            let passes = ready.is_ok_and(|ready| ready <= core.latest());
            if !passes {
                work.refused = RefusedBy::Key;
            }
            return passes;
        }
        work.global_total = permits;
        if !work.uses_global || work.refused == RefusedBy::Key {
            return true;
        }
        let Some(core) = core_of::<AnyRule>(state) else { return false };
        let passes = Global::<C>::look_at(core, now, permits, wakers);
        if !passes {
            work.refused = RefusedBy::Global;
        }
        passes
    }

    fn save(&self, lock: u8, state: &mut State) {
        let work = &mut *self.work();
        work.before = if lock == KEY_LOCK {
            Self::shard_of(state).map(|shard| shard.save(self.hash, self.key))
        } else {
            core_of::<A>(state).map(|core| Snapshot::Shared(core.state.clone()))
        };
    }

    fn restore(&self, lock: u8, state: &mut State) {
        let work = &mut *self.work();
        let counted = match self.answer.get() {
            Answer::Taken(_) => work.permits,
            _ => 0,
        };
        match (lock, work.before.take()) {
            (OVERFLOW_LOCK, Some(Snapshot::Shared(before))) => {
                if let Some(core) = core_of::<A>(state) {
                    // Permits allowed were already taken out, to be counted elsewhere.
                    core.restore(before, 0);
                    work.shared = ((0, 0), true);
                }
            }
            (KEY_LOCK, Some(before)) => {
                if let Some(shard) = Self::shard_of(state) {
                    shard.restore_key(&self.call(shard.latest), self.key, before);
                    shard.allowed = shard.allowed.wrapping_sub(counted);
                }
            }
            (_, before) => {
                work.before = before;
                return;
            }
        }
        self.answer.set(Answer::Undecided);
    }

    fn find_again(&self, lock: u8, state: &mut State) {
        let work = &mut *self.work();
        if lock == KEY_LOCK && work.is_simple {
            if let Some(shard) = Self::shard_of(state) {
                if !shard.is_packed_at(&work.at, self.key) {
                    work.at = self.find_again_in(shard, work);
                }
            }
        }
    }

    #[inline]
    fn is_simple(&self, lock: u8) -> bool {
        match lock {
            KEY_LOCK => {
                let work = self.work();
                work.is_simple || self.is_shared(&work)
            }
            OVERFLOW_LOCK => is_ours::<A>(),
            _ => true,
        }
    }

    #[inline]
    fn take(
        &self,
        lock: u8,
        state: &mut State,
        second: Option<&mut State>,
        decision: &mut Decision<'_>,
    ) {
        if lock == KEY_LOCK {
            if let Some(shard) = Self::shard_of(state) {
                self.take_of_key(shard, second, decision);
            }
            return;
        }
        let work = &mut *self.work();
        let permits = work.permits;
        if lock == OVERFLOW_LOCK {
            if let Some(core) = core_of::<A>(state).filter(|_| self.is_shared(work)) {
                self.answer.set(Answer::Taken(core.take_checked(permits)));
                work.shared.0 = core.take_counts();
            }
        } else if work.uses_global {
            if let (Some(core), Some(all)) = (core_of(state), self.global()) {
                let by_global = all.take_from(core, permits);
                if let Answer::Taken(own) = self.answer.get() {
                    self.answer.set(Answer::Taken(tighter(own, by_global)));
                }
            }
        }
    }

    fn refuse(
        &self,
        lock: u8,
        state: &mut State,
        second: Option<&mut State>,
        decision: &mut Decision<'_>,
    ) {
        if lock == KEY_LOCK {
            if let Some(shard) = Self::shard_of(state) {
                self.refuse_key(shard, second, decision);
            }
            return;
        }
        let work = &mut *self.work();
        let (now, own) = (decision.now, work.permits);
        let wakers = &mut *decision.wakers;
        if lock == OVERFLOW_LOCK {
            let Some(core) = core_of::<A>(state).filter(|_| self.is_shared(work)) else { return };
            match work.refused {
                RefusedBy::Nobody => {
                    let usage = core.usage(now, wakers);
                    self.answer.set(Answer::Untouched(Usage { allowed: 0, denied: 0, ..usage }));
                }
                RefusedBy::Key => {
                    self.answer.set(Answer::Refused(core.refuse(now, work.key_total, own, wakers)));
                    work.shared = (core.take_counts(), !core.is_shut());
                }
                RefusedBy::Global => work.shared = ((0, own), true),
            }
        } else if work.refused == RefusedBy::Global {
            if let (Some(core), Some(limit)) = (core_of(state), self.global()) {
                let all = work.global_total;
                let rejection = limit.refuse_from(core, now, all, own, wakers);
                self.answer.set(Answer::Refused(rejection.by_global()));
            }
        }
    }

    #[inline]
    fn finish(&self) {
        let work = &mut *self.work();
        work.new_key = None;
        if std::mem::take(&mut work.needs_slot) {
            self.limiter.count_or_evict(self.hash, self.key);
        }
        let (counts, limited) = std::mem::replace(&mut work.shared, ((0, 0), true));
        if counts != (0, 0) {
            self.limiter.shard(self.hash).lock().count(self.hash, self.key, counts, limited);
        }
        if let Answer::Refused(rejection) = self.answer.get() {
            let (name, requests) = (&self.limiter.settings.name, self.requests);
            crate::events::debug!(limiter = name, requests, %rejection, "refused");
        }
    }
}
