//! A pool of API keys whose limits are each model's own.

mod acquire;
mod permit;
mod shared;

pub use permit::ModelPermit;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use shared::{AccountLimits, ModelKey, Shared, State};

use super::{AddKeyError, KeyPool, KeyPoolBuilder, Limits, Usage};
use crate::sync::Mutex;
use crate::{Clock, CounterClock};

/// A pool of API keys for several models. Most providers limit each model by itself, but a key that
/// is refused in one model is refused in all.
///
/// Each model has a [`KeyPool`] of its own with the same keys, which is made when the model is
/// first used. So requests for one model never wait behind those for another.
///
/// * A response that refuses the key (401) disables it for all models, and one that says that the
///   account is spent (402) lets it rest for all models. Limits and all other pauses are those of
///   one model. A limit that is 0 with 0 remaining concerns that model only.
/// * Up to 1,024 models have limits of their own. All further ones share the limits of one model.
///
/// ```
/// use tollgate::llm::{Limits, ModelPool};
///
/// let pool = ModelPool::new();
/// pool.add("main", "sk-1234", Limits::new())?; // limits are learned, model by model
/// pool.set_limits("main", "gpt-large", Limits::new().requests_per_minute(60))?;
///
/// let permit = pool.try_acquire("gpt-large", 1_500)?;
/// let authorization = format!("Bearer {}", permit.secret());
/// // ... the request ...
/// permit.settle(900);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct ModelPool<T, C: Clock + Clone = CounterClock> {
    shared: Arc<Shared<T, C>>,
}

impl<T> ModelPool<T> {
    /// An empty pool on the default clock.
    #[must_use]
    pub fn new() -> Self {
        Self::with_options(KeyPool::builder())
    }
}

impl<T> Default for ModelPool<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T, C: Clock + Clone> ModelPool<T, C> {
    /// An empty pool, in which the keys of each model have these options.
    ///
    /// ```
    /// use std::time::Duration;
    /// use tollgate::llm::{KeyPool, Limits, ModelPool};
    /// let options = KeyPool::builder().max_server_wait(Duration::from_secs(30));
    /// let pool = ModelPool::with_options(options);
    /// pool.add("main", "sk-1", Limits::new())?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn with_options(options: KeyPoolBuilder<C>) -> Self {
        let (keys, models) = (Vec::new(), BTreeMap::new());
        let state = Mutex::new(State { keys, models, is_closed: false, version: 0 });
        Self { shared: Arc::new(Shared { builder: options, state }) }
    }

    /// The clock that the pool reads.
    #[must_use]
    pub fn clock(&self) -> &C {
        self.shared.builder.read_clock()
    }

    /// Adds a key for all models. `limits` are its limits in each model for which
    /// [`set_limits`](Self::set_limits) sets none.
    ///
    /// # Errors
    ///
    /// As [`KeyPool::add`].
    pub fn add(
        &self,
        id: impl Into<Arc<str>>,
        secret: T,
        limits: Limits,
    ) -> Result<(), AddKeyError> {
        limits.check()?;
        let (id, secret) = (id.into(), Arc::new(secret));
        let limits = AccountLimits { elsewhere: limits, ..AccountLimits::default() };
        self.shared.add(&id, |_| {
            let (account, limits) = (Arc::clone(&id), Arc::new(limits));
            Ok(ModelKey { id: Arc::clone(&id), secret, account, limits, is_refused: false })
        })
    }

    /// Adds a key that shares the account, and so the limits in each model, of the key `with`.
    ///
    /// # Errors
    ///
    /// As [`KeyPool::add_sharing`].
    pub fn add_sharing(
        &self,
        with: &str,
        id: impl Into<Arc<str>>,
        secret: T,
    ) -> Result<(), AddKeyError> {
        // The secret may use this pool when it is dropped. So it is borrowed by the closure, which
        // may fail while the lock is held.
        let (id, secret) = (id.into(), Arc::new(secret));
        self.shared.add(&id, |keys| {
            let with = keys
                .iter()
                .find(|key| &*key.id == with)
                .ok_or_else(|| AddKeyError::Unknown(with.into()))?;
            let (id, secret) = (Arc::clone(&id), Arc::clone(&secret));
            Ok(ModelKey { id, secret, is_refused: false, ..with.clone() })
        })
    }

    /// Changes the limits of a key in one model, whether that model was used already or not; see
    /// [`KeyPool::set_limits`].
    ///
    /// # Errors
    ///
    /// As [`KeyPool::set_limits`].
    pub fn set_limits(&self, id: &str, model: &str, limits: Limits) -> Result<(), AddKeyError> {
        limits.check()?;
        let mut state = self.shared.state.lock();
        let Some(key) = state.keys.iter().find(|key| &*key.id == id).cloned() else {
            return Err(AddKeyError::Unknown(id.into()));
        };
        let mut changed = AccountLimits::clone(&key.limits);
        changed.of_models.insert(model.into(), limits);
        let changed = Arc::new(changed);
        for sharing in state.keys.iter_mut().filter(|other| other.account == key.account) {
            sharing.limits = Arc::clone(&changed);
        }
        state.version += 1;
        let pool = state.models.get(model).cloned();
        drop(state);
        pool.map_or(Ok(()), |pool| pool.set_limits(id, limits))
    }

    /// Removes a key from all models. Returns whether it existed.
    #[allow(clippy::must_use_candidate, reason = "it changes the pool")]
    pub fn remove(&self, id: &str) -> bool {
        let mut state = self.shared.state.lock();
        let at = state.keys.iter().position(|key| &*key.id == id);
        let removed = at.map(|at| state.keys.remove(at));
        state.version += 1;
        let pools = state.pools();
        // Its secret may use this pool when it is dropped.
        drop(state);
        for pool in pools {
            pool.remove(id);
        }
        removed.is_some()
    }

    /// Enables a key that was refused, and ends its pauses in all models. Returns whether the key
    /// exists.
    #[allow(clippy::must_use_candidate, reason = "it changes the pool")]
    pub fn restore(&self, id: &str) -> bool {
        let mut state = self.shared.state.lock();
        let key = state.keys.iter_mut().find(|key| &*key.id == id);
        let exists = key.map(|key| key.is_refused = false).is_some();
        state.version += 1;
        let pools = state.pools();
        drop(state);
        for pool in pools {
            pool.restore(id);
        }
        exists
    }

    /// The ids of all keys.
    #[must_use]
    pub fn ids(&self) -> Vec<Arc<str>> {
        self.shared.state.lock().keys.iter().map(|key| Arc::clone(&key.id)).collect()
    }

    /// The models that were used so far. All models beyond the 1,024th have an empty name.
    #[must_use]
    pub fn models(&self) -> Vec<Arc<str>> {
        self.shared.state.lock().models.keys().cloned().collect()
    }

    /// The current usage of all keys in one model, by their ids; empty if the model was not used.
    #[must_use]
    pub fn usages(&self, model: &str) -> Vec<(Arc<str>, Usage)> {
        let pool = self.shared.state.lock().models.get(model).cloned();
        pool.map(|pool| pool.usages()).unwrap_or_default()
    }

    /// Closes the pool: all further requests are rejected, and all waiters fail.
    pub fn close(&self) {
        let mut state = self.shared.state.lock();
        state.is_closed = true;
        state.version += 1;
        let pools = state.pools();
        drop(state);
        for pool in pools {
            pool.close();
        }
    }
}

impl<T, C: Clock + Clone> Clone for ModelPool<T, C> {
    /// The same pool, for another owner.
    fn clone(&self) -> Self {
        Self { shared: Arc::clone(&self.shared) }
    }
}

impl<T, C: Clock + Clone> fmt::Debug for ModelPool<T, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (ids, models) = (self.ids(), self.models());
        f.debug_struct("ModelPool").field("ids", &ids).field("models", &models).finish()
    }
}
