//! What is told to the client, by the case file, by parsers of others, and for arbitrary values.

#![allow(
    clippy::option_option,
    reason = "as in `Shown`: whether refused, and the wait if one helps"
)]

mod bodies;
mod clients;
mod fields;
#[cfg(feature = "grpc")]
mod grpc;
mod properties;

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use http::{HeaderMap, StatusCode};
use tollgate::Quota;
use tollgate_http::policy::{Dialect, ResetForm};
use tollgate_http::respond::{Fields, LimitTexts, Refusal, Shown};

const BOTH: [Dialect; 2] = [Dialect::RateLimit, Dialect::XRateLimit];

/// A limit's state with its texts.
#[derive(Clone, Debug)]
struct State {
    texts: LimitTexts,
    quota: Quota,
    remaining: u64,
    full_after: Duration,
    next_after: Duration,
    refused: Option<Option<Duration>>,
}

impl State {
    fn new(name: &str, quota: Quota) -> Self {
        let texts = LimitTexts::new(name, quota).expect("a limited quota");
        let remaining = quota.burst_size();
        let (full_after, next_after) = (Duration::ZERO, Duration::ZERO);
        Self { texts, quota, remaining, full_after, next_after, refused: None }
    }

    fn parsed(name: &str, quota: &str) -> Self {
        Self::new(name, quota.parse().expect("a quota"))
    }

    /// So many permits are left, and the bucket is full after so many milliseconds.
    fn left(mut self, remaining: u64, full_after_ms: u64) -> Self {
        self.remaining = remaining;
        self.full_after = Duration::from_millis(full_after_ms);
        self
    }

    fn refused(mut self, wait: Option<Duration>) -> Self {
        self.refused = Some(wait);
        self
    }

    fn shown(&self) -> Shown<'_> {
        Shown {
            texts: &self.texts,
            remaining: self.remaining,
            full_after: self.full_after,
            next_after: self.next_after,
            refused: self.refused,
        }
    }
}

fn shown(states: &[State]) -> Vec<Shown<'_>> {
    states.iter().map(State::shown).collect()
}

/// A point in time, in milliseconds since 1970.
fn at(epoch_ms: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_millis(epoch_ms)
}

/// The fields of a response: also those of the refusal, if a limit refused.
fn answer(states: &[State], dialects: &[Dialect], reset: ResetForm, now: SystemTime) -> HeaderMap {
    let shown = shown(states);
    let mut headers = HeaderMap::new();
    Fields::new(dialects, reset).write(&mut headers, &shown, None, || now);
    if states.iter().any(|state| state.refused.is_some()) {
        Refusal::limits(StatusCode::TOO_MANY_REQUESTS, &shown).write(&mut headers);
    }
    headers
}

/// The text of a field; fails if it is not there, or there twice.
#[track_caller]
fn text<'a>(headers: &'a HeaderMap, name: &str) -> &'a str {
    let mut values = headers.get_all(name).iter();
    let value = values.next().unwrap_or_else(|| panic!("no field {name} in {headers:?}"));
    assert!(values.next().is_none(), "{name} is there twice");
    value.to_str().expect("visible ASCII")
}
