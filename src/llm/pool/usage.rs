//! What the keys of a pool are, and what is used of their limits.

use std::sync::Arc;

use super::{KeyPool, find};
use crate::Clock;
use crate::llm::Usage;
use crate::wakers::Wakers;

impl<T, C: Clock> KeyPool<T, C> {
    /// The ids of all keys, including disabled ones.
    pub fn ids(&self) -> Vec<Arc<str>> {
        let records = self.records.lock();
        let known = |number: &usize| self.engine.look(|keys| keys.is_known(*number));
        (0..records.len())
            .filter(known)
            .filter_map(|number| Some(Arc::clone(&records.get(number)?.id)))
            .collect()
    }

    /// The current usage of a key's limits; `None` if there is no such key. Takes nothing.
    pub fn usage(&self, id: &str) -> Option<Usage> {
        let mut wakers = Wakers::default();
        let records = self.records.lock();
        let usage = self.engine.usage_under(&mut wakers, |keys| {
            find(&records, keys, id).and_then(|number| u32::try_from(number).ok())
        });
        // Reading the usage also grants permits to waiters that are due. Their wakers are foreign
        // code, so they are called after both locks are released.
        drop(records);
        drop(wakers);
        usage
    }

    /// The current usage of all keys, by their ids, including disabled ones. Takes nothing.
    ///
    /// ```
    /// use tollgate::llm::{KeyPool, Limits};
    /// let pool = KeyPool::new();
    /// pool.add("main", "sk-1", Limits::new().requests_per_minute(500))?;
    /// for (id, usage) in pool.usages() {
    ///     assert_eq!((&*id, usage.limits.len()), ("main", 1));
    /// }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn usages(&self) -> Vec<(Arc<str>, Usage)> {
        let usage = |id: Arc<str>| self.usage(&id).map(|usage| (id, usage));
        self.ids().into_iter().filter_map(usage).collect()
    }
}
