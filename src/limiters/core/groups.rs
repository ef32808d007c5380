//! Waiters grouped by buckets: one group for each set of buckets that could serve the same
//! requests.
//!
//! The waiters of one group have a claim to the same buckets, so only the first waiter of each
//! group can be the next that a bucket serves. There are few groups, however many waiters there
//! are, and the operations here cost as much as there are groups.
//!
//! A waiter that has left stays in its group until it would be the first, so that no search for it
//! is needed.

use std::collections::{BTreeMap, VecDeque};
use std::ops::Bound;

use crate::Timestamp;
use crate::wait::queue::Ticket;

/// A set of buckets, each of which has a number.
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

    /// Adds all buckets of `other`.
    pub(super) fn add(&mut self, other: &Self) {
        if other.0.len() > self.0.len() {
            self.0.resize(other.0.len(), 0);
        }
        for (word, more) in self.0.iter_mut().zip(&other.0) {
            *word |= more;
        }
    }

    /// Whether this set contains all buckets of `other`.
    pub(super) fn covers(&self, other: &Self) -> bool {
        let here = self.0.iter().chain(std::iter::repeat(&0));
        other.0.iter().zip(here).all(|(other, here)| other & !here == 0)
    }

    /// Whether this set contains some bucket of `other`.
    pub(super) fn meets(&self, other: &Self) -> bool {
        self.0.iter().zip(&other.0).any(|(here, other)| here & other != 0)
    }
}

/// The waiters for the same buckets, in order of arrival.
#[derive(Debug)]
struct Group {
    buckets: Buckets,
    /// Includes waiters that have left.
    tickets: VecDeque<Ticket>,
}

/// All groups.
#[derive(Debug)]
pub(super) struct Groups {
    /// Each group by its first waiter.
    each: BTreeMap<Ticket, Group>,
    /// The number of tickets in all groups.
    len: usize,
    /// When a waiter other than the first one can be served from unclaimed buckets.
    pub(super) next: Timestamp,
}

impl Default for Groups {
    fn default() -> Self {
        Self { each: BTreeMap::new(), len: 0, next: Timestamp::MAX }
    }
}

/// How many waiters that have left may stay in the groups, beside as many as still wait.
const DEPARTED: usize = 64;

impl Groups {
    /// Whether all waiters wait for the same buckets.
    pub(super) fn is_single(&self) -> bool {
        self.each.len() <= 1
    }

    /// The buckets to which some waiter has a claim.
    pub(super) fn claims(&self) -> Buckets {
        let mut claims = Buckets::default();
        self.each.values().for_each(|group| claims.add(&group.buckets));
        claims
    }

    /// Adds the newest waiter.
    pub(super) fn push(&mut self, ticket: Ticket, buckets: Buckets) {
        self.len += 1;
        if let Some(group) = self.each.values_mut().find(|group| group.buckets == buckets) {
            group.tickets.push_back(ticket);
        } else {
            let tickets = VecDeque::from([ticket]);
            self.each.insert(ticket, Group { buckets, tickets });
        }
    }

    /// Whether so many waiters have left, while `waiting` still wait, that it is time to call
    /// [`remove_departed`](Self::remove_departed).
    pub(super) fn has_many_departed(&self, waiting: usize) -> bool {
        self.len > 2 * waiting + DEPARTED
    }

    /// Removes all waiters that have left.
    pub(super) fn remove_departed(&mut self, waits: impl Fn(Ticket) -> bool) {
        for mut group in std::mem::take(&mut self.each).into_values() {
            group.tickets.retain(|ticket| waits(*ticket));
            if let Some(first) = group.tickets.front() {
                self.each.insert(*first, group);
            }
        }
        self.len = self.each.values().map(|group| group.tickets.len()).sum();
    }

    /// The first waiter and the buckets of the group after the one whose first waiter is `last`.
    pub(super) fn next_after(&self, last: Option<Ticket>) -> Option<(Ticket, &Buckets)> {
        let from = last.map_or(Bound::Unbounded, Bound::Excluded);
        let (ticket, group) = self.each.range((from, Bound::Unbounded)).next()?;
        Some((*ticket, &group.buckets))
    }

    /// Removes the `first` waiter of a group, which has left, and those behind it that have left
    /// too.
    pub(super) fn first_departed(&mut self, first: Ticket, waits: impl Fn(Ticket) -> bool) {
        let Some(mut group) = self.each.remove(&first) else { return };
        let before = group.tickets.len();
        while group.tickets.front().is_some_and(|ticket| !waits(*ticket)) {
            group.tickets.pop_front();
        }
        self.len -= before - group.tickets.len();
        if let Some(first) = group.tickets.front() {
            self.each.insert(*first, group);
        }
    }
}
