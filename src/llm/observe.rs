//! What a server's words do to a key.

use std::time::Duration;

use super::engine::Engine;
use super::headers::ServerLimits;
use super::{Tokens, Usage};
use crate::bucket::core::Edited;
use crate::{Clock, Jitter, Timestamp};

const FIRST_REST: Duration = Duration::from_secs(1);
const LONGEST_REST: Duration = Duration::from_mins(1);

impl<C: Clock> Engine<C> {
    /// Learns what the server said to a request of `key`.
    pub(super) fn observe(&self, key: u32, said: &ServerLimits) {
        if said.is_empty() {
            return;
        }
        self.with_core(|core, now, wakers| {
            core.edit(now, wakers, |keys, now| {
                let account = keys.account_of(key);
                let new = account.is_some_and(|account| account.observe(now, said));
                // Mostly a server says what is known: then those who wait need not be re-timed.
                ((), if new { Edited::Changed } else { Edited::Nothing })
            });
        });
        if let Some(wait) = said.retry_after {
            let until = self.edit(|keys, now| keys.pause(key, now + wait));
            tracing::info!(limiter = self.settings.name, ?wait, "the server said to wait");
            if until > Timestamp::ZERO {
                self.end_hopeless_waits();
            }
        }
    }

    /// Leaves `key` alone for as long as the server said, or longer each time.
    pub(super) fn rest(&self, key: u32, said: &ServerLimits) {
        let failures = self.edit(|keys, _| keys.refused(key));
        let mut said = *said;
        if said.retry_after.is_none_or(|wait| wait.is_zero()) {
            let wait = FIRST_REST.saturating_mul(1 << failures.saturating_sub(1).min(6));
            let wait = wait.min(LONGEST_REST);
            // Up to a quarter more, so that clients do not come back all at once.
            said.retry_after = Some(wait + Jitter::up_to(wait / 4).draw());
        }
        self.observe(key, &said);
    }

    /// The server refused a request: it counts, its tokens don't.
    pub(super) fn fail(&self, key: u32, estimate: Tokens) {
        self.edit(|keys, now| {
            if let Some(account) = keys.account_of(key) {
                account.settle(now, estimate, Tokens::default());
            }
            keys.landed(key, false);
        });
    }

    pub(super) fn usage(&self, key: u32) -> Usage {
        self.with_core(|core, now, wakers| {
            let waiting = core.usage(now, wakers).waiting;
            core.state.usage(key, now, waiting)
        })
    }
}
