//! How much a request costs.

use smallvec::SmallVec;

use crate::shared::store::Charge;

/// How many permits a request takes of each limit: one number for all limits, or one for each limit
/// in the order in which the limits were added.
///
/// ```
/// use tollgate::shared::Cost;
/// let three_of_each = Cost::from(3);
/// let one_request_of_500_tokens = Cost::from([1, 500]);
/// assert_ne!(three_of_each, one_request_of_500_tokens);
/// ```
///
/// A limit for which no number is given costs nothing. A number for a limit that does not exist is
/// refused as larger than the burst.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Cost(Form);

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Form {
    /// So many permits of each limit.
    Each(u64),
    /// The permits of each limit.
    PerLimit(SmallVec<[u64; 2]>),
}

impl Cost {
    /// How many times which charges the cost is, for `limits` limits.
    pub(super) fn charges(&self, limits: usize) -> (u64, SmallVec<[Charge; 2]>) {
        match &self.0 {
            Form::Each(count) => (*count, SmallVec::from_elem(Charge::new(1), limits)),
            Form::PerLimit(costs) => {
                let cost = |limit| costs.get(limit).copied().unwrap_or(0);
                (1, (0..limits).map(|limit| Charge::new(cost(limit))).collect())
            }
        }
    }

    pub(super) fn is_the_same_for_all(&self) -> bool {
        matches!(self.0, Form::Each(_))
    }

    /// The permits of the limit with this index.
    pub(super) fn of(&self, limit: usize) -> u64 {
        match &self.0 {
            Form::Each(count) => *count,
            Form::PerLimit(costs) => costs.get(limit).copied().unwrap_or(0),
        }
    }

    /// The first limit above `limits` that costs anything, and how much.
    pub(super) fn beyond(&self, limits: usize) -> Option<(usize, u64)> {
        match &self.0 {
            Form::Each(_) => None,
            Form::PerLimit(costs) => {
                let more = costs.iter().copied().enumerate().skip(limits);
                more.into_iter().find(|(_, cost)| *cost > 0)
            }
        }
    }
}

impl From<u64> for Cost {
    fn from(permits: u64) -> Self {
        Self(Form::Each(permits))
    }
}

impl<const N: usize> From<[u64; N]> for Cost {
    fn from(permits: [u64; N]) -> Self {
        Self(Form::PerLimit(SmallVec::from_slice(&permits)))
    }
}

impl From<&[u64]> for Cost {
    fn from(permits: &[u64]) -> Self {
        Self(Form::PerLimit(SmallVec::from_slice(permits)))
    }
}
