//! A model while a request uses it.

use std::sync::Arc;

use super::places::Model;
use super::shared::Shared;
use super::{ModelPermit, ModelPool};
use crate::Clock;
use crate::llm::engine::Handle;
use crate::llm::{Error, KeyPool, Permit, Reply};

/// A model while a request uses it: the model keeps its place for so long.
pub(crate) struct ModelInUse<T, C: Clock + Clone> {
    model: Arc<Model<T, C>>,
    shared: Arc<Shared<T, C>>,
    /// The model that was asked for. One without a place shares the limits of others.
    name: Arc<str>,
}

impl<T, C: Clock + Clone> ModelPool<T, C> {
    /// The model with this name, for one request.
    pub(crate) fn in_use(&self, name: &str) -> ModelInUse<T, C> {
        let model = self.shared.model(name);
        let has_place = *model.name == *name;
        let name = if has_place { Arc::clone(&model.name) } else { name.into() };
        ModelInUse { model, shared: Arc::clone(&self.shared), name }
    }
}

impl<T, C: Clock + Clone> ModelInUse<T, C> {
    pub(super) fn name(&self) -> &Arc<str> {
        &self.name
    }

    /// The keys of the model.
    pub(super) fn keys(&self) -> &KeyPool<Arc<T>, C> {
        &self.model.keys
    }

    /// The engine that the request asks.
    pub(crate) fn engine(&self) -> Handle<'static, C> {
        self.keys().shared()
    }

    /// What the engine grants, with its key.
    pub(crate) fn permit(self, permit: Permit<'static, C>) -> Result<ModelPermit<T, C>, Error> {
        let permit = self.keys().permit(permit)?;
        Ok(ModelPermit::new(permit, self))
    }

    /// Applies to all models what a response has said of the key itself.
    pub(super) fn spread(&self, id: &str, reply: &Reply) {
        self.shared.spread(self.keys(), id, reply);
    }
}
