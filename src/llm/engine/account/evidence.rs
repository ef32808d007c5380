//! What responses show about a limit: the period that it counts over, and how it is refilled.
//!
//! A server that refills evenly (a token bucket) reports the time until nothing is in use any more.
//! So `reset x limit / used` is its period, up to rounding. A server that counts in windows reports
//! the time until the window ends. Then that product can be anything, but the period is at least
//! as long as each reset, and at most as long as the time between the ends of two windows.

use std::time::Duration;

use super::returns::Returns;
use crate::Timestamp;
use crate::llm::Period;
use crate::llm::headers::{Bound, ServerLimit};

/// The periods that limits without a stated period count over. A month is rare enough that it
/// takes an exact answer to believe in one.
const POSSIBLE: [Period; 5] =
    [Period::SECOND, Period::MINUTE, Period::HOUR, Period::DAY, Period::MONTH];
const USUAL: [Period; 4] = [Period::SECOND, Period::MINUTE, Period::HOUR, Period::DAY];

/// How a limit comes back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refill {
    /// Not known yet: the strictest reading applies.
    Unknown,
    /// Evenly: a little at every moment.
    Even,
    /// All at once, when a window ends.
    Windows,
}

/// What the responses so far have shown about a limit.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Evidence {
    /// The period with which the last answers agree, if the limit is refilled evenly.
    pub(super) even: Option<Period>,
    /// How many answers in a row agreed with that period, and how many agreed with none.
    pub(super) agreeing: u8,
    pub(super) contradicting: u8,
    /// The longest reset, which no period can be shorter than.
    pub(super) longest_reset: Duration,
    /// `reset x limit / used` of the last answer.
    pub(super) implied: Option<Duration>,
    /// The longest period that is possible if the limit is refilled evenly.
    pub(super) if_even: Option<Duration>,
    /// The end of the last window, and the shortest time between the ends of two windows.
    pub(super) window_end: Option<Timestamp>,
    pub(super) window_gap: Option<Duration>,
}

impl Evidence {
    /// Adds what a response says of the limit. `stated` is the period if headers state it.
    pub(crate) fn add(&mut self, now: Timestamp, said: &ServerLimit) {
        let (Some(Bound::Of(limit)), Some(remaining), Some(reset)) =
            (said.limit, said.remaining, said.reset_after)
        else {
            return;
        };
        // A reset of zero is often a filler.
        if reset.is_zero() || limit == 0 {
            return;
        }
        let at_least = reset.saturating_sub(said.reset_margin);
        self.longest_reset = self.longest_reset.max(at_least);
        self.add_window_end(now, now + reset, said.reset_margin);
        let used = limit.saturating_sub(remaining);
        let times = |reset: Duration, used: u64| {
            let nanos = reset.as_nanos() * u128::from(limit) / u128::from(used.max(1));
            Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
        };
        // A limit of which nothing is used says nothing about its refill.
        if used > 0 {
            self.implied = Some(times(reset, used));
        }
        // More may be in use than what is stated, by rounding, but not much less.
        let most_used = used.saturating_add(said.count_margin - 1);
        let shortest = times(at_least, most_used);
        let longest = match used.saturating_sub(said.count_margin) {
            0 => Duration::MAX,
            least_used => times(reset.saturating_add(said.reset_margin), least_used),
        };
        if longest < Duration::MAX {
            self.if_even = Some(self.if_even.map_or(longest, |known| known.min(longest)));
        }
        let near = |period: Period| {
            let period = period.as_duration();
            period >= shortest.saturating_sub(shortest / 100)
                && period <= longest.saturating_add(longest / 100)
        };
        let close = |period: Period| {
            let period = period.as_duration();
            let implied = times(reset, used);
            reset >= said.reset_margin * 4 && implied.abs_diff(period) <= period * 3 / 100
        };
        let is_tight = longest < shortest.saturating_mul(4);
        let candidates = said.period.as_ref().map_or(&POSSIBLE[..], std::slice::from_ref);
        let agrees = |period: &Period| if is_tight { near(*period) } else { close(*period) };
        match candidates.iter().copied().find(agrees) {
            Some(period) if self.even == Some(period) => {
                self.agreeing = self.agreeing.saturating_add(1);
                self.contradicting = self.contradicting.saturating_sub(1);
            }
            Some(period) => (self.even, self.agreeing) = (Some(period), 1),
            None if is_tight => {
                self.contradicting = self.contradicting.saturating_add(1);
                self.agreeing /= 2;
            }
            None => {}
        }
    }

    fn add_window_end(&mut self, now: Timestamp, end: Timestamp, margin: Duration) {
        let slack = margin.saturating_mul(2);
        match self.window_end {
            // The window before has ended, and this is a later one.
            Some(before) if now + slack >= before && end - before > slack => {
                let gap = end - before;
                self.window_gap = Some(self.window_gap.map_or(gap, |known| known.min(gap)));
                self.window_end = Some(end);
            }
            Some(before) if now < before => {}
            _ => self.window_end = Some(end),
        }
    }

    /// The period: the one that is stated, or that the answers show, and else the nearest usual one
    /// that they do not contradict. `returns` is what has come back between answers.
    pub(super) fn period(&self, stated: Option<Period>, returns: &Returns) -> Period {
        if let Some(period) = stated {
            return period;
        }
        if let Some(period) = self.even.filter(|_| self.agreeing > self.contradicting) {
            return period;
        }
        let minute = Period::MINUTE.as_duration();
        let implied = self.implied.unwrap_or_else(|| self.longest_reset.max(minute));
        // Resets of a limit that is refilled evenly end at any time. So their distance bounds
        // nothing, unless answers have shown that the server counts in windows.
        let shows_windows = self.contradicting > self.agreeing;
        // (Resets are stated in whole seconds, and responses are on their way for a while.)
        let gap = self.window_gap.filter(|_| shows_windows);
        let gap = gap.map(|gap| gap.max(self.longest_reset));
        let most = self.longest_possible(returns);
        if let Some(most) = most.filter(|most| self.implied.is_none() && *most < implied) {
            // Nothing else hints at the period: the strictest reading.
            return Period::of(most).unwrap_or(Period::MINUTE);
        }
        let allowed = |period: &Period| {
            let period = period.as_duration();
            period >= self.longest_reset
                && gap.is_none_or(|gap| period <= gap + gap / 50)
                && most.is_none_or(|most| period <= most)
        };
        let distance = |period: &Period| {
            let (one, other) = (period.as_duration(), implied);
            let ratio = one.max(other).as_nanos() * 1_000 / one.min(other).as_nanos().max(1);
            // Of two at the same distance, the stricter one.
            (ratio, std::cmp::Reverse(*period))
        };
        let nearest = USUAL.into_iter().filter(allowed).min_by_key(distance);
        nearest.or_else(|| Period::of(gap.unwrap_or(self.longest_reset))).unwrap_or(Period::DAY)
    }

    /// The longest period that is possible, however the server counts. `None` if answers allow any.
    fn longest_possible(&self, returns: &Returns) -> Option<Duration> {
        let least = |one: Option<Duration>, other| one.into_iter().chain(other).min();
        let if_even = least(self.if_even, returns.if_even())?;
        let if_windows = least(self.window_gap, returns.if_windows())?;
        Some(if_even.max(if_windows).max(self.longest_reset))
    }

    /// How the limit is refilled. It takes two answers to know that it is refilled evenly.
    pub(crate) fn refill(&self) -> Refill {
        if self.agreeing >= 2 && self.agreeing > self.contradicting {
            Refill::Even
        } else if self.contradicting >= 2 && self.contradicting > self.agreeing {
            Refill::Windows
        } else {
            Refill::Unknown
        }
    }

    /// Whether an answer has shown that the limit is refilled evenly, and not more have shown that
    /// it is not.
    pub(crate) fn looks_even(&self) -> bool {
        self.agreeing > self.contradicting
    }
}
