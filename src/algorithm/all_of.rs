//! Several limits as one rule: permits are taken from all limits or from none.

use super::{Algorithm, Receipt, Whole};
use crate::{CarryOver, Quota, QuotaError, Timestamp, WhichLimit};

/// Several named limits with the same kind of rule: permits are taken from all of them or from
/// none.
///
/// The remaining permits are those of the limit with the fewest, and a wait is as long as that of
/// the slowest limit. This is the rule of a [`Composite`](crate::Composite).
///
/// ```
/// use tollgate::algorithm::{Algorithm, AllOf, GreedyRefill};
/// use tollgate::{Quota, Timestamp};
///
/// let rule = AllOf::<GreedyRefill>::new([
///     ("second", Quota::per_second(10).try_into()?),
///     ("hour", Quota::per_hour(500).try_into()?),
/// ])?;
/// assert_eq!(rule.limit(), 10);
/// assert_eq!(rule.name(1), Some("hour"));
/// # Ok::<(), tollgate::QuotaError>(())
/// ```
#[derive(Clone, Debug)]
pub struct AllOf<A> {
    limits: Box<[(String, A)]>,
}

impl<A: Algorithm> AllOf<A> {
    /// Makes one rule of several named limits.
    ///
    /// # Errors
    ///
    /// When there are no limits, or two have the same name.
    ///
    /// ```
    /// use tollgate::QuotaError;
    /// use tollgate::algorithm::{AllOf, GreedyRefill};
    /// let none: [(&str, GreedyRefill); 0] = [];
    /// assert_eq!(AllOf::new(none).unwrap_err(), QuotaError::NoLimits);
    /// ```
    pub fn new<N: Into<String>>(
        limits: impl IntoIterator<Item = (N, A)>,
    ) -> Result<Self, QuotaError> {
        let limits: Box<[(String, A)]> =
            limits.into_iter().map(|(name, rule)| (name.into(), rule)).collect();
        if limits.is_empty() {
            return Err(QuotaError::NoLimits);
        }
        let twice = limits
            .iter()
            .enumerate()
            .any(|(i, (name, _))| limits[..i].iter().any(|(other, _)| other == name));
        if twice { Err(QuotaError::DuplicateName) } else { Ok(Self { limits }) }
    }

    /// The name of the limit at `index`, which is the index in
    /// [`WhichLimit::Nth`](crate::WhichLimit::Nth).
    ///
    /// ```
    /// use tollgate::Quota;
    /// use tollgate::algorithm::{AllOf, GreedyRefill};
    /// let all = AllOf::new([("a", GreedyRefill::try_from(Quota::per_hour(9))?)])?;
    /// assert_eq!(all.name(0), Some("a"));
    /// # Ok::<(), tollgate::QuotaError>(())
    /// ```
    #[must_use]
    pub fn name(&self, index: usize) -> Option<&str> {
        self.limits.get(index).map(|(name, _)| name.as_str())
    }

    /// Each limit with its name, its rule and its state.
    ///
    /// ```
    /// use tollgate::algorithm::{Algorithm, AllOf, GreedyRefill};
    /// use tollgate::{Quota, Timestamp};
    ///
    /// let all = AllOf::new([("a", GreedyRefill::try_from(Quota::per_hour(9))?)])?;
    /// let state = all.start(Timestamp::ZERO, 2);
    /// for (name, rule, state) in all.each(&state) {
    ///     assert_eq!((name, rule.used(state, Timestamp::ZERO)), ("a", 2));
    /// }
    /// # Ok::<(), tollgate::QuotaError>(())
    /// ```
    pub fn each<'a>(
        &'a self,
        state: &'a [A::State],
    ) -> impl Iterator<Item = (&'a str, &'a A, &'a A::State)> {
        self.limits.iter().zip(state).map(|((name, rule), state)| (name.as_str(), rule, state))
    }

    /// The rule of the limit at `index`, and its state.
    pub(crate) fn one<'a>(
        &'a self,
        state: &'a mut [A::State],
        index: usize,
    ) -> Option<(&'a A, &'a mut A::State)> {
        Some((&self.limits.get(index)?.1, state.get_mut(index)?))
    }

    /// The index of the limit with this name.
    pub(crate) fn position(&self, name: &str) -> Option<usize> {
        self.limits.iter().position(|(other, _)| other == name)
    }

    fn rules(&self) -> impl Iterator<Item = &A> {
        self.limits.iter().map(|(_, rule)| rule)
    }

    /// The latest of the answers, and the index of the first limit that gave it.
    fn latest(&self, answer: impl Fn(usize, &A) -> Timestamp) -> (Timestamp, usize) {
        let mut latest = (Timestamp::ZERO, 0);
        for (index, rule) in self.rules().enumerate() {
            let at = answer(index, rule);
            if at > latest.0 {
                latest = (at, index);
            }
        }
        latest
    }
}

impl<A: Algorithm> Algorithm for AllOf<A> {
    type State = Box<[A::State]>;
    type Packed = Whole<Box<[A::State]>>;

    fn catches_up(&self) -> bool {
        self.rules().all(Algorithm::catches_up)
    }

    /// The quota with the smallest burst.
    fn quota(&self) -> Quota {
        let quotas = self.rules().map(Algorithm::quota);
        quotas.min_by_key(Quota::burst_size).unwrap_or(Quota::unlimited())
    }

    /// Fails unless there is exactly one limit, because one quota does not say which limit it is
    /// for.
    fn with_quota(&self, quota: Quota) -> Result<Self, QuotaError> {
        match &*self.limits {
            [(name, rule)] => Self::new([(name.as_str(), rule.with_quota(quota)?)]),
            _ => Err(QuotaError::SeveralLimits),
        }
    }

    fn limit(&self) -> u64 {
        self.rules().map(Algorithm::limit).min().unwrap_or(u64::MAX)
    }

    /// With `used = 0`, all limits are full. Otherwise each limit has as many permits left, or as
    /// much debt, as the limit with the smallest burst.
    fn start(&self, now: Timestamp, used: u128) -> Box<[A::State]> {
        let limit = self.limit();
        self.rules()
            .map(|rule| match used {
                0 => rule.start(now, 0),
                _ => rule.start(now, used.saturating_add((rule.limit() - limit).into())),
            })
            .collect()
    }

    fn restart(&self, state: &mut Box<[A::State]>, now: Timestamp) {
        for (rule, state) in self.rules().zip(state) {
            rule.restart(state, now);
        }
    }

    fn ready_at(&self, state: &Box<[A::State]>, now: Timestamp, permits: u64) -> Timestamp {
        // If the state has fewer limits than the rule, it admits nothing.
        let ready = |i: usize, rule: &A| {
            state.get(i).map_or(Timestamp::MAX, |state| rule.ready_at(state, now, permits))
        };
        self.latest(ready).0.max(now)
    }

    fn take(&self, state: &mut Box<[A::State]>, now: Timestamp, permits: u64) {
        for (rule, state) in self.rules().zip(state) {
            rule.take(state, now, permits);
        }
    }

    fn hold(&self, state: &mut Box<[A::State]>, now: Timestamp, permits: u64, receipt: Receipt) {
        for (rule, state) in self.rules().zip(state) {
            rule.hold(state, now, permits, receipt);
        }
    }

    fn release(&self, state: &mut Box<[A::State]>, permits: u64, receipt: Receipt) {
        for (rule, state) in self.rules().zip(state) {
            rule.release(state, permits, receipt);
        }
    }

    fn undo(&self, state: &mut Box<[A::State]>, now: Timestamp, permits: u64, receipt: Receipt) {
        for (rule, state) in self.rules().zip(state) {
            rule.undo(state, now, permits, receipt);
        }
    }

    fn give_back(&self, state: &mut Box<[A::State]>, now: Timestamp, permits: u64) {
        for (rule, state) in self.rules().zip(state) {
            rule.give_back(state, now, permits);
        }
    }

    /// The used permits of the limit with the fewest permits left, relative to the smallest burst.
    fn used(&self, state: &Box<[A::State]>, now: Timestamp) -> u128 {
        let limit = u128::from(self.limit());
        self.rules()
            .zip(state)
            .map(|(rule, state)| {
                let spare = u128::from(rule.limit()) - limit;
                rule.used(state, now).saturating_sub(spare)
            })
            .max()
            .unwrap_or(0)
    }

    fn full_at(&self, state: &Box<[A::State]>, now: Timestamp) -> Timestamp {
        let full = |i: usize, rule: &A| {
            state.get(i).map_or(Timestamp::MAX, |state| rule.full_at(state, now))
        };
        self.latest(full).0.max(now)
    }

    /// Each limit continues the limit with the same name. A limit with a new name starts full.
    fn carry_over(
        &self,
        previous: &Self,
        state: &Box<[A::State]>,
        now: Timestamp,
        how: CarryOver,
    ) -> Box<[A::State]> {
        self.limits
            .iter()
            .map(|(name, rule)| {
                let before =
                    previous.limits.iter().zip(state).find(|((other, _), _)| other == name);
                before.map_or_else(
                    || rule.start(now, 0),
                    |((_, old), state)| rule.carry_over(old, state, now, how),
                )
            })
            .collect()
    }

    fn refused_by(&self, state: &Box<[A::State]>, now: Timestamp, permits: u64) -> WhichLimit {
        if self.limits.len() == 1 {
            return WhichLimit::Only;
        }
        let (_, nth) = self.latest(|i, rule| match state.get(i) {
            Some(state) if permits <= rule.limit() => rule.ready_at(state, now, permits),
            _ => Timestamp::MAX,
        });
        WhichLimit::Nth(nth)
    }
}
