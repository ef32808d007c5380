//! What a response does to the state of a key: it teaches limits, and it can pause the key's
//! account, disable the key, or end its trial.

use std::time::Duration;

use crate::algorithm::Receipt;
use crate::answer::Taken;
use crate::limiters::core::Edited;
use crate::llm::engine::Engine;
use crate::llm::engine::account::Health;
use crate::llm::headers::ServerLimits;
use crate::llm::{Meaning, Reply, Tokens};
use crate::{Clock, Jitter};

impl<C: Clock> Engine<C> {
    /// Learns from what the headers of a response to a request of `key` reported. Pauses nothing.
    pub(crate) fn observe(&self, key: u32, reported: &ServerLimits) {
        if reported.iter().next().is_some() {
            self.learn(key, reported, None, |_| false);
        }
    }

    /// As [`observe`](Self::observe), from the response to a request that has succeeded, of which
    /// it is called once. `used` is nothing if that is not known.
    pub(crate) fn observe_success(&self, taken: Taken, used: Tokens, reported: &ServerLimits) {
        if reported.iter().next().is_some() {
            self.learn(taken.by, reported, Some((taken.receipt, used)), |_| false);
        }
    }

    /// Learns from what headers reported, of a request that has succeeded or of any, and notes
    /// something good, which may let requests pass earlier; `note` returns whether it does.
    fn learn(
        &self,
        key: u32,
        reported: &ServerLimits,
        success: Option<(Receipt, Tokens)>,
        note: impl FnOnce(&mut Health) -> bool,
    ) {
        let mut events = Vec::new();
        let max_pause = self.options.max_pause;
        self.with_core(|core, now, wakers| {
            core.edit(now, wakers, |keys, now| {
                let Some(account) = keys.account_of(key) else { return ((), Edited::Nothing) };
                // Most responses report nothing new, and the due times of waiters do not change.
                let observed = account.observe(now, reported, success, max_pause, &mut events);
                let is_good = note(&mut account.health);
                let noted = if is_good { Edited::GaveBack } else { Edited::Nothing };
                ((), observed.and(noted))
            });
        });
        // Emitted after the lock is released, because a subscriber may use the limiter.
        for event in events {
            event.emit(&self.settings.name);
        }
    }

    /// Applies all that a response says: it teaches limits, and its meaning changes whether the key
    /// may be used. `request` is the number of the request, if it had a permit.
    pub(crate) fn answered(&self, key: u32, request: Option<u64>, reply: &Reply) {
        let reported = reply.reported();
        self.observe(key, reported);
        let meaning = reply.meaning();
        let wait = reported.retry_after.filter(|wait| !wait.is_zero());
        let pause = match meaning {
            Meaning::Success | Meaning::RequestRefused => {
                self.note_good(key, |health| health.succeeded(request));
                None
            }
            Meaning::Limited => {
                let backoff = self.edit(|keys, now| {
                    if let Some(account) = keys.account_of(key) {
                        account.refused(reported);
                        if self.options.provisional_limit {
                            account.refused_for_no_stated_limit(now, request);
                        }
                    }
                    keys.note_response(key, now, request, Health::refused)
                });
                // Up to a quarter longer, so that clients do not all come back at once.
                wait.or_else(|| Some(backoff + Jitter::up_to(backoff / 4).draw()))
            }
            Meaning::Overloaded | Meaning::Failed => {
                let longest = self.options.max_pause;
                self.edit(|keys, now| {
                    keys.note_response(key, now, request, |it, noted| it.failed(noted, longest));
                });
                wait.filter(|_| meaning == Meaning::Overloaded)
            }
            Meaning::KeySpent => {
                let longest = self.options.max_spent_rest;
                self.edit(|keys, now| {
                    keys.note_response(key, now, request, |it, noted| it.is_spent(noted, longest));
                });
                crate::events::warn!(limiter = self.settings.name, "key spent");
                None
            }
            Meaning::KeyRefused => None,
        };
        let pause = pause.max(reported.closed_for);
        if let Some(pause) = pause {
            self.pause(key, pause);
        }
        if pause.is_some() || !matches!(meaning, Meaning::Success | Meaning::RequestRefused) {
            self.fail_hopeless_waits();
        }
    }

    /// Applies the head of a success whose body is still to come: it teaches limits, and it is the
    /// answer that an account on its first trial waits for.
    pub(crate) fn accepted(&self, key: u32, reported: &ServerLimits) {
        self.learn(key, reported, None, Health::accepted);
        if let Some(pause) = reported.closed_for {
            self.pause(key, pause);
        }
    }

    /// Applies what the headers of a response reported whose status is not known. If they reported
    /// anything, the first trial of the account is over.
    pub(crate) fn heard(&self, key: u32, reported: &ServerLimits) {
        if reported.iter().next().is_some() {
            self.learn(key, reported, None, Health::accepted);
        }
    }

    /// Pauses the account of a key.
    pub(super) fn pause(&self, key: u32, requested: Duration) {
        let pause = requested.min(self.options.max_pause);
        self.edit(|keys, now| keys.note(key, |health| health.pause(now + pause)));
        crate::events::info!(
            limiter = self.settings.name,
            ?pause,
            ?requested,
            "account paused by a response"
        );
    }

    /// Notes something good, which may let requests pass earlier; `note` returns whether it does.
    fn note_good(&self, key: u32, note: impl FnOnce(&mut Health) -> bool) {
        self.with_core(|core, now, wakers| {
            core.edit(now, wakers, |keys, _| {
                let mut changed = false;
                keys.note(key, |health| changed = note(health));
                ((), if changed { Edited::GaveBack } else { Edited::Nothing })
            });
        });
    }

    /// Settles a request that failed, although `actual` tokens were used.
    pub(crate) fn settle_failed(&self, taken: Taken, estimate: Tokens, actual: Tokens) {
        self.edit(|keys, now| {
            keys.settle(taken, now, estimate, actual, false);
        });
    }
}
