//! The thread that runs the hook for violations.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use super::violation::Violation;
use crate::engine::BuildError;

/// A hook, as the builder keeps it.
pub(crate) type HookFn = Box<dyn Fn(&Violation) + Send>;

/// What has become of the violations of a limiter; returned by
/// [`HttpLimiter::violation_counts`](crate::HttpLimiter::violation_counts).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ViolationCounts {
    /// Those that the hook has seen, panics included.
    pub seen: u64,
    /// Those that were dropped, because too many waited for the hook.
    pub dropped: u64,
    /// Those at which the hook panicked.
    pub panics: u64,
}

#[derive(Default)]
struct Counts {
    /// Those that wait for the hook, for a look before a violation is made that has no place.
    waiting: AtomicUsize,
    seen: AtomicU64,
    dropped: AtomicU64,
    panics: AtomicU64,
}

/// The way to the thread of the hook, which ends when this is dropped.
pub(super) struct Hook {
    sender: SyncSender<Violation>,
    counts: Arc<Counts>,
    queue: usize,
    with_keys: bool,
}

impl Hook {
    /// Starts the thread.
    pub(super) fn start(hook: HookFn, queue: usize, with_keys: bool) -> Result<Self, BuildError> {
        let queue = queue.max(1);
        let (sender, violations) = sync_channel(queue);
        let counts = Arc::new(Counts::default());
        let counted = Arc::clone(&counts);
        std::thread::Builder::new()
            .name("tollgate-hook".into())
            .spawn(move || run(&hook, &violations, &counted))
            .map_err(BuildError::Thread)?;
        Ok(Self { sender, counts, queue, with_keys })
    }

    /// Sends what `make` makes, unless the queue is full. `make` is told whether the violation may
    /// have the key.
    pub(super) fn send(&self, make: impl FnOnce(bool) -> Violation) {
        let Counts { waiting, dropped, .. } = &*self.counts;
        // An attack, which fills the queue, shall not cost what nobody is told.
        if waiting.load(Ordering::Relaxed) >= self.queue {
            dropped.fetch_add(1, Ordering::Relaxed);
            return;
        }
        let violation = make(self.with_keys);
        waiting.fetch_add(1, Ordering::Relaxed);
        if self.sender.try_send(violation).is_err() {
            waiting.fetch_sub(1, Ordering::Relaxed);
            dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    pub(super) fn counts(&self) -> ViolationCounts {
        ViolationCounts {
            seen: self.counts.seen.load(Ordering::Acquire),
            dropped: self.counts.dropped.load(Ordering::Relaxed),
            panics: self.counts.panics.load(Ordering::Acquire),
        }
    }
}

/// Runs the hook until the limiter is gone and the queue is empty.
fn run(hook: &HookFn, violations: &Receiver<Violation>, counts: &Counts) {
    for violation in violations {
        counts.waiting.fetch_sub(1, Ordering::Relaxed);
        if catch_unwind(AssertUnwindSafe(|| hook(&violation))).is_err() {
            counts.panics.fetch_add(1, Ordering::Release);
        }
        counts.seen.fetch_add(1, Ordering::Release);
    }
}
