//! What an answer says about when to send again.
//!
//! A pure function of status, header fields and time. Where servers contradict themselves, the
//! longest of the times counts that can be read and believed.

mod number;
mod rate_limit;

use std::time::{Duration, SystemTime};

use http::header::{AsHeaderName, DATE, RETRY_AFTER};
use http::{HeaderMap, StatusCode};

pub(super) use number::LONGEST_BELIEVED;
use number::{date, seconds, time_until};

/// The field of the drafts from -07 on.
const RATE_LIMIT: &str = "ratelimit";

/// The fields that say how many requests are left, and those that say when there are more. Of the
/// latter, the first that can be read counts.
const FAMILIES: [(&str, &[&str]); 3] = [
    // GitLab, DigitalOcean, and the drafts up to -06; the last is GitLab's and Yelp's.
    ("ratelimit-remaining", &["ratelimit-reset", "ratelimit-resettime"]),
    // GitHub, Reddit and many others; Discord says both.
    ("x-ratelimit-remaining", &["x-ratelimit-reset-after", "x-ratelimit-reset"]),
    // Twitter, Okta, Gravitee.
    ("x-rate-limit-remaining", &["x-rate-limit-reset"]),
];

/// How long to send nothing more to the host of this answer; `None` if the answer does not ask for
/// a pause. At most [`LONGEST_BELIEVED`].
///
/// `Retry-After`, `RateLimit`, and `*-Remaining` with `*-Reset`, as the [module's](super)
/// documentation says. The first of these that is there counts, because its meaning is the more
/// certain one: the drafts give precedence to `Retry-After`, and many servers mean by
/// `X-RateLimit-Reset` when the *whole* quota is there again. A 429 also makes a limit count that
/// does not say how much is left.
///
/// Points in time are compared with the `Date` of the same answer, so that a wrong clock of this
/// machine does no harm; without a `Date`, with `wall_clock`.
pub(super) fn pause(
    status: StatusCode,
    headers: &HeaderMap,
    wall_clock: SystemTime,
) -> Option<Duration> {
    let now = values(headers, DATE).find_map(date).unwrap_or(wall_clock);
    let may_ask =
        [StatusCode::TOO_MANY_REQUESTS, StatusCode::SERVICE_UNAVAILABLE, StatusCode::FORBIDDEN];
    if may_ask.contains(&status) {
        let asked = values(headers, RETRY_AFTER).filter_map(|text| time_until(text, now)).max();
        if asked.is_some() {
            return asked;
        }
    }
    let is_refused = status == StatusCode::TOO_MANY_REQUESTS;
    let mut limits = values(headers, RATE_LIMIT).flat_map(rate_limit::limits).peekable();
    if limits.peek().is_some() {
        let exhausted = limits.filter(|limit| limit.is_exhausted.unwrap_or(is_refused));
        return exhausted.filter_map(|limit| limit.reset).max();
    }
    let of_families = FAMILIES.iter().filter_map(|(remaining, resets)| {
        let least = elements(headers, remaining).filter_map(seconds).min();
        let is_exhausted = least.map_or(is_refused, |least| least < Duration::from_secs(1));
        let reset =
            |name: &&str| elements(headers, name).filter_map(|text| time_until(text, now)).max();
        if is_exhausted { resets.iter().find_map(reset) } else { None }
    });
    of_families.max()
}

/// The values of a field that are text.
fn values(headers: &HeaderMap, name: impl AsHeaderName) -> impl Iterator<Item = &str> {
    headers.get_all(name).into_iter().filter_map(|value| value.to_str().ok()).map(str::trim)
}

/// The elements of a field that may be a list. A date, which contains a comma, stays whole.
fn elements<'a>(headers: &'a HeaderMap, name: &'a str) -> impl Iterator<Item = &'a str> {
    values(headers, name).flat_map(|value| {
        let separator = if date(value).is_some() { '\0' } else { ',' };
        value.split(separator).map(str::trim)
    })
}

#[cfg(test)]
mod tests;
