//! From the merged headers to what the server says: which limit each number belongs to, and what
//! contradicts what.

use std::time::{Duration, SystemTime};

use super::merge::{HeaderMerge, Report};
use super::{Bound, MAX_REPORTS, ServerLimit, ServerLimits};
use crate::llm::{Counted, Period};

/// How far a reset can be wrong that is stated in whole seconds, or as a date.
const SECOND: Duration = Duration::from_secs(1);

/// How far a reset can be wrong that is stated in fractions of a second.
const MILLISECOND: Duration = Duration::from_millis(1);

/// How far our clock can be from the server's. It matters only for a reset that is a date, in a
/// response without a date.
const CLOCKS: Duration = Duration::from_secs(5);

/// Resolves what the headers of a response say.
pub(super) fn resolve(merge: &HeaderMerge) -> ServerLimits {
    let now = merge.date.unwrap_or(merge.received);
    let mut reports = merge.reports;
    let second = is_per_second(merge).then_some(Period::SECOND);
    name_the_unnamed(&mut reports, merge);
    join_state_and_policy(&mut reports);
    let mut limits = ServerLimits {
        retry_after: more_precise(merge.retry_after.from(now), merge.retry_after_ms),
        closed_for: merge.unified_reset.from(now).filter(|_| merge.unified_rejected),
        ..ServerLimits::default()
    };
    for report in reports.into_iter().flatten() {
        let Some(counted) = report.counted else { continue };
        let period = report.period.or(report.renewal).or(second);
        let mut limit = ServerLimit::new(counted, period);
        state(&mut limit, &report, merge, now);
        limits.add(limit);
    }
    limits.sort();
    limits
}

/// Whether limits without a period are per second, as Together's are. Its signs are headers of its
/// own (`x-tokenlimit-*`), and a limit of tokens beside one that does not say what it limits.
fn is_per_second(merge: &HeaderMerge) -> bool {
    let names = merge.names;
    names.together || names.bare_limit && names.token_limit && !names.requests
}

/// Headers that do not say what they limit count as limits of requests, unless others name
/// requests: then they may come from a gateway and mean something else.
fn name_the_unnamed(reports: &mut [Option<Report>; MAX_REPORTS], merge: &HeaderMerge) {
    for report in reports.iter_mut().flatten().filter(|report| report.counted.is_none()) {
        if merge.names.requests {
            crate::events::debug!(
                "headers that do not say what they limit ignored: others name requests"
            );
        } else {
            report.counted = Some(Counted::Requests);
        }
    }
}

/// Joins the state of a limit, whose headers do not say its period, with the policy that has the
/// same limit and says it, as in `RateLimit-Limit: 100, 100;w=60`; of several such policies, with
/// the one of the longest period.
fn join_state_and_policy(reports: &mut [Option<Report>; MAX_REPORTS]) {
    for at in 0..reports.len() {
        let Some(state) = reports[at].filter(|report| report.period.is_none()) else { continue };
        let belongs = |policy: &&mut Report| {
            policy.counted == state.counted
                && policy.period.is_some()
                && (policy.remaining.is_none() || policy.remaining == state.remaining)
                && (policy.limit == state.limit || state.limit.is_none())
        };
        // Without a limit, the state belongs to a policy only if there is just one.
        let belonging = reports.iter_mut().flatten().filter(belongs);
        if state.limit.is_none() && belonging.count() > 1 {
            continue;
        }
        let belonging = reports.iter_mut().flatten().filter(belongs);
        let Some(policy) = belonging.max_by_key(|policy| policy.period) else { continue };
        policy.remaining = state.remaining;
        policy.reset.merge(state.reset);
        // With a period of its own, it is a limit of its own as well.
        if state.renewal.is_none() {
            reports[at] = None;
        }
    }
}

/// Fills in what is reported of a limit, without what contradicts itself.
fn state(limit: &mut ServerLimit, report: &Report, merge: &HeaderMerge, now: SystemTime) {
    let or_use = report.limit_or_use.filter(|_| report.remaining.is_some());
    limit.limit = report.limit.into_iter().chain(or_use).min();
    limit.even = report.anthropic;
    if limit.limit == Some(Bound::Unlimited) {
        // Without a limit, remaining and reset are meaningless fillers.
        return;
    }
    limit.remaining = report.remaining;
    limit.reset_after = report.reset.from(now);
    if let Some(Bound::Of(most)) = limit.limit {
        limit.remaining = report.remaining.map(|remaining| remaining.min(most));
    }
    let is_date = report.reset.at.is_some();
    let is_whole = limit.reset_after.is_some_and(|reset| reset.subsec_nanos() == 0);
    limit.reset_margin = match (is_date, is_whole) {
        (true, _) if merge.date.is_none() => CLOCKS,
        (true, _) | (_, true) => SECOND,
        _ => MILLISECOND,
    };
    // Remaining tokens are rounded to thousands.
    if report.anthropic && limit.counted != Counted::Requests {
        limit.count_margin = 1_000;
    }
}

/// The wait in milliseconds, unless it is shorter than rounding to seconds can explain: then one of
/// the two is wrong, and the longer one is used.
fn more_precise(secs: Option<Duration>, millis: Option<Duration>) -> Option<Duration> {
    match (secs, millis) {
        (Some(secs), Some(millis)) if secs.saturating_sub(millis) >= SECOND => {
            crate::events::debug!(
                header = "retry-after-ms",
                why = "shorter than retry-after",
                "header ignored"
            );
            Some(secs)
        }
        _ => millis.or(secs),
    }
}
