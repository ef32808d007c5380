//! What a server reported about one limit.

use std::time::Duration;

use crate::llm::{Counted, Period};

/// What a server reported about one limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ServerLimit {
    /// What the limit counts.
    pub counted: Counted,
    /// The period that the limit counts over, if a header states it: in its name
    /// (`x-ratelimit-limit-requests-day`), as a parameter (`w=60`), or in a header of its own
    /// (Azure's `renewalperiod`). Most servers don't state it.
    pub period: Option<Period>,
    /// The most that can pass in a period.
    pub limit: Option<Bound>,
    /// What remains now, after the use of all clients of the account; never more than the limit.
    /// `None` if the limit is [unlimited](Bound::Unlimited).
    pub remaining: Option<u64>,
    /// The time until nothing of the limit is in use any more, from when the response was sent;
    /// with servers that count in windows, until the window ends. `None` if the limit is
    /// [unlimited](Bound::Unlimited).
    pub reset_after: Option<Duration>,
    /// How far the true reset can be from `reset_after`, because of rounding and of clocks.
    pub(crate) reset_margin: Duration,
    /// How far the true use can be below what limit and remaining say, because of rounding.
    pub(crate) count_margin: u64,
    /// Whether the provider documents that the limit is refilled evenly.
    pub(crate) even: bool,
}

impl ServerLimit {
    pub(crate) fn new(counted: Counted, period: Option<Period>) -> Self {
        Self {
            counted,
            period,
            limit: None,
            remaining: None,
            reset_after: None,
            reset_margin: Duration::ZERO,
            count_margin: 1,
            even: false,
        }
    }

    /// Adds what else is reported of the same limit: the stricter values are kept.
    pub(super) fn add(&mut self, other: Self) {
        fn least<T: Ord>(one: Option<T>, other: Option<T>) -> Option<T> {
            match (one, other) {
                (Some(one), Some(other)) => Some(one.min(other)),
                (one, other) => one.or(other),
            }
        }
        self.limit = least(self.limit, other.limit);
        let most = self.limit.and_then(Bound::count).unwrap_or(u64::MAX);
        self.remaining = least(self.remaining, other.remaining).map(|it| it.min(most));
        self.reset_after = self.reset_after.max(other.reset_after);
        self.reset_margin = self.reset_margin.max(other.reset_margin);
        self.count_margin = self.count_margin.max(other.count_margin);
        self.even |= other.even;
    }

    /// Whether the server says that this limit is zero and that nothing of it remains.
    pub(crate) fn is_zero(&self) -> bool {
        self.limit == Some(Bound::Of(0)) && self.remaining == Some(0)
    }

    /// Whether nothing remains of a limit that is not zero.
    pub(crate) fn is_used_up(&self) -> bool {
        self.limit != Some(Bound::Of(0)) && self.remaining == Some(0)
    }
}

/// The most that can pass in a period, as a header reports it. A stricter bound is less than a
/// looser one.
///
/// ```
/// use tollgate::llm::Bound;
/// assert!(Bound::Of(500) < Bound::Unlimited);
/// assert_eq!((Bound::Of(500).count(), Bound::Unlimited.count()), (Some(500), None));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Bound {
    /// A finite limit. A limit of 0 with 0 remaining, on a response that refuses the request, means
    /// that the key is spent. On a success it means that the server gives no number.
    Of(u64),
    /// The header's value is `-1`, or 2⁶² or more: the server gives no number.
    ///
    /// This is no reason to lift a limit that is known: Azure sends −1 while it does not know the
    /// limit ([openai-dotnet#838](https://github.com/openai/openai-dotnet/issues/838)).
    Unlimited,
}

impl Bound {
    /// The number; `None` if unlimited.
    #[must_use]
    pub fn count(self) -> Option<u64> {
        match self {
            Self::Of(count) => Some(count),
            Self::Unlimited => None,
        }
    }
}
