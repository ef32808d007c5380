//! Reading quotas and time spans.

use std::time::Duration;

use tollgate::algorithm::{FixedWindow, GreedyRefill, SlidingWindow, StrictWindow};
use tollgate::{ParseQuotaError, Quota, QuotaError};

use super::table::found;
use crate::policy::code::Code;
use crate::policy::message::shown;
use crate::policy::problems::Problems;
use crate::policy::settings::Algorithm;
use crate::policy::source::{Node, Value};
use crate::policy::words::Word;

/// How a quota is written.
const FORM: &str = "the form is `600/min burst 100`, the burst may be left out";

/// A quota that a limit with this algorithm accepts.
pub(super) fn quota(node: &Node, algorithm: Algorithm, problems: &mut Problems) -> Option<Quota> {
    let result = match &node.value {
        Value::Text(text) => parse_quota(text, algorithm),
        value => Err(format!("found {}, where a quota is expected: {FORM}", found(value))),
    };
    result.map_err(|message| problems.add(&node.place, Code::BadQuota, || message)).ok()
}

fn parse_quota(text: &str, algorithm: Algorithm) -> Result<Quota, String> {
    let shown = shown(text);
    let quota: Quota = match text.parse() {
        Ok(quota) if is_our_form(text) => quota,
        Ok(quota) => return Err(format!("{shown} is written `{quota}` in a policy: {FORM}")),
        Err(ParseQuotaError::Invalid(QuotaError::ZeroRate | QuotaError::ZeroBurst)) => {
            return Err(format!(
                "{shown} would let nothing pass: write `blocked = true` for a subject that may \
                 not pass, or `unlimited` for no limit; else {FORM}"
            ));
        }
        Err(ParseQuotaError::Several { .. }) => {
            return Err(format!(
                "{shown} is several quotas: write a limit for each of them; {FORM}"
            ));
        }
        Err(error @ ParseQuotaError::Form) => {
            return Err(format!("{shown} is not a quota: {error}"));
        }
        Err(error) => return Err(format!("{shown} is not a quota: {error}; {FORM}")),
    };
    let checked = match algorithm {
        Algorithm::TokenBucket => GreedyRefill::try_from(quota).map(|_| ()),
        Algorithm::FixedWindow => FixedWindow::try_from(quota).map(|_| ()),
        Algorithm::SlidingWindow => SlidingWindow::try_from(quota).map(|_| ()),
        Algorithm::Strict => StrictWindow::try_from(quota).map(|_| ()),
    };
    match checked {
        Ok(()) => Ok(quota),
        Err(QuotaError::BurstUnsupported) => Err(format!(
            "{shown} is not possible with `{}`, whose limit is its burst: leave the burst out, the \
             form is `600/min`; only `token-bucket` has quotas such as `600/min burst 100`",
            algorithm.word()
        )),
        Err(error) => {
            let algorithm = algorithm.word();
            Err(format!("{shown} is not possible with `{algorithm}`: {error}; {FORM}"))
        }
    }
}

/// Whether a quota has the form `PERMITS/PERIOD`, with or without a burst, in any units. `Quota`
/// also reads prose such as `10 per minute`, which is refused, so that policies look alike.
fn is_our_form(text: &str) -> bool {
    let is_count = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'_');
    let is_rate = |text: &str| {
        text.split_once('/').is_some_and(|(permits, period)| {
            is_count(permits) && period.bytes().all(|byte| byte.is_ascii_alphanumeric())
        })
    };
    let words: Vec<&str> = text.split_whitespace().take(4).collect();
    match words.as_slice() {
        ["unlimited"] => true,
        [rate] => is_rate(rate),
        [rate, "burst", burst] => is_rate(rate) && is_count(burst),
        _ => false,
    }
}

/// A time span such as `1min`, `90s` or `250ms`.
pub(super) fn duration(node: &Node, key: &str, problems: &mut Problems) -> Option<Duration> {
    let parsed = match &node.value {
        Value::Text(text) => parse_duration(text),
        _ => Err(String::new()),
    };
    let why = match parsed {
        Ok(duration) => return Some(duration),
        Err(why) => why,
    };
    problems.add(&node.place, Code::BadValue, || {
        let found = found(&node.value);
        format!("`{key}` is {found}: {why}write a time such as `1min`, `90s` or `250ms`")
    });
    None
}

fn parse_duration(text: &str) -> Result<Duration, String> {
    let is_form = text.starts_with(|c: char| c.is_ascii_digit())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric());
    if !is_form {
        return Err(String::new());
    }
    match format!("1/{text}").parse::<Quota>() {
        Ok(quota) => Ok(quota.period()),
        Err(ParseQuotaError::Invalid(QuotaError::ZeroPeriod)) => {
            Err("this is no time at all: ".into())
        }
        Err(error) => Err(format!("{error}: ")),
    }
}
