//! The limits that a store keeps.

use std::sync::Arc;

use crate::Quota;

/// Subjects of one kind, such as users or addresses, and the limits that each of them has.
///
/// ```
/// use tollgate::Quota;
/// use tollgate::shared::store::{LimitSpec, Namespace, Rule};
/// let requests = LimitSpec::new("requests", Rule::TokenBucket, Quota::per_minute(600));
/// let users = Namespace::new("users", vec![requests]);
/// assert_eq!(users.limits[0].quotas, [Quota::per_minute(600)]);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Namespace {
    /// The name, which tells the subjects of this namespace from those of others.
    pub name: Arc<str>,
    /// The limits of each subject: one at least, and eight at most. All limits of a subject are
    /// charged together.
    pub limits: Vec<LimitSpec>,
}

impl Namespace {
    /// The namespace `name`, whose subjects have these limits.
    #[must_use]
    pub fn new(name: impl Into<Arc<str>>, limits: Vec<LimitSpec>) -> Self {
        Self { name: name.into(), limits }
    }
}

/// One limit, for a store.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LimitSpec {
    /// The limit's name, which is unique in its [`Namespace`].
    pub name: Arc<str>,
    /// How permits come back.
    pub rule: Rule,
    /// The quotas under which requests may be charged: the limit's own quota, and then those of
    /// tiers. A charge names one of them by its index. None is unlimited: a request under no limit
    /// is not charged.
    pub quotas: Vec<Quota>,
}

impl LimitSpec {
    /// The limit `name` with one quota. Push further quotas to [`quotas`](Self::quotas).
    #[must_use]
    pub fn new(name: impl Into<Arc<str>>, rule: Rule, quota: Quota) -> Self {
        Self { name: name.into(), rule, quotas: vec![quota] }
    }
}

/// How the permits of a limit come back. The rules are those of the limiters of this crate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Rule {
    /// Evenly, as [`GreedyRefill`](crate::algorithm::GreedyRefill) says.
    #[default]
    TokenBucket,
    /// All at the end of each period, as [`FixedWindow`](crate::algorithm::FixedWindow) says.
    FixedWindow,
    /// By two counters, as [`SlidingWindow`](crate::algorithm::SlidingWindow) says.
    SlidingWindow,
    /// Never more than the limit in any window, as
    /// [`StrictWindow`](crate::algorithm::StrictWindow) says.
    StrictWindow,
}
