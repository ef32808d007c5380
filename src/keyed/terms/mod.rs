//! What applies to one key: the public [`Terms`], and how they are stored.

pub(crate) mod function;
pub(crate) mod interner;

use std::sync::Arc;

use crate::{Quota, Rejection, Timestamp};

/// What applies to a key: its quota, the cost of a request, and whether the key is exempt or
/// blocked.
///
/// The default is the limiter's quota and one permit per request. A [`Quota`] converts into terms
/// with that quota.
///
/// ```
/// use tollgate::keyed::Terms;
/// use tollgate::{KeyedLimiter, Quota};
///
/// let tiers = KeyedLimiter::<String>::builder(Quota::per_minute(10))
///     .terms_by(|key: &String| match key.split_once('/') {
///         Some(("enterprise", _)) => Quota::per_minute(1_000).into(),
///         Some(("internal", _)) => Terms::exempt(),
///         _ => Terms::default(),
///     })
///     .build()?;
/// assert_eq!(tiers.usage("enterprise/acme").limit, 1_000);
/// assert_eq!(tiers.usage("free/bob").limit, 10);
/// # Ok::<(), tollgate::QuotaError>(())
/// ```
#[doc(alias = "override")]
#[doc(alias = "tier")]
#[doc(alias = "policy")]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Terms {
    pub(crate) quota: Option<Quota>,
    cost: u64,
    exempt: bool,
    shut: Option<Shut>,
    /// All requests are rejected before this time.
    pub(crate) blocked_until: Timestamp,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Shut {
    Blocked,
    /// The function that gives the terms returned a quota that is not supported.
    Unusable,
    /// Closed through [`ForKey`](super::ForKey).
    Closed,
}

impl Default for Terms {
    fn default() -> Self {
        Self { quota: None, cost: 1, exempt: false, shut: None, blocked_until: Timestamp::ZERO }
    }
}

impl From<Quota> for Terms {
    fn from(quota: Quota) -> Self {
        Self::default().quota(quota)
    }
}

impl Terms {
    /// No limit applies to the key, not even the global one.
    ///
    /// ```
    /// use tollgate::keyed::Terms;
    /// use tollgate::{KeyedLimiter, Quota};
    /// let limiter = KeyedLimiter::<u32>::new(Quota::per_hour(1))?;
    /// limiter.set_terms_for(&7, Terms::exempt())?;
    /// assert!(limiter.allow_n(&7, 1_000_000));
    /// # Ok::<(), tollgate::QuotaError>(())
    /// ```
    #[doc(alias = "allowlist")]
    #[doc(alias = "whitelist")]
    #[must_use]
    pub fn exempt() -> Self {
        Self { quota: Some(Quota::unlimited()), exempt: true, ..Self::default() }
    }

    /// All requests are rejected, and waiters end with
    /// [`WaitError::Blocked`](crate::WaitError::Blocked).
    ///
    /// ```
    /// use tollgate::keyed::Terms;
    /// use tollgate::{KeyedLimiter, Quota, Rejection};
    /// let limiter = KeyedLimiter::<u32>::new(Quota::per_hour(1))?;
    /// limiter.set_terms_for(&7, Terms::blocked())?;
    /// assert_eq!(limiter.try_acquire(&7, 1), Err(Rejection::Blocked));
    /// # Ok::<(), tollgate::QuotaError>(())
    /// ```
    #[doc(alias = "denylist")]
    #[doc(alias = "blacklist")]
    #[must_use]
    pub fn blocked() -> Self {
        Self { shut: Some(Shut::Blocked), ..Self::default() }
    }

    /// All requests are rejected before `at`, a time on the limiter's clock; from then on the
    /// limiter's quota applies, without a further call. Before `at`, requests are rejected with
    /// [`Rejection::BlockedFor`], and waiters end with
    /// [`WaitError::BlockedFor`](crate::WaitError::BlockedFor).
    ///
    /// To block a key for a duration that starts now, use
    /// [`Keyed::block_for`](super::Keyed::block_for).
    ///
    /// ```
    /// use std::time::Duration;
    /// use tollgate::keyed::Terms;
    /// use tollgate::{Clock, KeyedLimiter, ManualClock, Quota};
    /// let clock = ManualClock::new();
    /// let builder = KeyedLimiter::<u32>::builder(Quota::per_hour(1)).clock(clock.clone());
    /// let limiter = builder.build()?;
    /// let end = clock.now() + Duration::from_secs(600);
    /// limiter.set_terms_for(&7, Terms::blocked_until(end))?;
    /// assert!(!limiter.allow(&7));
    /// clock.set(end);
    /// assert!(limiter.allow(&7));
    /// # Ok::<(), tollgate::QuotaError>(())
    /// ```
    #[must_use]
    pub fn blocked_until(at: Timestamp) -> Self {
        Self { blocked_until: at, ..Self::default() }
    }

    /// Sets the quota.
    ///
    /// ```
    /// use tollgate::Quota;
    /// use tollgate::keyed::Terms;
    /// let terms = Terms::default().quota(Quota::per_minute(300)).cost(5);
    /// ```
    #[must_use]
    pub fn quota(mut self, quota: Quota) -> Self {
        self.quota = Some(quota);
        self
    }

    /// Sets how many permits each request takes; default: 1. It multiplies the number passed to
    /// `allow_n`, `try_acquire`, `wait_n`, `acquire`, `reserve` and `delay_for`. `consume`,
    /// `credit`, `try_acquire_up_to` and usages count permits, without the cost.
    ///
    /// This is for keys whose requests cost more than those of other keys, such as endpoints under
    /// one global limit. If the cost differs between requests of one key, use
    /// [`allow_n`](super::Keyed::allow_n).
    ///
    /// ```
    /// use tollgate::keyed::Terms;
    /// use tollgate::{KeyedLimiter, Quota};
    /// let limiter = KeyedLimiter::<String>::builder(Quota::per_minute(10))
    ///     .terms_by(|path: &String| Terms::default().cost(if path == "/search" { 5 } else { 1 }))
    ///     .build()?;
    /// limiter.allow("/search");
    /// assert_eq!(limiter.usage("/search").remaining, 5);
    /// # Ok::<(), tollgate::QuotaError>(())
    /// ```
    #[must_use]
    pub fn cost(mut self, permits: u64) -> Self {
        self.cost = permits;
        self
    }

    pub(crate) fn block(mut self) -> Self {
        // A closed key stays closed.
        if self.shut != Some(Shut::Closed) {
            self.shut = Some(Shut::Blocked);
        }
        self
    }

    /// Blocks until `at`, unless the key is already blocked for longer.
    pub(crate) fn block_until(mut self, at: Timestamp) -> Self {
        self.blocked_until = self.blocked_until.max(at);
        self
    }

    pub(crate) fn close(mut self) -> Self {
        self.shut = Some(Shut::Closed);
        self
    }

    pub(crate) fn unblock(mut self) -> Self {
        self.shut = self.shut.filter(|shut| *shut == Shut::Closed);
        self.blocked_until = Timestamp::ZERO;
        self
    }

    /// Terms for a key whose function returned an unsupported quota: all requests are rejected.
    pub(crate) fn unusable() -> Self {
        Self { shut: Some(Shut::Unusable), ..Self::default() }
    }

    /// These terms with an explicitly set quota, which also replaces an unsupported one.
    pub(crate) fn with_own_quota(mut self, quota: Quota) -> Self {
        self.shut = self.shut.filter(|shut| *shut != Shut::Unusable);
        self.quota(quota)
    }

    /// These terms without a temporary block.
    pub(crate) fn without_end_of_block(self) -> Self {
        self.as_of(Timestamp::MAX)
    }

    /// These terms without a temporary block that has ended by `now`.
    pub(crate) fn as_of(mut self, now: Timestamp) -> Self {
        if self.blocked_until <= now {
            self.blocked_until = Timestamp::ZERO;
        }
        self
    }

    /// Whether [`unblock`](Self::unblock) would change anything.
    pub(crate) fn is_blocked(&self) -> bool {
        *self != self.unblock()
    }

    /// The reason why all requests are rejected at `now`, if they are.
    pub(crate) fn refusal(&self, now: Timestamp) -> Option<Rejection> {
        match self.shut {
            Some(Shut::Blocked | Shut::Unusable) => Some(Rejection::Blocked),
            Some(Shut::Closed) => Some(Rejection::Closed),
            None => (now < self.blocked_until)
                .then(|| Rejection::BlockedFor { retry_after: self.blocked_until - now }),
        }
    }

    pub(crate) fn is_exempt(&self) -> bool {
        self.exempt
    }

    /// The number of permits that `requests` requests take.
    pub(crate) fn permits(&self, requests: u64) -> u64 {
        requests.saturating_mul(self.cost)
    }
}

/// Terms that several keys can share, with the algorithm for their quota.
#[derive(Debug)]
pub(crate) struct SharedTerms<A> {
    pub(crate) terms: Terms,
    /// `None` for the limiter's own.
    pub(crate) rule: Option<A>,
}

impl<A> SharedTerms<A> {
    /// The algorithm of these terms, or else the limiter's.
    pub(crate) fn rule_or<'a>(&'a self, limiters: &'a A) -> &'a A {
        self.rule.as_ref().unwrap_or(limiters)
    }
}

/// One key's terms: the part that several keys can share, and the end of its temporary block.
#[derive(Debug)]
pub(crate) struct KeyTerms<A> {
    /// `None` for the default terms.
    pub(crate) applied: Option<Arc<SharedTerms<A>>>,
    /// The tier of the key's last request; `None` if the key has a quota of its own.
    pub(crate) tier: Option<Arc<SharedTerms<A>>>,
    pub(crate) blocked_until: Timestamp,
}

impl<A> Clone for KeyTerms<A> {
    fn clone(&self) -> Self {
        let (applied, tier) = (self.applied.clone(), self.tier.clone());
        Self { applied, tier, blocked_until: self.blocked_until }
    }
}

impl<A> Default for KeyTerms<A> {
    fn default() -> Self {
        Self { applied: None, tier: None, blocked_until: Timestamp::ZERO }
    }
}

impl<A> KeyTerms<A> {
    pub(crate) fn terms(&self) -> Terms {
        let shared = self.applied.as_ref().map(|applied| applied.terms).unwrap_or_default();
        Terms { blocked_until: self.blocked_until, ..shared }
    }

    /// Whether both are the same terms by identity, and so have the same algorithm.
    pub(crate) fn shares_terms_with(&self, other: &Self) -> bool {
        self.applied.as_ref().map(Arc::as_ptr) == other.applied.as_ref().map(Arc::as_ptr)
            && self.tier.as_ref().map(Arc::as_ptr) == other.tier.as_ref().map(Arc::as_ptr)
    }

    /// The algorithm that applies, if it is not the limiter's: the key's own, or that of its tier.
    pub(crate) fn rule(&self) -> Option<&A> {
        self.own_rule().or_else(|| self.tier.as_ref()?.rule.as_ref())
    }

    /// The key's own algorithm, if it has one, regardless of its tier.
    pub(crate) fn own_rule(&self) -> Option<&A> {
        self.applied.as_ref()?.rule.as_ref()
    }

    /// Whether nothing is set for the key at `now`; the key may be in a tier.
    pub(crate) fn is_default(&self, now: Timestamp) -> bool {
        self.applied.is_none() && self.blocked_until <= now
    }

    pub(crate) fn refusal(&self, now: Timestamp) -> Option<Rejection> {
        self.terms().refusal(now)
    }
}
