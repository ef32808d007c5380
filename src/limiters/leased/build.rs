//! How a leased bucket is built: over a bucket whose burst is smaller by what may be out.

use super::LeasedTokenBucket;
use crate::algorithm::{Algorithm, GreedyRefill};
use crate::limiters::builder::LimiterBuilder;
use crate::{Clock, QuotaError};

impl<C: Clock> LimiterBuilder<GreedyRefill, C> {
    /// Builds a [`LeasedTokenBucket`], from which each thread draws up to `batch` permits at a time
    /// (at least 1). The usable burst is smaller than the burst of the quota by `16 * batch`
    /// permits.
    ///
    /// # Errors
    ///
    /// As [`build`](Self::build), and [`QuotaError::BurstBelowLeases`] if the burst is not above
    /// `16 * batch`.
    ///
    /// ```
    /// use tollgate::{Quota, RateLimiter, TokenBucket};
    /// let limiter = TokenBucket::builder(Quota::per_second(1_000_000)).build_leased(64)?;
    /// assert!(limiter.allow());
    /// # Ok::<(), tollgate::QuotaError>(())
    /// ```
    pub fn build_leased(self, batch: u32) -> Result<LeasedTokenBucket<C>, QuotaError> {
        let reduced = |rule: GreedyRefill| {
            GreedyRefill::try_from(LeasedTokenBucket::<C>::inner_quota(rule.quota(), batch)?)
        };
        Ok(LeasedTokenBucket::from_parts(self.map_rule(reduced).build()?, batch))
    }
}
