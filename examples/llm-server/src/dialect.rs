//! In whose headers a limit is told. The names and the forms of the values are those of recorded
//! answers.

use std::time::{Duration, SystemTime};

use hyper::HeaderMap;
use hyper::header::{HeaderName, HeaderValue};

use crate::level::Level;

/// In whose headers the server tells what is left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Dialect {
    /// `x-ratelimit-remaining-requests: 59`, `x-ratelimit-reset-tokens: 7.66s`.
    OpenAi,
    /// `anthropic-ratelimit-requests-remaining: 59`, and times such as `2026-06-11T20:16:00Z`.
    Anthropic,
    /// As `OpenAi`, with `x-ratelimit-renewalperiod-requests: 60` and times in whole seconds.
    Azure,
    /// `x-ratelimit-remaining-req-minute: 59` and `x-ratelimit-tokens-query-cost: 34`, no times.
    Mistral,
    /// Nothing but `retry-after`.
    Silent,
}

/// What the headers of one answer tell.
pub(crate) struct Told<'a> {
    pub(crate) requests: &'a Level,
    pub(crate) tokens: &'a Level,
    /// The tokens that were reserved for this request.
    pub(crate) cost: u64,
}

impl Dialect {
    pub(crate) fn headers(self, told: &Told<'_>) -> HeaderMap {
        let mut headers = HeaderMap::new();
        match self {
            Self::OpenAi => for_each(told, |what, level| {
                set(&mut headers, &format!("x-ratelimit-limit-{what}"), limit(level));
                set(&mut headers, &format!("x-ratelimit-remaining-{what}"), left(level));
                set(&mut headers, &format!("x-ratelimit-reset-{what}"), go(level.full_in()));
            }),
            Self::Anthropic => for_each(told, |what, level| {
                let reset = SystemTime::now().checked_add(level.full_in());
                let reset =
                    humantime::format_rfc3339_seconds(reset.unwrap_or(SystemTime::UNIX_EPOCH));
                set(&mut headers, &format!("anthropic-ratelimit-{what}-limit"), limit(level));
                set(&mut headers, &format!("anthropic-ratelimit-{what}-remaining"), left(level));
                set(&mut headers, &format!("anthropic-ratelimit-{what}-reset"), reset.to_string());
            }),
            Self::Azure => for_each(told, |what, level| {
                set(&mut headers, &format!("x-ratelimit-limit-{what}"), limit(level));
                set(&mut headers, &format!("x-ratelimit-remaining-{what}"), left(level));
                let reset = level.full_in().as_secs().to_string();
                set(&mut headers, &format!("x-ratelimit-reset-{what}"), reset);
                set(&mut headers, &format!("x-ratelimit-renewalperiod-{what}"), "60".to_owned());
            }),
            Self::Mistral => {
                for_each(told, |what, level| {
                    let what = if what == "requests" { "req" } else { what };
                    set(&mut headers, &format!("x-ratelimit-limit-{what}-minute"), limit(level));
                    set(&mut headers, &format!("x-ratelimit-remaining-{what}-minute"), left(level));
                });
                set(&mut headers, "x-ratelimit-tokens-query-cost", told.cost.to_string());
            }
            Self::Silent => {}
        }
        headers
    }
}

fn for_each(told: &Told<'_>, mut write: impl FnMut(&str, &Level)) {
    write("requests", told.requests);
    write("tokens", told.tokens);
}

fn set(headers: &mut HeaderMap, name: &str, value: String) {
    // Both are printable, so neither can fail.
    if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(value)) {
        headers.insert(name, value);
    }
}

fn limit(level: &Level) -> String {
    level.per_minute.to_string()
}

fn left(level: &Level) -> String {
    format!("{:.0}", level.left().max(0.0).floor())
}

/// `12ms`, `7.66s`, `1m5.3s`: as Go prints a duration.
pub(crate) fn go(duration: Duration) -> String {
    let seconds = duration.as_secs_f64();
    match duration.as_millis() {
        0 => "0s".to_owned(),
        millis @ 1..1_000 => format!("{millis}ms"),
        1_000..60_000 => format!("{seconds:.2}s"),
        _ => format!("{}m{:.1}s", duration.as_secs() / 60, seconds % 60.0),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    fn told(dialect: Dialect) -> Vec<String> {
        let now = Instant::now();
        let mut requests = Level::new(60, Duration::from_secs(60), now);
        requests.take(1.0);
        let tokens = Level::new(6_000, Duration::from_secs(60), now);
        let headers = dialect.headers(&Told { requests: &requests, tokens: &tokens, cost: 34 });
        let line = |(name, value): (&HeaderName, &HeaderValue)| {
            format!("{name}: {}", value.to_str().unwrap_or_default())
        };
        headers.iter().map(line).collect()
    }

    #[test]
    fn the_names_are_those_of_recorded_answers() {
        let expected = [
            (Dialect::OpenAi, "x-ratelimit-limit-requests: 60"),
            (Dialect::OpenAi, "x-ratelimit-remaining-requests: 59"),
            (Dialect::OpenAi, "x-ratelimit-reset-requests: 1.00s"),
            (Dialect::OpenAi, "x-ratelimit-reset-tokens: 0s"),
            (Dialect::Anthropic, "anthropic-ratelimit-requests-remaining: 59"),
            (Dialect::Azure, "x-ratelimit-renewalperiod-tokens: 60"),
            (Dialect::Azure, "x-ratelimit-reset-requests: 1"),
            (Dialect::Mistral, "x-ratelimit-remaining-req-minute: 59"),
            (Dialect::Mistral, "x-ratelimit-limit-tokens-minute: 6000"),
            (Dialect::Mistral, "x-ratelimit-tokens-query-cost: 34"),
        ];
        for (dialect, line) in expected {
            let told = told(dialect);
            assert!(told.iter().any(|told| told == line), "{line} is not in {told:?}");
        }
        assert!(told(Dialect::Silent).is_empty());
    }

    #[test]
    fn durations_are_written_as_go_does() {
        for (millis, text) in [(0, "0s"), (12, "12ms"), (7_660, "7.66s"), (65_300, "1m5.3s")] {
            assert_eq!(go(Duration::from_millis(millis)), text);
        }
    }
}
