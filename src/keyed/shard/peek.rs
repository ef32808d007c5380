//! Reading a key's state without changing it: not even a full window restarts.

use crate::algorithm::{Algorithm, Packed};
use crate::keyed::key::{Key, KeyRef};
use crate::keyed::shard::{At, Shard, SpecialState};
use crate::keyed::terms::KeyTerms;
use crate::keyed::tier::Under;
use crate::limiters::core::{Core, refusal_of, usage_of};
use crate::wakers::Wakers;
use crate::{Answer, CarryOver, Rejection, Timestamp, Usage};

/// Whether `permits` permits are available.
#[inline]
fn is_ready<A: Algorithm>(rule: &A, state: &A::State, now: Timestamp, permits: u64) -> bool {
    permits <= rule.limit() && rule.ready_at(state, now, permits) <= now
}

/// What a request for `permits` permits would be answered.
pub(crate) fn look<A: Algorithm>(
    rule: &A,
    state: &A::State,
    now: Timestamp,
    permits: u64,
) -> Answer {
    match refusal_of(rule, state, now, permits) {
        Some(rejection) => Answer::Refused(rejection),
        None => Answer::Untouched(usage_of(rule, state, now)),
    }
}

impl<K: Key, A: Algorithm> Shard<K, A> {
    /// Whether a request under `under` can use the packed state of the key at `at` as it is.
    #[inline]
    pub(crate) fn is_packed_under(&self, at: &At<A>, under: Under<'_, A>) -> bool {
        match (at, under) {
            (At::Plain(_), Under::Limiter) => true,
            (At::Tiered(index), Under::Tier(tier)) => self
                .tiered
                .get_bucket(*index)
                .is_some_and(|tiered| crate::keyed::tier::is_same(&tiered.tier, &tier.0)),
            _ => false,
        }
    }

    /// Whether a key with a packed state is still at the same index.
    #[inline]
    pub(crate) fn is_packed_at<Q: KeyRef<K> + ?Sized>(&self, at: &At<A>, key: &Q) -> bool {
        let held = match at {
            At::Plain(index) => self.plain.get_bucket(*index).map(|plain| &plain.key),
            At::Tiered(index) => self.tiered.get_bucket(*index).map(|tiered| &tiered.key),
            At::Special(_) | At::New(_) | At::NoRoom(..) => None,
        };
        held.is_some_and(|held| key.equivalent(held))
    }

    /// Whether `permits` permits of a packed state are available; `false` means undecided.
    #[inline]
    pub(crate) fn packed_could_take(&mut self, at: &At<A>, permits: u64) -> bool {
        if self.basis.closed {
            return false;
        }
        let (now, epoch) = (self.latest, self.basis.epoch);
        self.packed_mut(at)
            .is_some_and(|(packed, rule)| packed.could_take(rule, epoch, now, permits))
    }

    /// Why `permits` permits of a packed state are not available, if they are not.
    pub(crate) fn packed_refusal(&mut self, at: &At<A>, permits: u64) -> Option<Rejection> {
        let (now, epoch) = (self.latest, self.basis.epoch);
        let (packed, rule) = self.packed_mut(at)?;
        packed.peek(rule, epoch, now, |state| refusal_of(rule, state, now, permits))
    }

    /// Whether `permits` permits could be taken from the key at `at` under `under`.
    pub(crate) fn could_take(
        &mut self,
        at: &At<A>,
        under: Under<'_, A>,
        permits: u64,
        refresh: impl FnOnce(&mut Core<A>, &mut Wakers),
        wakers: &mut Wakers,
    ) -> bool {
        let own = self.own_of(at);
        if self.basis.closed
            || matches!(at, At::NoRoom(..))
            || own.refusal(self.latest).is_some()
            || !self.has_no_waiters(at, &own, under, refresh, wakers)
        {
            return false;
        }
        self.with_state(at, own, under, |rule, state, now| is_ready(rule, state, now, permits))
    }

    /// The usage of the key at `at`, as a request under `under` would find it.
    pub(crate) fn usage_under(&mut self, at: &At<A>, under: Under<'_, A>) -> Usage {
        let own = self.own_of(at);
        self.with_state(at, own, under, usage_of)
    }

    /// What a request for `permits` permits of the key at `at` would be answered under `under`.
    pub(crate) fn look_under(&mut self, at: &At<A>, under: Under<'_, A>, permits: u64) -> Answer {
        let own = self.own_of(at);
        self.with_state(at, own, under, |rule, state, now| look(rule, state, now, permits))
    }

    /// Whether nobody waits for the key after all due waiters have been served.
    fn has_no_waiters(
        &mut self,
        at: &At<A>,
        own: &KeyTerms<A>,
        under: Under<'_, A>,
        refresh: impl FnOnce(&mut Core<A>, &mut Wakers),
        wakers: &mut Wakers,
    ) -> bool {
        let now = self.latest;
        let bypasses_key = self.bypasses_key(own, under);
        let At::Special(index) = at else { return true };
        let Some(special) = self.special.get_bucket_mut(*index) else { return true };
        let SpecialState::Busy(core) = &mut special.state else { return true };
        if bypasses_key {
            return true;
        }
        // A temporary block may have ended since.
        core.resume(now, None);
        refresh(core, wakers);
        core.settle(now, wakers);
        core.is_open_and_idle()
    }

    /// Whether a request under `under` does not touch the key, because no limit applies to the
    /// request.
    fn bypasses_key(&self, own: &KeyTerms<A>, under: Under<'_, A>) -> bool {
        let tier = own.tier_under(under).map(|tier| tier.rule_or(&self.basis.rule));
        !own.is_under(under) && tier.unwrap_or(&self.basis.rule).quota().is_unlimited()
    }

    /// Runs `look` on a copy of the key's state, carried over to the quota of `under`.
    fn with_state<R>(
        &mut self,
        at: &At<A>,
        own: KeyTerms<A>,
        under: Under<'_, A>,
        look: impl FnOnce(&A, &A::State, Timestamp) -> R,
    ) -> R {
        let (now, basis) = (self.latest, std::sync::Arc::clone(&self.basis));
        let (stays, bypasses_key) = (own.is_under(under), self.bypasses_key(&own, under));
        let old = basis.rule_of(&own);
        let carried = |state: &A::State| {
            let rule = match own.tier_under(under) {
                _ if own.own_rule().is_some() => old,
                Some(tier) => tier.rule_or(&basis.rule),
                None => &basis.rule,
            };
            rule.carry_over(old, state, now, CarryOver::Proportional)
        };
        let state = match at {
            _ if bypasses_key => None,
            At::Plain(_) | At::Tiered(_) => self.packed_mut(at).and_then(|(packed, rule)| {
                let is_full = packed.is_full(rule, basis.epoch, now);
                (!is_full).then(|| {
                    packed.peek(rule, basis.epoch, now, |state| {
                        if stays { state.clone() } else { carried(state) }
                    })
                })
            }),
            At::Special(index) => self.special.get_bucket(*index).and_then(|special| {
                let state = match &special.state {
                    SpecialState::Idle(state) => state,
                    SpecialState::Busy(core) => &core.state,
                    SpecialState::Lent => return None,
                };
                if old.full_at(state, now) <= now {
                    return None;
                }
                Some(if stays { state.clone() } else { carried(state) })
            }),
            At::New(_) | At::NoRoom(..) => None,
        };
        let own = own.under(under);
        let rule = basis.rule_of(&own);
        match state {
            Some(state) => look(rule, &state, now),
            None => look(rule, &rule.start(now, 0), now),
        }
    }
}
