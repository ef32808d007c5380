//! What a limiter tells of its decisions: metrics, events of `tracing`, and violations for a hook.
//!
//! A request that is allowed costs a few relaxed additions with the feature `metrics`, and nothing
//! else. Everything about a refusal is made only if somebody listens: a recorder, a subscriber, a
//! hook.
//!
//! # Metrics
//!
//! With the feature `metrics`, a limiter counts through the facade of that name. Labels are names
//! from the policy and the fixed words below, and never what a client can choose. The handles are
//! made when a policy is built or loaded, so the program must install its recorder before.
//!
//! * `tollgate_requests_total{route, outcome}`: requests. The route is `none` if no route matches.
//!   The outcome is `allowed`, `refused`, `blocked`, `exempt`, `penalty`, `ambiguous` or `error`.
//! * `tollgate_decisions_total{limit, result}`: answers of each limit that was asked. The result is
//!   `allowed`, `refused` or, for a shadow limit, `would_refuse`.
//! * `tollgate_descriptors_total{result}`: descriptors of requests to Envoy's rate limit service.
//!   The result is `allowed`, `over_limit`, `unlimited` (a rule without limits), `no_rule`,
//!   `unknown_domain`, `error`, or `as_request` for those that are decided as requests: their
//!   outcome is in `tollgate_requests_total`. Limits of all are in `tollgate_decisions_total`.
//! * `tollgate_charge_returned_total{limit}`: charges given back, because the route does not charge
//!   the status of the answer.
//! * `tollgate_keys{limit}`, `tollgate_keys_max{limit}`: gauges, the keys that the limit holds and
//!   how many it may hold.
//! * `tollgate_keys_full_total{limit}`: requests for whose key there was no room. They are only
//!   counted under `when_full = "deny"`, because otherwise they are not refused for that.
//! * `tollgate_decision_seconds`: a histogram, the time of a decision in seconds.
//! * `tollgate_penalties_active`: a gauge, the callers that are in a penalty.
//! * `tollgate_penalties_total`: penalties begun.
//! * `tollgate_policy_reloads_total{result}`: attempts to replace the policy, with the result
//!   `success` or `error`. A watched file that has not changed is no attempt.
//! * `tollgate_policy_last_reload_successful`: a gauge, 0 if the last attempt to replace the policy
//!   failed, else 1.
//! * `tollgate_policy_loaded_timestamp_seconds`: a gauge, when the policy in force was loaded, in
//!   seconds since 1970.
//! * `tollgate_policy_info{version, hash}`: a gauge, 1 for the policy in force, 0 for earlier
//!   ones. A recorder that forgets nothing keeps a line for each policy that was ever in force; a
//!   program that loads ever new ones can leave this gauge out in a recorder around its own.
//!
//! Refusals because of a missing part of a key, and because a limit has no room for a new key, have
//! the outcome `refused`. An unknown peer and a store that fails have the outcome `error`. Under a
//! policy in the mode `shadow`, a request that would be blocked or ambiguous has that outcome, and
//! one that limits would refuse has the outcome `allowed` and the result `would_refuse`.
//!
//! The gauges `tollgate_keys` and `tollgate_penalties_active` are set when a policy is built or
//! loaded, and by `HttpLimiter::update_gauges`, which whoever scrapes calls before.
//!
//! # Events
//!
//! With the feature `tracing`, refusals and what shadow limits would refuse are events of level
//! `info` with the target `tollgate_http`: the first of each minute for each limit and key. The
//! field `suppressed` says how many others, of any kind, were not told since the last event that
//! has this field.
//!
//! These are events of level `warn`: a penalty that begins; each warning of a policy, when a
//! limiter is built or reloaded; and, once a minute for each name, a tier that the application
//! says and the policy does not know. The field `nearest` is then a tier that has nearly that
//! name. Once a minute, a domain of Envoy's that the policy does not know, and an address in a
//! descriptor that is none.
//!
//! Keys are told as their kind and a keyed hash. The name of an unknown tier is not told.

mod builder;
#[cfg(feature = "tracing")]
mod events;
mod hook;
#[cfg(feature = "metrics")]
mod metrics;
mod violation;

use std::time::Duration;

#[cfg(feature = "metrics")]
use tollgate::{Clock, Timestamp};

pub(crate) use builder::ObserverOptions;
#[cfg(feature = "tracing")]
pub(crate) use events::policy_warnings;
pub use hook::ViolationCounts;
#[cfg(feature = "metrics")]
#[cfg_attr(docsrs, doc(cfg(feature = "metrics")))]
pub use metrics::DECISION_SECONDS_BUCKETS;
#[cfg(feature = "metrics")]
pub(crate) use metrics::PolicyMetrics;
pub use violation::Violation;

use crate::engine::compiled::Compiled;
use crate::engine::decide::Engine;
use crate::engine::store::{Charge, EngineClock, StoreError, Verdict};
use crate::engine::{BuildError, Decision, DescriptorsDecision, HttpLimiter, KeyParts, Outcome};
use hook::Hook;

/// Who is told of decisions.
pub(crate) struct Observer {
    #[cfg(feature = "tracing")]
    events: events::Events,
    #[cfg(feature = "metrics")]
    clock: EngineClock,
    hook: Option<Hook>,
}

/// When a decision began, if that is measured.
#[derive(Clone, Copy)]
pub(crate) struct Started(#[cfg(feature = "metrics")] Timestamp);

#[cfg(feature = "metrics")]
impl Started {
    fn time(self) -> Timestamp {
        self.0
    }
}

impl Observer {
    pub(crate) fn new(options: ObserverOptions, clock: &EngineClock) -> Result<Self, BuildError> {
        let ObserverOptions { hook, queue, with_keys } = options;
        #[cfg(not(any(feature = "tracing", feature = "metrics")))]
        let _ = clock;
        Ok(Self {
            #[cfg(feature = "tracing")]
            events: events::Events::new(clock.clone()),
            #[cfg(feature = "metrics")]
            clock: clock.clone(),
            hook: hook.map(|hook| Hook::start(hook, queue, with_keys)).transpose()?,
        })
    }

    /// Tells that the store did not answer.
    pub(crate) fn store_failed(&self, error: &StoreError) {
        #[cfg(feature = "tracing")]
        self.events.store_failed(error);
        #[cfg(not(feature = "tracing"))]
        let _ = (self, error);
    }
}

impl Engine {
    /// Begins to measure a decision.
    #[inline]
    #[cfg_attr(not(feature = "metrics"), allow(clippy::unused_self, reason = "no clock is read"))]
    pub(crate) fn started(&self) -> Started {
        Started(
            #[cfg(feature = "metrics")]
            self.observer.clock.now(),
        )
    }

    /// Tells what was decided about a request.
    #[inline]
    pub(crate) fn observe(&self, decision: &Decision) {
        #[cfg(feature = "metrics")]
        decision.policy.metrics.decided(decision, self.observer.clock.now() - decision.started.0);
        self.tell_unless_plain(decision);
    }

    #[inline]
    fn tell_unless_plain(&self, decision: &Decision) {
        let is_let_through = matches!(decision.outcome, Outcome::Allowed | Outcome::Exempt);
        if !is_let_through || decision.charges.iter().any(|charge| charge.answer.refuses()) {
            self.tell(decision);
        }
    }

    /// Tells subscribers and the hook of a decision that is not a plain success.
    #[cold]
    fn tell(&self, decision: &Decision) {
        #[cfg(feature = "tracing")]
        self.observer.events.decided(self, decision);
        let Some(hook) = &self.observer.hook else { return };
        let is_violation = match decision.outcome {
            Outcome::Refused => true,
            Outcome::Penalty => !decision.is_allowed(),
            _ => false,
        };
        let reason = decision.reason();
        let penalized = decision.penalty_key.as_ref().filter(|_| decision.is_penalty());
        let key = penalized.or(reason.map(|charge| &charge.key));
        if let Some(key) = key.filter(|_| is_violation) {
            hook.send(|with_key| Violation::new(self, decision, key, with_key));
        }
    }

    /// Tells what was decided about descriptors.
    pub(crate) fn observe_descriptors(&self, decided: &DescriptorsDecision, policy: &Compiled) {
        #[cfg(feature = "metrics")]
        policy.metrics.descriptors(decided, self.observer.clock.now());
        #[cfg(not(feature = "metrics"))]
        let _ = policy;
        for descriptor in decided.descriptors() {
            self.tell_unless_plain(descriptor.decision());
        }
    }

    /// Tells that a request to the rate limit service has a domain that no rule is about.
    #[cold]
    pub(crate) fn observe_unknown_domain(&self, policy: &Compiled, domain: &str) {
        #[cfg(feature = "tracing")]
        self.observer.events.unknown_domain(self, policy, domain);
        #[cfg(not(feature = "tracing"))]
        let _ = (self, policy, domain);
    }

    /// Tells that a descriptor has an address that is none, and that a limit needs it.
    #[cold]
    pub(crate) fn observe_odd_address(&self, domain: &str) {
        #[cfg(feature = "tracing")]
        self.observer.events.odd_address(self, domain);
        #[cfg(not(feature = "tracing"))]
        let _ = (self, domain);
    }

    /// Tells that the application says a tier that the policy does not know.
    #[cold]
    pub(crate) fn observe_unknown_tier(&self, policy: &Compiled, name: &str) {
        #[cfg(feature = "tracing")]
        self.observer.events.unknown_tier(self, policy, name);
        #[cfg(not(feature = "tracing"))]
        let _ = (self, policy, name);
    }

    /// Tells that a violation, which a handler has reported of the caller of a request, begins a
    /// penalty.
    #[cold]
    pub(crate) fn observe_reported(&self, decision: &Decision, key: &KeyParts, block: Duration) {
        #[cfg(feature = "metrics")]
        decision.policy.metrics.penalty_begins();
        #[cfg(feature = "tracing")]
        events::penalty_begins(self, decision, key, Some(block));
        if let Some(hook) = &self.observer.hook {
            hook.send(|with_key| Violation::reported(self, decision, key, block, with_key));
        }
    }
}

impl Decision {
    /// The enforced limit that has refused with the longest wait.
    fn reason(&self) -> Option<&Charge> {
        let refusing = self.charges.iter().filter(|charge| !charge.shadow);
        let waits = refusing.filter_map(|charge| {
            Some(match charge.answer.verdict {
                Verdict::Granted => return None,
                Verdict::Full => ((0, Duration::ZERO), charge),
                Verdict::Refused => ((1, charge.answer.wait), charge),
                Verdict::Never => ((2, Duration::ZERO), charge),
            })
        });
        // The first of several with the same wait.
        let longest = waits.reduce(|longest, next| if longest.0 < next.0 { next } else { longest });
        longest.map(|(_, charge)| charge)
    }
}

impl HttpLimiter {
    /// What has become of the violations for the hook; zeros without a
    /// [hook](crate::engine::HttpLimiterBuilder::on_violation).
    #[must_use]
    pub fn violation_counts(&self) -> ViolationCounts {
        self.engine().observer.hook.as_ref().map(Hook::counts).unwrap_or_default()
    }
}
