//! The keys of a pool of models, and the pool of keys that each model has.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::Clock;
use crate::llm::{AddKeyError, KeyPool, KeyPoolBuilder, Limits, Meaning, Reply};
use crate::sync::Mutex;

/// The most models that have limits of their own. Names of models may come from requests, so their
/// number must have a bound; all further models share the limits of one model.
const MAX_MODELS: usize = 1_024;

/// The model whose limits further models share.
const FURTHER_MODELS: &str = "";

/// What all owners of a pool of models share.
pub(super) struct Shared<T, C: Clock + Clone> {
    /// With the options of each model's pool.
    pub(super) builder: KeyPoolBuilder<C>,
    pub(super) state: Mutex<State<T, C>>,
}

/// The keys and the models of a pool.
pub(super) struct State<T, C: Clock> {
    pub(super) keys: Vec<ModelKey<T>>,
    pub(super) models: BTreeMap<Arc<str>, ModelKeys<T, C>>,
    pub(super) is_closed: bool,
    /// Counts the changes of what a new model's keys are made from.
    pub(super) version: u64,
}

/// The keys of one model.
pub(super) type ModelKeys<T, C> = Arc<KeyPool<Arc<T>, C>>;

/// What is known of a key beyond one model.
pub(super) struct ModelKey<T> {
    pub(super) id: Arc<str>,
    pub(super) secret: Arc<T>,
    /// The id of the first key of the account.
    pub(super) account: Arc<str>,
    pub(super) limits: Arc<AccountLimits>,
    pub(super) is_refused: bool,
}

/// The limits of an account.
#[derive(Clone, Default)]
pub(super) struct AccountLimits {
    /// In each model that has none of its own.
    pub(super) elsewhere: Limits,
    pub(super) of_models: BTreeMap<Arc<str>, Limits>,
}

impl<T> Clone for ModelKey<T> {
    fn clone(&self) -> Self {
        Self {
            id: Arc::clone(&self.id),
            secret: Arc::clone(&self.secret),
            account: Arc::clone(&self.account),
            limits: Arc::clone(&self.limits),
            is_refused: self.is_refused,
        }
    }
}

// The pools call foreign code: wakers, and subscribers of events. So no pool is changed under the
// lock of the state.
impl<T, C: Clock + Clone> Shared<T, C> {
    /// Adds the key with this id that `key` makes, given all keys.
    pub(super) fn add(
        &self,
        id: &Arc<str>,
        key: impl FnOnce(&[ModelKey<T>]) -> Result<ModelKey<T>, AddKeyError>,
    ) -> Result<(), AddKeyError> {
        let mut state = self.state.lock();
        if state.keys.iter().any(|other| other.id == *id) {
            return Err(AddKeyError::Duplicate(Arc::clone(id)));
        }
        let key = key(&state.keys)?;
        state.keys.push(key);
        state.version += 1;
        let (keys, models) = (state.keys.clone(), state.models.clone());
        drop(state);
        for (model, pool) in &models {
            add_last(&keys, pool, model);
        }
        // It may have been removed meanwhile, from pools that did not have it yet.
        if !self.state.lock().keys.iter().any(|other| other.id == *id) {
            for pool in models.values() {
                pool.remove(id);
            }
        }
        Ok(())
    }

    /// The keys of a model, made if this is its first use.
    pub(super) fn pool(&self, model: &str) -> ModelKeys<T, C> {
        loop {
            let state = self.state.lock();
            let has_room = state.models.contains_key(model) || state.models.len() < MAX_MODELS;
            let model = if has_room { model } else { FURTHER_MODELS };
            if let Some(pool) = state.models.get(model) {
                return Arc::clone(pool);
            }
            let (keys, version, is_closed) = (state.keys.clone(), state.version, state.is_closed);
            drop(state);
            let pool: ModelKeys<T, C> = Arc::new(self.builder.clone().build());
            for last in 1..=keys.len() {
                add_last(&keys[..last], &pool, model);
            }
            if is_closed {
                pool.close();
            }
            let mut state = self.state.lock();
            if state.version == version && !state.models.contains_key(model) {
                state.models.insert(model.into(), Arc::clone(&pool));
                return pool;
            }
        }
    }

    /// Applies to all other models what a response in one model says of the key itself.
    pub(super) fn spread(&self, model: &KeyPool<Arc<T>, C>, id: &str, reply: &Reply) {
        let said = match reply.meaning() {
            Meaning::KeyRefused => Reply::new(401),
            Meaning::KeySpent if !reply.reported().says_spent() => Reply::new(402),
            _ => return,
        };
        let mut state = self.state.lock();
        if said.meaning() == Meaning::KeyRefused {
            if let Some(key) = state.keys.iter_mut().find(|key| &*key.id == id) {
                key.is_refused = true;
            }
            state.version += 1;
        }
        let pools = state.pools();
        drop(state);
        for pool in pools.iter().filter(|pool| !std::ptr::eq(Arc::as_ptr(pool), model)) {
            pool.observe_reply(id, &said);
        }
    }
}

impl<T, C: Clock> State<T, C> {
    pub(super) fn pools(&self) -> Vec<ModelKeys<T, C>> {
        self.models.values().cloned().collect()
    }
}

/// Adds the last of these keys to the pool of a model. It shares the account of the first key
/// before it that has the same one.
fn add_last<T, C: Clock>(keys: &[ModelKey<T>], pool: &KeyPool<Arc<T>, C>, model: &str) {
    let Some((key, before)) = keys.split_last() else { return };
    let (id, secret) = (Arc::clone(&key.id), Arc::clone(&key.secret));
    // Neither can fail: the pool has the same keys, and the limits were checked. A key that the pool
    // has already was added by another thread.
    let _added = if let Some(with) = before.iter().find(|other| other.account == key.account) {
        pool.add_sharing(&with.id, id, secret)
    } else {
        let limits = key.limits.of_models.get(model).copied();
        pool.add(id, secret, limits.unwrap_or(key.limits.elsewhere))
    };
    if key.is_refused {
        pool.observe_reply(&key.id, &Reply::new(401));
    }
}
