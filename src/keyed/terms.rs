//! What applies to one key.

use std::sync::Arc;

use crate::algorithm::Algorithm;
use crate::sync::Mutex;
use crate::{Quota, QuotaError};

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
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Terms {
    quota: Option<Quota>,
    cost: u64,
    access: Access,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Access {
    Limited,
    Exempt,
    Blocked,
}

impl Default for Terms {
    fn default() -> Self {
        Self { quota: None, cost: 1, access: Access::Limited }
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
    /// # Ok::<(), tollgate::keyed::KeyedError>(())
    /// ```
    #[must_use]
    pub fn exempt() -> Self {
        Self { quota: Some(Quota::unlimited()), access: Access::Exempt, ..Self::default() }
    }

    /// Nothing passes; those who wait end with [`WaitError::Closed`](crate::WaitError::Closed).
    ///
    /// ```
    /// use tollgate::keyed::Terms;
    /// use tollgate::{KeyedLimiter, Quota};
    /// let limiter = KeyedLimiter::<u32>::new(Quota::per_hour(1))?;
    /// limiter.set_terms_for(&7, Terms::blocked())?;
    /// assert!(!limiter.allow(&7));
    /// # Ok::<(), tollgate::keyed::KeyedError>(())
    /// ```
    #[must_use]
    pub fn blocked() -> Self {
        Self { access: Access::Blocked, ..Self::default() }
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

    /// What a request costs where no number of permits is given, as in `allow(key)`; default: 1.
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
        self.access = Access::Blocked;
        self
    }

    pub(super) fn is_blocked(&self) -> bool {
        self.access == Access::Blocked
    }

    pub(super) fn is_exempt(&self) -> bool {
        self.access == Access::Exempt
    }

    /// Permits of one request.
    pub(super) fn permits(&self) -> u64 {
        self.cost
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
