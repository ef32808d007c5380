//! What the keys of one model have in common with the same keys in other models; see
//! [`ModelPool`](crate::llm::ModelPool).

use super::KeyPool;
use crate::llm::engine::account::SpentRest;
use crate::llm::engine::keys::Keys;
use crate::{Clock, Timestamp};

impl<T, C: Clock> KeyPool<T, C> {
    /// When nothing would be lost if a new pool with the same keys took the place of this one, except
    /// for what responses have taught. `known_rest` returns the rest of a key that is known elsewhere.
    /// Wakes nobody, so it may be called under another lock.
    pub(crate) fn idle_at(
        &self,
        now: Timestamp,
        known_rest: impl Fn(&str) -> Option<SpentRest>,
    ) -> Timestamp {
        let records = self.records.lock();
        let rest_of = |key: usize| known_rest(&records.get(key)?.id);
        self.engine.look(|keys| keys.idle_at(now, rest_of))
    }

    /// The rest of a key's account, if responses say that the account is spent.
    pub(crate) fn spent_rest(&self, id: &str) -> Option<SpentRest> {
        let spent_rest = |keys: &mut Keys, key, _| {
            keys.account_of(key).and_then(|account| account.health.spent_rest())
        };
        self.with_key(id, spent_rest).flatten()
    }

    /// Lets a key's account rest as it does in another model.
    pub(crate) fn take_spent_rest(&self, id: &str, rest: SpentRest) {
        self.with_key(id, |keys, key, _| keys.note(key, |health| health.take_spent_rest(rest)));
        self.engine.fail_hopeless_waits();
    }
}
