//! What the page shows of the present moment.

use std::collections::{BTreeMap, HashMap};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::Serialize;
use tollgate_http::engine::{Key, Part};
use tollgate_http::policy::Mode;
use tollgate_http::reload::{ReloadStatus, Watching};
use tollgate_http::{HttpLimiter, Policy, Violation};

use super::super::penalties::longest_first;
use super::history::{History, Times};
use super::samples::{Samples, count};
use super::shown;

/// The most limits and routes that are shown.
pub(super) const MOST_ROWS: usize = 200;

/// The most keys of a limit, callers in a penalty, and violations that are shown.
const MOST_KEYS: usize = 5;
const MOST_PENALTIES: usize = 50;
pub(super) const MOST_VIOLATIONS: usize = 20;

/// What a snapshot is made of.
pub(super) struct Sources<'a> {
    pub(super) limiter: &'a HttpLimiter,
    pub(super) policy: &'a Policy,
    pub(super) samples: &'a Samples<'a>,
    pub(super) history: &'a History,
    /// The newest first.
    pub(super) violations: Vec<Violation>,
    pub(super) show_keys: bool,
    pub(super) uptime: Duration,
}

/// The present moment.
#[derive(Serialize)]
pub(super) struct Snapshot {
    version: &'static str,
    time_ms: u64,
    uptime_s: u64,
    policy: PolicyTold,
    /// Requests by outcome.
    outcomes: BTreeMap<String, u64>,
    /// Descriptors of Envoy's protocol, by what was found for them.
    descriptors: BTreeMap<String, u64>,
    routes: Vec<RouteTold>,
    limits: Vec<LimitTold>,
    /// Limits and routes that are not shown.
    left_out: usize,
    penalties: Penalties,
    decisions: Option<Times>,
    store: Option<StoreTold>,
    violations: Vec<ViolationTold>,
    violations_dropped: u64,
}

#[derive(Serialize)]
struct PolicyTold {
    hash: String,
    mode: &'static str,
    loaded_ms: u64,
    reloads: u64,
    failures: u64,
    last_error: Option<String>,
    failed_ms: Option<u64>,
    watching: &'static str,
    warnings: usize,
}

#[derive(Serialize)]
struct RouteTold {
    name: String,
    outcomes: BTreeMap<String, u64>,
}

#[derive(Serialize)]
struct LimitTold {
    name: String,
    quota: String,
    key: String,
    shadow: bool,
    allowed: u64,
    refused: u64,
    would_refuse: u64,
    returned: u64,
    keys: u64,
    keys_max: u64,
    full: u64,
    most_limited: Vec<MostLimited>,
}

#[derive(Serialize)]
struct MostLimited {
    #[serde(flatten)]
    key: KeyTold,
    /// Permits that were refused.
    refused: u64,
}

/// A key: its kind, its hash, and the key itself only if keys are shown.
#[derive(Serialize)]
struct KeyTold {
    kind: String,
    key_hash: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<String>,
}

#[derive(Serialize)]
struct Penalties {
    active: usize,
    total: u64,
    /// The longest first.
    callers: Vec<PenaltyTold>,
}

#[derive(Serialize)]
struct PenaltyTold {
    #[serde(flatten)]
    key: KeyTold,
    rest_ms: u64,
}

#[derive(Serialize)]
struct StoreTold {
    /// Decisions by who made them.
    decisions: BTreeMap<String, u64>,
    calls: u64,
    outages: u64,
    is_out: bool,
    call_times: Option<Times>,
}

#[derive(Serialize)]
struct ViolationTold {
    time_ms: u64,
    limits: Vec<String>,
    route: Option<String>,
    tier: Option<String>,
    #[serde(flatten)]
    key: KeyTold,
    wait_ms: Option<u64>,
    penalty: bool,
}

impl Snapshot {
    pub(super) fn take(sources: &Sources<'_>) -> Self {
        let Sources { limiter, policy, samples, history, .. } = sources;
        let by_outcome = samples.by("tollgate_requests_total", "outcome");
        let left_out = policy.limits().len().saturating_sub(MOST_ROWS)
            + policy.route_names().len().saturating_sub(MOST_ROWS);
        Self {
            version: env!("CARGO_PKG_VERSION"),
            time_ms: since_1970(SystemTime::now()),
            uptime_s: sources.uptime.as_secs(),
            policy: policy_told(policy, &limiter.reload_status()),
            outcomes: counts(by_outcome),
            descriptors: counts(samples.by("tollgate_descriptors_total", "result")),
            routes: routes(policy, samples),
            limits: limits(sources),
            left_out,
            penalties: penalties(sources),
            decisions: history.decision_times(),
            store: store(samples, history),
            violations: sources.violations.iter().map(violation).collect(),
            violations_dropped: limiter.violation_counts().dropped,
        }
    }
}

fn policy_told(policy: &Policy, status: &ReloadStatus) -> PolicyTold {
    PolicyTold {
        hash: policy.hash().to_owned(),
        mode: match policy.mode() {
            Mode::Shadow => "shadow",
            Mode::Off => "off",
            _ => "enforce",
        },
        loaded_ms: since_1970(status.loaded_at()),
        reloads: status.reloads(),
        failures: status.failures(),
        last_error: status.last_error().map(str::to_owned),
        failed_ms: status.failed_at().map(since_1970),
        watching: match status.watching() {
            Watching::Events => "events",
            Watching::Polling => "polling",
            _ => "nothing",
        },
        warnings: policy.warnings().len(),
    }
}

/// The routes of the policy in force, and `none`.
fn routes(policy: &Policy, samples: &Samples<'_>) -> Vec<RouteTold> {
    let mut by_route: HashMap<&str, BTreeMap<String, u64>> = HashMap::new();
    for sample in samples.of("tollgate_requests_total") {
        let outcomes = by_route.entry(sample.label("route")).or_default();
        *outcomes.entry(sample.label("outcome").to_owned()).or_default() += count(sample.value);
    }
    let names = policy.route_names().take(MOST_ROWS).chain(["none"]);
    names
        .map(|name| RouteTold {
            name: name.to_owned(),
            outcomes: by_route.remove(name).unwrap_or_default(),
        })
        .collect()
}

fn limits(sources: &Sources<'_>) -> Vec<LimitTold> {
    let Sources { limiter, policy, samples, .. } = sources;
    let mut decisions: HashMap<(&str, &str), u64> = HashMap::new();
    for sample in samples.of("tollgate_decisions_total") {
        let of = (sample.label("limit"), sample.label("result"));
        *decisions.entry(of).or_default() += count(sample.value);
    }
    let by_limit = |name| samples.by(name, "limit");
    let (returned, full) =
        (by_limit("tollgate_charge_returned_total"), by_limit("tollgate_keys_full_total"));
    let (keys, keys_max) = (by_limit("tollgate_keys"), by_limit("tollgate_keys_max"));
    let told = |limit: tollgate_http::policy::LimitSummary<'_>| {
        let name = limit.name();
        let number = |of: &HashMap<&str, f64>| of.get(name).map_or(0, |value| count(*value));
        let result = |result| decisions.get(&(name, result)).copied().unwrap_or(0);
        let most_limited = limiter.most_limited(name, MOST_KEYS).into_iter();
        LimitTold {
            name: name.to_owned(),
            quota: limit.quota().to_string(),
            key: limit.key().map(ToString::to_string).collect::<Vec<_>>().join(" + "),
            shadow: limit.is_shadow(),
            allowed: result("allowed"),
            refused: result("refused"),
            would_refuse: result("would_refuse"),
            returned: number(&returned),
            keys: number(&keys),
            keys_max: number(&keys_max),
            full: number(&full),
            most_limited: most_limited
                .map(|(key, refused)| MostLimited { key: key_told(sources, &key), refused })
                .collect(),
        }
    };
    policy.limits().take(MOST_ROWS).map(told).collect()
}

fn penalties(sources: &Sources<'_>) -> Penalties {
    let mut callers = longest_first(sources.limiter);
    let active = callers.len();
    callers.truncate(MOST_PENALTIES);
    let told = |(key, rest): &(Key, Duration)| PenaltyTold {
        key: key_told(sources, key),
        rest_ms: millis(*rest),
    };
    Penalties {
        active,
        total: count(sources.samples.sum("tollgate_penalties_total")),
        callers: callers.iter().map(told).collect(),
    }
}

/// What is known of the store; `None` if the buckets are in memory.
fn store(samples: &Samples<'_>, history: &History) -> Option<StoreTold> {
    if samples.of("tollgate_shared_calls_total").is_empty() {
        return None;
    }
    Some(StoreTold {
        decisions: counts(samples.by("tollgate_shared_decisions_total", "source")),
        calls: count(samples.sum("tollgate_shared_calls_total")),
        outages: count(samples.sum("tollgate_shared_outages_total")),
        is_out: samples.sum("tollgate_shared_outages_present") > 0.0,
        call_times: history.store_times(),
    })
}

fn violation(violation: &Violation) -> ViolationTold {
    ViolationTold {
        time_ms: since_1970(violation.time()),
        limits: violation.limits().map(str::to_owned).collect(),
        route: violation.route().map(str::to_owned),
        tier: violation.tier().map(str::to_owned),
        key: KeyTold {
            kind: violation.key_kind().to_owned(),
            key_hash: violation.key_hash().to_string(),
            key: violation.key().map(|key| shown::text(&key.to_string())),
        },
        wait_ms: violation.wait().map(millis),
        penalty: violation.is_penalty(),
    }
}

fn key_told(sources: &Sources<'_>, key: &Key) -> KeyTold {
    KeyTold {
        kind: key.parts().iter().map(Part::kind).collect::<Vec<_>>().join("+"),
        key_hash: sources.limiter.hash_of_key(key).to_string(),
        key: sources.show_keys.then(|| shown::text(&key.to_string())),
    }
}

fn counts(values: HashMap<&str, f64>) -> BTreeMap<String, u64> {
    values.into_iter().map(|(name, value)| (name.to_owned(), count(value))).collect()
}

fn millis(duration: Duration) -> u64 {
    duration.as_millis().try_into().unwrap_or(u64::MAX)
}

fn since_1970(time: SystemTime) -> u64 {
    millis(time.duration_since(UNIX_EPOCH).unwrap_or_default())
}
