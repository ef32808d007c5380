//! A quota chosen per request: the tier of the caller.
//!
//! The quota belongs to the request, not to the key, so nothing is set for a key and nothing has to
//! be cleared. A key stores its state and a pointer to the tier under which the state was last
//! written. A request under another tier carries the used share over.

use std::sync::Arc;

use super::Keyed;
use super::key::{Key, KeyRef};
use super::shard::{At, Call, Shard, SpecialState};
use super::terms::{KeyTerms, SharedTerms, Terms};
use crate::algorithm::{Algorithm, GreedyRefill};
use crate::keyed::shard::change_key::{Change, Sync};
use crate::wakers::Wakers;
use crate::{CarryOver, Quota, QuotaError};

/// A quota chosen per request, such as that of the plan a user pays for. It is made once by
/// [`Keyed::tier`], and then passed to any number of requests by
/// [`KeyCharge::under`](super::KeyCharge::under).
///
/// * The quota is checked when the tier is made, so a request cannot fail because of it, and does
///   not hash or compare quotas.
/// * If a key's last request was under another tier, or under none, its used share carries over, as
///   in [`CarryOver::Proportional`]. Switching back and forth never grants extra permits.
/// * A key in a tier takes 8 more bytes. Nothing is set for the key: it is evicted when its bucket
///   is full, it counts against [`max_keys`](super::KeyedBuilder::max_keys), and a request without
///   a tier returns it to the limiter's own quota.
/// * A key with a quota of its own keeps it, whatever the tier of its requests. Blocked and exempt
///   keys stay so, and a [cost](Terms::cost) still multiplies the permits.
/// * Under an [unlimited](Quota::unlimited) tier, every request passes and the key's bucket does
///   not change.
/// * Operations that take no tier (`usage`, `consume`, `credit`, `delay_for`, waits and
///   reservations) use the tier of the key's last request, until the bucket is full again.
/// * Keys that [share a bucket](super::WhenFull::Share) because there is no slot for them share the
///   limiter's own quota.
///
/// A clone is the same tier and costs one atomic increment.
///
/// ```
/// use tollgate::{KeyedLimiter, Quota};
///
/// let per_user = KeyedLimiter::<String>::new(Quota::per_minute(10))?;
/// let gold = per_user.tier(Quota::per_minute(1_000))?;
/// assert!(per_user.charge("alice").cost(500).under(&gold).allow());
/// assert_eq!(per_user.usage("alice").remaining, 500);
/// assert!(per_user.allow("alice")); // without a tier: half of 10 is used
/// assert_eq!(per_user.usage("alice").remaining, 4);
/// # Ok::<(), tollgate::QuotaError>(())
/// ```
#[derive(Debug)]
pub struct Tier<A = GreedyRefill>(pub(crate) Arc<SharedTerms<A>>);

impl<A> Clone for Tier<A> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<A: Algorithm> Tier<A> {
    /// The quota of the tier.
    ///
    /// ```
    /// use tollgate::{KeyedLimiter, Quota};
    /// let per_user = KeyedLimiter::<String>::new(Quota::per_minute(10))?;
    /// assert_eq!(per_user.tier(Quota::per_minute(99))?.quota(), Quota::per_minute(99));
    /// # Ok::<(), tollgate::QuotaError>(())
    /// ```
    #[must_use]
    pub fn quota(&self) -> Quota {
        // A tier always has a rule.
        self.0.rule.as_ref().map_or_else(Quota::unlimited, Algorithm::quota)
    }
}

/// Which quota an operation uses, if the key has none of its own.
#[derive(Debug)]
pub(crate) enum Under<'a, A> {
    /// That of the key's last request, unless the bucket has become full since.
    Last,
    /// The limiter's own.
    Limiter,
    /// That of a tier.
    Tier(&'a Tier<A>),
}

impl<A> Clone for Under<'_, A> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<A> Copy for Under<'_, A> {}

impl<'a, A> From<Option<&'a Tier<A>>> for Under<'a, A> {
    fn from(tier: Option<&'a Tier<A>>) -> Self {
        tier.map_or(Self::Limiter, Self::Tier)
    }
}

/// Whether two tiers have the same quota: the same tier, or one that was made twice.
#[inline]
pub(crate) fn is_same<A>(one: &Arc<SharedTerms<A>>, other: &Arc<SharedTerms<A>>) -> bool {
    Arc::ptr_eq(one, other) || one.is_same_quota(other)
}

impl<A> SharedTerms<A> {
    #[cold]
    fn is_same_quota(&self, other: &Self) -> bool {
        // Without a quota, the algorithms may differ and cannot be compared.
        self.terms.quota.is_some() && self.terms.quota == other.terms.quota
    }
}

impl<A> KeyTerms<A> {
    /// The tier that applies to a request under `under`. A key with a quota of its own is in no
    /// tier.
    pub(crate) fn tier_under<'b>(&'b self, under: Under<'b, A>) -> Option<&'b Arc<SharedTerms<A>>> {
        match under {
            _ if self.own_rule().is_some() => None,
            Under::Last => self.tier.as_ref(),
            Under::Limiter => None,
            Under::Tier(tier) => Some(&tier.0),
        }
    }

    /// Whether the same quota applies to a request under `under` as to the key's last request.
    pub(crate) fn is_under(&self, under: Under<'_, A>) -> bool {
        match (self.tier_under(under), &self.tier) {
            (Some(new), Some(old)) => is_same(new, old),
            (new, old) => new.is_none() && old.is_none(),
        }
    }

    /// These terms for a request under `under`.
    pub(crate) fn under(self, under: Under<'_, A>) -> Self {
        let tier = self.tier_under(under).cloned();
        Self { tier, ..self }
    }

    /// These terms in the tier of `other`, unless these terms have a quota.
    pub(crate) fn in_tier_of(self, other: &Self) -> Self {
        let tier = if self.own_rule().is_some() { None } else { other.tier.clone() };
        Self { tier, ..self }
    }

    /// Whether both are in the same tier, or both in none.
    pub(crate) fn is_in_tier_of(&self, other: &Self) -> bool {
        match (&self.tier, &other.tier) {
            (Some(one), Some(other)) => is_same(one, other),
            (one, other) => one.is_none() && other.is_none(),
        }
    }
}

impl<K: Key, A: Algorithm> Shard<K, A> {
    /// Moves the key at `at` to the tier of a request under `under`, and returns where the key is
    /// after that. The used share carries over, and waiters are rescheduled.
    pub(crate) fn switch_tier<Q, S>(
        &mut self,
        call: &Call<'_, S>,
        key: &Q,
        at: At<A>,
        under: Under<'_, A>,
        sync: &mut Sync<'_, A>,
        wakers: &mut Wakers,
    ) -> At<A>
    where
        Q: KeyRef<K> + ?Sized,
        S: std::hash::BuildHasher,
    {
        self.latest = self.latest.max(call.now);
        let under = match under {
            Under::Last if !self.tier_has_lapsed(&at) => return at,
            Under::Last => Under::Limiter,
            _ => under,
        };
        let before = match at {
            At::New(own) => return At::New(own.under(under)),
            At::NoRoom(why, own) => return At::NoRoom(why, own.under(under)),
            At::Plain(_) | At::Tiered(_) | At::Special(_) => self.own_of(&at),
        };
        if before.is_under(under) {
            return at;
        }
        let own = before.under(under);
        if self.basis.rule_of(&own).quota().is_unlimited() {
            // The bucket is left unchanged: carried over to an unlimited quota and back, it would
            // be full.
            return At::New(own);
        }
        let (hold, how) = (self.kept_of(&at).hold, CarryOver::Proportional);
        let change = Change { own: own.clone(), hold, how, reset: false };
        self.change(call, key, &at, change, sync, wakers);
        self.find(call.hash, key).unwrap_or(At::New(own))
    }

    /// Whether the key is in a tier and its bucket is full. It could have been evicted, so its tier
    /// no longer counts.
    fn tier_has_lapsed(&self, at: &At<A>) -> bool {
        let (basis, now) = (&*self.basis, self.latest);
        match at {
            At::Tiered(index) => {
                self.tiered.get_bucket(*index).is_some_and(|tiered| tiered.is_full(basis, now))
            }
            At::Special(index) => self.special.get_bucket(*index).is_some_and(|special| {
                let own = &special.kept.own;
                own.tier.is_some()
                    && matches!(&special.state, SpecialState::Idle(state)
                        if basis.rule_of(own).full_at(state, now) <= now)
            }),
            At::Plain(_) | At::New(_) | At::NoRoom(..) => false,
        }
    }
}

impl<K, A: Algorithm, C: crate::Clock, S> Keyed<K, A, C, S> {
    /// Makes a quota for requests to use; see [`Tier`]. Make it once, not for each request. Another
    /// call with the same quota returns the same tier.
    ///
    /// # Errors
    ///
    /// When the quota is invalid or the limiter's algorithm does not support it.
    ///
    /// ```
    /// use tollgate::{KeyedLimiter, Quota};
    /// let per_user = KeyedLimiter::<String>::new(Quota::per_minute(10))?;
    /// let free = per_user.tier(Quota::per_minute(5))?;
    /// let gold = per_user.tier(Quota::per_minute(50))?;
    /// assert!(!per_user.charge("bob").cost(6).under(&free).allow());
    /// assert!(per_user.charge("alice").cost(6).under(&gold).allow());
    /// assert!(per_user.tier(Quota::per_minute(0)).is_err());
    /// # Ok::<(), tollgate::QuotaError>(())
    /// ```
    pub fn tier(&self, quota: Quota) -> Result<Tier<A>, QuotaError> {
        let own = self.terms.apply(0, Terms::from(quota))?;
        match own.applied {
            Some(applied) => Ok(Tier(applied)),
            None => self.terms.template().with_quota(quota).map(|rule| self.tier_with(rule)),
        }
    }

    /// As [`tier`](Self::tier), from an algorithm. This is for algorithms that a quota does not
    /// describe fully, such as [`AllOf`](crate::algorithm::AllOf). Each call makes a separate tier.
    ///
    /// ```
    /// use tollgate::algorithm::{AllOf, GreedyRefill};
    /// use tollgate::{Keyed, Quota};
    /// let limits = |hourly| {
    ///     let second = GreedyRefill::try_from(Quota::per_second(10))?;
    ///     AllOf::new([("second", second), ("hour", Quota::per_hour(hourly).try_into()?)])
    /// };
    /// let per_user = Keyed::<u64, _>::builder_from_algorithm(limits(500)?).build()?;
    /// let free = per_user.tier_with(limits(5)?);
    /// assert!(!per_user.charge(&7).cost(6).under(&free).allow());
    /// # Ok::<(), tollgate::QuotaError>(())
    /// ```
    pub fn tier_with(&self, rule: A) -> Tier<A> {
        Tier(Arc::new(SharedTerms { terms: Terms::default(), rule: Some(rule) }))
    }
}
