//! From the merged headers to what the server says: which limit each number belongs to, and what
//! contradicts what.

use std::time::{Duration, SystemTime};

use super::merge::{HeaderMerge, Names, Report, Reports};
use super::{Bound, ServerLimit, ServerLimits};
use crate::llm::{Counted, Period};

/// How far a reset can be wrong that is stated in whole seconds, or as a date.
const SECOND: Duration = Duration::from_secs(1);

/// How far a reset can be wrong that is stated in fractions of a second.
const MILLISECOND: Duration = Duration::from_millis(1);

/// How far our clock can be from the server's. It matters only for a reset that is a date, in a
/// response without a date.
const CLOCKS: Duration = Duration::from_secs(5);

/// Resolves what the headers of a response say.
pub(super) fn resolve(merge: &mut HeaderMerge) -> ServerLimits {
    let second = is_per_second(merge.names).then_some(Period::SECOND);
    name_the_unnamed(&mut merge.reports, merge.names);
    join_state_and_policy(&mut merge.reports);
    let date = needs_date(merge).then(|| merge.date()).flatten();
    let now = date.unwrap_or(merge.received);
    let mut limits = ServerLimits {
        retry_after: more_precise(merge.retry_after.from(now), merge.retry_after_ms),
        closed_for: merge.unified_reset.from(now).filter(|_| merge.unified_rejected),
        ..ServerLimits::default()
    };
    for report in &merge.reports {
        let Some(counted) = report.counted else { continue };
        let period = report.period.or(report.renewal).or(second);
        let mut limit = ServerLimit::new(counted, period);
        state(&mut limit, report, now, date.is_some());
        limits.add(limit);
    }
    limits.forget_fillers();
    limits.sort();
    limits
}

/// Whether limits without a period are per second, as Together's are. Its signs are headers of its
/// own (`x-tokenlimit-*`), and a limit of tokens beside one that does not say what it limits.
fn is_per_second(names: Names) -> bool {
    names.together || names.bare_limit && names.token_limit && !names.requests
}

/// Headers that do not say what they limit count as limits of requests, unless others name
/// requests: then they may come from a gateway and mean something else.
fn name_the_unnamed(reports: &mut Reports, names: Names) {
    for report in reports.iter_mut().filter(|report| report.counted.is_none()) {
        if names.requests {
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
fn join_state_and_policy(reports: &mut Reports) {
    if !reports.iter().any(|report| report.period.is_some()) {
        return;
    }
    let mut at = 0;
    while let Some(&state) = reports.get(at) {
        let is_joined = state.period.is_none() && join(state, reports);
        // With a period of its own, it is a limit of its own as well.
        if is_joined && state.renewal.is_none() {
            reports.remove(at);
        } else {
            at += 1;
        }
    }
}

/// Adds the state of a limit to the policy that it belongs to; returns whether there is one.
fn join(state: Report, reports: &mut Reports) -> bool {
    let belongs = |policy: &&mut Report| {
        policy.counted == state.counted
            && policy.period.is_some()
            && (policy.remaining.is_none() || policy.remaining == state.remaining)
            && (policy.limit == state.limit || state.limit.is_none())
    };
    // Without a limit, the state belongs to a policy only if there is just one.
    if state.limit.is_none() && reports.iter_mut().filter(belongs).count() > 1 {
        return false;
    }
    let policy = reports.iter_mut().filter(belongs).max_by_key(|policy| policy.period);
    let Some(policy) = policy else { return false };
    policy.remaining = state.remaining;
    policy.reset.merge(state.reset);
    let or_use = policy.limit_or_use.into_iter().chain(state.limit_or_use);
    policy.limit_or_use = or_use.min();
    true
}

/// Whether the server asks for a wait until a date.
fn needs_date(merge: &HeaderMerge) -> bool {
    let resets = merge.reports.iter().map(|report| report.reset);
    let mut waits = resets.chain([merge.retry_after, merge.unified_reset]);
    waits.any(|wait| wait.at.is_some())
}

/// Fills in what is reported of a limit, without what contradicts itself. `now` is the time by the
/// server's clock if the response is dated.
fn state(limit: &mut ServerLimit, report: &Report, now: SystemTime, is_dated: bool) {
    let or_use = report.limit_or_use.filter(|_| report.remaining.is_some());
    limit.limit = report.limit.into_iter().chain(or_use).min();
    limit.even = report.anthropic;
    limit.remaining = report.remaining;
    limit.reset_after = report.reset.from(now);
    if let Some(Bound::Of(most)) = limit.limit {
        limit.remaining = report.remaining.map(|remaining| remaining.min(most));
    }
    let is_date = report.reset.at.is_some();
    let is_whole = limit.reset_after.is_some_and(|reset| reset.subsec_nanos() == 0);
    limit.reset_margin = match (is_date, is_whole) {
        (true, _) if !is_dated => CLOCKS,
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
