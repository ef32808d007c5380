//! Noticing calls that take longer than the deadline.
//!
//! A timer for each decision would cost more than all else that a decision does here. Instead, as
//! long as anything is on its way, one task for each server sleeps until the oldest ask is too old.
//! So in good times it wakes up once per deadline.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::time::Instant;

use super::Server;
use crate::{Timer, TokioTimer};

impl Server {
    /// Sees to it that calls that take too long are noticed. `false` if there is no runtime for it.
    pub(super) fn ensure_watched(self: &Arc<Self>) -> bool {
        if self.is_watched.load(Ordering::SeqCst) {
            return true;
        }
        let Ok(runtime) = Handle::try_current() else { return false };
        if !self.is_watched.swap(true, Ordering::SeqCst) {
            let watch = Watch { server: Arc::downgrade(self), has_ended: false };
            runtime.spawn(async move { watch.go_on().await });
        }
        true
    }

    /// What is to be done, now that this is the time.
    fn look(&self) -> Next {
        let now = Instant::now();
        let mut batching = self.batching.lock();
        let late = batching.take_driven(|pending| self.is_over(pending.since, now));
        let oldest = batching.oldest(|pending| pending.since);
        if oldest.is_none() && late.is_empty() {
            self.is_watched.store(false, Ordering::SeqCst);
            return Next::Nothing;
        }
        drop(batching);
        // Whoever drives a call knows best whether its answer is there.
        for pending in late {
            pending.tell_late();
        }
        match oldest {
            Some(since) if self.is_over(since, now) => Next::Late,
            oldest => Next::Sleep(self.left(oldest.unwrap_or(now), now)),
        }
    }

    /// How much of the deadline is left.
    fn left(&self, since: Instant, now: Instant) -> Duration {
        self.common.deadline.saturating_sub(now.saturating_duration_since(since))
    }

    fn is_over(&self, since: Instant, now: Instant) -> bool {
        self.left(since, now).is_zero()
    }
}

/// What the watch does next.
enum Next {
    /// Nothing is on its way, and the watch has ended.
    Nothing,
    /// The oldest ask will be too old after this time.
    Sleep(Duration),
    /// The oldest ask is too old.
    Late,
}

/// The task that watches. If it is dropped with its runtime, whoever waits starts another one.
struct Watch {
    server: Weak<Server>,
    has_ended: bool,
}

impl Watch {
    async fn go_on(mut self) {
        let mut was_late = false;
        while let Some(server) = self.server.upgrade() {
            let next = server.look();
            let is_late = matches!(next, Next::Late);
            match next {
                Next::Nothing => {
                    self.has_ended = true;
                    return;
                }
                // If all of this process was late, the answer may be there already.
                Next::Late if !was_late => tokio::task::yield_now().await,
                Next::Late => server.deadline_has_passed(),
                Next::Sleep(time) => {
                    drop(server);
                    let Some(sleep) = TokioTimer.sleep(time) else { return };
                    sleep.await;
                }
            }
            was_late = is_late;
        }
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        if self.has_ended {
            return;
        }
        let Some(server) = self.server.upgrade() else { return };
        let waiting = {
            let batching = server.batching.lock();
            server.is_watched.store(false, Ordering::SeqCst);
            batching.all()
        };
        for pending in waiting {
            pending.wake();
        }
    }
}
