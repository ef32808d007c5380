//! One limit's part in a decision, to be read.

use std::fmt;
use std::time::Duration;

use tollgate::Quota;

use super::compiled::{Compiled, CompiledLimit};
use super::key::KeyParts;
use super::store::{Answer, Charge, Verdict};
use crate::respond::LimitTexts;

/// One limit's part in a decision; made by
/// [`Decision::limits`](super::Decision::limits).
#[derive(Clone, Copy)]
pub struct LimitReport<'a> {
    pub(super) policy: &'a Compiled,
    pub(super) charge: &'a Charge,
}

impl<'a> LimitReport<'a> {
    fn limit(&self) -> &'a CompiledLimit {
        &self.policy.limits[self.charge.limit]
    }

    pub(crate) fn answer(&self) -> &'a Answer {
        &self.charge.answer
    }

    /// The limit's name, as the policy has it.
    #[must_use]
    pub fn name(&self) -> &'a str {
        &self.limit().name
    }

    /// The quota that applied to this request.
    #[must_use]
    pub fn quota(&self) -> Quota {
        let quotas = &self.limit().quotas;
        quotas.get(self.charge.quota).copied().unwrap_or(Quota::unlimited())
    }

    /// The text of that quota, as policies write it: made once, and not for each decision.
    ///
    /// ```
    /// use tollgate_http::{Facts, HttpLimiter, Policy};
    ///
    /// let policy: Policy = "version = 1\nalways = ['a']\n[limits.a]\nquota = '24/h'".parse()?;
    /// let limiter = HttpLimiter::new(&policy)?;
    /// let decision = limiter.decide(&Facts::new("GET", "/")).now().expect("memory");
    /// assert_eq!(decision.limits().next().expect("a limit").quota_text(), "24/h");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn quota_text(&self) -> &'a str {
        // Unlimited quotas have no texts.
        self.texts().map_or("unlimited", LimitTexts::quota)
    }

    /// How many permits the request costs.
    #[must_use]
    pub fn cost(&self) -> u64 {
        self.charge.cost
    }

    /// Whether the limit only tells what it would refuse.
    #[must_use]
    pub fn is_shadow(&self) -> bool {
        self.charge.shadow
    }

    /// Whether the limit has refused, or would have.
    #[must_use]
    pub fn refuses(&self) -> bool {
        self.charge.answer.refuses()
    }

    /// Whole permits left; [`u64::MAX`] under an unlimited quota.
    #[must_use]
    pub fn remaining(&self) -> u64 {
        self.charge.answer.remaining
    }

    /// The time until the limit's bucket is full.
    #[must_use]
    pub fn reset_after(&self) -> Duration {
        self.charge.answer.full_after
    }

    /// The limit's own wait. `None` if it has not refused, or if no wait helps.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        match self.charge.answer.verdict {
            Verdict::Refused => Some(self.charge.answer.wait),
            Verdict::Full => Some(Duration::from_secs(1)),
            Verdict::Granted | Verdict::Never => None,
        }
    }

    /// The key of the bucket.
    #[must_use]
    pub fn key(&self) -> &'a KeyParts {
        &self.charge.key
    }

    /// The share of the burst that is in use, from 0 to 1.
    #[must_use]
    #[allow(clippy::cast_precision_loss, reason = "a share is told, not counted with")]
    pub fn used_share(&self) -> f64 {
        let burst = self.quota().burst_size();
        if self.quota().is_unlimited() || burst == 0 {
            return 0.0;
        }
        1.0 - (self.remaining().min(burst) as f64 / burst as f64)
    }

    pub(crate) fn texts(&self) -> Option<&'a LimitTexts> {
        self.limit().texts.get(self.charge.quota)?.as_ref()
    }
}

impl fmt::Debug for LimitReport<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LimitReport")
            .field("name", &self.name())
            .field("quota", &self.quota().to_string())
            .field("cost", &self.cost())
            .field("shadow", &self.is_shadow())
            .field("answer", self.answer())
            .finish_non_exhaustive()
    }
}
