//! Counters, gauges and histograms, through the facade of the crate `metrics`.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use ::metrics::{Counter, Gauge, Histogram, Unit};
use ::metrics::{counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram};
use tollgate::Timestamp;

use crate::engine::compiled::{Compiled, CompiledRoute};
use crate::engine::store::{Charge, LimitSpec, Verdict};
use crate::engine::{
    Decision, DescriptorDecision, DescriptorsDecision, HttpLimiter, Matched, Outcome,
};
use crate::policy::Policy;

/// Bounds of buckets for `tollgate_decision_seconds`, from 1 µs to 10 ms: a recorder needs to be
/// told, because it does not know how long a decision takes.
///
/// ```
/// let bounds = tollgate_http::observe::DECISION_SECONDS_BUCKETS;
/// assert_eq!((bounds[0], bounds[bounds.len() - 1]), (0.000_001, 0.01));
/// ```
pub const DECISION_SECONDS_BUCKETS: [f64; 13] = [
    0.000_001, 0.000_002, 0.000_005, 0.000_01, 0.000_02, 0.000_05, 0.000_1, 0.000_2, 0.000_5,
    0.001, 0.002, 0.005, 0.01,
];

/// The label of a request for which no route matches.
const NO_ROUTE: &str = "none";

/// The version of the format of policies, which is the only one.
const VERSION: &str = "1";

/// The values of the label `outcome`.
const OUTCOMES: [&str; 7] =
    ["allowed", "refused", "blocked", "exempt", "penalty", "ambiguous", "error"];

/// The values of the label `result` of descriptors.
const RESULTS: [&str; 7] =
    ["allowed", "over_limit", "unlimited", "no_rule", "unknown_domain", "error", "as_request"];

/// Where the word for a descriptor is in the list.
fn result_of(descriptor: &DescriptorDecision) -> usize {
    let decision = descriptor.decision();
    match (descriptor.matched(), decision.outcome) {
        // Its outcome is counted with those of requests.
        (Matched::Request, _) => 6,
        (_, Outcome::NoPeer | Outcome::StoreFailed) => 5,
        (Matched::UnknownDomain, _) => 4,
        (Matched::Nothing, _) => 3,
        _ if !decision.is_allowed() => 1,
        (Matched::Limits, _) if decision.charges.is_empty() => 2,
        _ => 0,
    }
}

/// Where the word of an outcome is in the list.
fn word_of(outcome: Outcome) -> usize {
    match outcome {
        Outcome::Allowed => 0,
        Outcome::Refused | Outcome::Full | Outcome::MissingKey => 1,
        Outcome::Blocked => 2,
        Outcome::Exempt => 3,
        Outcome::Penalty => 4,
        Outcome::Ambiguous => 5,
        Outcome::NoPeer | Outcome::StoreFailed => 6,
    }
}

/// The handles of one policy. A decision uses them without a lock and without looking up names.
pub(crate) struct PolicyMetrics {
    /// By route, the first for none, and outcome.
    requests: Box<[[Counter; OUTCOMES.len()]]>,
    limits: Box<[LimitMetrics]>,
    descriptors: [Counter; RESULTS.len()],
    decision_seconds: Histogram,
    penalties_active: Gauge,
    penalties: Counter,
    info: Gauge,
}

/// The handles of one limit.
struct LimitMetrics {
    allowed: Counter,
    refused: Counter,
    would_refuse: Counter,
    returned: Counter,
    full: Counter,
    keys: Gauge,
    keys_max: Gauge,
    max_keys: usize,
}

impl PolicyMetrics {
    /// Gets the handles from the recorder of the program.
    pub(crate) fn new(limits: &[LimitSpec], routes: &[CompiledRoute], policy: &Policy) -> Self {
        let names = std::iter::once(NO_ROUTE).chain(routes.iter().map(|route| &*route.name));
        let of_route = |route: &str| {
            OUTCOMES.map(|outcome| {
                let route = route.to_owned();
                counter!("tollgate_requests_total", "route" => route, "outcome" => outcome)
            })
        };
        let hash = policy.hash().to_owned();
        Self {
            requests: names.map(of_route).collect(),
            limits: limits.iter().map(LimitMetrics::new).collect(),
            descriptors: RESULTS
                .map(|result| counter!("tollgate_descriptors_total", "result" => result)),
            decision_seconds: histogram!("tollgate_decision_seconds"),
            penalties_active: gauge!("tollgate_penalties_active"),
            penalties: counter!("tollgate_penalties_total"),
            info: gauge!("tollgate_policy_info", "version" => VERSION, "hash" => hash),
        }
    }

    /// Counts a decision, which took so long.
    #[inline]
    pub(crate) fn decided(&self, decision: &Decision, took: Duration) {
        self.decision_seconds.record(took.as_secs_f64());
        self.request(decision);
        self.charges(decision, decision.outcome != Outcome::Allowed);
    }

    /// Counts the descriptors of one request, whose decisions are made now.
    pub(crate) fn descriptors(&self, decided: &DescriptorsDecision, now: Timestamp) {
        let refused = !decided.is_allowed();
        for (index, descriptor) in decided.descriptors().iter().enumerate() {
            let decision = descriptor.decision();
            if index == 0 {
                self.decision_seconds.record((now - decision.started.time()).as_secs_f64());
            }
            self.descriptors[result_of(descriptor)].increment(1);
            if descriptor.matched() == Matched::Request {
                self.request(decision);
            }
            self.charges(decision, refused);
        }
    }

    /// Counts a request by its route and outcome.
    #[inline]
    fn request(&self, decision: &Decision) {
        let route = decision.route.map_or(0, |route| usize::from(route) + 1);
        if let Some(requests) = self.requests.get(route) {
            requests[word_of(decision.outcome)].increment(1);
        }
        if decision.begins_penalty {
            self.penalty_begins();
        }
    }

    /// Counts the answers of limits. If an enforced limit refuses, shadow limits are not asked.
    #[inline]
    fn charges(&self, decision: &Decision, refused: bool) {
        let asked = decision.charges.iter().filter(|charge| !(charge.shadow && refused));
        for charge in asked {
            let Some(limit) = self.limits.get(charge.limit) else { continue };
            let result = match (charge.answer.refuses(), charge.shadow) {
                (false, _) => &limit.allowed,
                (true, true) => &limit.would_refuse,
                (true, false) => &limit.refused,
            };
            result.increment(1);
            if charge.answer.verdict == Verdict::Full {
                limit.full.increment(1);
            }
        }
    }

    pub(crate) fn penalty_begins(&self) {
        self.penalties.increment(1);
    }

    /// Counts the charges that the limits of a request get back.
    pub(crate) fn returned(&self, charges: &[Charge]) {
        for charge in charges.iter().filter(|charge| charge.is_returnable()) {
            if let Some(limit) = self.limits.get(charge.limit) {
                limit.returned.increment(1);
            }
        }
    }
}

impl LimitMetrics {
    fn new(spec: &LimitSpec) -> Self {
        let name = || spec.identity.name.to_string();
        let decisions = |result: &'static str| counter!("tollgate_decisions_total", "limit" => name(), "result" => result);
        Self {
            allowed: decisions("allowed"),
            refused: decisions("refused"),
            would_refuse: decisions("would_refuse"),
            returned: counter!("tollgate_charge_returned_total", "limit" => name()),
            full: counter!("tollgate_keys_full_total", "limit" => name()),
            keys: gauge!("tollgate_keys", "limit" => name()),
            keys_max: gauge!("tollgate_keys_max", "limit" => name()),
            max_keys: spec.max_keys,
        }
    }
}

impl HttpLimiter {
    /// Sets the gauges `tollgate_keys`, `tollgate_keys_max` and `tollgate_penalties_active`: to be
    /// called before each scrape, or by a timer. Takes the locks of the buckets one after another,
    /// each for a moment.
    #[cfg_attr(docsrs, doc(cfg(feature = "metrics")))]
    pub fn update_gauges(&self) {
        self.set_gauges(&self.current());
    }

    #[allow(clippy::cast_precision_loss, reason = "gauges are floating point numbers")]
    fn set_gauges(&self, policy: &Compiled) {
        for (index, limit) in policy.metrics.limits.iter().enumerate() {
            limit.keys.set(policy.buckets.keys(index) as f64);
            limit.keys_max.set(limit.max_keys as f64);
        }
        policy.metrics.penalties_active.set(self.engine().penalties.active() as f64);
    }

    /// Describes the metrics, and measures the policy with which the limiter begins.
    pub(crate) fn measure_first_policy(&self) {
        describe();
        for result in ["success", "error"] {
            counter!("tollgate_policy_reloads_total", "result" => result).increment(0);
        }
        last_reload_successful().set(1.0);
        self.measure_policy();
    }

    /// Counts a reload. `before` is the policy that was replaced, if one was.
    pub(crate) fn measure_reload(&self, before: Option<&Compiled>) {
        let result = if before.is_some() { "success" } else { "error" };
        counter!("tollgate_policy_reloads_total", "result" => result).increment(1);
        last_reload_successful().set(f64::from(u8::from(before.is_some())));
        let Some(before) = before else { return };
        // Limits that go on get their values afterwards.
        for limit in &before.metrics.limits {
            limit.keys.set(0.0);
            limit.keys_max.set(0.0);
        }
        before.metrics.info.set(0.0);
        self.measure_policy();
    }

    fn measure_policy(&self) {
        let policy = self.current();
        let loaded = self.reload_status().loaded_at();
        gauge!("tollgate_policy_loaded_timestamp_seconds").set(since_1970(loaded).as_secs_f64());
        policy.metrics.info.set(1.0);
        self.set_gauges(&policy);
    }
}

fn last_reload_successful() -> Gauge {
    gauge!("tollgate_policy_last_reload_successful")
}

fn since_1970(time: SystemTime) -> Duration {
    time.duration_since(UNIX_EPOCH).unwrap_or_default()
}

/// Tells the recorder what the metrics are.
fn describe() {
    describe_counter!("tollgate_requests_total", "Requests by route and outcome");
    describe_counter!("tollgate_decisions_total", "Answers of each limit that was asked");
    describe_counter!("tollgate_descriptors_total", "Descriptors by what was found for them");
    describe_counter!("tollgate_charge_returned_total", "Charges given back after the answer");
    describe_gauge!("tollgate_keys", "Keys that a limit holds");
    describe_gauge!("tollgate_keys_max", "Keys that a limit may hold");
    describe_counter!("tollgate_keys_full_total", "Requests without room for their key");
    describe_histogram!("tollgate_decision_seconds", Unit::Seconds, "The time of a decision");
    describe_gauge!("tollgate_penalties_active", "Callers that are in a penalty");
    describe_counter!("tollgate_penalties_total", "Penalties begun");
    describe_counter!("tollgate_policy_reloads_total", "Attempts to replace the policy");
    describe_gauge!(
        "tollgate_policy_last_reload_successful",
        "0 if the last attempt to replace the policy failed, else 1"
    );
    describe_gauge!(
        "tollgate_policy_loaded_timestamp_seconds",
        Unit::Seconds,
        "When the policy in force was loaded, in seconds since 1970"
    );
    describe_gauge!("tollgate_policy_info", "1 for the policy in force");
}
