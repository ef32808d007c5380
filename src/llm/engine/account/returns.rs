//! What comes back of a limit between two moments, as `remaining` alone shows it.
//!
//! Among some requests that the server has counted, one was counted last, and its answer was
//! written after all of them were. So at least `least remaining + counted - remaining before` has
//! come back meanwhile, in whatever order requests arrive and answers come: the least of their
//! `remaining`, and what these requests cost, against what was left before the first of them was
//! sent. Nobody else can make that look like more, since what others take makes less remain.
//!
//! * A server that refills evenly gives back `limit x time / period`, so its period is at most
//!   `limit x time / what came back`.
//! * A server that counts in windows gives nothing back before its window ends. If something came
//!   back in each of two spans of time, then two windows have ended, so the period is at most the
//!   time from the beginning of the first span to the end of the second.
//!
//! If two spans are together shorter than the period, the server does not count in windows of that
//! period. A server that does not count each request (answers from a cache, say) looks as if more
//! came back, so a 429 refutes all of this for good.

use std::time::Duration;

use crate::Timestamp;
use crate::algorithm::Receipt;

/// A request that has succeeded, and what it cost under the limit.
#[derive(Clone, Copy, Debug)]
pub(super) struct Success {
    pub(super) receipt: Receipt,
    /// The number of the newest request when its answer arrived.
    pub(super) newest: u64,
    pub(super) cost: u64,
    /// How much has to come back to show anything. A server may take more of tokens than a request
    /// uses, and give that back when it ends.
    pub(super) enough: u64,
    /// Whether what others in flight have reserved may come back.
    pub(super) reserved: bool,
}

/// What has come back so far.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Returns {
    limit: u64,
    open: Option<Open>,
    last: Option<Span>,
    /// The longest period that is possible if the server refills evenly, or counts in windows.
    if_even: Option<Duration>,
    if_windows: Option<Duration>,
    /// The period for which two spans have shown that the limit is refilled evenly.
    even_for: Option<Duration>,
    is_refuted: bool,
}

/// A span of time that is not over.
#[derive(Clone, Copy, Debug)]
struct Open {
    began: Timestamp,
    /// Requests from this number on were counted in the span.
    first: u64,
    left_before: u64,
    counted: u64,
    least_left: u64,
}

/// A span of time in which something has come back.
#[derive(Clone, Copy, Debug)]
struct Span {
    began: Timestamp,
    ended: Timestamp,
    returned: u64,
}

impl Returns {
    /// Adds the answer to a request: `left` of `limit` remain. The limit is taken to be per `period`.
    pub(super) fn add(
        &mut self,
        now: Timestamp,
        (left, limit): (u64, u64),
        request: Success,
        period: Duration,
    ) {
        if self.limit != limit {
            *self = Self { limit, is_refuted: self.is_refuted, ..Self::default() };
        }
        if self.is_refuted || request.cost == 0 {
            return;
        }
        let Some(open) = self.open.as_mut().filter(|open| now - open.began <= period / 2) else {
            self.open = self.begin(left, request);
            return;
        };
        if request.receipt.seq < open.first {
            return;
        }
        open.counted = open.counted.saturating_add(request.cost);
        open.least_left = open.least_left.min(left);
        let returned =
            open.least_left.saturating_add(open.counted).saturating_sub(open.left_before);
        if returned >= request.enough {
            let span = Span { began: open.began, ended: now, returned };
            self.open = None;
            self.conclude(span, period);
        }
    }

    /// Begins a span with the first request of it.
    fn begin(&self, left: u64, request: Success) -> Option<Open> {
        let (sent, limit) = (request.receipt.at, self.limit);
        if self.last.is_some_and(|last| sent < last.ended) {
            return None;
        }
        // No more than the limit was left when the request was sent.
        if left >= limit - limit / 10 {
            let Success { cost, .. } = request;
            return Some(Open {
                began: sent,
                first: request.receipt.seq,
                left_before: limit,
                counted: cost,
                least_left: left,
            });
        }
        (!request.reserved).then_some(Open {
            began: sent,
            first: request.newest.saturating_add(1),
            // Fractions are not told.
            left_before: left.saturating_add(1),
            counted: 0,
            least_left: left,
        })
    }

    fn conclude(&mut self, span: Span, period: Duration) {
        let keep_least = |slot: &mut Option<Duration>, longest: Duration| {
            *slot = Some(slot.map_or(longest, |known| known.min(longest)));
        };
        let limit = self.limit;
        let even = |time: Duration, returned: u64| {
            let nanos = time.as_nanos() * u128::from(limit) / u128::from(returned.max(1));
            Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
        };
        keep_least(&mut self.if_even, even(span.ended - span.began, span.returned));
        if let Some(last) = self.last {
            let time = span.ended - last.began;
            keep_least(&mut self.if_windows, time);
            // As much as half of what an even refill gives back, at least.
            let returned = last.returned.saturating_add(span.returned);
            if time < period && even(time, returned) <= period * 2 {
                self.even_for = Some(period);
            }
        }
        self.last = Some(span);
    }

    /// Whether two spans have shown that a limit per `period` is refilled evenly.
    pub(super) fn is_even(&self, period: Duration) -> bool {
        self.even_for == Some(period)
    }

    /// The longest period that is possible if the server refills evenly.
    pub(super) fn if_even(&self) -> Option<Duration> {
        self.if_even
    }

    /// The longest period that is possible if the server counts in windows.
    pub(super) fn if_windows(&self) -> Option<Duration> {
        self.if_windows
    }

    /// Forgets everything for good: the server has refused a request.
    pub(super) fn refute(&mut self) {
        *self = Self { is_refuted: true, ..Self::default() };
    }
}
