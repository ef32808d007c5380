//! What a process does while the store does not answer.

mod fallback;
mod local_share;

use super::store::Rule;
use crate::Quota;
pub(super) use fallback::Fallback;

/// How requests are decided while the store does not answer.
///
/// An outage begins with the first answer that does not come in time, and ends when the store
/// answers again, which is tried in the background.
///
/// | Mode | A request during an outage | Above the quota? |
/// |---|---|---|
/// | [`Closed`](Self::Closed) | is refused with the status 503 | never |
/// | [`LocalShare`](Self::LocalShare) | has its share of the quota | where it begins or ends |
/// | [`LastKnown`](Self::LastKnown) | passes, unless the store still refuses it | yes |
/// | [`Open`](Self::Open) | passes | yes |
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Outage {
    /// Refuses everybody, with the status 503.
    #[default]
    Closed,
    /// Limits by a share of the quota that belongs to this process; see
    /// [`local_share`](Self::local_share).
    LocalShare {
        /// The parts that this process has.
        mine: u32,
        /// All parts.
        of: u32,
    },
    /// Refuses those whom the store has refused, until the time that the store has named, and lets
    /// all others pass. The last refusals of at least 16,000 subjects are remembered.
    LastKnown,
    /// Lets everybody pass.
    Open,
}

impl Outage {
    /// `mine` of `of` parts of each quota belong to this process, such as one of eight for each of
    /// eight instances.
    ///
    /// During an outage, all shares together grant at most the burst, and the rate times the time.
    /// Rates are divided exactly. Bursts are rounded down, but a share can always hold one permit;
    /// so if there are more processes than permits in the burst, all of them together can exceed
    /// it. A request that is larger than the share's burst is refused as
    /// [`Unavailable`](crate::Rejection::Unavailable).
    ///
    /// Where an outage begins or ends, more than the quota can pass:
    ///
    /// * What this process was granted by the store is counted in its share, as far as the share
    ///   reaches, so a process that uses its share of the quota has no further burst when an outage
    ///   begins. What other processes were granted is not counted: if a subject is asked for in few
    ///   of the processes, the shares of the others are full, and up to a burst more can pass.
    /// * What the shares have granted is not charged to the store afterwards. Its levels have
    ///   recovered meanwhile, so at the end of an outage of length `T`, up to
    ///   `min(burst, rate * T)` more can pass.
    ///
    /// A `mine` of 0 counts as 1, and an `of` below `mine` as `mine`.
    ///
    /// ```
    /// use tollgate::shared::Outage;
    /// let one_of_eight = Outage::local_share(1, 8);
    /// assert_eq!(one_of_eight, Outage::LocalShare { mine: 1, of: 8 });
    /// ```
    #[must_use]
    pub fn local_share(mine: u32, of: u32) -> Self {
        let mine = mine.max(1);
        Self::LocalShare { mine, of: of.max(mine) }
    }

    /// What this process has of a quota in an outage.
    pub(super) fn share_of(self, quota: Quota, rule: Rule) -> Quota {
        match self {
            Self::LocalShare { mine, of } => local_share::share(quota, rule, mine, of),
            Self::Closed | Self::LastKnown | Self::Open => quota,
        }
    }
}
