//! What a pool is told of requests that were sent without a permit.

use super::{KeyPool, find};
use crate::Clock;
use crate::clock::wall;
use crate::llm::headers::ServerLimits;
use crate::llm::{Meaning, Reply, Tokens};

impl<T, C: Clock> KeyPool<T, C> {
    /// Learns from the headers of a response to a request that was sent without a permit; see
    /// [`Limiter::observe`](crate::llm::Limiter::observe). Returns whether the key exists.
    pub fn observe<N, V>(&self, id: &str, headers: impl IntoIterator<Item = (N, V)>) -> bool
    where
        N: AsRef<[u8]>,
        V: AsRef<[u8]>,
    {
        self.observe_limits(id, &ServerLimits::from_headers(headers, wall::now()))
    }

    /// As [`observe`](Self::observe), with headers that are parsed already. Returns whether the key
    /// exists.
    pub fn observe_limits(&self, id: &str, reported: &ServerLimits) -> bool {
        let key = self.number(id);
        key.map(|key| self.engine.observe(key, reported)).is_some()
    }

    /// Applies all that a response to a request says that was sent without a permit; see
    /// [`Limiter::observe_reply`](crate::llm::Limiter::observe_reply). A key that is refused is
    /// disabled. Returns whether the key exists.
    pub fn observe_reply(&self, id: &str, reply: &Reply) -> bool {
        let Some(key) = self.number(id) else { return false };
        if reply.meaning() == Meaning::KeyRefused {
            self.with_key(id, |keys, key, _| keys.disable(key));
        }
        self.engine.answered(key, None, reply);
        true
    }

    /// Charges tokens that were used with a key without a permit. Returns whether the key exists.
    pub fn consume_tokens(&self, id: &str, tokens: impl Into<Tokens>) -> bool {
        let tokens = tokens.into();
        let consumed = self.with_key(id, |keys, key, now| {
            keys.account_of(key).map(|account| account.consume(now, tokens))
        });
        consumed.is_some()
    }

    /// The engine's number of the key with this id.
    pub(crate) fn number(&self, id: &str) -> Option<u32> {
        let records = self.records.lock();
        let number = self.engine.look(|keys| find(&records, keys, id))?;
        u32::try_from(number).ok()
    }
}
