//! A pool of API keys whose limits are each model's own.

mod acquire;
mod in_use;
mod permit;
mod places;
mod reservation;
mod shared;
mod state;
#[cfg(test)]
mod tests;
mod usage;
mod without_permit;

pub use permit::ModelPermit;
pub use reservation::ModelReservation;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use shared::{ModelAccount, ModelKey, Shared};

use super::{AddKeyError, KeyPool, KeyPoolBuilder, Limits};
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
/// * Up to 1,024 models have limits of their own. A further model takes the place of an idle one:
///   no request of it is in flight or waits, nothing of its limits is in use, and no key of it is
///   paused. Of several, the one that was not used for longest makes room. So names that attackers
///   invent lock no other model out for good.
/// * A model that is in use, or of which anything lasts, keeps its place. While there are 1,024 of
///   these, further models share the limits of the model without a name, which needs no place.
/// * A model that comes back after it has made room begins as a new one. What responses had taught
///   it is lost, so its first request is sent alone again
///   ([`try_first`](KeyPoolBuilder::try_first)). So are failures whose rest is over: how many there
///   were in a row, that other keys are preferred, and that one request is sent at a time until one
///   succeeds. Nothing else is lost. What [`set_limits`](Self::set_limits) has set is kept, and so
///   is what concerns a key in all models: whether it is refused, and the rest of a spent account,
///   even if that rest was ended in the one model before.
///
/// The verbs are those of a [`KeyPool`], and take the model as well: a request as its first
/// argument, and what concerns one key (`set_limits`, `usage`, `observe`) after the id of the key.
/// Permits borrow nothing, so there is no `acquire_owned`.
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
        Self { shared: Arc::new(Shared::new(options)) }
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
        self.shared.add(&id, |_| {
            let account = Arc::new(ModelAccount {
                id: Arc::clone(&id),
                limits,
                limits_of_models: BTreeMap::new(),
                spent_rest: None,
            });
            Ok(ModelKey { id: Arc::clone(&id), secret, account, is_refused: false })
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
        let exists = state.change_account(id, |account| {
            account.limits_of_models.insert(model.into(), limits);
        });
        let pool = state.places.keys_of(model);
        drop(state);
        match pool {
            _ if !exists => Err(AddKeyError::Unknown(id.into())),
            Some(pool) => pool.set_limits(id, limits),
            None => Ok(()),
        }
    }

    /// Removes a key from all models. Returns whether it existed.
    #[allow(clippy::must_use_candidate, reason = "it changes the pool")]
    pub fn remove(&self, id: &str) -> bool {
        let mut state = self.shared.state.lock();
        let at = state.keys.iter().position(|key| &*key.id == id);
        let removed = at.map(|at| state.keys.remove(at));
        state.keys_changed();
        let models = state.places.all();
        // Its secret may use this pool when it is dropped.
        drop(state);
        for (_, pool) in models {
            pool.remove(id);
        }
        removed.is_some()
    }

    /// Enables a key that was refused, and ends its pauses in all models. Returns whether the key
    /// exists.
    #[allow(clippy::must_use_candidate, reason = "it changes the pool")]
    pub fn restore(&self, id: &str) -> bool {
        let mut state = self.shared.state.lock();
        let exists = state.change_account(id, |account| account.spent_rest = None);
        if let Some(key) = state.keys.iter_mut().find(|key| &*key.id == id) {
            key.is_refused = false;
        }
        let models = state.places.all();
        drop(state);
        for (_, pool) in models {
            pool.restore(id);
        }
        exists
    }

    /// Ends a pause of a key's account in one model that a server asked for; see
    /// [`KeyPool::resume`]. Returns whether the key exists.
    #[allow(clippy::must_use_candidate, reason = "it changes the pool")]
    pub fn resume(&self, id: &str, model: &str) -> bool {
        self.change_model(id, model, |pool| pool.resume(id))
    }

    /// Discards what responses have taught about the limits of a key's account in one model, and ends
    /// the key's pause there; see [`KeyPool::forget_learned`]. Returns whether the key exists.
    #[allow(clippy::must_use_candidate, reason = "it changes the pool")]
    pub fn forget_learned(&self, id: &str, model: &str) -> bool {
        self.change_model(id, model, |pool| pool.forget_learned(id))
    }

    /// Changes a model that has limits of its own. Returns whether the key exists.
    fn change_model(
        &self,
        id: &str,
        model: &str,
        change: impl FnOnce(&KeyPool<Arc<T>, C>) -> bool,
    ) -> bool {
        let mut state = self.shared.state.lock();
        let exists = state.keys.iter().any(|key| &*key.id == id);
        state.keys_changed();
        let pool = state.places.keys_of(model);
        drop(state);
        pool.map_or(exists, |pool| change(&pool))
    }

    /// Closes the pool: all further requests are rejected, and all waiters fail.
    pub fn close(&self) {
        let mut state = self.shared.state.lock();
        state.is_closed = true;
        state.keys_changed();
        let models = state.places.all();
        drop(state);
        for (_, pool) in models {
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
