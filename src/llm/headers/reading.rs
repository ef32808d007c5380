//! Headers put together: of all that was said of one thing, the strictest stays.

use std::cmp::Ordering;
use std::time::{Duration, SystemTime};

use super::name::{self, Kind, Name, Part, Subject};
use super::value::{self, When, Why};
use super::{Bound, ServerLimit, ServerLimits};

/// What the headers said so far.
pub(super) struct Reading {
    received: SystemTime,
    /// The server's own clock; the earliest makes every wait longest.
    date: Option<SystemTime>,
    limits: [Parts; Kind::COUNT],
    /// Whether any header, valid or not, names the requests.
    requests_named: bool,
    retry_after: Wait,
    retry_after_ms: Option<Duration>,
}

/// What was said of one limit.
#[derive(Clone, Copy, Default, PartialEq)]
struct Parts {
    limit: Option<Bound>,
    remaining: Option<u64>,
    reset: Wait,
    period: Option<Duration>,
}

/// The longest wait, which is only known once the date is.
#[derive(Clone, Copy, Default, PartialEq)]
struct Wait {
    after: Option<Duration>,
    at: Option<SystemTime>,
}

impl Reading {
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

    pub(super) fn header(&mut self, name: &[u8], value: &[u8]) {
        let Some(name) = Name::new(name) else { return };
        let Some(subject) = name::subject(name.as_str()) else { return };
        if let Err(why) = self.learn(subject, value) {
            // The name is a known one; the value may be anything, and stays out of the log.
            crate::events::debug!(header = name.as_str(), why, "value ignored");
        }
    }

    fn learn(&mut self, subject: Subject, value: &[u8]) -> Result<(), Why> {
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

    pub(super) fn finish(self) -> ServerLimits {
        let now = self.date.unwrap_or(self.received);
        let limit = |kind: Kind| self.limits[kind as usize].settle(kind, now);
        let requests = if self.requests_named {
            if self.limits[Kind::Unnamed as usize] != Parts::default() {
                crate::events::debug!(
                    "headers without a subject ignored: others name the requests"
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
            retry_after: finer(self.retry_after.from(now), self.retry_after_ms),
        }
    }
}

impl Parts {
    /// What stands in the end, where the parts contradict each other.
    fn settle(self, kind: Kind, now: SystemTime) -> ServerLimit {
        let mut remaining = self.remaining;
        let mut reset_after = self.reset.from(now);
        match self.limit {
            // Of no number nothing remains, and what is said of it is a filler: "0 of 0".
            Some(Bound::Unlimited) if remaining.is_some() || reset_after.is_some() => {
                crate::events::debug!(limit = ?kind, "remaining and reset of no limit ignored");
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
    fn extend(&mut self, when: When) -> Result<(), Why> {
        match when {
            When::After(wait) => keep_most(&mut self.after, wait),
            When::At(at) => keep_most(&mut self.at, at),
        }
    }

    /// How long from `now`; none if it is over.
    fn from(self, now: SystemTime) -> Option<Duration> {
        let until = self.at.map(|at| at.duration_since(now).unwrap_or_default());
        self.after.max(until)
    }
}

/// The milliseconds, unless they are shorter than rounding to seconds explains: then one of the two
/// is wrong.
fn finer(secs: Option<Duration>, millis: Option<Duration>) -> Option<Duration> {
    match (secs, millis) {
        (Some(secs), Some(millis)) if secs.saturating_sub(millis) >= Duration::from_secs(1) => {
            crate::events::debug!(
                header = "retry-after-ms",
                why = "shorter than retry-after",
                "value ignored"
            );
            Some(secs)
        }
        _ => millis.or(secs),
    }
}

fn keep_least<T: Ord>(slot: &mut Option<T>, value: T) -> Result<(), Why> {
    keep(slot, value, Ordering::Less)
}

fn keep_most<T: Ord>(slot: &mut Option<T>, value: T) -> Result<(), Why> {
    keep(slot, value, Ordering::Greater)
}

/// Keeps the stricter of two; says so if they differ.
fn keep<T: Ord>(slot: &mut Option<T>, value: T, stricter: Ordering) -> Result<(), Why> {
    match slot.as_ref().map(|kept| value.cmp(kept)) {
        None => {
            *slot = Some(value);
            Ok(())
        }
        Some(Ordering::Equal) => Ok(()),
        Some(order) if order == stricter => {
            *slot = Some(value);
            Err("an earlier one was looser")
        }
        Some(_) => Err("an earlier one is stricter"),
    }
}
