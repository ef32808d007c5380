//! The keys of a pool of models, and what they have in common in all models.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::places::{MAX_MODELS, Model, Places, Room, WITHOUT_PLACE};
use crate::Clock;
use crate::llm::engine::account::SpentRest;
use crate::llm::{AddKeyError, KeyPool, KeyPoolBuilder, Limits, Meaning, Reply};
use crate::sync::Mutex;

/// What all owners of a pool of models share.
pub(super) struct Shared<T, C: Clock + Clone> {
    /// With the options of each model's pool.
    pub(super) builder: KeyPoolBuilder<C>,
    pub(super) state: Mutex<State<T, C>>,
}

/// The keys and the models of a pool.
pub(super) struct State<T, C: Clock> {
    pub(super) keys: Vec<ModelKey<T>>,
    pub(super) places: Places<T, C>,
    pub(super) is_closed: bool,
    /// Counts the changes of what a new model's keys are made from.
    pub(super) version: u64,
}

/// The keys of one model.
pub(super) type Keys<T, C> = Arc<KeyPool<Arc<T>, C>>;

/// What is known of a key beyond one model.
pub(super) struct ModelKey<T> {
    pub(super) id: Arc<str>,
    pub(super) secret: Arc<T>,
    pub(super) account: Arc<ModelAccount>,
    pub(super) is_refused: bool,
}

/// What is known of an account beyond one model.
#[derive(Clone)]
pub(super) struct ModelAccount {
    /// The id of the account's first key.
    pub(super) id: Arc<str>,
    /// The limits in each model that has none of its own.
    pub(super) limits: Limits,
    pub(super) limits_of_models: BTreeMap<Arc<str>, Limits>,
    /// The last rest because the account was spent.
    pub(super) spent_rest: Option<SpentRest>,
}

impl<T> Clone for ModelKey<T> {
    fn clone(&self) -> Self {
        Self {
            id: Arc::clone(&self.id),
            secret: Arc::clone(&self.secret),
            account: Arc::clone(&self.account),
            is_refused: self.is_refused,
        }
    }
}

// The pools call foreign code: wakers, and subscribers of events. So no pool is changed under the
// lock of the state.
impl<T, C: Clock + Clone> Shared<T, C> {
    pub(super) fn new(builder: KeyPoolBuilder<C>) -> Self {
        Self::with_places(builder, MAX_MODELS)
    }

    pub(super) fn with_places(builder: KeyPoolBuilder<C>, max: usize) -> Self {
        let (keys, places) = (Vec::new(), Places::new(max));
        let state = State { keys, places, is_closed: false, version: 0 };
        Self { builder, state: Mutex::new(state) }
    }

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
        state.keys_changed();
        let (keys, models) = (state.keys.clone(), state.places.all());
        drop(state);
        for (model, pool) in &models {
            add_last(&keys, pool, model);
        }
        // It may have been removed meanwhile, from pools that did not have it yet.
        if !self.state.lock().keys.iter().any(|other| other.id == *id) {
            for (_, pool) in &models {
                pool.remove(id);
            }
        }
        Ok(())
    }

    /// The model with this name, made if it has no limits of its own yet and there is a place for
    /// it. It is in use for as long as the caller holds it.
    pub(super) fn model(&self, name: &str) -> Arc<Model<T, C>> {
        // What was made for another number of changes, or for a place that is lost, is dropped when
        // no lock is held.
        let mut made: Option<(u64, Arc<Model<T, C>>)> = None;
        loop {
            let now = self.builder.read_clock().now();
            let mut state = self.state.lock();
            if let Some(model) = state.places.use_model(name) {
                return model;
            }
            let idle_at = |keys: &Keys<T, C>| keys.idle_at(now, |id| state.known_rest(id));
            let room = state.places.room_for(name, now, idle_at);
            let name = if room == Room::None { WITHOUT_PLACE } else { name };
            if let Some(model) = state.places.use_model(name) {
                return model;
            }
            if let Some((version, model)) = &made {
                if *version == state.version && *model.name == *name {
                    let leaves = match &room {
                        Room::InsteadOf(idle) => state.places.add(model, Some(idle)),
                        Room::Free | Room::None => state.places.add(model, None),
                    };
                    drop(state);
                    drop(leaves);
                    return Arc::clone(model);
                }
            }
            let (keys, version, is_closed) = (state.keys.clone(), state.version, state.is_closed);
            drop(state);
            made = Some((version, Arc::new(self.new_model(name, &keys, is_closed))));
        }
    }

    fn new_model(&self, name: &str, keys: &[ModelKey<T>], is_closed: bool) -> Model<T, C> {
        let pool: KeyPool<Arc<T>, C> = self.builder.clone().build();
        for last in 1..=keys.len() {
            add_last(&keys[..last], &pool, name);
        }
        if is_closed {
            pool.close();
        }
        Model { name: name.into(), keys: Arc::new(pool) }
    }

    /// Applies to all models what a response in one model has said of the key itself.
    pub(super) fn spread(&self, model: &KeyPool<Arc<T>, C>, id: &str, reply: &Reply) {
        match reply.meaning() {
            Meaning::KeyRefused => self.refuse(id),
            // That the limits are 0 concerns that model only.
            Meaning::KeySpent if !reply.reported().says_spent() => {
                if let Some(rest) = model.spent_rest(id) {
                    self.rest(id, rest);
                }
            }
            _ => {}
        }
    }

    /// Disables a key in all models.
    pub(super) fn refuse(&self, id: &str) {
        let mut state = self.state.lock();
        if let Some(key) = state.keys.iter_mut().find(|key| &*key.id == id) {
            key.is_refused = true;
        }
        state.keys_changed();
        let models = state.places.all();
        drop(state);
        for (_, pool) in models {
            pool.observe_reply(id, &Reply::new(401));
        }
    }

    /// Lets a key's account rest in all models, also in those that are made before the rest ends.
    pub(super) fn rest(&self, id: &str, rest: SpentRest) {
        let mut state = self.state.lock();
        state.change_account(id, |account| {
            account.spent_rest = Some(account.spent_rest.map_or(rest, |other| other.max(rest)));
        });
        let models = state.places.all();
        drop(state);
        for (_, pool) in models {
            pool.take_spent_rest(id, rest);
        }
    }
}

impl<T, C: Clock> State<T, C> {
    /// Notes that keys have changed.
    pub(super) fn keys_changed(&mut self) {
        self.version += 1;
        self.places.keys_changed();
    }

    /// The rest of a key's account that holds in all models.
    fn known_rest(&self, id: &str) -> Option<SpentRest> {
        self.keys.iter().find(|key| &*key.id == id)?.account.spent_rest
    }

    /// Changes the account of a key, for all keys that share it. Returns whether the key exists.
    pub(super) fn change_account(
        &mut self,
        id: &str,
        change: impl FnOnce(&mut ModelAccount),
    ) -> bool {
        let Some(key) = self.keys.iter().find(|key| &*key.id == id) else { return false };
        let mut changed = ModelAccount::clone(&key.account);
        change(&mut changed);
        let changed = Arc::new(changed);
        for key in self.keys.iter_mut().filter(|key| key.account.id == changed.id) {
            key.account = Arc::clone(&changed);
        }
        self.keys_changed();
        true
    }
}

/// Adds the last of these keys to the pool of a model. It shares the account of the first key
/// before it that has the same one.
fn add_last<T, C: Clock>(keys: &[ModelKey<T>], pool: &KeyPool<Arc<T>, C>, model: &str) {
    let Some((key, before)) = keys.split_last() else { return };
    let (id, secret) = (Arc::clone(&key.id), Arc::clone(&key.secret));
    let account = &key.account;
    // Neither can fail: the pool has the same keys, and the limits were checked. A key that the pool
    // has already was added by another thread.
    let _added = if let Some(with) = before.iter().find(|other| other.account.id == account.id) {
        pool.add_sharing(&with.id, id, secret)
    } else {
        let limits = account.limits_of_models.get(model).copied();
        pool.add(id, secret, limits.unwrap_or(account.limits))
    };
    if key.is_refused {
        pool.observe_reply(&key.id, &Reply::new(401));
    }
    if let Some(rest) = account.spent_rest.filter(|rest| rest.lasts(pool.clock().now())) {
        pool.take_spent_rest(&key.id, rest);
    }
}
