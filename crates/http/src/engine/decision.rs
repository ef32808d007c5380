//! What was decided about a request.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use http::HeaderValue;
use smallvec::SmallVec;
use tollgate::Quota;

use super::compiled::{Compiled, CompiledLimit};
use super::key::Key;
use super::store::{Answer, Refused};
use crate::policy::{BodyForm, Policy};
use crate::respond::{Fields, LimitTexts};

/// How a request is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Outcome {
    /// The limits of the request have granted, or there are none.
    Allowed,
    /// A limit refused: 429, or the status that the limit has.
    Refused,
    /// A limit has no room for a new key: 503.
    Full,
    /// The caller goes on in spite of refusals: 429 for a while.
    Penalty,
    /// A subject of the policy is blocked: 403.
    Blocked,
    /// Nothing is counted: an exempt subject, a CORS preflight, or a policy that is off.
    Exempt,
    /// Another program could read the request differently: 400.
    Ambiguous,
    /// A part of a key is missing, and the limit refuses such requests: 403.
    MissingKey,
    /// The peer's address is needed and not known, which is a mistake in the set-up: 500.
    NoPeer,
    /// The store of the buckets failed. The request is let through, or answered with 503.
    StoreFailed,
}

/// One limit's part in a decision.
#[derive(Clone, Debug)]
pub(crate) struct LimitPart {
    pub(crate) limit: u16,
    pub(crate) quota: u32,
    pub(crate) cost: u64,
    /// Whether the limit is the route's own.
    pub(crate) own: bool,
    pub(crate) shadow: bool,
    pub(crate) answer: Answer,
    pub(crate) key: Key,
}

impl LimitPart {
    /// Whether the limit gets its permits back if the answer is not charged: if it is the route's
    /// own, and has given any. A shadow limit that would have refused has given none.
    pub(crate) fn is_returnable(&self) -> bool {
        self.own && self.answer.refused.is_none()
    }
}

/// What was decided about a request: made by [`HttpLimiter::decide`](crate::HttpLimiter::decide).
#[derive(Clone)]
pub struct Decision {
    pub(crate) policy: Arc<Compiled>,
    pub(crate) outcome: Outcome,
    pub(crate) route: Option<u16>,
    pub(crate) tier: Option<u16>,
    pub(crate) retry_after: Option<Duration>,
    /// `None` if the request goes on.
    pub(crate) status: Option<u16>,
    pub(crate) limits: SmallVec<[LimitPart; 4]>,
    /// Whose refusals are counted, if the policy has penalties.
    pub(crate) penalty_key: Option<Key>,
    /// Whether this refusal has begun a penalty.
    pub(crate) begins_penalty: bool,
    /// Whether its limits and quotas are those of every request of its route and tier.
    pub(crate) has_usual_limits: bool,
}

impl Decision {
    /// Whether the request goes on.
    #[must_use]
    pub fn is_allowed(&self) -> bool {
        self.status.is_none()
    }

    /// How the request is answered. In the mode `shadow` of the whole policy: how it would be
    /// answered.
    #[must_use]
    pub fn outcome(&self) -> Outcome {
        self.outcome
    }

    /// The status of the refusal; `None` if the request goes on.
    #[must_use]
    pub fn status(&self) -> Option<u16> {
        self.status
    }

    /// The time after which the request can pass. `None` if it goes on, or if no wait helps.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        self.retry_after
    }

    /// The name of the route that matched.
    #[must_use]
    pub fn route(&self) -> Option<&str> {
        let route = self.policy.routes.get(usize::from(self.route?))?;
        Some(&route.name)
    }

    /// The caller's tier.
    #[must_use]
    pub fn tier(&self) -> Option<&str> {
        let tier = self.policy.tiers.get(usize::from(self.tier?))?;
        Some(&tier.name)
    }

    /// What each limit of the request has answered, shadow limits too, in the policy's order.
    /// Unlimited quotas are left out. Empty if no limit was asked.
    pub fn limits(&self) -> impl ExactSizeIterator<Item = LimitReport<'_>> {
        self.limits.iter().map(|part| LimitReport { policy: &self.policy, part })
    }

    /// One of the parts, to be read.
    #[cfg(feature = "tracing")]
    pub(crate) fn report<'a>(&'a self, part: &'a LimitPart) -> LimitReport<'a> {
        LimitReport { policy: &self.policy, part }
    }

    /// The names of the limits that refused the request.
    pub fn refused_by(&self) -> impl Iterator<Item = &str> {
        self.limits()
            .filter(|limit| !limit.is_shadow() && limit.refuses())
            .map(|limit| limit.name())
    }

    /// The names of the shadow limits that would have refused the request.
    pub fn would_refuse(&self) -> impl Iterator<Item = &str> {
        self.limits().filter(|limit| limit.is_shadow() && limit.refuses()).map(|limit| limit.name())
    }

    /// Whether this refusal is part of a penalty, or begins one.
    #[must_use]
    pub fn is_penalty(&self) -> bool {
        self.outcome == Outcome::Penalty || self.begins_penalty
    }

    /// The share of the tightest enforced limit that is in use, from 0 to 1: 0.9 if a tenth of the
    /// burst is left. 0 if the request has no limits. A handler can answer less to a caller that is
    /// close to a limit.
    #[must_use]
    pub fn used_share(&self) -> f64 {
        self.limits()
            .filter(|limit| !limit.is_shadow())
            .map(|limit| limit.used_share())
            .fold(0.0, f64::max)
    }

    /// The policy that decided.
    #[must_use]
    pub fn policy(&self) -> &Policy {
        &self.policy.policy
    }

    /// The body that refusals have.
    pub(crate) fn body_form(&self) -> BodyForm {
        self.policy.settings().response.body
    }

    /// Which fields a response has.
    pub(crate) fn fields(&self) -> &Fields {
        &self.policy.fields
    }

    /// The value of `RateLimit-Policy`, if it is the same for all requests of this route and tier.
    /// `make` makes it for the first of them.
    pub(crate) fn policy_field(
        &self,
        make: impl FnOnce(&Fields) -> Option<HeaderValue>,
    ) -> Option<&HeaderValue> {
        if !self.has_usual_limits {
            return None;
        }
        let tiers = self.policy.tiers.len() + 1;
        let route = self.route.map_or(0, |route| usize::from(route) + 1);
        let tier = self.tier.map_or(0, |tier| usize::from(tier) + 1);
        let known = self.policy.policy_fields.get(route * tiers + tier)?;
        known.get_or_init(|| make(&self.policy.fields)).as_ref()
    }

    pub(crate) fn limit(&self, part: &LimitPart) -> &CompiledLimit {
        &self.policy.limits[usize::from(part.limit)]
    }
}

impl fmt::Debug for Decision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Decision")
            .field("outcome", &self.outcome)
            .field("route", &self.route())
            .field("tier", &self.tier())
            .field("retry_after", &self.retry_after)
            .field("limits", &self.limits().collect::<Vec<_>>())
            .finish_non_exhaustive()
    }
}

/// One limit's part in a decision; made by [`Decision::limits`].
#[derive(Clone, Copy)]
pub struct LimitReport<'a> {
    policy: &'a Compiled,
    part: &'a LimitPart,
}

impl<'a> LimitReport<'a> {
    fn limit(&self) -> &'a CompiledLimit {
        &self.policy.limits[usize::from(self.part.limit)]
    }

    pub(crate) fn answer(&self) -> &'a Answer {
        &self.part.answer
    }

    /// The limit's name.
    #[must_use]
    pub fn name(&self) -> &'a str {
        &self.limit().name
    }

    /// The quota that applied to this request.
    #[must_use]
    pub fn quota(&self) -> Quota {
        let quotas = &self.limit().quotas;
        quotas.get(index(self.part.quota)).copied().unwrap_or(Quota::unlimited())
    }

    /// How many permits the request costs.
    #[must_use]
    pub fn cost(&self) -> u64 {
        self.part.cost
    }

    /// Whether the limit only tells what it would refuse.
    #[must_use]
    pub fn is_shadow(&self) -> bool {
        self.part.shadow
    }

    /// Whether the limit has refused, or would have.
    #[must_use]
    pub fn refuses(&self) -> bool {
        self.part.answer.refused.is_some()
    }

    /// Whole permits left; [`u64::MAX`] under an unlimited quota.
    #[must_use]
    pub fn remaining(&self) -> u64 {
        self.part.answer.remaining
    }

    /// The time until the limit's bucket is full.
    #[must_use]
    pub fn reset_after(&self) -> Duration {
        self.part.answer.full_after
    }

    /// The limit's own wait. `None` if it has not refused, or if no wait helps.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        match self.part.answer.refused? {
            Refused::For(wait) => Some(wait),
            Refused::Full => Some(Duration::from_secs(1)),
            Refused::Never => None,
        }
    }

    /// The key of the bucket.
    #[must_use]
    pub fn key(&self) -> &'a Key {
        &self.part.key
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
        self.limit().texts.get(index(self.part.quota))?.as_ref()
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

fn index(quota: u32) -> usize {
    usize::try_from(quota).unwrap_or(0)
}
