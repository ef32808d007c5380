//! What responses say that remains of a limit, and until when.

use std::time::Duration;

use super::Account;
use super::evidence::Refill;
use super::meter::{Meter, Window, clocks_differ};
use super::sources::{Source, is_short};
use crate::Timestamp;
use crate::limiters::core::Edited;
use crate::llm::headers::ServerLimit;
use crate::llm::{Burst, LimitKind, Period};

impl Account {
    /// Applies what a response says that remains of a limit.
    pub(super) fn observe_remaining(
        &mut self,
        now: Timestamp,
        kind: LimitKind,
        said: &ServerLimit,
        source: &Source,
        max_pause: Duration,
    ) -> Edited {
        let Some(remaining) = said.remaining else { return Edited::Nothing };
        let (reserve, kept_back, since) = (self.reserve(kind), self.kept_back(kind), self.newest);
        // The response is that of the only request in flight: it is not out of date.
        let is_exact = self.in_flight <= 1;
        let Some(meter) = self.meters.of(kind) else { return Edited::Nothing };
        meter.heard(now);
        let remaining = i128::from(remaining) - kept_back;
        let before = meter.window(now);
        if let Some(wait) = window_rest(said, source, meter, max_pause) {
            // No reserve: what is left of a window is lost when it ends.
            let left = u64::try_from(remaining.max(0)).unwrap_or(u64::MAX);
            let is_stated = said.reset_after.is_some_and(|reset| !reset.is_zero());
            if is_exact {
                meter.forget_window();
            }
            meter.set_window(now, Window { left, ends: now + wait, is_stated, since });
            return match (before, meter.window(now)) {
                (Some(one), Some(other)) if (one.left, one.ends) == (other.left, other.ends) => {
                    Edited::Nothing
                }
                // Most responses lower it, or move its end by the time that they took.
                (Some(one), Some(other)) if other.left <= one.left && other.ends >= one.ends => {
                    Edited::Took
                }
                (None, Some(_)) => Edited::Took,
                _ => Edited::Changed,
            };
        }
        meter.forget_window();
        if before.is_some() {
            return Edited::Changed;
        }
        // Near the reserve, each permit less remaining makes two permits less usable; below the
        // reserve there is debt. It never takes more than a period to come back.
        let least = 1 - i128::from(meter.per_period());
        let below = (2 * (remaining - reserve)).max(remaining - 2 * reserve);
        let usable = remaining.min(below).max(least);
        // Less remaining than expected means that other clients use the account, and is charged.
        // More is ignored, because requests may be in flight that the server has not seen yet.
        let left = i128::from(meter.burst()) - i128::from(meter.used(now));
        let elsewhere = u64::try_from((left - usable).max(0)).unwrap_or(u64::MAX);
        if elsewhere == 0 {
            return Edited::Nothing;
        }
        meter.take_count(now, elsewhere);
        Edited::Took
    }

    /// Applies what a response says of when the window ends: all of a limit that was learned can be
    /// used again then, if responses have shown that the server counts in windows. One response
    /// cannot show that, and a limit that is configured to count strictly does so.
    pub(super) fn observe_end(
        &mut self,
        now: Timestamp,
        kind: LimitKind,
        said: &ServerLimit,
        source: &Source,
    ) -> Edited {
        if source.refill() != Refill::Windows || !is_long(kind) {
            let meter = self.meters.of(kind);
            return meter.map_or(Edited::Nothing, |meter| meter.forget_renewal(now));
        }
        match said.reset_after.filter(|reset| !reset.is_zero()) {
            Some(reset) => self.expect_renewal(now, kind, reset),
            None => Edited::Nothing,
        }
    }

    /// Expects that the server's window ends after `rest`, unless the limit is configured.
    fn expect_renewal(&mut self, now: Timestamp, kind: LimitKind, rest: Duration) -> Edited {
        let in_flight = self.in_flight_of(kind);
        let is_learned = self.limits.get(kind).is_none() && self.limits.burst_mode() == Burst::Full;
        match self.meters.of(kind).filter(|meter| is_learned && rest <= meter.period()) {
            Some(meter) => meter.expect_renewal(now, now + rest + clocks_differ(rest), in_flight),
            None => Edited::Nothing,
        }
    }

    /// How much of what the server reports as remaining is left to other clients of the account.
    fn kept_back(&mut self, kind: LimitKind) -> i128 {
        let percent = i128::from(self.limits.kept_back());
        self.meters.of(kind).map_or(0, |meter| i128::from(meter.per_period()) * percent / 100)
    }

    /// How much of what the server reports as remaining is kept in reserve.
    ///
    /// The server's number is out of date when it arrives, requests overtake each other on the way,
    /// and the server may count more for the requests in flight than was estimated. At full load
    /// the reserve costs no throughput, because it lowers the level and not the refill. A limit
    /// over more than a minute comes back too slowly for that, and has no reserve.
    fn reserve(&self, kind: LimitKind) -> i128 {
        let short = kind.period().is_some_and(|period| period <= Period::MINUTE);
        let meter = self.meters.iter().find(|meter| meter.kind == kind);
        let Some(meter) = meter.filter(|_| short) else { return 0 };
        // A twentieth of the burst for the delay. For limits in tokens, an uncertainty is added,
        // for what the server may count beyond the estimates: the average estimate of a request in
        // flight or half of all estimates, whichever is more, but at most a fifth of the burst.
        let reserved = kind.cost(self.reserved);
        let uncertain = (reserved / self.in_flight.max(1)).max(reserved / 2);
        let uncertain = if kind.counts_tokens() { uncertain } else { 0 };
        // At least one request, unless the limit is small: else the clock of a client that is a
        // little fast brings each request a little early.
        let one = u64::from(!kind.counts_tokens() && meter.burst() >= 10);
        i128::from((meter.burst() / 20).max(one)) + i128::from(uncertain.min(meter.burst() / 5))
    }
}

/// The rest of the window that a response speaks of; `None` if the limit is refilled evenly, or if
/// nothing hints at a window.
fn window_rest(
    said: &ServerLimit,
    source: &Source,
    meter: &Meter,
    max_pause: Duration,
) -> Option<Duration> {
    if source.comes_back_evenly(said.remaining.unwrap_or(0)) || is_short(meter.kind) {
        return None;
    }
    let period = meter.period();
    let reset = said.reset_after.filter(|reset| !reset.is_zero());
    let wait = match reset {
        // No window is longer than its period: Azure has sent milliseconds instead of seconds.
        Some(reset) => {
            let reset = reset.min(period);
            reset.saturating_add(clocks_differ(reset))
        }
        None if meter.burst_mode == Burst::Strict => guessed_rest(period),
        None if said.remaining == Some(0) && said.period.is_some() => guessed_rest(period),
        None => return None,
    };
    Some(wait.min(max_pause))
}

/// Whether the period of a limit is so long that what requests in flight have taken, when a window
/// ends, is little of it, and that to wait for a period more would be long.
fn is_long(kind: LimitKind) -> bool {
    kind.period().is_some_and(|period| period.as_secs() >= 600)
}

/// How long a statement about a window is believed if its end is not stated. The window ends within
/// its period. To wait for all of an hour or a day could waste most of it, so the next answer is
/// asked for earlier.
fn guessed_rest(period: Duration) -> Duration {
    let minute = Period::MINUTE.as_duration();
    (period / 6).clamp(period.min(minute), Period::HOUR.as_duration().max(minute))
}
