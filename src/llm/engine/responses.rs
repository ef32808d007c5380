//! What a response does to the state of a key: it teaches limits, and it can pause the key.

use std::time::Duration;

use crate::answer::Taken;
use crate::limiters::core::Edited;
use crate::llm::Tokens;
use crate::llm::engine::Engine;
use crate::llm::headers::ServerLimits;
use crate::{Clock, Jitter, Timestamp};

/// The pause after the first 429 whose response does not ask for one; it doubles with each further
/// 429 in a row.
const FIRST_BACKOFF: Duration = Duration::from_secs(1);
const LONGEST_BACKOFF: Duration = Duration::from_secs(60);

impl<C: Clock> Engine<C> {
    /// Applies what the headers of a response to a request of `key` reported.
    pub(crate) fn observe(&self, key: u32, reported: &ServerLimits) {
        if reported.is_empty() {
            return;
        }
        let mut events = Vec::new();
        self.with_core(|core, now, wakers| {
            core.edit(now, wakers, |keys, now| {
                let account = keys.account_of(key);
                // Most responses report nothing new, and the due times of waiters do not change.
                let observed = account.map(|account| account.observe(now, reported, &mut events));
                ((), observed.unwrap_or(Edited::Nothing))
            });
        });
        // Emitted after the lock is released, because a subscriber may use the limiter.
        for event in events {
            event.emit(&self.settings.name);
        }
        if let Some(requested) = reported.retry_after {
            let pause = requested.min(self.options.max_pause);
            let until = self.edit(|keys, now| keys.pause(key, now + pause));
            crate::events::info!(
                limiter = self.settings.name,
                ?pause,
                ?requested,
                "key paused by a response"
            );
            if until > Timestamp::ZERO {
                self.fail_hopeless_waits();
            }
        }
    }

    /// Applies a 429: pauses the key for as long as the response asks for, or with exponential
    /// backoff if it does not.
    pub(crate) fn pause_after_429(&self, taken: Taken, reported: &ServerLimits) {
        let failures = self.edit(|keys, now| keys.count_refusal(taken.by, taken.receipt.at, now));
        let mut reported = *reported;
        if reported.retry_after.is_none_or(|wait| wait.is_zero()) {
            let wait = FIRST_BACKOFF.saturating_mul(1 << failures.saturating_sub(1).min(6));
            let wait = wait.min(LONGEST_BACKOFF);
            // Up to a quarter longer, so that clients do not all come back at once.
            reported.retry_after = Some(wait + Jitter::up_to(wait / 4).draw());
        }
        self.observe(taken.by, &reported);
    }

    /// Settles a request that was answered with 429: the request counts as used, its tokens do not.
    pub(crate) fn settle_refused(&self, taken: Taken, estimate: Tokens) {
        self.edit(|keys, now| {
            keys.settle(taken, now, estimate, Tokens::default(), false);
        });
    }
}
