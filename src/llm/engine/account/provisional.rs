//! A limit for servers that state none: what they admitted before they refused.
//!
//! If a server refuses a request and nothing is known of its limits, the number of requests that
//! it admitted in the minute before is a limit for the next minutes. It grows slowly, so that it
//! follows a server that admits more, and each further refusal makes it grow more slowly. It ends
//! an hour after the last refusal, and as soon as a response states a limit.
//!
//! A refusal halves it at most, since the server may be overloaded for a moment. A few requests a
//! minute say nothing about a rate: then there is only the pause after the refusal.

use std::time::Duration;

use super::Account;
use super::meter::{Meter, Probing};
use crate::Timestamp;
use crate::llm::{Burst, LimitKind, Period};

/// The kind of the limit.
const KIND: LimitKind = LimitKind::Requests(Period::MINUTE);

/// The fewest admitted requests that make a limit.
pub(super) const FEWEST: u64 = 5;

/// How long the limit stays as it is after the first refusal, and at most.
pub(super) const FIRST_HOLD: Duration = Duration::from_secs(60);
pub(super) const LONGEST_HOLD: Duration = Duration::from_secs(16 * 60);

/// How long the limit lasts after the last refusal.
pub(super) const LASTS: Duration = Duration::from_secs(3_600);

/// Requests are counted by slots of time, which are together a little longer than a minute.
const SLOTS: usize = 16;
const SLOT: Duration = Duration::from_secs(4);

/// What was admitted in the last minute, and the limit that follows from it.
#[derive(Clone, Debug, Default)]
pub(super) struct Provisional {
    sent: [u32; SLOTS],
    /// The number of the newest slot, since the clock's origin.
    newest: u64,
    pub(super) limit: Option<Limit>,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Limit {
    pub(super) count: u64,
    /// What the refusals of requests that were in flight together lower the limit to at most.
    pub(super) least: u64,
    /// The last request that was sent before the refusal.
    pub(super) after: u64,
    pub(super) hold: Duration,
    pub(super) grows_at: Timestamp,
    pub(super) ends_at: Timestamp,
}

impl Provisional {
    /// Counts a request that is sent.
    #[inline]
    pub(super) fn sent(&mut self, now: Timestamp) {
        self.advance(now);
        if let Some(slot) = self.sent.get_mut(place(self.newest)) {
            *slot = slot.saturating_add(1);
        }
    }

    fn advance(&mut self, now: Timestamp) {
        let slot = number(now);
        let past = slot.saturating_sub(self.newest).min(SLOTS as u64);
        for old in 1..=past {
            self.sent[place(self.newest + old)] = 0;
        }
        self.newest = self.newest.max(slot);
    }

    /// What the server has admitted in the last minute, with the age of the youngest possible
    /// request of each slot.
    fn admitted(&self, now: Timestamp) -> impl Iterator<Item = (Duration, u64)> + '_ {
        (0..SLOTS as u64 - 1).filter_map(move |back| {
            let slot = self.newest.checked_sub(back)?;
            let ended = Timestamp::ZERO + SLOT.saturating_mul(u32::try_from(slot + 1).ok()?);
            let count = u64::from(self.sent[place(slot)]);
            (count > 0).then_some((now - ended, count))
        })
    }

    /// Notes that the server has refused a request, of those up to number `newest`.
    fn refused(&mut self, now: Timestamp, request: Option<u64>, newest: u64) {
        self.advance(now);
        // The request was one of the last.
        let newest_first = (0..SLOTS as u64).filter_map(|back| self.newest.checked_sub(back));
        if let Some(slot) = newest_first.map(place).find(|slot| self.sent[*slot] > 0) {
            self.sent[slot] -= 1;
        }
        let admitted = self.admitted(now).map(|(_, count)| count).sum::<u64>();
        let known = self.limit;
        let is_new = known.is_none_or(|known| request.is_none_or(|number| number > known.after));
        let (least, hold) = match known {
            Some(known) if is_new => {
                (known.count / 2, known.hold.saturating_mul(2).min(LONGEST_HOLD))
            }
            Some(known) => (known.least, known.hold),
            None if admitted < FEWEST => return,
            None => (0, FIRST_HOLD),
        };
        let most = known.map_or(u64::MAX, |known| known.count);
        self.limit = Some(Limit {
            count: admitted.clamp(least.max(FEWEST).min(most), most),
            least,
            after: known.filter(|_| !is_new).map_or(newest, |known| known.after),
            hold,
            grows_at: now + hold,
            ends_at: now + LASTS,
        });
    }

    /// Lets the limit grow, or ends it. Returns whether it has changed.
    fn grow(&mut self, now: Timestamp) -> bool {
        let Some(limit) = self.limit.as_mut().filter(|limit| now >= limit.grows_at) else {
            return false;
        };
        limit.count = limit.count.saturating_add((limit.count / 8).max(1));
        limit.grows_at = now + limit.hold;
        if now >= limit.ends_at {
            self.limit = None;
        }
        true
    }
}

fn number(now: Timestamp) -> u64 {
    now.as_nanos() / u64::try_from(SLOT.as_nanos()).unwrap_or(u64::MAX)
}

fn place(slot: u64) -> usize {
    usize::try_from(slot % SLOTS as u64).unwrap_or(0)
}

impl Account {
    /// Notes that the server has refused a request because of its limits, and has stated none.
    pub(crate) fn refused_for_no_stated_limit(&mut self, now: Timestamp, request: Option<u64>) {
        if self.is_unknown() {
            self.provisional.refused(now, request, self.newest);
            self.put_provisional(now);
        }
    }

    /// Lets the provisional limit grow, if there is one.
    #[inline]
    pub(super) fn grow_provisional(&mut self, now: Timestamp) {
        if self.provisional.grow(now) {
            self.put_provisional(now);
        }
    }

    /// Ends the provisional limit. Returns whether there was one.
    pub(crate) fn end_provisional(&mut self) -> bool {
        let is_there = self.provisional.limit.take().is_some();
        if is_there {
            self.meters.remove(KIND);
        }
        is_there
    }

    pub(super) fn put_provisional(&mut self, now: Timestamp) {
        let before = self.meters.remove(KIND);
        let Some(limit) = self.provisional.limit else { return };
        if let Ok(mut meter) = Meter::new(KIND, limit.count, Burst::Strict, Probing::NEVER, now) {
            match before {
                // It also counts what was sent before a restart.
                Some(before) => before.carry_over_to(&mut meter, now, self.in_flight, self.newest),
                None => meter.raise_to_grants(now, self.provisional.admitted(now).collect()),
            }
            let _fits = self.meters.put(meter);
        }
    }
}
