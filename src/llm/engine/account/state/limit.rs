//! How much of a limit is used, before and after a restart.

use std::time::Duration;

use super::Restored;
use crate::Timestamp;
use crate::algorithm::Algorithm;
use crate::llm::engine::account::meter::{Level, Meter, Window, clocks_differ};
use crate::llm::state::{millis_down, millis_up};
use crate::llm::{GrantState, LimitKind, LimitState, Period, UsedState, WindowState};

/// The most periods of debt that are restored, unless a pause may be longer.
const MOST_PERIODS: u32 = 10;

impl LimitState {
    /// The kind of the limit; `None` if its period is out of range.
    pub(super) fn kind(&self) -> Option<LimitKind> {
        Period::seconds(self.per_seconds).map(|period| self.counted.per(period))
    }

    /// How many requests or tokens of a limit are still in use, if it comes back evenly within
    /// `period`, and all of it in `rest`.
    fn used_for(&self, rest: Duration, period: Duration) -> u64 {
        let used = rest.as_nanos().saturating_mul(self.limit.into());
        u64::try_from(used.div_ceil(period.as_nanos().max(1))).unwrap_or(u64::MAX)
    }
}

impl Meter {
    pub(super) fn state(&self, now: Timestamp) -> Option<LimitState> {
        let (counted, period) = self.kind.metered()?;
        let renewed = self.renewed(now);
        let used = match renewed.as_ref().unwrap_or(&self.level) {
            Level::Even(rule, state, _) => {
                UsedState::RefilledAfterMs(millis_up(rule.full_at(state, now) - now))
            }
            Level::Strict(rule, state) => {
                let grants = rule.grants(state, now);
                let grant = |(age, count)| GrantState { ms_ago: millis_down(age), count };
                UsedState::Grants(grants.map(grant).collect())
            }
        };
        let window = self.window(now).map(|window| WindowState {
            left: window.left,
            ends_after_ms: millis_up(window.ends - now),
            end_is_stated: window.is_stated,
        });
        let forgiven =
            GrantState { ms_ago: millis_down(now - self.forgiven.at), count: self.forgiven.count };
        Some(LimitState {
            counted,
            per_seconds: period.as_secs(),
            limit: self.per_period(),
            used,
            window,
            not_counted: Some(forgiven).filter(|it| it.count > 0),
            renewal: self.renewal_state(now),
        })
    }

    /// Counts as used what the state says, less what has come back since. `newest` is the number of
    /// the last request.
    pub(super) fn restore_state(&mut self, limit: &LimitState, at: Restored, newest: u64) {
        let period = self.period();
        if let Some(forgiven) = limit.not_counted {
            let age = at.age_of(forgiven.ms_ago);
            if age < period && forgiven.count > self.forgiven.count {
                // With what is used, it fits into 64 bits.
                self.forgiven.count = forgiven.count.min(u64::MAX / 2);
                self.forgiven.at = at.ago(age);
            }
        }
        self.restore_used(limit, at);
        // The earlier process may have sent a request to probe the limit.
        self.probed(at.now);
        if limit.limit != self.per_period() {
            self.forgive_excess(at.now, newest);
        }
        if let Some(window) = limit.window {
            let longest = period.saturating_add(clocks_differ(period)).min(at.max_pause);
            let rest = at.rest_of(window.ends_after_ms).min(longest);
            self.restore_window(window, at.now, rest, newest);
        }
    }

    fn restore_used(&mut self, limit: &LimitState, at: Restored) {
        let same_limit = limit.limit == self.per_period();
        let period = self.period();
        // A state can't close a limit for longer than a response can.
        let longest = period.saturating_mul(MOST_PERIODS).max(at.max_pause);
        let most = self.most_owed();
        let aged = |grant: &GrantState| (at.age_of(grant.ms_ago), grant.count.min(most));
        match (&mut self.level, &limit.used) {
            (Level::Even(..), UsedState::RefilledAfterMs(millis)) => {
                let rest = at.rest_of(*millis).min(longest);
                if same_limit {
                    self.raise_until(at.now, at.now + rest);
                } else {
                    self.raise_to(at.now, limit.used_for(rest, period));
                }
            }
            (Level::Even(..), UsedState::Grants(grants)) => {
                let recent = grants.iter().map(aged).filter(|(age, _)| *age < period);
                let used = recent.fold(0, |sum: u64, (_, count)| sum.saturating_add(count));
                self.raise_to(at.now, used);
            }
            (Level::Strict(rule, state), UsedState::Grants(grants)) => {
                rule.raise_to(state, at.now, grants.iter().map(aged).collect());
            }
            (Level::Strict(rule, state), UsedState::RefilledAfterMs(millis)) => {
                let used = limit.used_for(at.rest_of(*millis).min(longest), period);
                rule.raise_to(state, at.now, vec![(Duration::ZERO, used)]);
            }
        }
    }

    /// Counts the grants of a strict window, each with its age, as far as they are not counted yet.
    pub(in crate::llm::engine::account) fn raise_to_grants(
        &mut self,
        now: Timestamp,
        grants: Vec<(Duration, u64)>,
    ) {
        if let Level::Strict(rule, state) = &mut self.level {
            rule.raise_to(state, now, grants);
        }
    }

    /// Takes so much that a limit that is refilled evenly is not full before `until`.
    fn raise_until(&mut self, now: Timestamp, until: Timestamp) {
        if let Some((rule, state)) = self.full_period.as_deref_mut() {
            rule.raise_until(state, now, until);
        }
        if let Level::Even(rule, state, _) = &mut self.level {
            rule.raise_until(state, now, until);
        }
    }

    /// The most that counts as used after a restart, so that a damaged state can't close a limit for
    /// good.
    fn most_owed(&self) -> u64 {
        self.per_period().saturating_mul(MOST_PERIODS.into()).saturating_add(self.burst())
    }

    /// Takes so much of a limit that is refilled evenly that `used` are in use, or as much as may
    /// be owed.
    fn raise_to(&mut self, now: Timestamp, used: u64) {
        let missing = used.min(self.most_owed()).saturating_sub(self.used(now));
        if let Some((rule, state)) = self.full_period.as_deref_mut() {
            rule.take(state, now, missing);
        }
        if let Level::Even(rule, state, _) = &mut self.level {
            rule.take(state, now, missing);
        }
    }

    fn restore_window(&mut self, saved: WindowState, now: Timestamp, rest: Duration, since: u64) {
        if rest.is_zero() {
            return;
        }
        let (left, ends, is_stated) = (saved.left, now + rest, saved.end_is_stated);
        self.window = Some(match self.window(now) {
            Some(known) => Window {
                left: known.left.min(left),
                ends: known.ends.max(ends),
                is_stated: known.is_stated || is_stated,
                since,
            },
            None => Window { left, ends, is_stated, since },
        });
    }
}
