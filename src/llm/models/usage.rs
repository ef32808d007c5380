//! What the keys and the models of a pool are, and what is used of their limits.

use std::sync::Arc;

use super::ModelPool;
use crate::Clock;
use crate::llm::Usage;

impl<T, C: Clock + Clone> ModelPool<T, C> {
    /// The ids of all keys.
    #[must_use]
    pub fn ids(&self) -> Vec<Arc<str>> {
        self.shared.state.lock().keys.iter().map(|key| Arc::clone(&key.id)).collect()
    }

    /// The models that have limits of their own: those that were used, and have not made room for
    /// others since. All models without a place have an empty name.
    #[must_use]
    pub fn models(&self) -> Vec<Arc<str>> {
        self.shared.state.lock().places.names()
    }

    /// The current usage of a key's limits in one model; `None` if there is no such key, or if the
    /// model has no limits of its own. Takes nothing.
    #[must_use]
    pub fn usage(&self, id: &str, model: &str) -> Option<Usage> {
        let pool = self.shared.state.lock().places.keys_of(model);
        pool.and_then(|pool| pool.usage(id))
    }

    /// The current usage of all keys in one model, by their ids; empty if the model has no limits of
    /// its own. Takes nothing.
    #[must_use]
    pub fn usages(&self, model: &str) -> Vec<(Arc<str>, Usage)> {
        let pool = self.shared.state.lock().places.keys_of(model);
        pool.map(|pool| pool.usages()).unwrap_or_default()
    }
}
