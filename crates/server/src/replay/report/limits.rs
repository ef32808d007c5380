//! The limits and the routes of a report.

use std::cmp::Reverse;

use serde::Serialize;
use tollgate::Quota;
use tollgate_http::policy::{Algorithm, KeyPart};

use crate::replay::counts::{Counts, RouteCounts};
use crate::replay::measure::MeasuredLimit;
use crate::replay::run::Replay;

/// One limit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct LimitReport {
    /// Its name.
    pub limit: String,
    /// The parts of its key; empty if it has one bucket for all.
    pub key: Vec<String>,
    /// Its rule, by the word of the policy.
    pub algorithm: &'static str,
    /// Whether it only tells what it would refuse.
    pub shadow: bool,
    /// How often it was asked. Of a limit in the mode `shadow`: by requests that pass.
    pub decided: u64,
    /// How often it refused; 0 of a limit in the mode `shadow`.
    pub refused: u64,
    /// How often a limit in the mode `shadow` would have refused.
    pub would_refuse: u64,
    /// How many keys asked.
    pub keys: u64,
    /// How many of these were refused anything, or would be.
    pub refused_keys: u64,
    /// How many keys the limit has room for.
    pub max_keys: u64,
    /// The quotas under which it was asked: its own, those of tiers, and those of subjects.
    pub quotas: Vec<QuotaReport>,
    /// Whether each smallest burst is exact. It is not if one key asked under several quotas.
    pub exact: bool,
}

/// One quota of a limit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct QuotaReport {
    /// The quota.
    pub quota: String,
    /// How many keys asked under it.
    pub keys: u64,
    /// The smallest burst that refuses nobody at this rate; `None` if it is not computed for the
    /// limit's rule.
    pub smallest_burst: Option<u64>,
    /// The quota with that burst.
    pub enough: Option<String>,
}

/// One route.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct RouteReport {
    /// Its name; `None`: no route of the policy matches.
    pub route: Option<String>,
    /// Its requests.
    pub requests: u64,
    /// How many of them are refused, for any reason.
    pub refused: u64,
    /// How many go on that something in the mode `shadow` would refuse.
    pub would_refuse: u64,
}

/// The limits, in the order of the policy.
pub(super) fn of(limits: &[MeasuredLimit]) -> Vec<LimitReport> {
    limits.iter().map(LimitReport::of).collect()
}

impl LimitReport {
    fn of(limit: &MeasuredLimit) -> Self {
        let spec = &limit.spec;
        let (refused, would_refuse) =
            if limit.is_shadow { (0, limit.refused) } else { (limit.refused, 0) };
        Self {
            limit: spec.identity.name.to_string(),
            key: spec.identity.key.iter().map(ToString::to_string).collect(),
            algorithm: word(spec.identity.algorithm),
            shadow: limit.is_shadow,
            decided: limit.decided,
            refused,
            would_refuse,
            keys: limit.keys().len() as u64,
            refused_keys: limit.keys().filter(|(_, used)| used.refused > 0).count() as u64,
            max_keys: spec.max_keys as u64,
            quotas: limit.quotas().into_iter().map(QuotaReport::of).collect(),
            exact: !limit.is_mixed,
        }
    }

    /// How often it refused or would have.
    pub(super) fn refuses(&self) -> u64 {
        self.refused + self.would_refuse
    }
}

impl QuotaReport {
    fn of((quota, keys, smallest_burst): (Quota, u64, Option<u64>)) -> Self {
        let enough = smallest_burst.map(|burst| quota.burst(burst.max(1)).to_string());
        Self { quota: quota.to_string(), keys, smallest_burst, enough }
    }
}

/// The routes, the one with most requests first.
pub(super) fn routes(counts: &Counts) -> Vec<RouteReport> {
    let report = |route: Option<String>, counts: &RouteCounts| RouteReport {
        route,
        requests: counts.requests,
        refused: counts.refused,
        would_refuse: counts.would_refuse,
    };
    let named = counts.routes.iter().map(|(name, counts)| report(Some(name.clone()), counts));
    let mut routes: Vec<_> = named.collect();
    if counts.no_route.requests > 0 {
        routes.push(report(None, &counts.no_route));
    }
    routes.sort_by(|a, b| {
        let order = |route: &RouteReport| (Reverse(route.requests), route.route.clone());
        order(a).cmp(&order(b))
    });
    routes
}

/// What the report does not know, as far as this policy is concerned.
pub(super) fn notes(replay: &Replay, limits: &[LimitReport]) -> Vec<String> {
    let counts = &replay.counts;
    let mut notes = Vec::new();
    replay.measure.with(|measured| {
        for limit in measured {
            let unknown = |part: &&KeyPart| matches!(part, KeyPart::Header(_) | KeyPart::ApiKey);
            for part in limit.spec.identity.key.iter().filter(unknown) {
                notes.push(format!(
                    "the key of the limit `{}` has the part `{part}`, which a log does not tell: \
                     all requests count as requests without it",
                    limit.spec.identity.name
                ));
            }
        }
    });
    for limit in limits {
        if limit.keys > limit.max_keys {
            notes.push(format!(
                "the limit `{}` has room for {} keys, and {} asked within the whole log",
                limit.limit, limit.max_keys, limit.keys
            ));
        }
        if !limit.exact {
            notes.push(format!(
                "the smallest bursts of the limit `{}` are estimates, because some of its keys asked \
                 under more than one quota",
                limit.limit
            ));
        }
    }
    if counts.charged_unseen > 0 {
        notes.push(format!(
            "{} requests of routes with a `charge` have no status in the log: what they took is not \
             given back",
            counts.charged_unseen
        ));
    }
    if counts.answered_429 > 0 {
        notes.push(format!(
            "{} requests were answered with 429 when the log was written: clients that were told to \
             wait sent fewer requests than they would send without a limit",
            counts.answered_429
        ));
    }
    notes
}

fn word(algorithm: Algorithm) -> &'static str {
    match algorithm {
        Algorithm::FixedWindow => "fixed-window",
        Algorithm::SlidingWindow => "sliding-window",
        Algorithm::Strict => "strict",
        _ => "token-bucket",
    }
}
