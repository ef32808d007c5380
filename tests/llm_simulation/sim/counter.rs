//! One limit of a server, in whole numbers: nothing is rounded, so nothing drifts.

use super::{BEGAN, DAY, HOUR, MINUTE, Nanos};

/// What is limited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Counts {
    Requests,
    /// Those of the prompt and of the answer together.
    Tokens,
    InputTokens,
    OutputTokens,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Refill {
    /// A little all the time, up to the limit.
    Even,
    /// All at once when the server's clock begins another period.
    Windows,
}

/// So many requests or tokens in each period.
#[derive(Clone, Debug)]
pub(crate) struct Counter {
    pub(crate) counts: Counts,
    pub(crate) limit: u64,
    pub(crate) period: Nanos,
    refill: Refill,
    /// In parts, of which one request or token has as many as the period has nanoseconds.
    left: i128,
    at: Nanos,
    tally: Tally,
}

/// How much could be had since the tally began, and how much of it was used, in parts. Windows
/// count once they are over.
#[derive(Clone, Debug, Default)]
struct Tally {
    given: i128,
    used: i128,
    /// What was left when the present window began, or the tally in it.
    opening: i128,
    /// What others have used in the present window.
    elsewhere: i128,
}

impl Counter {
    pub(crate) fn even(counts: Counts, limit: u64, period: Nanos) -> Self {
        Self::new(counts, limit, period, Refill::Even)
    }

    pub(crate) fn windows(counts: Counts, limit: u64, period: Nanos) -> Self {
        Self::new(counts, limit, period, Refill::Windows)
    }

    fn new(counts: Counts, limit: u64, period: Nanos, refill: Refill) -> Self {
        let left = i128::from(limit) * i128::from(period);
        let tally = Tally { given: 0, used: 0, opening: left, elsewhere: 0 };
        Self { counts, limit, period, refill, left, at: 0, tally }
    }

    fn parts(&self, count: u64) -> i128 {
        i128::from(count) * i128::from(self.period)
    }

    fn window(&self, at: Nanos) -> u64 {
        (at + BEGAN) / self.period
    }

    /// Refills up to now.
    fn advance(&mut self, now: Nanos) {
        let full = self.parts(self.limit);
        match self.refill {
            Refill::Even => {
                let came = i128::from(now - self.at) * i128::from(self.limit);
                self.tally.given += came;
                self.left = (self.left + came).min(full);
            }
            Refill::Windows => {
                let over = self.window(now) - self.window(self.at);
                if over > 0 {
                    let Tally { opening, elsewhere, .. } = self.tally;
                    self.tally.given += opening - elsewhere + i128::from(over - 1) * full;
                    self.tally.used += opening - self.left - elsewhere;
                    (self.tally.opening, self.tally.elsewhere) = (full, 0);
                    self.left = full;
                }
            }
        }
        self.at = now;
    }

    /// Whole ones that are left.
    pub(crate) fn remaining(&mut self, now: Nanos) -> u64 {
        self.advance(now);
        u64::try_from(self.left.max(0) / i128::from(self.period)).unwrap()
    }

    /// How long until so many are there.
    pub(crate) fn wait(&mut self, now: Nanos, count: u64) -> Nanos {
        self.advance(now);
        let missing = self.parts(count) - self.left;
        match self.refill {
            _ if missing <= 0 => 0,
            Refill::Even => {
                let limit = i128::from(self.limit);
                u64::try_from((missing + limit - 1) / limit).unwrap()
            }
            Refill::Windows => self.period - (now + BEGAN) % self.period,
        }
    }

    /// How long until all are there again. A window that was not touched ends too.
    pub(crate) fn reset(&mut self, now: Nanos) -> Nanos {
        match self.refill {
            Refill::Even => self.wait(now, self.limit),
            Refill::Windows => self.period - (now + BEGAN) % self.period,
        }
    }

    /// Takes so many, below zero if need be.
    pub(crate) fn take(&mut self, now: Nanos, count: u64) {
        self.advance(now);
        self.left -= self.parts(count);
    }

    /// Takes one, or what is left of one.
    pub(crate) fn take_one_at_most(&mut self, now: Nanos) {
        self.advance(now);
        self.left -= self.parts(1).min(self.left.max(0));
    }

    /// Gives back some of what was taken at `taken`. A window that is over takes nothing back.
    pub(crate) fn give_back(&mut self, now: Nanos, taken: Nanos, count: u64) {
        self.advance(now);
        if self.refill == Refill::Even || self.window(taken) == self.window(now) {
            self.left = (self.left + self.parts(count)).min(self.parts(self.limit));
        }
    }

    /// Somebody else takes so many.
    pub(crate) fn take_elsewhere(&mut self, now: Nanos, count: u64) {
        self.take(now, count);
        match self.refill {
            Refill::Even => self.tally.given -= self.parts(count),
            Refill::Windows => self.tally.elsewhere += self.parts(count),
        }
    }

    /// Begins the tally anew. What is left of the first burst counts only if the time until now was
    /// too short to use it.
    pub(crate) fn begin_tally(&mut self, now: Nanos) {
        self.advance(now);
        self.tally = match self.refill {
            Refill::Even if self.period <= now => Tally::default(),
            Refill::Even => Tally { given: self.left.max(0), ..Tally::default() },
            Refill::Windows => Tally { opening: self.left, ..Tally::default() },
        };
    }

    /// A request has ended and was worth so much. Windows count what was taken instead, since they
    /// may take nothing back.
    pub(crate) fn spent(&mut self, count: u64) {
        if self.refill == Refill::Even {
            self.tally.used += self.parts(count);
        }
    }

    /// The share that was used of what could be had and others did not take; nothing if nothing
    /// could be had.
    pub(crate) fn share_used(&mut self, now: Nanos) -> f64 {
        self.advance(now);
        if self.tally.given > 0 { float(self.tally.used) / float(self.tally.given) } else { 0.0 }
    }

    pub(crate) fn per_second(&self) -> f64 {
        float(self.limit.into()) * 1e9 / float(self.period.into())
    }

    /// `second`, `10-second`, `minute`, `5-minute`, `hour` or `day`, as names of headers have it.
    pub(crate) fn period_name(&self) -> String {
        let units = [(DAY, "day"), (HOUR, "hour"), (MINUTE, "minute")];
        let fits = |(unit, _): &(Nanos, &str)| self.period % unit == 0;
        let (unit, name) = units.into_iter().find(fits).unwrap_or((super::SECOND, "second"));
        match self.period / unit {
            1 => name.to_owned(),
            several => format!("{several}-{name}"),
        }
    }
}

#[allow(clippy::cast_precision_loss, reason = "shares are printed with three digits")]
fn float(count: i128) -> f64 {
    count as f64
}
