//! A queue that a wait borrows, or keeps for itself.

use std::fmt;
use std::ops::Deref;

use super::WaitQueue;

/// The queue that somebody waits in.
pub(crate) enum QueueHandle<'a> {
    /// It belongs to the limiter.
    Borrowed(&'a dyn WaitQueue),
    /// It was made for this wait alone, as for one key of many.
    Owned(Box<dyn WaitQueue + 'a>),
}

impl<'a> Deref for QueueHandle<'a> {
    type Target = dyn WaitQueue + 'a;

    fn deref(&self) -> &Self::Target {
        match self {
            Self::Borrowed(queue) => *queue,
            Self::Owned(queue) => &**queue,
        }
    }
}

impl fmt::Debug for QueueHandle<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("QueueHandle").finish_non_exhaustive()
    }
}
