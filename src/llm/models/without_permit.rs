//! What a pool of models is told of requests that were sent without a permit.

use super::ModelPool;
use crate::Clock;
use crate::clock::wall;
use crate::llm::headers::ServerLimits;
use crate::llm::{Reply, Tokens};

impl<T, C: Clock + Clone> ModelPool<T, C> {
    /// Learns from the headers of a response of `model` to a request that was sent without a permit;
    /// see [`KeyPool::observe`](crate::llm::KeyPool::observe). Returns whether the key exists.
    ///
    /// ```
    /// use tollgate::llm::{Limits, ModelPool};
    /// let pool = ModelPool::new();
    /// pool.add("main", "sk-1", Limits::new())?;
    /// assert!(pool.observe("main", "gpt-x", [("x-ratelimit-limit-requests", "500")]));
    /// assert_eq!(pool.usage("main", "gpt-x").map(|usage| usage.limits[0].limit), Some(500));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn observe<N, V>(
        &self,
        id: &str,
        model: &str,
        headers: impl IntoIterator<Item = (N, V)>,
    ) -> bool
    where
        N: AsRef<[u8]>,
        V: AsRef<[u8]>,
    {
        self.observe_limits(id, model, &ServerLimits::from_headers(headers, wall::now()))
    }

    /// As [`observe`](Self::observe), with headers that are parsed already. Returns whether the key
    /// exists.
    #[allow(clippy::must_use_candidate, reason = "it changes the pool")]
    pub fn observe_limits(&self, id: &str, model: &str, reported: &ServerLimits) -> bool {
        self.in_use(model).keys().observe_limits(id, reported)
    }

    /// Applies all that a response of `model` to a request says that was sent without a permit; see
    /// [`KeyPool::observe_reply`](crate::llm::KeyPool::observe_reply). What concerns the key itself
    /// is applied to all models. Returns whether the key exists.
    #[allow(clippy::must_use_candidate, reason = "it changes the pool")]
    pub fn observe_reply(&self, id: &str, model: &str, reply: &Reply) -> bool {
        let model = self.in_use(model);
        let exists = model.keys().observe_reply(id, reply);
        model.spread(id, reply);
        exists
    }

    /// Charges tokens that were used of `model` with a key without a permit. Returns whether the key
    /// exists.
    pub fn consume_tokens(&self, id: &str, model: &str, tokens: impl Into<Tokens>) -> bool {
        self.in_use(model).keys().consume_tokens(id, tokens)
    }
}
