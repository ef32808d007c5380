//! What the script answers about a limit, as a [`Level`].

use std::time::Duration;

use tollgate::shared::store::{Level, Receipt, Verb, Verdict};

use super::Numbers;

/// The three numbers that the script answers for a charge. Token bucket: the time until it is full,
/// in µs and units. Fixed window: permits in use, and µs until the window ends. Sliding window: µs
/// since the window began, permits of this window, and of the window before. Strict window: permits
/// in use, µs until none is, and µs until the charge passes or, if it does, until the next permit.
pub(crate) type Raw = [u64; 3];

/// What was asked of a limit, and what became of it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asked {
    pub(crate) verb: Verb,
    /// The permits of the charge; for [`Verb::TakeUpTo`], those of one time.
    pub(crate) permits: u128,
    /// Whether the cost of the charge is 0: then the limit is left as it is.
    pub(crate) is_free: bool,
    /// Whether the levels of the part were changed.
    pub(crate) is_done: bool,
    /// How long the caller would wait, in µs.
    pub(crate) patience: u64,
    /// The time of the decision, in µs.
    pub(crate) now: u64,
}

/// What a limit holds. The time is in µs, rounded up: the store decides at whole µs.
struct Facts {
    used: u128,
    remaining: u128,
    full_after: u128,
}

impl Numbers {
    /// The level that `raw` says, and for how long the permits of the charge are still to come.
    pub(crate) fn level(&self, raw: Raw, asked: Asked) -> (Level, Duration) {
        let Facts { used, remaining, full_after } = self.facts(raw);
        let decides = matches!(asked.verb, Verb::Take | Verb::TakeUpTo | Verb::Look);
        let (mut verdict, mut wait, mut later) = (Verdict::Granted, 0, 0);
        if asked.is_done && asked.verb == Verb::Take && !asked.is_free {
            // Nothing more: what is above the burst was taken for later.
            later = if self.is_bucket() { self.wait(raw, 0) } else { 0 };
            wait = later;
        } else if decides && !asked.is_done && !asked.is_free {
            let until = self.wait(raw, asked.permits);
            let patience = if self.is_bucket() && asked.verb != Verb::TakeUpTo {
                u128::from(asked.patience)
            } else {
                0
            };
            if asked.permits > self.burst.into() {
                verdict = Verdict::Never;
            } else if until > patience {
                (verdict, wait) = (Verdict::Refused, until);
            } else {
                (later, wait) = (until, until);
            }
        }
        if verdict == Verdict::Granted && wait == 0 && remaining == 0 {
            wait = self.wait(raw, 1);
        }
        let mut level = Level::new(narrow(remaining));
        level.verdict = verdict;
        level.used = narrow(used);
        level.full_after = duration(full_after);
        level.wait = duration(wait);
        if asked.is_done && matches!(asked.verb, Verb::Take | Verb::TakeUpTo | Verb::Consume) {
            level.receipt = self.receipt(raw, asked.now);
        } else {
            level.receipt = Receipt::default();
        }
        (level, duration(later))
    }

    fn facts(&self, raw: Raw) -> Facts {
        let limit = u128::from(self.burst);
        let [a, b, c] = raw.map(u128::from);
        match self.rule {
            0 => {
                let (speed, cost) = (u128::from(self.x), u128::from(self.cost));
                let used = a * speed + b;
                let capacity = limit * cost;
                Facts {
                    used: used.div_ceil(cost),
                    remaining: capacity.saturating_sub(used) / cost,
                    full_after: a + u128::from(b > 0),
                }
            }
            1 => {
                let refills = a.div_ceil(limit);
                let period = u128::from(self.y);
                let full_after = if refills == 0 { 0 } else { b + (refills - 1) * period };
                Facts { used: a, remaining: limit.saturating_sub(a), full_after }
            }
            2 => {
                let period = u128::from(self.y);
                let used = b + (c * period.saturating_sub(a)).div_ceil(period);
                let windows = if b > 0 { 2 } else { u128::from(c > 0) };
                let full_after = (windows * period).saturating_sub(a);
                Facts { used, remaining: limit.saturating_sub(used), full_after }
            }
            _ => Facts { used: a, remaining: limit.saturating_sub(a), full_after: b },
        }
    }

    /// The time in µs until so many permits can be taken, if they ever can.
    fn wait(&self, raw: Raw, permits: u128) -> u128 {
        let limit = u128::from(self.burst);
        let [a, b, c] = raw.map(u128::from);
        match self.rule {
            0 => {
                let (speed, cost) = (u128::from(self.x), u128::from(self.cost));
                let used = (a * speed + b).saturating_add(permits.saturating_mul(cost));
                let excess = used.saturating_sub(limit * cost);
                excess.div_ceil(speed)
            }
            1 => match a.saturating_add(permits).saturating_sub(limit).div_ceil(limit) {
                0 => 0,
                refills => (refills - 1).saturating_mul(self.y.into()).saturating_add(b),
            },
            2 => {
                let room = limit.saturating_sub(permits);
                let period = u128::from(self.y);
                let faded = |count: u128, room: u128| match count {
                    count if count <= room => 0,
                    count => period - room * period / count,
                };
                let ready = match room.checked_sub(b) {
                    Some(room) => faded(c, room),
                    None => period + faded(b, room),
                };
                ready.saturating_sub(a)
            }
            // The script answers the time until the next permit where it does not refuse.
            _ if a + permits <= limit => 0,
            _ => c,
        }
    }
}

fn narrow(number: u128) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}

fn duration(micros: u128) -> Duration {
    Duration::from_micros(narrow(micros))
}
