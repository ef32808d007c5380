//! How a scene went.

use std::collections::BTreeMap;

use super::{Job, Nanos};

/// What is counted.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Outcome {
    /// Requests that got a good answer.
    pub(crate) answered: usize,
    /// Requests whose sender got an answer that was not good.
    pub(crate) given_up: usize,
    /// 429s.
    pub(crate) refused: usize,
    /// Of those, by the limits, and sent after a first answer by that account could have told them.
    pub(crate) refused_later: usize,
    /// What was sent to keys while they failed.
    pub(crate) sent_in_vain: usize,
    /// Of what could be had.
    pub(crate) used: f64,
    /// From when a request stood in the client's line to its good answer, or to the end.
    pub(crate) longest_wait: Nanos,
}

/// The requests that have no answer yet, and since when they wait.
#[derive(Debug, Default)]
pub(crate) struct Waits {
    since: BTreeMap<usize, (Job, Nanos)>,
    longest: Nanos,
}

impl Waits {
    pub(crate) fn begin(&mut self, job: Job, now: Nanos) {
        self.since.insert(job.number, (job, now));
    }

    pub(crate) fn end(&mut self, number: usize, now: Nanos) {
        let since = self.since.remove(&number);
        self.longest = self.longest.max(since.map_or(0, |(_, since)| now - since));
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.since.is_empty()
    }

    /// Keeps those who wait on.
    pub(crate) fn retain(&mut self, mut waits_on: impl FnMut(Job) -> bool) {
        self.since.retain(|_, (job, _)| waits_on(*job));
    }

    /// The longest wait, of which some may go on.
    pub(crate) fn longest(&self, now: Nanos) -> Nanos {
        self.since.values().map(|(_, since)| now - since).fold(self.longest, Nanos::max)
    }
}
