//! Merges the headers of a response: of several values for the same thing, the strictest is kept.

use std::cmp::Ordering;
use std::time::{Duration, SystemTime};

use super::header_name::{self, Kind, Name, Part, Subject};
use super::header_value::{self as value, IgnoreReason, When};
use super::{Bound, ServerLimit, ServerLimits};

/// What the headers have reported so far.
pub(super) struct HeaderMerge {
    received: SystemTime,
    /// The server's own clock. The earliest of several dates is kept, because it makes waits
    /// longest.
    date: Option<SystemTime>,
    limits: [Parts; Kind::COUNT],
    /// Whether the name of any header, with a valid value or not, contains `requests`.
    requests_named: bool,
    retry_after: Wait,
    retry_after_ms: Option<Duration>,
}

/// What was reported about one limit.
#[derive(Clone, Copy, Default, PartialEq)]
struct Parts {
    limit: Option<Bound>,
    remaining: Option<u64>,
    reset: Wait,
    period: Option<Duration>,
}

/// The longest wait so far. Which one that is depends on the response's date, so both forms are
/// kept until all headers are read.
#[derive(Clone, Copy, Default, PartialEq)]
struct Wait {
    after: Option<Duration>,
    at: Option<SystemTime>,
}

impl HeaderMerge {
    pub(super) fn new(received: SystemTime) -> Self {
        Self {
            received,
            date: None,
            limits: [Parts::default(); Kind::COUNT],
            requests_named: false,
            retry_after: Wait::default(),
            retry_after_ms: None,
        }
    }

    /// Adds one header. Headers that are not about limits are ignored.
    pub(super) fn add(&mut self, name: &[u8], value: &[u8]) {
        let Some(name) = Name::new(name) else { return };
        let Some(subject) = header_name::subject(name.as_str()) else { return };
        if let Err(why) = self.merge(subject, value) {
            // The name is one of the known names. The value may be anything, also a secret, so it
            // is not logged.
            crate::events::debug!(header = name.as_str(), why, "header ignored");
        }
    }

    fn merge(&mut self, subject: Subject, value: &[u8]) -> Result<(), IgnoreReason> {
        if let Subject::Limit(Kind::Requests, _) = subject {
            self.requests_named = true;
        }
        let text = value::text(value)?;
        match subject {
            Subject::Limit(kind, part) => {
                let parts = &mut self.limits[kind as usize];
                match part {
                    Part::Limit => keep_least(&mut parts.limit, value::bound(text)?),
                    Part::Remaining => keep_least(&mut parts.remaining, value::count(text)?),
                    Part::Reset => parts.reset.extend(value::when(text)?),
                    Part::Period => keep_most(&mut parts.period, value::period(text)?),
                }
            }
            Subject::RetryAfter => self.retry_after.extend(value::when(text)?),
            Subject::RetryAfterMs => keep_most(&mut self.retry_after_ms, value::millis(text)?),
            Subject::Date => keep_least(&mut self.date, value::date(text)?),
        }
    }

    /// The merged limits, once all headers were added.
    pub(super) fn finish(self) -> ServerLimits {
        let now = self.date.unwrap_or(self.received);
        let limit = |kind: Kind| self.limits[kind as usize].resolve(kind, now);
        let requests = if self.requests_named {
            if self.limits[Kind::Unnamed as usize] != Parts::default() {
                crate::events::debug!(
                    "headers that do not say what they limit ignored: others name requests"
                );
            }
            Kind::Requests
        } else {
            Kind::Unnamed
        };
        ServerLimits {
            requests: limit(requests),
            requests_per_day: limit(Kind::RequestsPerDay),
            tokens: limit(Kind::Tokens),
            tokens_per_day: limit(Kind::TokensPerDay),
            input_tokens: limit(Kind::InputTokens),
            output_tokens: limit(Kind::OutputTokens),
            project_tokens: limit(Kind::ProjectTokens),
            retry_after: more_precise(self.retry_after.from(now), self.retry_after_ms),
        }
    }
}

impl Parts {
    /// Resolves contradictions between the parts.
    fn resolve(self, kind: Kind, now: SystemTime) -> ServerLimit {
        let mut remaining = self.remaining;
        let mut reset_after = self.reset.from(now);
        match self.limit {
            // Without a limit, remaining and reset are meaningless fillers, such as "0 of 0".
            Some(Bound::Unlimited) if remaining.is_some() || reset_after.is_some() => {
                crate::events::debug!(limit = ?kind, "remaining and reset ignored: no limit");
                (remaining, reset_after) = (None, None);
            }
            Some(Bound::Of(limit)) if remaining > Some(limit) => {
                crate::events::debug!(limit = ?kind, "remaining lowered to the limit");
                remaining = Some(limit);
            }
            _ => {}
        }
        ServerLimit { limit: self.limit, remaining, reset_after, period: self.period }
    }
}

impl Wait {
    fn extend(&mut self, when: When) -> Result<(), IgnoreReason> {
        match when {
            When::After(wait) => keep_most(&mut self.after, wait),
            When::At(at) => keep_most(&mut self.at, at),
        }
    }

    /// The wait from `now` on; zero if it is over already.
    fn from(self, now: SystemTime) -> Option<Duration> {
        let until = self.at.map(|at| at.duration_since(now).unwrap_or_default());
        self.after.max(until)
    }
}

/// The wait in milliseconds, unless it is shorter than rounding to seconds can explain: then one of
/// the two is wrong, and the longer one is used.
fn more_precise(secs: Option<Duration>, millis: Option<Duration>) -> Option<Duration> {
    match (secs, millis) {
        (Some(secs), Some(millis)) if secs.saturating_sub(millis) >= Duration::from_secs(1) => {
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

fn keep_least<T: Ord>(slot: &mut Option<T>, value: T) -> Result<(), IgnoreReason> {
    keep(slot, value, Ordering::Less)
}

fn keep_most<T: Ord>(slot: &mut Option<T>, value: T) -> Result<(), IgnoreReason> {
    keep(slot, value, Ordering::Greater)
}

/// Keeps the stricter of two values; if they differ, the error says which one is ignored.
fn keep<T: Ord>(slot: &mut Option<T>, value: T, stricter: Ordering) -> Result<(), IgnoreReason> {
    match slot.as_ref().map(|kept| value.cmp(kept)) {
        None => {
            *slot = Some(value);
            Ok(())
        }
        Some(Ordering::Equal) => Ok(()),
        Some(order) if order == stricter => {
            *slot = Some(value);
            Err("a looser value came earlier")
        }
        Some(_) => Err("a stricter value came earlier"),
    }
}
