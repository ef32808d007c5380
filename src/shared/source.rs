//! Where an answer comes from.

use std::fmt;

/// What an answer of a shared limit is based on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Source {
    /// The store decided.
    Shared,
    /// The store had given this process some permits ahead, see
    /// [`Builder::lease`](super::Builder::lease).
    Leased,
    /// The limiter itself, without asking anybody: it is closed, or the request costs something of a
    /// limit that does not exist.
    Local,
    /// The store refused a moment ago and said until when, so it was not asked again.
    Cached,
    /// The store does not answer. This process decided by its own share of the quota, see
    /// [`Outage::local_share`](super::Outage::local_share).
    LocalShare,
    /// The store does not answer. The subject was refused as long as the store's last answer says,
    /// see [`Outage::LastKnown`](super::Outage::LastKnown).
    LastKnown,
    /// The store does not answer, and nobody is limited meanwhile, see
    /// [`Outage::Open`](super::Outage::Open).
    Open,
    /// The store does not answer, and everybody is refused meanwhile, see
    /// [`Outage::Closed`](super::Outage::Closed).
    Closed,
}

impl Source {
    /// A short name for metrics and logs: `shared`, `leased`, `local`, `cached`, `local_share`,
    /// `last_known`, `open` or `closed`.
    ///
    /// ```
    /// use tollgate::shared::Source;
    /// assert_eq!(Source::LocalShare.as_str(), "local_share");
    /// ```
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Shared => "shared",
            Self::Leased => "leased",
            Self::Local => "local",
            Self::Cached => "cached",
            Self::LocalShare => "local_share",
            Self::LastKnown => "last_known",
            Self::Open => "open",
            Self::Closed => "closed",
        }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
