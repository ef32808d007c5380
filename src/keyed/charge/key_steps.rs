//! The steps of a decision on a charge's key, under the lock of its shard: checking, taking,
//! refusing.

use std::hash::BuildHasher;

use super::KeyCharge;
use super::work::{NewKey, RefusedBy, Work};
use crate::algorithm::{Algorithm, AnyRule, Packed, is_ours};
use crate::charges::party::{Decision, State};
use crate::keyed::Global;
use crate::keyed::key::{Key, KeyRef};
use crate::keyed::shard::{At, Call, Shard};
use crate::keyed::terms::KeyTerms;
use crate::limiters::charge::core_of;
use crate::limiters::core::{Core, grant_of};
use crate::wakers::Wakers;
use crate::{Answer, Clock, Rejection, Timestamp};

impl<'a, K, Q, A, C, S> KeyCharge<'a, K, Q, A, C, S>
where
    Q: KeyRef<K> + ?Sized,
    K: Key,
    A: Algorithm,
    C: Clock,
    S: BuildHasher + Send + Sync + 'static,
{
    /// The global limit, which has its own lock.
    pub(super) fn global(&self) -> Option<&'a Global<C>> {
        self.limiter.global.as_ref()
    }

    pub(super) fn call(&self, now: Timestamp) -> Call<'_, S> {
        self.limiter.call(self.hash, now)
    }

    /// The key's shard, if that is the state that a lock protects.
    pub(super) fn shard_of(state: &mut State) -> Option<&mut Shard<K, A>> {
        state.downcast_mut()
    }

    /// Where the key is now: earlier charges of this decision may have moved it.
    pub(super) fn find_again_in(&self, shard: &Shard<K, A>, work: &mut Work<'_, A>) -> At<A> {
        let known = std::mem::replace(&mut work.at, At::New(KeyTerms::default()));
        shard.find(self.hash, self.key).unwrap_or_else(|| match known {
            At::NoRoom(why, own) => At::NoRoom(why, own),
            _ => At::New(work.own.clone()),
        })
    }

    /// Runs `verb` on the key's core, under the charge's tier.
    pub(super) fn act<R>(
        &self,
        shard: &mut Shard<K, A>,
        mut second: Option<&mut State>,
        work: &mut Work<'_, A>,
        decision: &mut Decision<'_>,
        verb: impl FnOnce(&mut Core<A>, Timestamp, &mut Wakers) -> R,
    ) -> R {
        let (now, wakers) = (decision.now, &mut *decision.wakers);
        let call = self.call(now);
        let at = self.find_again_in(shard, work);
        let first = work.tier.clone();
        let mut sync = |core: &mut Core<A>, now, wakers: &mut Wakers| {
            if let Some(all) = second_of(core, second.as_deref_mut()) {
                core.end_hopeless_beside(all, now, wakers);
            }
        };
        let at = shard.switch_tier(&call, self.key, at, first.under(self.tier), &mut sync, wakers);
        if matches!(at, At::New(_)) {
            if let Some(NewKey { slot: Ok(slot), .. }) = work.new_key.take() {
                shard.adopted_slots += slot.take();
            }
        }
        let result = shard.act(&call, self.key, at, wakers, |core, _, wakers| {
            let now = now.max(core.latest());
            refresh(core, second, now, wakers);
            verb(core, now, wakers)
        });
        work.needs_slot |= std::mem::take(&mut shard.needs_slot);
        result
    }

    /// Whether the key alone would allow the permits.
    pub(super) fn look_at_key(
        &self,
        shard: &mut Shard<K, A>,
        second: Option<&mut State>,
        before: u64,
        decision: &mut Decision<'_>,
    ) -> bool {
        let work = &mut *self.work();
        if self.is_shared(work) {
            return true;
        }
        let under = work.tier.under(self.tier);
        let permits = before.saturating_add(work.permits);
        work.key_total = permits;
        work.is_packed = shard.is_packed_under(&work.at, under);
        work.is_simple =
            work.is_packed && is_ours::<A>() && shard.packed_could_take(&work.at, permits);
        if work.is_simple {
            return true;
        }
        let now = shard.latest;
        let refresh = |core: &mut Core<A>, wakers: &mut Wakers| {
            refresh(core, second, now.max(core.latest()), wakers);
        };
        shard.could_take(&work.at, under, permits, refresh, decision.wakers)
    }

    pub(super) fn take_of_key(
        &self,
        shard: &mut Shard<K, A>,
        second: Option<&mut State>,
        decision: &mut Decision<'_>,
    ) {
        let work = &mut *self.work();
        if self.is_shared(work) {
            return;
        }
        let permits = work.permits;
        if work.is_simple {
            let (now, epoch) = (shard.latest, shard.basis.epoch);
            let grant = shard.packed_mut(&work.at).and_then(|(packed, rule)| {
                let granted = |state: &A::State| grant_of(rule, state, now, permits);
                packed.try_take(rule, epoch, now, permits, granted)
            });
            if let Some(grant) = grant {
                shard.allowed = shard.allowed.wrapping_add(permits);
                self.answer.set(Answer::Taken(grant));
                return;
            }
        }
        let verb = |core: &mut Core<A>, now, wakers: &mut Wakers| {
            core.settle(now, wakers);
            core.take_checked(permits)
        };
        self.answer.set(Answer::Taken(self.act(shard, second, work, decision, verb)));
    }

    pub(super) fn refuse_key(
        &self,
        shard: &mut Shard<K, A>,
        second: Option<&mut State>,
        decision: &mut Decision<'_>,
    ) {
        let work = &mut *self.work();
        if self.is_shared(work) {
            return;
        }
        let (own, all) = (work.permits, work.key_total);
        match work.refused {
            RefusedBy::Nobody => {
                let at = self.find_again_in(shard, work);
                let under = work.tier.under(self.tier);
                let usage = shard.usage_under(&at, under);
                self.answer.set(Answer::Untouched(usage));
            }
            RefusedBy::Global => shard.count(self.hash, self.key, (0, own), true),
            RefusedBy::Key => {
                let packed =
                    work.is_packed && !shard.basis.closed && shard.is_packed_at(&work.at, self.key);
                if let Some(rejection) = shard.packed_refusal(&work.at, all).filter(|_| packed) {
                    shard.count(self.hash, self.key, (0, own), true);
                    self.answer.set(Answer::Refused(rejection));
                    return;
                }
                let verb = |core: &mut Core<A>, now, wakers: &mut Wakers| {
                    core.refuse(now, all, own, wakers)
                };
                self.answer.set(Answer::Refused(self.act(shard, second, work, decision, verb)));
            }
        }
    }

    /// Whether the key uses the overflow bucket because there is no slot for it.
    pub(super) fn is_shared(&self, work: &Work<'_, A>) -> bool {
        matches!(work.at, At::NoRoom(Rejection::TooManyKeys { .. }, _))
            && self.limiter.overflow().is_some()
    }
}

/// Updates the permits that are set aside for waiters of the global limit, so that they count as in
/// use now.
pub(super) fn refresh<A: Algorithm>(
    core: &mut Core<A>,
    global: Option<&mut State>,
    now: Timestamp,
    wakers: &mut Wakers,
) {
    if let Some(all) = second_of(core, global) {
        core.refresh_beside(all, now, wakers);
    }
}

/// The core of the global limit, if any of the key's waiters wait for it.
fn second_of<'a, A: Algorithm>(
    core: &Core<A>,
    global: Option<&'a mut State>,
) -> Option<&'a mut Core<AnyRule>> {
    global.filter(|_| core.has_set_aside()).and_then(core_of::<AnyRule>)
}
