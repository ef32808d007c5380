//! What the script answers about a limit, as a [`Level`].

use std::time::Duration;

use tollgate::shared::store::{Level, Receipt, Verb, Verdict};

use super::Numbers;

/// The three numbers that the script answers for a charge. Token bucket: the time until it is full,
/// in µs and units, and how many µs later it would be if nothing had ever been given back. Fixed
/// window: permits in use, and µs until the window ends. Sliding window: µs since the window began,
/// permits of this window, and of the window before. Strict window: permits in use, µs until none
/// is, and µs until the charge passes or, if it does, until the next permit.
pub(crate) type Raw = [u64; 3];

/// What was asked of a limit, and what became of it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asked {
    pub(crate) verb: Verb,
    /// The permits of the charge.
    pub(crate) permits: u128,
    /// Whether the cost of the charge is 0: then the limit is left as it is.
    pub(crate) is_free: bool,
    /// Whether the levels of the part were changed.
    pub(crate) is_done: bool,
    /// How long the caller would wait, in µs.
    pub(crate) patience: u64,
    /// For verbs that take a charge back, its receipt.
    pub(crate) receipt: Receipt,
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
    /// `before` says how it was just before the charge, if several parts charge the same subject.
    pub(crate) fn level(&self, raw: Raw, before: Option<Raw>, asked: Asked) -> (Level, Duration) {
        let Facts { used, remaining, full_after } = self.facts(raw);
        let (verdict, mut wait) = self.judge(raw, before, asked);
        let later = if verdict == Verdict::Granted { wait } else { 0 };
        if verdict == Verdict::Granted && wait == 0 && remaining == 0 {
            wait = self.wait(raw, 1);
        }
        let mut level = Level::new(narrow(remaining));
        level.verdict = verdict;
        level.used = narrow(used);
        level.full_after = duration(full_after);
        level.wait = duration(wait);
        level.receipt = self.new_receipt(raw, before, asked);
        (level, duration(later))
    }

    /// What the limit says to the charge, and the time until its permits are there.
    fn judge(&self, raw: Raw, before: Option<Raw>, asked: Asked) -> (Verdict, u128) {
        if asked.is_free || !matches!(asked.verb, Verb::Take | Verb::TakeUpTo | Verb::Look) {
            return (Verdict::Granted, 0);
        }
        if asked.is_done && before.is_none() {
            // What is above the burst was taken for later.
            return (Verdict::Granted, if self.is_bucket() { self.wait(raw, 0) } else { 0 });
        }
        if asked.permits > self.burst.into() {
            return (Verdict::Never, 0);
        }
        let wait = self.wait(before.unwrap_or(raw), asked.permits);
        let patience = if self.is_bucket() { asked.patience.into() } else { 0 };
        (if wait > patience { Verdict::Refused } else { Verdict::Granted }, wait)
    }

    fn new_receipt(&self, raw: Raw, before: Option<Raw>, asked: Asked) -> Receipt {
        match asked.verb {
            Verb::Take | Verb::TakeUpTo | Verb::Look | Verb::Consume if asked.is_done => self
                .receipt(
                    before.map_or(raw, |before| self.charged(before, asked.permits)),
                    asked.now,
                    narrow(asked.permits),
                ),
            // Of the rest of the charge.
            Verb::HandBack | Verb::Cancel if before.is_none() => {
                let rest = asked.receipt.less(narrow(asked.permits));
                let now = self.is_bucket().then(|| self.receipt(raw, asked.now, 0).at());
                Receipt::new(now.map_or(rest.at(), |now| now.min(rest.at())), rest.permits())
            }
            _ => Receipt::default(),
        }
    }

    /// The level of a token bucket after a charge.
    fn charged(&self, before: Raw, permits: u128) -> Raw {
        let (whole, rest) = self.cost_of(permits);
        let units = u128::from(before[1]) + rest;
        let (more, rest) = (units / u128::from(self.x), units % u128::from(self.x));
        let whole = whole.saturating_add(more).saturating_add(before[0].into());
        [narrow(whole), narrow(rest), before[2]]
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
