//! What a server's words do to a key.

use super::Usage;
use super::engine::Engine;
use super::headers::ServerLimits;
use crate::{Clock, Timestamp};

impl<C: Clock> Engine<C> {
    /// Learns what the server said to a request of `key`.
    pub(super) fn observe(&self, key: u32, said: &ServerLimits) {
        if said.is_empty() {
            return;
        }
        self.edit(|keys, now| {
            if let Some(account) = keys.account_of(key) {
                account.observe(now, said);
            }
        });
        if let Some(wait) = said.retry_after {
            let until = self.edit(|keys, now| keys.pause(key, now + wait));
            tracing::info!(limiter = self.settings.name, ?wait, "the server said to wait");
            if until > Timestamp::ZERO {
                self.end_hopeless_waits();
            }
        }
    }

    pub(super) fn usage(&self, key: u32) -> Usage {
        self.with_core(|core, now, wakers| {
            let waiting = core.usage(now, wakers).waiting;
            core.state.usage(key, now, waiting)
        })
    }
}
