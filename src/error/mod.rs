//! The errors of limiters and quotas. Each message says what is wrong and, where possible, what to
//! do.

mod quota;
mod rejection;
mod wait;

use std::fmt;
use std::time::Duration;

pub use quota::QuotaError;
pub use rejection::{Rejection, WhichLimit};
pub use wait::WaitError;

/// Why usage could not be recorded. Nothing was recorded.
///
/// ```
/// use tollgate::{ConsumeError, Quota, RateLimiter, TokenBucket};
/// let limiter = TokenBucket::new(Quota::per_day(1))?;
/// let error = limiter.consume(u64::MAX).unwrap_err();
/// assert_eq!(error, ConsumeError::DebtTooLarge { permits: u64::MAX });
/// assert_eq!(limiter.usage().remaining, 1);
/// # Ok::<(), tollgate::QuotaError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum ConsumeError {
    /// The debt could not be repaid within the range of a clock (584 years).
    #[error("{permits} more permits of debt could not be repaid within 584 years")]
    DebtTooLarge {
        /// The number of permits to be recorded.
        permits: u64,
    },
    /// The key is new, and the keyed limiter already holds its maximum number of keys.
    #[error("no room for a new key: the limiter already holds {max_keys} keys")]
    TooManyKeys {
        /// The maximum number of keys.
        max_keys: usize,
    },
    /// No limit of the [`Composite`](crate::Composite) has this name.
    #[error("this limiter has no limit with that name")]
    UnknownLimit,
}

/// Displays a duration for people: rounded up to at most three decimals.
struct Rounded(Duration);

impl fmt::Display for Rounded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let nanos = self.0.as_nanos();
        let unit = match nanos {
            0..1_000_000 => 1,
            1_000_000..1_000_000_000 => 1_000,
            _ => 1_000_000,
        };
        let up = nanos.div_ceil(unit).saturating_mul(unit);
        let up = u64::try_from(up).map_or(Duration::MAX, Duration::from_nanos);
        write!(f, "{:?}", if up < self.0 { self.0 } else { up })
    }
}
