//! What a handler can do with the limits of the request that it serves.

use std::fmt;
use std::time::Duration;

use http::Extensions;
use smallvec::SmallVec;

use crate::engine::{Decision, HttpLimiter, LimitReport};

/// The limits of a request, for its handler: an extension of every request that the
/// [layer](super::RateLimitLayer) lets through. With feature `axum` it is also an extractor.
///
/// A handler can ask how close the caller is to a limit and answer less, charge more than the
/// policy says once it knows what the request costs, give permits back, or report a caller whose
/// request was an abuse.
///
/// ```
/// use tollgate_http::RateLimitHandle;
///
/// fn search(limits: &RateLimitHandle) -> usize {
///     // Fewer results for a caller that has used most of its quota.
///     if limits.near_limit(0.8) { 10 } else { 100 }
/// }
/// ```
#[derive(Clone)]
pub struct RateLimitHandle {
    limiter: HttpLimiter,
    /// The limiters that stand outside of this one, and have charged the request too.
    outer: SmallVec<[HttpLimiter; 1]>,
    decision: Decision,
}

impl RateLimitHandle {
    /// Inserts the handle of a request.
    pub(super) fn insert(limiter: &HttpLimiter, decision: &Decision, extensions: &mut Extensions) {
        let mut outer = SmallVec::new();
        if let Some(before) = extensions.get::<Self>() {
            outer.extend(before.outer.iter().cloned());
            outer.push(before.limiter.clone());
        }
        let (limiter, decision) = (limiter.clone(), decision.clone());
        extensions.insert(Self { limiter, outer, decision });
    }

    /// Whether `limiter` has charged the request.
    pub(super) fn is_of(&self, limiter: &HttpLimiter) -> bool {
        self.limiter.is(limiter) || self.outer.iter().any(|outer| outer.is(limiter))
    }

    /// What the limits of the request have answered before the handler was called.
    pub fn limits(&self) -> impl ExactSizeIterator<Item = LimitReport<'_>> {
        self.decision.limits()
    }

    /// The name of the route that matched.
    #[must_use]
    pub fn route(&self) -> Option<&str> {
        self.decision.route()
    }

    /// The caller's tier.
    #[must_use]
    pub fn tier(&self) -> Option<&str> {
        self.decision.tier()
    }

    /// The share of the tightest limit that is in use, from 0 to 1, this request counted.
    #[must_use]
    pub fn used_share(&self) -> f64 {
        self.decision.used_share()
    }

    /// Whether at least this share of one of the limits is in use.
    #[must_use]
    pub fn near_limit(&self, share: f64) -> bool {
        self.used_share() >= share
    }

    /// Charges `permits` more to each enforced limit of the request, as debt if they are not there:
    /// for a request that turns out to cost more than the policy says. The response's fields tell
    /// what is then left.
    pub fn charge(&self, permits: u64) {
        self.limiter.charge_more(&self.decision, None, permits);
    }

    /// Charges `permits` more to one limit of the request. Returns whether the request has it.
    pub fn charge_limit(&self, limit: &str, permits: u64) -> bool {
        self.limiter.charge_more(&self.decision, Some(limit), permits)
    }

    /// Gives `permits` back to each enforced limit of the request, never above full.
    pub fn give_back(&self, permits: u64) {
        self.limiter.give_back(&self.decision, None, permits);
    }

    /// Gives `permits` back to one limit of the request, never above full. Returns whether the
    /// request has it.
    pub fn give_back_limit(&self, limit: &str, permits: u64) -> bool {
        self.limiter.give_back(&self.decision, Some(limit), permits)
    }

    /// Counts a violation against the caller, as a refusal would count: if the policy has a penalty
    /// and this is one violation too many, the caller is refused from now on, for the time that is
    /// returned. `None` if it is not.
    pub fn violation(&self) -> Option<Duration> {
        self.limiter.violation(&self.decision)
    }
}

impl fmt::Debug for RateLimitHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RateLimitHandle").field("decision", &self.decision).finish_non_exhaustive()
    }
}

#[cfg(feature = "axum")]
impl<S: Sync> axum::extract::FromRequestParts<S> for RateLimitHandle {
    type Rejection = http::StatusCode;

    /// The handle of the request. Without the layer, there is none, and the answer is 500.
    async fn from_request_parts(
        parts: &mut http::request::Parts,
        _: &S,
    ) -> Result<Self, http::StatusCode> {
        parts.extensions.get::<Self>().cloned().ok_or(http::StatusCode::INTERNAL_SERVER_ERROR)
    }
}
