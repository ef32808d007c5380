//! The quotas of contestants, in the words of each crate.

use std::num::NonZeroU32;
use std::time::Duration;

use tollgate::Quota;

/// A quota that each crate can express.
#[derive(Clone, Copy)]
pub(crate) enum Pace {
    /// So fast that one client is never refused: a full bucket after each request. What is left is
    /// told in four digits, as with limits of real services.
    Endless,
    /// So many in an hour, and all of them at once if the client likes. A bucket that has been used
    /// is not full again while anything is measured, so it must be kept.
    Hourly(u32),
    /// So many that even all clients together don't take them, and one more in an hour.
    Vast,
}

/// What a bucket holds that is never empty.
const PLENTY: u32 = 9_999;
/// What a bucket holds that all clients share.
const VAST: u32 = 4_000_000_000;

impl Pace {
    /// For `clients` who must not be refused.
    pub(crate) fn allowing(clients: u32) -> Self {
        if clients < 1_000 { Self::Endless } else { Self::Hourly(PLENTY) }
    }

    /// What a bucket holds.
    pub(crate) fn burst(self) -> u32 {
        match self {
            Self::Endless => PLENTY,
            Self::Hourly(burst) => burst,
            Self::Vast => VAST,
        }
    }

    /// After what time there is one more.
    pub(crate) fn period(self) -> Duration {
        match self {
            Self::Endless => Duration::from_nanos(10),
            Self::Hourly(count) => Duration::from_hours(1) / count,
            Self::Vast => Duration::from_hours(1),
        }
    }

    pub(crate) fn quota(self) -> Quota {
        match self {
            Self::Endless => Quota::per(1, self.period()).burst(PLENTY.into()),
            Self::Hourly(count) => Quota::per_hour(count.into()),
            Self::Vast => Quota::per_hour(1).burst(VAST.into()),
        }
    }

    pub(crate) fn axum_governor(self) -> axum_governor::Quota {
        let many = |count| NonZeroU32::new(count).expect("more than none");
        match self {
            Self::Endless => {
                axum_governor::Quota::requests_per_second(many(100_000_000)).burst(many(PLENTY))
            }
            Self::Hourly(count) => axum_governor::Quota::requests_per_hour(many(count)),
            Self::Vast => axum_governor::Quota::requests_per_hour(many(1)).burst(many(VAST)),
        }
    }
}
