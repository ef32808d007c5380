//! What a handler can do with the limits of the request that it serves.

use std::fmt;
use std::time::Duration;

use http::StatusCode;

use crate::engine::store::{Answer, Later, StoreError, Verb};
use crate::engine::{Decision, Facts, HttpLimiter, LimitReport};

use super::ticket::{Shared, Ticket};

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
pub struct RateLimitHandle(Shared);

impl RateLimitHandle {
    /// Decides about a request. If the store answers later, returns its answers too, for
    /// [`conclude`](Self::conclude).
    pub(super) fn decide(
        limiter: &HttpLimiter,
        outer: Option<&Self>,
        facts: &Facts<'_>,
    ) -> (Self, Option<Later>) {
        let (decision, uses) = (limiter.undecided(), limiter.handle_uses());
        let (limiter, outer) = (limiter.clone(), outer.cloned());
        let mut shared = Shared::new(Ticket { limiter, decision, uses, outer });
        let Ticket { limiter, decision, .. } = shared.change();
        let later = limiter.decide_into(decision, facts);
        (Self(shared), later)
    }

    /// Makes the decision from the answers of the store.
    pub(super) fn conclude(&mut self, answers: Result<Vec<Answer>, StoreError>) {
        let Ticket { limiter, decision, .. } = self.0.change();
        limiter.engine().conclude(decision, answers);
    }

    /// Settles the request by the status of its response.
    pub(super) fn settle(&mut self, status: StatusCode) {
        let has_changed = self.0.uses != self.0.limiter.handle_uses();
        if !has_changed && !self.0.decision.may_give_back() {
            return;
        }
        let Ticket { limiter, decision, .. } = self.0.change();
        if has_changed {
            // A handler may have charged more, or given back.
            HttpLimiter::look_again(decision);
        }
        limiter.answered(decision, status.as_u16());
    }

    pub(super) fn decision(&self) -> &Decision {
        &self.0.decision
    }

    /// Whether `limiter` has charged the request.
    pub(super) fn is_of(&self, limiter: &HttpLimiter) -> bool {
        self.0.limiter.is(limiter)
            || self.0.outer.as_ref().is_some_and(|outer| outer.is_of(limiter))
    }

    /// What the limits of the request have answered before the handler was called.
    #[must_use]
    pub fn limits(&self) -> impl ExactSizeIterator<Item = LimitReport<'_>> {
        self.0.decision.limits()
    }

    /// The limiter that has decided about the request.
    #[must_use]
    pub fn limiter(&self) -> &HttpLimiter {
        &self.0.limiter
    }

    /// The name of the route that matched.
    #[must_use]
    pub fn route(&self) -> Option<&str> {
        self.0.decision.route()
    }

    /// The caller's tier.
    #[must_use]
    pub fn tier(&self) -> Option<&str> {
        self.0.decision.tier()
    }

    /// The largest share of one of the enforced limits that is in use, from 0 to 1, this request
    /// counted.
    #[must_use]
    pub fn used_share(&self) -> f64 {
        self.0.decision.used_share()
    }

    /// Whether at least this share of one of the enforced limits is in use.
    #[must_use]
    pub fn near_limit(&self, share: f64) -> bool {
        self.used_share() >= share
    }

    /// Charges `permits` more to each enforced limit of the request, as debt if they are not there:
    /// for a request that turns out to cost more than the policy says. The response's fields tell
    /// what is then left.
    pub fn charge(&self, permits: u64) {
        self.change(Verb::Consume, None, permits);
    }

    /// Charges `permits` more to one limit of the request. Returns whether the request has it.
    #[allow(clippy::must_use_candidate, reason = "the policy usually has the limit")]
    pub fn charge_limit(&self, limit: &str, permits: u64) -> bool {
        self.change(Verb::Consume, Some(limit), permits)
    }

    /// Gives `permits` back to each enforced limit of the request, never above full.
    pub fn give_back(&self, permits: u64) {
        self.change(Verb::Credit, None, permits);
    }

    /// Gives `permits` back to one limit of the request, never above full. Returns whether the
    /// request has it.
    #[allow(clippy::must_use_candidate, reason = "the policy usually has the limit")]
    pub fn give_back_limit(&self, limit: &str, permits: u64) -> bool {
        self.change(Verb::Credit, Some(limit), permits)
    }

    fn change(&self, verb: Verb, limit: Option<&str>, permits: u64) -> bool {
        self.0.limiter.change(&self.0.decision, verb, limit, permits)
    }

    /// Counts a violation against the caller, as a refusal would count: if the policy has a penalty
    /// and this is one violation too many, the caller is refused from now on, for the time that is
    /// returned. `None` if it is not.
    #[allow(clippy::must_use_candidate, reason = "most handlers only report")]
    pub fn violation(&self) -> Option<Duration> {
        self.0.limiter.violation(&self.0.decision)
    }
}

impl fmt::Debug for RateLimitHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RateLimitHandle")
            .field("decision", &self.0.decision)
            .finish_non_exhaustive()
    }
}

#[cfg(feature = "axum")]
#[cfg_attr(docsrs, doc(cfg(feature = "axum")))]
impl<S: Sync> axum::extract::FromRequestParts<S> for RateLimitHandle {
    type Rejection = (StatusCode, &'static str);

    /// The handle of the request. Without the layer, there is none, and the answer is 500.
    async fn from_request_parts(
        parts: &mut http::request::Parts,
        _: &S,
    ) -> Result<Self, Self::Rejection> {
        let missing = "there is no RateLimitLayer around this route";
        let missing = || (StatusCode::INTERNAL_SERVER_ERROR, missing);
        parts.extensions.get::<Self>().cloned().ok_or_else(missing)
    }
}
