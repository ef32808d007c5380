//! Keys that fail: answers at once that have nothing to do with the limits.

use std::ops::Range;

use super::{Answer, Nanos, SECOND};

/// What some keys answer for a while.
#[derive(Clone, Debug)]
pub(crate) struct Failure {
    pub(crate) keys: Range<usize>,
    pub(crate) status: u16,
    /// Whether `retry-after` says when it will be over, in whole seconds.
    pub(crate) says_when: bool,
    pub(crate) from: Nanos,
    pub(crate) lasts: Nanos,
    /// Whether it comes again, this long after it began.
    pub(crate) every: Option<Nanos>,
}

impl Failure {
    /// A failure of these keys that never ends and says nothing more.
    pub(crate) fn forever(keys: Range<usize>, status: u16) -> Self {
        Self { keys, status, says_when: false, from: 0, lasts: Nanos::MAX, every: None }
    }

    /// The answer to a request by this key, if it fails now.
    pub(crate) fn answer(&self, key: usize, now: Nanos) -> Option<Answer> {
        if !self.keys.contains(&key) || now < self.from {
            return None;
        }
        let since = now - self.from;
        let since = self.every.map_or(since, |every| since % every);
        let left = self.lasts.checked_sub(since).filter(|left| *left > 0)?;
        let seconds = left.div_ceil(SECOND).to_string();
        let headers =
            if self.says_when { vec![("retry-after".to_owned(), seconds)] } else { vec![] };
        Some(Answer { status: self.status, headers, told_in_body: None })
    }
}
