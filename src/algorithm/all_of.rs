//! Several limits taken all-or-nothing as one.

use super::{Algorithm, Receipt, Whole};
use crate::{CarryOver, Quota, QuotaError, Timestamp, WhichLimit};

/// Several named limits of one kind: permits are taken from all of them, or from none.
///
/// What is left is the least any limit has left, and a wait is as long as the longest. The rule
/// behind [`Composite`](crate::Composite).
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
    /// One rule out of several named ones.
    ///
    /// # Errors
    ///
    /// When there are none, or two of one name.
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

    /// The name of the limit at `index`, as a [`Rejection`](crate::Rejection) gives it.
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

    /// Each limit by itself: name, rule and state.
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

    /// The rule at `index`, and its state.
    pub(crate) fn one<'a>(
        &'a self,
        state: &'a mut [A::State],
        index: usize,
    ) -> Option<(&'a A, &'a mut A::State)> {
        Some((&self.limits.get(index)?.1, state.get_mut(index)?))
    }

    /// The place of the limit of this name.
    pub(crate) fn position(&self, name: &str) -> Option<usize> {
        self.limits.iter().position(|(other, _)| other == name)
    }

    fn rules(&self) -> impl Iterator<Item = &A> {
        self.limits.iter().map(|(_, rule)| rule)
    }

    /// The latest answer of all, and the first limit that gave it.
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

    /// Fails unless there is just one limit: one quota can't say which is meant.
    fn with_quota(&self, quota: Quota) -> Result<Self, QuotaError> {
        match &*self.limits {
            [(name, rule)] => Self::new([(name.as_str(), rule.with_quota(quota)?)]),
            _ => Err(QuotaError::SeveralLimits),
        }
    }

    fn limit(&self) -> u64 {
        self.rules().map(Algorithm::limit).min().unwrap_or(u64::MAX)
    }

    /// Each limit is left with as many permits as the one with the smallest burst (or owes as many);
    /// `used = 0` is full for all of them.
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
        // A state that came from fewer limits admits nothing.
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

    /// As many as leave the least that any limit has left.
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

    /// Each limit carries over to the one of its name; one without such starts full.
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
