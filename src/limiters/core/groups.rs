//! Who waits for which buckets: one line for each set of buckets that could serve the same
//! requests.
//!
//! Those of one line have a claim to the same buckets, so only the first in each line can be the
//! next whom a bucket serves. There are few lines, however many wait: what is asked of them costs
//! as much as there are lines.
//!
//! Who has left stays in its line until it would be the first in it: nobody need be searched for.

use std::collections::{BTreeMap, VecDeque};
use std::ops::Bound;

use crate::Timestamp;
use crate::wait::queue::Ticket;

/// A set of buckets, by their numbers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Buckets(Vec<u64>);

impl Buckets {
    #[cfg(feature = "llm")]
    pub(crate) fn insert(&mut self, bucket: usize) {
        let word = bucket / 64;
        if word >= self.0.len() {
            self.0.resize(word + 1, 0);
        }
        self.0[word] |= 1 << (bucket % 64);
    }

    #[cfg(feature = "llm")]
    pub(crate) fn contains(&self, bucket: usize) -> bool {
        self.0.get(bucket / 64).is_some_and(|word| word & (1 << (bucket % 64)) != 0)
    }

    pub(super) fn add(&mut self, other: &Self) {
        if other.0.len() > self.0.len() {
            self.0.resize(other.0.len(), 0);
        }
        for (word, more) in self.0.iter_mut().zip(&other.0) {
            *word |= more;
        }
    }

    /// Whether all of the `other` are here, too.
    pub(super) fn covers(&self, other: &Self) -> bool {
        let here = self.0.iter().chain(std::iter::repeat(&0));
        other.0.iter().zip(here).all(|(other, here)| other & !here == 0)
    }

    /// Whether some of the `other` are here, too.
    pub(super) fn meets(&self, other: &Self) -> bool {
        self.0.iter().zip(&other.0).any(|(here, other)| here & other != 0)
    }
}

/// Those who wait for the same buckets, in order of arrival.
#[derive(Debug)]
struct Line {
    buckets: Buckets,
    /// Also those who have left meanwhile.
    tickets: VecDeque<Ticket>,
}

/// All lines.
#[derive(Debug)]
pub(super) struct Groups {
    /// By the first in each.
    each: BTreeMap<Ticket, Line>,
    /// So many tickets are in all lines.
    len: usize,
    /// When somebody can be served beside the first of all who wait.
    pub(super) next: Timestamp,
}

impl Default for Groups {
    fn default() -> Self {
        Self { each: BTreeMap::new(), len: 0, next: Timestamp::MAX }
    }
}

/// So many who have left may stay in the lines.
const LEFT: usize = 64;

impl Groups {
    /// Whether all wait for the same buckets.
    pub(super) fn are_one(&self) -> bool {
        self.each.len() <= 1
    }

    /// The buckets to which somebody has a claim.
    pub(super) fn claims(&self) -> Buckets {
        let mut claims = Buckets::default();
        self.each.values().for_each(|line| claims.add(&line.buckets));
        claims
    }

    /// Adds the newest of all who wait.
    pub(super) fn push(&mut self, ticket: Ticket, buckets: Buckets) {
        self.len += 1;
        if let Some(line) = self.each.values_mut().find(|line| line.buckets == buckets) {
            line.tickets.push_back(ticket);
        } else {
            let tickets = VecDeque::from([ticket]);
            self.each.insert(ticket, Line { buckets, tickets });
        }
    }

    /// Whether so many have left of whom `waiting` are still there that it is time to forget them.
    pub(super) fn are_outdated(&self, waiting: usize) -> bool {
        self.len > 2 * waiting + LEFT
    }

    /// Forgets those who have left.
    pub(super) fn tidy(&mut self, waits: impl Fn(Ticket) -> bool) {
        for mut line in std::mem::take(&mut self.each).into_values() {
            line.tickets.retain(|ticket| waits(*ticket));
            if let Some(first) = line.tickets.front() {
                self.each.insert(*first, line);
            }
        }
        self.len = self.each.values().map(|line| line.tickets.len()).sum();
    }

    /// The first in the line behind that whose first is `last`, and its buckets.
    pub(super) fn after(&self, last: Option<Ticket>) -> Option<(Ticket, &Buckets)> {
        let from = last.map_or(Bound::Unbounded, Bound::Excluded);
        let (ticket, line) = self.each.range((from, Bound::Unbounded)).next()?;
        Some((*ticket, &line.buckets))
    }

    /// The `first` in its line has left, and perhaps others behind it.
    pub(super) fn left(&mut self, first: Ticket, waits: impl Fn(Ticket) -> bool) {
        let Some(mut line) = self.each.remove(&first) else { return };
        let before = line.tickets.len();
        while line.tickets.front().is_some_and(|ticket| !waits(*ticket)) {
            line.tickets.pop_front();
        }
        self.len -= before - line.tickets.len();
        if let Some(first) = line.tickets.front() {
            self.each.insert(*first, line);
        }
    }
}
