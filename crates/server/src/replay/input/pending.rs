//! Requests that wait until no earlier one can come.

use std::collections::BTreeMap;

use super::batch::Batch;
use crate::replay::log::{Request, time};

/// How many seconds a line may be behind the newest time and still be put in order.
pub const WINDOW: u64 = 60;

/// When the pending requests need more memory than this, the earliest ones go on.
const MOST_BYTES: usize = 128 * 1024 * 1024;

/// The pending requests of one log.
#[derive(Debug, Default)]
pub(super) struct Pending {
    seconds: BTreeMap<u64, Batch>,
    /// The second to which requests were added last, which is not among `seconds`.
    last: Option<(u64, Batch)>,
    newest: u64,
    bytes: usize,
    /// Of seconds that are done; their memory is used again.
    spare: Vec<Batch>,
}

impl Pending {
    /// Adds a request.
    pub(super) fn push(&mut self, request: &Request<'_>) {
        let at = time::seconds(request.time);
        self.newest = self.newest.max(at);
        if self.last.as_ref().is_none_or(|(last, _)| *last != at) {
            let spare = &mut self.spare;
            let second = self.seconds.remove(&at).or_else(|| spare.pop()).unwrap_or_default();
            if let Some((before, full)) = self.last.replace((at, second)) {
                self.seconds.insert(before, full);
            }
        }
        if let Some((_, second)) = &mut self.last {
            self.bytes += second.push(request);
        }
    }

    /// The earliest second, if no request can come that is earlier, or if `is_last`.
    pub(super) fn pop(&mut self, is_last: bool) -> Option<Batch> {
        let first = self.seconds.keys().next().copied();
        let last = self.last.as_ref().map(|(last, _)| *last);
        let earliest = first.into_iter().chain(last).min()?;
        let is_due = earliest.saturating_add(WINDOW) < self.newest;
        if !(is_due || is_last || self.bytes > MOST_BYTES) {
            return None;
        }
        let mut second = match self.last.take_if(|(last, _)| *last == earliest) {
            Some((_, second)) => second,
            None => self.seconds.remove(&earliest)?,
        };
        self.bytes = self.bytes.saturating_sub(second.bytes());
        second.sort();
        Some(second)
    }

    /// Takes back the memory of a second that is done.
    pub(super) fn recycle(&mut self, mut second: Batch) {
        second.clear();
        self.spare.push(second);
        self.spare.truncate(2);
    }
}
