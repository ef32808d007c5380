//! Limiters as trait objects.

use std::fmt;

use super::RateLimiter;

/// Converts a limiter to a trait object, whether its type is sized or it is a trait object already.
/// Implemented for every limiter.
#[doc(hidden)]
pub trait AsRateLimiter {
    fn as_rate_limiter(&self) -> &dyn RateLimiter;
}

impl<L: RateLimiter> AsRateLimiter for L {
    fn as_rate_limiter(&self) -> &dyn RateLimiter {
        self
    }
}

/// Shows the quota and the current usage, so that a type that holds an `Arc<dyn RateLimiter>` can
/// derive `Debug`. Both are read from the limiter: do not print a limiter from inside its own
/// clock.
impl fmt::Debug for dyn RateLimiter + '_ {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RateLimiter")
            .field("quota", &self.quota())
            .field("usage", &self.usage())
            .finish()
    }
}
