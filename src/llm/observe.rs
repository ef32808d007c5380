//! What a server's words do to a key.

use std::time::Duration;

use super::choice::Keys;
use super::engine::Engine;
use super::headers::ServerLimits;
use super::{Tokens, Usage};
use crate::bucket::core::Edited;
use crate::wait::queue::{Taken, Wakers};
use crate::{Clock, Jitter, Timestamp};

const FIRST_REST: Duration = Duration::from_secs(1);
const LONGEST_REST: Duration = Duration::from_secs(60);

impl<C: Clock> Engine<C> {
    /// Learns what the server said to a request of `key`.
    pub(super) fn observe(&self, key: u32, said: &ServerLimits) {
        if said.is_empty() {
            return;
        }
        let mut lessons = Vec::new();
        self.with_core(|core, now, wakers| {
            core.edit(now, wakers, |keys, now| {
                let account = keys.account_of(key);
                // Mostly a server says what is known: then those who wait need not be re-timed.
                let observed = account.map(|account| account.observe(now, said, &mut lessons));
                ((), observed.unwrap_or(Edited::Nothing))
            });
        });
        // Told when nothing is locked: whoever listens may look at the limiter.
        for lesson in lessons {
            lesson.tell(&self.settings.name);
        }
        if let Some(said) = said.retry_after {
            let wait = said.min(self.options.longest_pause);
            let until = self.edit(|keys, now| keys.pause(key, now + wait));
            crate::events::info!(
                limiter = self.settings.name,
                ?wait,
                ?said,
                "the server said to wait"
            );
            if until > Timestamp::ZERO {
                self.end_hopeless_waits();
            }
        }
    }

    /// Leaves a key alone for as long as the server said, or longer each time.
    pub(super) fn rest(&self, taken: Taken, said: &ServerLimits) {
        let failures = self.edit(|keys, now| keys.refused(taken.by, taken.receipt.at, now));
        let mut said = *said;
        if said.retry_after.is_none_or(|wait| wait.is_zero()) {
            let wait = FIRST_REST.saturating_mul(1 << failures.saturating_sub(1).min(6));
            let wait = wait.min(LONGEST_REST);
            // Up to a quarter more, so that clients do not come back all at once.
            said.retry_after = Some(wait + Jitter::up_to(wait / 4).draw());
        }
        self.observe(taken.by, &said);
    }

    /// The server refused a request: it counts, its tokens don't.
    pub(super) fn fail(&self, taken: Taken, estimate: Tokens) {
        self.edit(|keys, now| {
            keys.settle(taken, now, estimate, Tokens::default(), false);
        });
    }

    pub(super) fn usage(&self, key: u32) -> Usage {
        let mut wakers = Wakers::default();
        self.usage_under(&mut wakers, |_| Some(key)).unwrap_or_default()
    }

    /// A look at the key that `which` finds, under a lock of the caller's, who drops the wakers once it is free.
    pub(super) fn usage_under(
        &self,
        wakers: &mut Wakers,
        which: impl FnOnce(&Keys) -> Option<u32>,
    ) -> Option<Usage> {
        let now = self.clock().now();
        self.locked(|core| {
            let waiting = core.usage(now, wakers).waiting;
            Some(core.state.usage(which(&core.state)?, now, waiting))
        })
    }
}
