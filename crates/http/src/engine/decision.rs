//! What was decided about a request.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use http::HeaderValue;
use smallvec::SmallVec;

use super::compiled::{Compiled, CompiledLimit};
use super::key::KeyParts;
use super::limit_report::LimitReport;
use super::store::Charge;
use crate::engine::observe::Started;
use crate::policy::{BodyForm, Policy};
use crate::respond::Fields;

/// How a request is answered. Their order is that of the
/// [module](super#the-order-of-a-decision).
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

impl Outcome {
    /// The outcome as a word that never changes, for logs and for other programs: `allowed`,
    /// `refused`, `full`, `penalty`, `blocked`, `exempt`, `ambiguous`, `missing_key`, `no_peer` or
    /// `store_failed`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Allowed => "allowed",
            Self::Refused => "refused",
            Self::Full => "full",
            Self::Penalty => "penalty",
            Self::Blocked => "blocked",
            Self::Exempt => "exempt",
            Self::Ambiguous => "ambiguous",
            Self::MissingKey => "missing_key",
            Self::NoPeer => "no_peer",
            Self::StoreFailed => "store_failed",
        }
    }
}

/// What was decided about a request: made by [`HttpLimiter::decide`](crate::HttpLimiter::decide).
///
/// ```
/// use std::time::Duration;
/// use tollgate_http::{Facts, HttpLimiter, Outcome, Policy};
///
/// let policy: Policy = "version = 1\nalways = ['a']\n[limits.a]\nquota = '1/day'".parse()?;
/// let limiter = HttpLimiter::new(&policy)?;
/// let decide = || limiter.decide(&Facts::new("GET", "/")).now().expect("memory");
/// assert!(decide().is_allowed());
/// let refused = decide();
/// assert_eq!((refused.outcome(), refused.status()), (Outcome::Refused, Some(429)));
/// assert!(refused.retry_after() > Some(Duration::from_secs(86_000)));
/// for limit in refused.limits() {
///     println!("{}: {} of {}", limit.name(), limit.remaining(), limit.quota()); // a: 0 of 1/day
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Decision {
    pub(crate) policy: Arc<Compiled>,
    pub(crate) outcome: Outcome,
    pub(crate) route: Option<u16>,
    pub(crate) tier: Option<u16>,
    pub(crate) retry_after: Option<Duration>,
    /// `None` if the request goes on.
    pub(crate) status: Option<u16>,
    pub(crate) charges: SmallVec<[Charge; 4]>,
    /// Whose refusals are counted, if the policy has penalties.
    pub(crate) penalty_key: Option<KeyParts>,
    /// Whether this refusal has begun a penalty.
    pub(crate) begins_penalty: bool,
    /// Whether its limits and quotas are those of every request of its route and tier.
    pub(crate) has_usual_limits: bool,
    /// Whether the status of the answer is known.
    pub(crate) is_answered: bool,
    /// When it was begun, if that is measured.
    pub(crate) started: Started,
}

impl Decision {
    /// Whether the request goes on.
    #[must_use]
    pub fn is_allowed(&self) -> bool {
        self.status.is_none()
    }

    /// How the request is answered. In the mode `shadow` of the whole policy, the request goes on
    /// although the outcome may be [`Blocked`](Outcome::Blocked) or another refusal. What limits
    /// would refuse is [`Allowed`](Outcome::Allowed) and in [`would_refuse`](Self::would_refuse).
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
    #[must_use]
    pub fn limits(&self) -> impl ExactSizeIterator<Item = LimitReport<'_>> {
        self.charges.iter().map(|charge| LimitReport { policy: &self.policy, charge })
    }

    /// One of the charges, to be read.
    #[cfg(feature = "tracing")]
    pub(crate) fn report<'a>(&'a self, charge: &'a Charge) -> LimitReport<'a> {
        LimitReport { policy: &self.policy, charge }
    }

    /// The names of the limits that refused the request.
    pub fn refused_by(&self) -> impl Iterator<Item = &str> {
        self.limits()
            .filter(|limit| !limit.is_shadow() && limit.refuses())
            .map(|limit| limit.name())
    }

    /// The names of the shadow limits that would have refused the request.
    ///
    /// ```
    /// use tollgate_http::{Facts, HttpLimiter, Outcome, Policy};
    ///
    /// let policy: Policy = r#"
    ///     version = 1
    ///     mode = "shadow"
    ///     always = ["calls"]
    ///     [limits.calls]
    ///     quota = "1/day"
    ///     [[subjects]]
    ///     user = "mallory"
    ///     blocked = true
    ///     [penalty]
    ///     after = "1/day"
    ///     block = "1min"
    /// "#.parse()?;
    /// let limiter = HttpLimiter::new(&policy)?;
    /// let address = std::net::IpAddr::from([192, 0, 2, 1]);
    /// let facts = Facts::new("GET", "/").peer(address);
    /// let decide = |facts| limiter.decide(facts).now().expect("memory answers at once");
    /// assert_eq!(decide(&facts).would_refuse().count(), 0);
    /// for _ in 0..9 {
    ///     let decision = decide(&facts);
    ///     assert!(decision.is_allowed() && decision.outcome() == Outcome::Allowed);
    ///     assert_eq!(decision.would_refuse().collect::<Vec<_>>(), ["calls"]);
    /// }
    /// assert!(limiter.penalties().is_empty());
    /// let blocked = decide(&facts.clone().user("mallory"));
    /// assert!(blocked.is_allowed() && blocked.outcome() == Outcome::Blocked);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn would_refuse(&self) -> impl Iterator<Item = &str> {
        self.limits().filter(|limit| limit.is_shadow() && limit.refuses()).map(|limit| limit.name())
    }

    /// Whether this refusal is part of a penalty, or begins one.
    #[must_use]
    pub fn is_penalty(&self) -> bool {
        self.outcome == Outcome::Penalty || self.begins_penalty
    }

    /// The largest share of one of the enforced limits that is in use, from 0 to 1: 0.9 if a tenth
    /// of its burst is left. 0 if the request has no such limit. A handler can answer less to a
    /// caller that is close to a limit.
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

    /// Whether the request's route gives permits back for some statuses, so that the limiter should be
    /// [told](crate::HttpLimiter::answered) the status of the answer.
    #[must_use]
    pub fn may_give_back(&self) -> bool {
        let route = self.route.and_then(|route| self.policy.routes.get(usize::from(route)));
        route.is_some_and(|route| route.charge.is_some())
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

    pub(crate) fn limit(&self, charge: &Charge) -> &CompiledLimit {
        &self.policy.limits[charge.limit]
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
