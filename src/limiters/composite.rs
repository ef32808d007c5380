//! Several limits in one limiter.

use std::time::Duration;

use crate::algorithm::{Algorithm, AllOf, GreedyRefill};
use crate::limiters::Limiter;
use crate::limiters::core::usage_of;
use crate::limiters::verbs::Gate;
use crate::{
    CarryOver, Clock, ConsumeError, CounterClock, LimiterBuilder, Quota, QuotaError, Usage,
    WhichLimit,
};

/// Several limits in one limiter, such as 10 per second *and* 500 per hour. A request takes its
/// permits from all limits or from none, under one lock.
///
/// A refusal says which limit refused, by its place in the list. The time to wait is the time until
/// all limits grant the request, and the remaining permits are the fewest that any limit has left.
///
/// [`consume_of`](Limiter::consume_of) and [`credit_of`](Limiter::credit_of) change one limit
/// alone. If the same request has different costs for different limits, use one limiter for each
/// and decide over them with [`take_all`](crate::take_all).
///
/// Build it from named quotas with [`Composite::of`], with options from [`Composite::builder_of`],
/// or from other rules with [`Limiter::from_algorithm`] and [`AllOf`].
///
/// ```
/// use tollgate::{Composite, Quota, RateLimiter, Rejection};
///
/// let limiter =
///     Composite::of([("per second", Quota::per_second(10)), ("per hour", Quota::per_hour(500))])?;
/// assert!(limiter.allow_n(10));
/// let Err(Rejection::Denied { limit, .. }) = limiter.try_acquire(1) else { unreachable!() };
/// assert_eq!(limiter.name(limit).as_deref(), Some("per second"));
/// # Ok::<(), tollgate::QuotaError>(())
/// ```
pub type Composite<C = CounterClock> = Limiter<AllOf<GreedyRefill>, C>;

impl Composite {
    /// A limiter of several named token buckets on the default clock, all full at first.
    ///
    /// # Errors
    ///
    /// [`QuotaError::Limit`] with the name of a quota that cannot be kept, [`QuotaError::NoLimits`]
    /// for an empty list, and [`QuotaError::DuplicateName`] if two limits have the same name.
    ///
    /// ```
    /// use tollgate::{Composite, Quota, QuotaError};
    /// let twice = [("a", Quota::per_second(1)), ("a", Quota::per_hour(9))];
    /// assert_eq!(Composite::of(twice).unwrap_err(), QuotaError::DuplicateName);
    /// let error = Composite::of([("hour", Quota::per_hour(0))]).unwrap_err();
    /// assert!(error.to_string().starts_with("limit \"hour\": the rate is zero"));
    /// ```
    pub fn of<N: Into<String>>(
        limits: impl IntoIterator<Item = (N, Quota)>,
    ) -> Result<Self, QuotaError> {
        Self::builder_of(limits).build()
    }

    /// As [`of`](Self::of), with options.
    ///
    /// ```
    /// use tollgate::{Composite, ManualClock, Quota};
    /// let limiter = Composite::builder_of([("a", Quota::per_second(1))])
    ///     .clock(ManualClock::new())
    ///     .build()?;
    /// # Ok::<(), tollgate::QuotaError>(())
    /// ```
    pub fn builder_of<N: Into<String>>(
        limits: impl IntoIterator<Item = (N, Quota)>,
    ) -> LimiterBuilder<AllOf<GreedyRefill>> {
        LimiterBuilder::new(rules(limits))
    }
}

fn rules<N: Into<String>>(
    limits: impl IntoIterator<Item = (N, Quota)>,
) -> Result<AllOf<GreedyRefill>, QuotaError> {
    let rules: Result<Vec<_>, QuotaError> = limits
        .into_iter()
        .map(|(name, quota)| {
            let name = name.into();
            match GreedyRefill::try_from(quota) {
                Ok(rule) => Ok((name, rule)),
                Err(error) => Err(QuotaError::Limit { name, error: Box::new(error) }),
            }
        })
        .collect();
    AllOf::new(rules?)
}

impl<C: Clock> Composite<C> {
    /// Replaces the limits. The used permits of a limit carry over to the new limit of the same
    /// name; limits with a new name start full. The due times of all waiters are computed anew.
    ///
    /// # Errors
    ///
    /// As [`of`](Composite::of). Then nothing changes.
    ///
    /// ```
    /// use tollgate::{CarryOver, Composite, Quota, RateLimiter};
    /// let limiter = Composite::of([("a", Quota::per_hour(10)), ("b", Quota::per_hour(99))])?;
    /// limiter.allow_n(4);
    /// let new = [("a", Quota::per_hour(10)), ("c", Quota::per_hour(9))];
    /// limiter.set_limits(new, CarryOver::Keep)?;
    /// let each = limiter.usage_each().into_iter().map(|(name, usage)| (name, usage.used));
    /// assert_eq!(each.collect::<Vec<_>>(), [("a".to_owned(), 4), ("c".to_owned(), 0)]);
    /// # Ok::<(), tollgate::QuotaError>(())
    /// ```
    pub fn set_limits<N: Into<String>>(
        &self,
        limits: impl IntoIterator<Item = (N, Quota)>,
        how: CarryOver,
    ) -> Result<(), QuotaError> {
        let new = rules(limits)?;
        self.set_algorithm(how, |_| Ok(new))
    }
}

impl<A: Algorithm, C: Clock> Limiter<AllOf<A>, C> {
    /// The name of the limit that a [`Rejection`](crate::Rejection) names by its place.
    ///
    /// ```
    /// use tollgate::{Composite, Quota, WhichLimit};
    /// let limiter = Composite::of([("a", Quota::per_second(1))])?;
    /// assert_eq!(limiter.name(WhichLimit::Only).as_deref(), Some("a"));
    /// assert_eq!(limiter.name(WhichLimit::Nth(1)), None);
    /// # Ok::<(), tollgate::QuotaError>(())
    /// ```
    pub fn name(&self, limit: WhichLimit) -> Option<String> {
        let index = match limit {
            WhichLimit::Only => 0,
            WhichLimit::Nth(index) => index,
            WhichLimit::Global => return None,
        };
        self.with_core(|core, _, _| core.rest.rule.name(index).map(str::to_owned))
    }

    /// The name and the usage of each limit. Counters are kept only for the whole limiter.
    ///
    /// ```
    /// use tollgate::{Composite, Quota, RateLimiter};
    /// let limiter = Composite::of([("a", Quota::per_hour(5)), ("b", Quota::per_hour(9))])?;
    /// limiter.allow();
    /// let [(_, a), (_, b)] = &limiter.usage_each()[..] else { unreachable!() };
    /// assert_eq!((a.remaining, b.remaining), (4, 8));
    /// # Ok::<(), tollgate::QuotaError>(())
    /// ```
    pub fn usage_each(&self) -> Vec<(String, Usage)> {
        let (all, state, now) = self.snapshot();
        let each = all.each(&state);
        each.map(|(name, rule, state)| (name.to_owned(), usage_of(rule, state, now))).collect()
    }

    /// As [`consume`](crate::RateLimiter::consume), but only from the limit with this name. For
    /// usage that only one limit counts, such as the rest of a request's weight.
    ///
    /// # Errors
    ///
    /// [`ConsumeError::UnknownLimit`] if no limit has that name, and as
    /// [`consume`](crate::RateLimiter::consume). Then nothing is recorded.
    ///
    /// ```
    /// use tollgate::{Composite, Quota, RateLimiter};
    /// let exchange = [("weight", Quota::per_minute(1_200)), ("requests", Quota::per_minute(100))];
    /// let limiter = Composite::of(exchange)?;
    /// // A request of weight 20.
    /// limiter.wait()?;
    /// limiter.consume_of("weight", 19)?;
    /// let [(_, weight), (_, requests)] = &limiter.usage_each()[..] else { unreachable!() };
    /// assert_eq!((weight.used, requests.used), (20, 1));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn consume_of(&self, name: &str, permits: u64) -> Result<Duration, ConsumeError> {
        self.with_core(|core, now, wakers| {
            let index = core.rest.rule.position(name).ok_or(ConsumeError::UnknownLimit)?;
            core.consume_by(now, permits, wakers, |all, state, now| {
                if let Some((rule, state)) = all.one(state, index) {
                    rule.take(state, now, permits);
                }
            })
        })
    }

    /// As [`credit`](crate::RateLimiter::credit), but only to the limit with this name. Returns
    /// whether there is one.
    ///
    /// ```
    /// use tollgate::{Composite, Quota, RateLimiter};
    /// let limiter = Composite::of([("a", Quota::per_hour(5)), ("b", Quota::per_hour(9))])?;
    /// assert!(limiter.allow_n(4));
    /// assert!(limiter.credit_of("a", 3));
    /// let [(_, a), (_, b)] = &limiter.usage_each()[..] else { unreachable!() };
    /// assert_eq!((a.used, b.used), (1, 4));
    /// assert!(!limiter.credit_of("c", 3));
    /// # Ok::<(), tollgate::QuotaError>(())
    /// ```
    pub fn credit_of(&self, name: &str, permits: u64) -> bool {
        self.with_core(|core, now, wakers| {
            let Some(index) = core.rest.rule.position(name) else { return false };
            core.credit_by(now, permits, wakers, |all, state, now| {
                if let Some((rule, state)) = all.one(state, index) {
                    rule.give_back(state, now, permits);
                }
            });
            true
        })
    }
}
