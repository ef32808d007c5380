//! A queue that a wait borrows or owns.

use std::fmt;
use std::ops::Deref;

use super::WaitQueue;

/// The queue of a wait.
pub(crate) enum QueueHandle<'a> {
    /// The queue belongs to the limiter.
    Borrowed(&'a dyn WaitQueue),
    /// The queue was made for this wait alone, as for one key of a keyed limiter.
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
