//! The models that have limits of their own: a bounded number of places.
//!
//! Names of models may come from requests, and so from attackers. So the number of places has a
//! bound, and a model that is idle makes room for a new one.

use std::cell::Cell;
use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::sync::Arc;

use super::shared::Keys;
use crate::{Clock, Timestamp};

/// The most models that have limits of their own.
pub(super) const MAX_MODELS: usize = 1_024;

/// The name of the model whose limits all models without a place share. It needs no place itself.
pub(super) const WITHOUT_PLACE: &str = "";

/// A model with limits of its own. Each request holds its model, and so do waiters and permits: the
/// model is in use for so long.
pub(super) struct Model<T, C: Clock> {
    pub(super) name: Arc<str>,
    pub(super) keys: Keys<T, C>,
}

/// The models by their names.
pub(super) struct Places<T, C: Clock> {
    models: BTreeMap<Arc<str>, Place<T, C>>,
    max: usize,
    /// How often any model was used.
    uses: u64,
}

struct Place<T, C: Clock> {
    model: Arc<Model<T, C>>,
    /// The number of the last use.
    last_use: u64,
    /// Before this time the model is not idle, if it was found to be unused since its last use. So
    /// names that find no place cost little.
    busy_until: Cell<Timestamp>,
}

/// Whether there is a place for one more model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Room {
    Free,
    /// In the place of this one.
    InsteadOf(Arc<str>),
    None,
}

impl<T, C: Clock> Places<T, C> {
    pub(super) fn new(max: usize) -> Self {
        Self { models: BTreeMap::new(), max, uses: 0 }
    }

    /// The model with this name, which is used now.
    pub(super) fn use_model(&mut self, name: &str) -> Option<Arc<Model<T, C>>> {
        let place = self.models.get_mut(name)?;
        self.uses += 1;
        place.last_use = self.uses;
        place.busy_until.set(Timestamp::ZERO);
        Some(Arc::clone(&place.model))
    }

    /// Whether there is a place for a model with this name that has none yet.
    ///
    /// Of the models that are idle, the one that was not used for longest makes room. `idle_at` says
    /// from when on the keys of an unused model are idle. Wakes nobody, and drops nothing.
    pub(super) fn room_for(
        &self,
        name: &str,
        now: Timestamp,
        idle_at: impl Fn(&Keys<T, C>) -> Timestamp,
    ) -> Room {
        let without_place = usize::from(self.models.contains_key(WITHOUT_PLACE));
        if name == WITHOUT_PLACE || self.models.len() - without_place < self.max {
            return Room::Free;
        }
        let may_be_idle = |place: &Place<T, C>| place.busy_until.get() <= now && place.is_unused();
        let unused = self.models.iter().filter(|(_, place)| may_be_idle(place));
        // Nearly always the first one is idle, so they are not sorted.
        let mut unused: BinaryHeap<_> =
            unused.map(|(name, place)| Reverse((place.last_use, name))).collect();
        while let Some(Reverse((_, name))) = unused.pop() {
            let Some(place) = self.models.get(name) else { continue };
            place.busy_until.set(idle_at(&place.model.keys));
            if place.busy_until.get() <= now {
                return Room::InsteadOf(Arc::clone(name));
            }
        }
        Room::None
    }

    /// Notes that keys have changed in all models, so that they may be idle earlier than they were
    /// found to be.
    pub(super) fn keys_changed(&self) {
        self.models.values().for_each(|place| place.busy_until.set(Timestamp::ZERO));
    }

    /// Adds a model that is used now. Returns the one that makes room; the caller drops it when no
    /// lock is held, because secrets are dropped with it.
    pub(super) fn add(
        &mut self,
        model: &Arc<Model<T, C>>,
        instead_of: Option<&str>,
    ) -> Option<Arc<Model<T, C>>> {
        let leaves = instead_of.and_then(|name| self.models.remove(name));
        self.uses += 1;
        let busy_until = Cell::new(Timestamp::ZERO);
        let place = Place { model: Arc::clone(model), last_use: self.uses, busy_until };
        self.models.insert(Arc::clone(&model.name), place);
        leaves.map(|place| place.model)
    }

    /// The names of all models, in their order.
    pub(super) fn names(&self) -> Vec<Arc<str>> {
        self.models.keys().cloned().collect()
    }

    /// The keys of the model with this name. To hold them does not keep the model in its place.
    pub(super) fn keys_of(&self, name: &str) -> Option<Keys<T, C>> {
        self.models.get(name).map(|place| Arc::clone(&place.model.keys))
    }

    /// The names and the keys of all models, the one first that was not used for longest.
    pub(super) fn all(&self) -> Vec<(Arc<str>, Keys<T, C>)> {
        let mut places: Vec<_> = self.models.values().collect();
        places.sort_unstable_by_key(|place| place.last_use);
        let model =
            |place: &Place<T, C>| (Arc::clone(&place.model.name), Arc::clone(&place.model.keys));
        places.into_iter().map(model).collect()
    }
}

impl<T, C: Clock> Place<T, C> {
    /// Whether no request, waiter or permit holds the model. New ones come only from here, so that
    /// cannot change while the places are locked.
    fn is_unused(&self) -> bool {
        self.model.name.as_ref() != WITHOUT_PLACE && Arc::strong_count(&self.model) == 1
    }
}
