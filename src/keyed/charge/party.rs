//! A charge as one party of a decision over several limits.

use std::any::TypeId;
use std::hash::BuildHasher;

use super::key_steps::refresh;
use super::work::{By, First, Needs, Room};
use super::{After, KeyCharge, OF_KEY, SHARED};
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
        let told_later = is_small::<A>() && (self.tier.is_some() || shard.basis.is_as_built);
        let granted = |rule: &A, state: &A::State, now, permits| {
            if told_later {
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
        (work.refused, work.needs) = (By::Nobody, Needs::Nothing);
        (work.tier, work.room) = (First::Itself, None);
        false
    }

    #[inline]
    fn place(&self, lock: u8) -> Option<Place> {
        match lock {
            OF_KEY => Some(Place { kind: SHARD, number: self.limiter.number_of(self.hash) }),
            SHARED => {
                let no_room = matches!(
                    &self.work().room,
                    Some(Room { place: Err(Rejection::TooManyKeys { .. }), .. })
                );
                let _ = self.limiter.overflow().filter(|_| no_room)?;
                Some(Place { kind: OVERFLOW, number: self.limiter.number })
            }
            _ => self.everybody().map(Global::<C>::place),
        }
    }

    #[inline]
    fn hold(&self, lock: u8, then: &mut dyn FnMut(&mut State)) {
        match lock {
            OF_KEY => then(&mut *self.limiter.lock(self.hash)),
            SHARED => {
                if let Some(shared) = self.limiter.overflow() {
                    then(&mut *shared.lock());
                }
            }
            _ => {
                if let Some(all) = self.everybody() {
                    all.hold(then);
                }
            }
        }
    }

    #[inline]
    fn find(&self, lock: u8, state: &mut State, decision: &Decision<'_>) -> bool {
        match Self::shard_of(state) {
            Some(shard) if lock == OF_KEY => self.find_in(shard, decision),
            _ => true,
        }
    }

    fn is_found(&self) -> bool {
        self.work().needs == Needs::Nothing
    }

    fn resolve(&self, now: Timestamp) {
        self.find_out(now);
    }

    fn show(&self, lock: u8, to: &mut dyn FnMut(Shown<'_>)) {
        self.show_to(lock, to);
    }

    fn meets(&self, lock: u8, earlier: Shown<'_>) -> bool {
        lock != OF_KEY || self.meets_key(earlier)
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
        if lock == OF_KEY {
            let Some(shard) = Self::shard_of(state) else { return false };
            let passes = self.look_at_key(shard, second, before, decision);
            if !passes {
                self.work().refused = By::Key;
            }
            return passes;
        }
        let work = &mut *self.work();
        let (now, permits) = (decision.now, before.saturating_add(work.permits));
        let wakers = &mut *decision.wakers;
        if lock == SHARED {
            let Some(core) = core_of::<A>(state).filter(|_| self.is_shared(work)) else {
                return true;
            };
            work.all = permits;
            refresh(core, second, now, wakers);
            let ready = core.check(now, permits, wakers);
            let passes = ready.is_ok_and(|ready| ready <= core.latest());
            if !passes {
                work.refused = By::Key;
            }
            return passes;
        }
        work.all_of_everybody = permits;
        if !work.counts_for_all || work.refused == By::Key {
            return true;
        }
        let Some(core) = core_of::<AnyRule>(state) else { return false };
        let passes = Global::<C>::look_at(core, now, permits, wakers);
        if !passes {
            work.refused = By::Everybody;
        }
        passes
    }

    fn save(&self, lock: u8, state: &mut State) {
        let work = &mut *self.work();
        work.before = if lock == OF_KEY {
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
            (SHARED, Some(Snapshot::Shared(before))) => {
                if let Some(core) = core_of::<A>(state) {
                    // Permits allowed were already taken out, to be counted elsewhere.
                    core.restore(before, 0);
                    work.shared = ((0, 0), true);
                }
            }
            (OF_KEY, Some(before)) => {
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
        if lock == OF_KEY && work.is_simple {
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
            OF_KEY => {
                let work = self.work();
                work.is_simple || self.is_shared(&work)
            }
            SHARED => is_ours::<A>(),
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
        if lock == OF_KEY {
            if let Some(shard) = Self::shard_of(state) {
                self.take_of_key(shard, second, decision);
            }
            return;
        }
        let work = &mut *self.work();
        let permits = work.permits;
        if lock == SHARED {
            if let Some(core) = core_of::<A>(state).filter(|_| self.is_shared(work)) {
                self.answer.set(Answer::Taken(core.take_checked(permits)));
                work.shared.0 = core.take_counts();
            }
        } else if work.counts_for_all {
            if let (Some(core), Some(all)) = (core_of(state), self.everybody()) {
                let by_all = all.take_from(core, permits);
                if let Answer::Taken(own) = self.answer.get() {
                    self.answer.set(Answer::Taken(tighter(own, by_all)));
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
        if lock == OF_KEY {
            if let Some(shard) = Self::shard_of(state) {
                self.refuse_key(shard, second, decision);
            }
            return;
        }
        let work = &mut *self.work();
        let (now, own) = (decision.now, work.permits);
        let wakers = &mut *decision.wakers;
        if lock == SHARED {
            let Some(core) = core_of::<A>(state).filter(|_| self.is_shared(work)) else { return };
            match work.refused {
                By::Nobody => {
                    let usage = core.usage(now, wakers);
                    self.answer.set(Answer::Untouched(Usage { allowed: 0, denied: 0, ..usage }));
                }
                By::Key => {
                    self.answer.set(Answer::Refused(core.refuse(now, work.all, own, wakers)));
                    work.shared = (core.take_counts(), !core.is_shut());
                }
                By::Everybody => work.shared = ((0, own), true),
            }
        } else if work.refused == By::Everybody {
            if let (Some(core), Some(limit)) = (core_of(state), self.everybody()) {
                let all = work.all_of_everybody;
                let rejection = limit.refuse_from(core, now, all, own, wakers);
                self.answer.set(Answer::Refused(rejection.by_global()));
            }
        }
    }

    #[inline]
    fn finish(&self) {
        let work = &mut *self.work();
        work.room = None;
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
