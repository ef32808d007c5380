//! The requests of this process that wait for the store, in the order in which they came.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::{Mutex, MutexGuard, Notify};
use tokio::time::Instant;

use crate::llm::Error;
use crate::shared::{race, within};
use crate::{Timer, TokioTimer};

/// Those who wait. Only the first of them asks the store.
#[derive(Debug, Default)]
pub(super) struct Line {
    first: Mutex<()>,
    waiting: AtomicUsize,
    /// Tells the first that this process has given something back.
    given_back: Notify,
}

/// The first place of a line. Others move up when it is dropped.
pub(super) struct Place<'a> {
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
    pub(super) fn is_used(&self) -> bool {
        self.waiting.load(Ordering::Relaxed) > 0
    }

    /// Waits until nobody stands before, for so long at most.
    pub(super) async fn place(&self, patience: Duration) -> Option<Place<'_>> {
        self.waiting.fetch_add(1, Ordering::Relaxed);
        let counted = Counted(self);
        let first = within(patience, self.first.lock()).await?;
        Some(Place { _first: first, _counted: counted })
    }

    /// Notes that this process has given something back.
    pub(super) fn gave_back(&self) {
        self.given_back.notify_one();
    }

    /// Sleeps, but only until this process gives something back.
    pub(super) async fn pause(&self, longest: Duration) -> Result<(), Error> {
        let given_back = self.given_back.notified();
        let (Ok(slept) | Err(slept)) = race(sleep(longest), async {
            given_back.await;
            Ok(())
        })
        .await;
        slept
    }
}

pub(super) async fn sleep(time: Duration) -> Result<(), Error> {
    let started = Instant::now();
    TokioTimer.sleep(time).ok_or(Error::NoTimer)?.await;
    // A sleep ends early if its runtime is shut down.
    if started.elapsed() < time { Err(Error::NoTimer) } else { Ok(()) }
}
