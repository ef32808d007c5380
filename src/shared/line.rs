//! The requests of this process that wait for the store, in the order in which they came.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::{Mutex, MutexGuard, Notify};

use super::race::{race, sleep, within};

/// Those who wait. Only the first of them asks the store.
#[derive(Debug, Default)]
pub(crate) struct Line {
    first: Mutex<()>,
    waiting: AtomicUsize,
    /// Tells the first that this process has given something back.
    given_back: Notify,
}

/// The first place of a line. Others move up when it is dropped.
pub(crate) struct Place<'a> {
    _first: MutexGuard<'a, ()>,
    _counted: Counted<'a>,
}

/// One of those who wait.
struct Counted<'a>(&'a Line);

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.0.waiting.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Line {
    /// Whether anybody waits.
    #[cfg(feature = "llm")]
    pub(crate) fn is_used(&self) -> bool {
        self.waiting.load(Ordering::Relaxed) > 0
    }

    /// Waits until nobody stands before, for so long at most.
    pub(crate) async fn place(&self, patience: Duration) -> Option<Place<'_>> {
        self.waiting.fetch_add(1, Ordering::Relaxed);
        let counted = Counted(self);
        let first = within(patience, self.first.lock()).await?;
        Some(Place { _first: first, _counted: counted })
    }

    /// Notes that this process has given something back.
    pub(crate) fn gave_back(&self) {
        self.given_back.notify_one();
    }

    /// Sleeps, but only until this process gives something back.
    ///
    /// # Errors
    ///
    /// The time that is left, without a timer.
    pub(crate) async fn pause(&self, longest: Duration) -> Result<(), Duration> {
        race(sleep(longest), self.given_back.notified()).await.unwrap_or(Ok(()))
    }
}
