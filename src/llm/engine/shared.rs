//! What an engine is told by other processes that use the same accounts, and tells them.

use std::time::Duration;

use super::Engine;
use super::account::AccountView;
use crate::Clock;

impl<C: Clock> Engine<C> {
    /// The account of a key as it is now; `None` if there is no such key.
    pub(crate) fn account_view(&self, key: u32) -> Option<AccountView> {
        let now = self.clock.now();
        self.look(|keys| {
            let key = keys.get(key as usize)?;
            Some(keys.account(key)?.shared_view(now))
        })
    }

    /// Pauses the account of a key, because another process was told to.
    pub(crate) fn pause_for(&self, key: u32, pause: Duration) {
        self.pause(key, pause);
        self.fail_hopeless_waits();
    }

    /// Prefers other accounts to that of a key for so long, because other processes have used it up.
    pub(crate) fn hold_back(&self, key: u32, pause: Duration) {
        self.edit(|keys, now| keys.note(key, |health| health.hold_back(now + pause)));
    }

    /// The longest time for which a key that is of no use rests.
    pub(crate) fn max_spent_rest(&self) -> Duration {
        self.options.max_spent_rest
    }
}
