//! Several limits as one.

use std::time::Duration;

use crate::algorithm::{Algorithm, AllOf, GreedyRefill};
use crate::limiters::Limiter;
use crate::limiters::core::usage_of;
use crate::limiters::verbs::Gate;
use crate::{
    CarryOver, Clock, ConsumeError, CounterClock, LimiterBuilder, Quota, QuotaError, Usage,
    WhichLimit,
};

/// Several limits, taken all-or-nothing as one, under one lock: 10 a second *and* 500 an hour.
///
/// A refusal says by its place in the list which limit refused, and the wait it quotes is the one
/// after which all agree. What is left is the least any has left.
///
/// One limit alone is charged by [`consume_of`](Limiter::consume_of) and given back to by
/// [`credit_of`](Limiter::credit_of). Limits with different costs for the same request are limiters of their own in one
/// decision: [`take_all`](crate::take_all).
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
    /// [`QuotaError::Limit`] when one of the quotas can't be kept, with its name; an error too when
    /// there are none, or two have one name.
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

    /// A composite with options.
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
    /// Replaces the limits. Each carries over to the one of its name; those without such start
    /// full. Those who wait are re-timed.
    ///
    /// # Errors
    ///
    /// As [`of`](Composite::of); then nothing changes.
    ///
    /// ```
    /// use tollgate::{CarryOver, Composite, Quota, RateLimiter};
    /// let limiter = Composite::of([("a", Quota::per_hour(10)), ("b", Quota::per_hour(99))])?;
    /// limiter.allow_n(4);
    /// limiter.set_limits([("a", Quota::per_hour(10)), ("c", Quota::per_hour(9))], CarryOver::Keep)?;
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
    /// The name of a limit, as a [`Rejection`](crate::Rejection) gives it.
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

    /// A look at each limit by itself, by name. Counters are kept for the whole only.
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

    /// As [`consume`](crate::RateLimiter::consume), of the limit of this name alone: usage that only one of the limits
    /// counts, such as the rest of a request's weight.
    ///
    /// # Errors
    ///
    /// [`ConsumeError::UnknownLimit`] if no limit has that name, and as [`consume`](crate::RateLimiter::consume); then
    /// nothing is recorded.
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

    /// As [`credit`](crate::RateLimiter::credit), to the limit of this name alone; whether there is one.
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
