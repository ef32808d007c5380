//! The clock of tokio, for tests under paused time.

use ::tokio::time::Instant;

use super::Clock;
use crate::Timestamp;

/// The clock of tokio: the kernel's monotonic clock, or the paused clock of a test with
/// `start_paused`.
///
/// With this clock, async waits in such a test take exactly the time they should, and no real time.
/// **Under `start_paused`, build the limiter with this clock.** With any other clock, tokio's time
/// runs ahead of the limiter's time, and timeouts fire too early.
///
/// ```
/// use std::time::Duration;
/// use tollgate::{Quota, RateLimiter, TokenBucket, TokioClock};
///
/// # #[tokio::main(flavor = "current_thread", start_paused = true)]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let limiter = TokenBucket::builder(Quota::per_hour(1)).clock(TokioClock::new()).build()?;
/// let start = tokio::time::Instant::now();
/// limiter.acquire(1).await?;
/// limiter.acquire(1).await?;
/// assert_eq!(start.elapsed(), Duration::from_secs(3600));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug)]
pub struct TokioClock {
    origin: Instant,
}

impl TokioClock {
    /// A clock whose origin is now. Call this inside the runtime whose time it should follow.
    ///
    /// ```
    /// # use tollgate::{Clock, TokioClock, Timestamp};
    /// let clock = TokioClock::new();
    /// ```
    #[must_use]
    pub fn new() -> Self {
        Self { origin: Instant::now() }
    }
}

impl Default for TokioClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for TokioClock {
    fn now(&self) -> Timestamp {
        Timestamp::ZERO + Instant::now().saturating_duration_since(self.origin)
    }
}
