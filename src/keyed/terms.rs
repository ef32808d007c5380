//! What applies to one key.

use std::sync::Arc;

use crate::algorithm::Algorithm;
use crate::sync::Mutex;
use crate::{Quota, QuotaError, Rejection};

/// What applies to a key: its quota, what a request costs, and whether it is exempt or blocked.
///
/// The default is what applies to all: the limiter's quota, and one permit for a request. A
/// [`Quota`] is a key's terms too.
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
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Terms {
    quota: Option<Quota>,
    cost: u64,
    exempt: bool,
    shut: Option<Shut>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shut {
    Blocked,
    /// By way of a view.
    Closed,
}

impl Default for Terms {
    fn default() -> Self {
        Self { quota: None, cost: 1, exempt: false, shut: None }
    }
}

impl From<Quota> for Terms {
    fn from(quota: Quota) -> Self {
        Self::default().quota(quota)
    }
}

impl Terms {
    /// No limit at all, not even the one for everybody.
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

    /// Nothing passes; those who wait end with [`WaitError::Blocked`](crate::WaitError::Blocked).
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

    /// The same with another quota.
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

    /// How many permits each request takes; default: 1. Whoever asks for `n`, in `allow_n`,
    /// `try_acquire`, `wait`, `acquire`, `reserve` or `delay_for`, asks for `n` times as many;
    /// `consume`, `credit`, `try_acquire_up_to` and usages count permits as they are.
    ///
    /// This is for keys that cost more than others, such as endpoints under one limit for everybody.
    /// A key whose requests differ asks for [`allow_n`](super::Keyed::allow_n).
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

    pub(super) fn block(mut self) -> Self {
        // What is closed stays closed.
        self.shut = self.shut.or(Some(Shut::Blocked));
        self
    }

    pub(super) fn close(mut self) -> Self {
        self.shut = Some(Shut::Closed);
        self
    }

    pub(super) fn unblock(mut self) -> Self {
        self.shut = self.shut.filter(|shut| *shut != Shut::Blocked);
        self
    }

    /// Why nothing passes, if so.
    pub(super) fn refusal(&self) -> Option<Rejection> {
        self.shut.map(|shut| match shut {
            Shut::Blocked => Rejection::Blocked,
            Shut::Closed => Rejection::Closed,
        })
    }

    pub(super) fn is_exempt(&self) -> bool {
        self.exempt
    }

    /// The permits of `requests`.
    pub(super) fn permits(&self, requests: u64) -> u64 {
        requests.saturating_mul(self.cost)
    }
}

/// Terms with the rule that they ask for.
#[derive(Debug)]
pub(super) struct Applied<A> {
    pub(super) terms: Terms,
    /// None: the limiter's own.
    pub(super) rule: Option<A>,
}

/// How one key's terms are kept: none are the default.
pub(super) type Own<A> = Option<Arc<Applied<A>>>;

/// How many different terms are shared by the keys that have them.
const SHARED: usize = 64;

/// Keeps equal terms once.
#[derive(Debug)]
pub(super) struct Interner<A> {
    template: A,
    known: Mutex<Vec<Arc<Applied<A>>>>,
}

impl<A: Algorithm> Interner<A> {
    pub(super) fn new(template: A) -> Self {
        Self { template, known: Mutex::new(Vec::new()) }
    }

    /// The rule of everybody as it was built, to make others from.
    pub(super) fn template(&self) -> &A {
        &self.template
    }

    pub(super) fn apply(&self, terms: Terms) -> Result<Own<A>, QuotaError> {
        if terms == Terms::default() {
            return Ok(None);
        }
        let mut known = self.known.lock();
        if let Some(applied) = known.iter().find(|applied| applied.terms == terms) {
            return Ok(Some(Arc::clone(applied)));
        }
        let rule = terms.quota.map(|quota| self.template.with_quota(quota)).transpose()?;
        let applied = Arc::new(Applied { terms, rule });
        if known.len() >= SHARED {
            known.retain(|applied| Arc::strong_count(applied) > 1);
        }
        if known.len() < SHARED {
            known.push(Arc::clone(&applied));
        }
        Ok(Some(applied))
    }
}
