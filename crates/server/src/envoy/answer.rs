//! From a decision to the response of the protocol.

use std::time::Duration;

use tollgate_http::engine::{
    Decision, DescriptorDecision, DescriptorsDecision, LimitReport, Matched, Outcome,
};
use tollgate_http::{HttpLimiter, Quota};
use tonic::Status;

use super::codec::{Fields, Response};
use super::messages::{Code, DescriptorStatus, RateLimit, RateLimitResponse, Unit};

/// The response, or the status of an error. An error is never the code `UNKNOWN`, which Envoy takes
/// for OK.
pub(super) fn answer(
    limiter: &HttpLimiter,
    decided: &DescriptorsDecision,
) -> Result<Response, Status> {
    let decisions = decided.descriptors().iter().map(DescriptorDecision::decision);
    for (index, decision) in decisions.enumerate().filter(|(_, decision)| !decision.is_allowed()) {
        match decision.outcome() {
            Outcome::StoreFailed => {
                return Err(Status::unavailable("the store of the limits does not answer"));
            }
            Outcome::NoPeer => {
                let why = "needs an address in `remote_address` or `masked_remote_address`";
                return Err(Status::invalid_argument(format!("the descriptor {index} {why}")));
            }
            _ => {}
        }
    }
    let message = RateLimitResponse {
        overall_code: code(decided.is_allowed()).into(),
        statuses: decided.descriptors().iter().map(status).collect(),
        response_headers_to_add: Vec::new(),
    };
    Ok(Response { message, fields: fields(limiter, decided) })
}

fn code(is_allowed: bool) -> Code {
    if is_allowed { Code::Ok } else { Code::OverLimit }
}

fn status(descriptor: &DescriptorDecision) -> DescriptorStatus {
    let decision = descriptor.decision();
    let mut status =
        DescriptorStatus { code: code(decision.is_allowed()).into(), ..Default::default() };
    match most_limiting(decision) {
        Some(limit) => {
            status.current_limit = Some(current_limit(&limit));
            status.limit_remaining = u32::try_from(limit.remaining()).unwrap_or(u32::MAX);
            status.duration_until_reset = if decision.is_allowed() {
                Some(whole_seconds(limit.reset_after()))
            } else {
                decision.retry_after().map(whole_seconds)
            };
        }
        None if decision.is_allowed() && descriptor.matched() == Matched::Limits => {
            // A rule without limits.
            status.limit_remaining = u32::MAX;
        }
        None => status.duration_until_reset = decision.retry_after().map(whole_seconds),
    }
    status
}

/// The limit that says most about a descriptor: that which has refused with the longest wait, else
/// that of which the least is left. Shadow limits only if there is no other one.
fn most_limiting(decision: &Decision) -> Option<LimitReport<'_>> {
    let limits = |shadow: bool| decision.limits().filter(move |limit| limit.is_shadow() == shadow);
    let refusing = limits(false).filter(LimitReport::refuses);
    // A refusal that no wait helps is the longest.
    let wait = |limit: &LimitReport<'_>| {
        let wait = limit.retry_after();
        (wait.is_none(), wait)
    };
    refusing
        .max_by_key(wait)
        .or_else(|| limits(false).min_by_key(LimitReport::remaining))
        .or_else(|| limits(true).min_by_key(LimitReport::remaining))
}

fn current_limit(limit: &LimitReport<'_>) -> RateLimit {
    let quota = limit.quota();
    let (unit, units) = unit_of(quota);
    RateLimit {
        requests_per_unit: u32::try_from(quota.permits()).unwrap_or(u32::MAX),
        unit: unit.into(),
        name: limit.name().into(),
        unit_multiplier: Some(units).filter(|units| *units > 1),
    }
}

/// The period of a quota as a number of units.
fn unit_of(quota: Quota) -> (Unit, u32) {
    const DAY: u64 = 86_400;
    const UNITS: [(Unit, u64); 6] = [
        (Unit::Year, 365 * DAY),
        (Unit::Month, 30 * DAY),
        (Unit::Day, DAY),
        (Unit::Hour, 3_600),
        (Unit::Minute, 60),
        (Unit::Second, 1),
    ];
    let period = quota.period();
    let seconds = period.as_secs();
    if seconds == 0 || period.subsec_nanos() > 0 {
        return (Unit::Unknown, 1);
    }
    let fits = UNITS.into_iter().find(|(_, length)| seconds.is_multiple_of(*length));
    let (unit, length) = fits.unwrap_or((Unit::Second, 1));
    match u32::try_from(seconds / length) {
        Ok(units) => (unit, units),
        Err(_) => (Unit::Unknown, 1),
    }
}

/// A time in whole seconds, rounded up, because Envoy cuts off what is beyond them.
fn whole_seconds(time: Duration) -> prost_types::Duration {
    // The longest time that the message can have: ten thousand years.
    const LONGEST: i64 = 315_576_000_000;
    let seconds = time.as_secs().saturating_add(u64::from(time.subsec_nanos() > 0));
    let seconds = i64::try_from(seconds).unwrap_or(LONGEST).min(LONGEST);
    prost_types::Duration { seconds, nanos: 0 }
}

/// The fields about limits that the policy chooses, for the descriptor that limits most.
fn fields(limiter: &HttpLimiter, decided: &DescriptorsDecision) -> Fields {
    let Some(descriptor) = decided.most_limiting() else { return Fields::default() };
    let mut fields = Fields::with_usual_capacity();
    limiter.each_field(descriptor.decision(), |name, value| fields.add(&name, &value));
    fields
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn periods_are_numbers_of_units() {
        for (quota, expected) in [
            ("9/s", (Unit::Second, 1)),
            ("9/90s", (Unit::Second, 90)),
            ("9/min", (Unit::Minute, 1)),
            ("9/15min", (Unit::Minute, 15)),
            ("9/60s", (Unit::Minute, 1)),
            ("9/24h", (Unit::Day, 1)),
            ("9/36h", (Unit::Hour, 36)),
            ("9/30day", (Unit::Month, 1)),
            ("9/365day", (Unit::Year, 1)),
            ("9/250ms", (Unit::Unknown, 1)),
            ("9/1500ms", (Unit::Unknown, 1)),
        ] {
            let quota: Quota = quota.parse().expect("a quota");
            assert_eq!(unit_of(quota), expected, "{quota}");
        }
    }

    #[test]
    fn times_are_rounded_up() {
        let seconds = |time| whole_seconds(time).seconds;
        assert_eq!(seconds(Duration::ZERO), 0);
        assert_eq!(seconds(Duration::from_nanos(1)), 1);
        assert_eq!(seconds(Duration::from_millis(2_001)), 3);
        assert_eq!(seconds(Duration::MAX), 315_576_000_000);
    }
}
