//! The end of a server's window, at which all of a limit can be used again.
//!
//! A strict window counts each request for a period. A server that counts in windows counts it
//! until its window ends, which is earlier. If responses have shown that the server counts so,
//! and state the end of the window, then all that is counted stops counting at that end, except
//! for what requests in flight have taken: the server may count these in its next window.
//!
//! Whatever ends a server states, at most one limit's worth is admitted for each: the window after
//! it is counted strictly again, and the next end that counts is a period later.

use std::time::Duration;

use super::{Level, Meter, on};
use crate::Timestamp;
use crate::algorithm::Algorithm;
use crate::limiters::core::Edited;

/// When all of a limit can be used again.
#[derive(Clone, Copy, Debug, Default)]
pub(in crate::llm::engine::account) struct Renewal {
    /// The end of the window, if it is stated.
    pub(in crate::llm::engine::account) next: Option<Timestamp>,
    /// The end of the last window at which the limit was renewed.
    pub(in crate::llm::engine::account) last: Option<Timestamp>,
    /// What the requests in flight have taken. After a restart, it is also what requests have taken
    /// that have ended since: the end of the window is not known exactly then, because the system's
    /// clock may have been changed. So the server may count these in its next window, too.
    pub(in crate::llm::engine::account) in_flight: u64,
    /// Whether this is known from before a restart, and no response has stated an end since.
    pub(in crate::llm::engine::account) is_restored: bool,
}

impl Renewal {
    /// As if a window had ended at `last`.
    pub(super) fn after(last: Timestamp) -> Self {
        Self { last: Some(last), ..Self::default() }
    }

    /// Notes that a request takes `count`, which is in flight from now on.
    #[inline]
    pub(super) fn sent(&mut self, count: u64) {
        self.in_flight = self.in_flight.saturating_add(count);
    }

    /// Notes that `count` is no longer in flight.
    #[inline]
    pub(super) fn ended(&mut self, count: u64) {
        let count = if self.is_restored { 0 } else { count };
        self.in_flight = self.in_flight.saturating_sub(count);
    }
}

impl Meter {
    /// Expects the end of the server's window at `end`, or at the latest end that was stated for this
    /// window, and returns how that changes due times. What requests in flight have taken is
    /// `in_flight`.
    pub(crate) fn expect_renewal(
        &mut self,
        now: Timestamp,
        end: Timestamp,
        in_flight: u64,
    ) -> Edited {
        self.renew(now);
        if !self.is_strict() {
            return Edited::Nothing;
        }
        // Windows follow each other after a period, by a clock that may be a little faster.
        let period = self.period();
        let least = period.saturating_sub(period / 2_500);
        let renewal = self.renewal.get_or_insert_default();
        let end = renewal.last.map_or(end, |last| end.max(last + least));
        (renewal.in_flight, renewal.is_restored) = (in_flight, false);
        match renewal.next.replace(end) {
            None => Edited::GaveBack,
            Some(before) if before < end => Edited::Took,
            before => {
                renewal.next = before;
                Edited::Nothing
            }
        }
    }

    /// Whether the limit was renewed within its last period.
    pub(crate) fn was_renewed(&self, now: Timestamp) -> bool {
        let due = self.renewal.and_then(|renewal| renewal.next).filter(|end| *end <= now);
        let last = due.or(self.renewal.and_then(|renewal| renewal.last));
        last.is_some_and(|last| now - last < self.period())
    }

    /// Forgets the stated end of the window, because responses no longer show that there is one.
    pub(crate) fn forget_renewal(&mut self, now: Timestamp) -> Edited {
        self.renew(now);
        let forgotten = self.renewal.as_mut().and_then(|renewal| renewal.next.take());
        if forgotten.is_some() { Edited::Took } else { Edited::Nothing }
    }

    /// The level at `now`, if the server's window ends until then and nothing was taken or given back
    /// since; `None` if the level is as it was.
    pub(in crate::llm::engine::account) fn renewed(&self, now: Timestamp) -> Option<Level> {
        let renewal = self.renewal?;
        let end = renewal.next.filter(|end| *end <= now)?;
        let in_flight = u128::from(renewal.in_flight);
        match &self.level {
            Level::Strict(rule, state) if in_flight < rule.used(state, end) => {
                Some(Level::Strict(*rule, rule.start(end, in_flight)))
            }
            _ => None,
        }
    }

    /// Puts the level after the end of the server's window in force, if that end has come.
    #[inline]
    pub(super) fn renew(&mut self, now: Timestamp) {
        if self.renewal.is_some() {
            self.renew_slowly(now);
        }
    }

    fn renew_slowly(&mut self, now: Timestamp) {
        if let Some(level) = self.renewed(now) {
            self.level = level;
        }
        if let Some(renewal) = &mut self.renewal {
            if renewal.next.is_some_and(|end| end <= now) {
                renewal.last = renewal.next.take();
            }
        }
    }

    /// The level at which a request is served that the present one allows at `ready`, and when that
    /// level is in force.
    fn level_at(&self, now: Timestamp, ready: Timestamp) -> Option<(Level, Timestamp)> {
        let end = self.renewal?.next?.max(now);
        let level = self.renewed(end).filter(|_| end == now || end <= ready)?;
        Some((level, end))
    }

    /// When `cost` can be taken that the present level allows at `ready`.
    pub(super) fn ready_at_renewal(
        &self,
        now: Timestamp,
        cost: u64,
        ready: Timestamp,
    ) -> Timestamp {
        let renewed = self.level_at(now, ready);
        renewed
            .map_or(ready, |(level, at)| on!(&level, |rule, state| rule.ready_at(state, at, cost)))
    }

    /// When nothing is in use that the present level counts until `full`.
    pub(super) fn full_at_renewal(&self, now: Timestamp, full: Timestamp) -> Timestamp {
        let renewed = self.level_at(now, full);
        renewed.map_or(full, |(level, at)| on!(&level, |rule, state| rule.full_at(state, at)))
    }
}

/// How far the end of a window may be from what a response states, because the clocks of client and
/// server differ by up to 200 millionths. It matters for long windows only.
pub(crate) fn clocks_differ(rest: Duration) -> Duration {
    if rest > Duration::from_secs(600) { rest / 5_000 } else { Duration::ZERO }
}
