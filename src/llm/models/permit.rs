//! A permit of a pool of several models.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::in_use::ModelInUse;
use crate::llm::headers::ServerLimits;
use crate::llm::{PoolKey, PoolPermit, Reply, Tokens};
use crate::{Clock, CounterClock};

/// Permission to send one request to a model with a key, as a [`PoolPermit`] is one of a pool. It
/// borrows nothing, and so can be moved to another task.
#[must_use = "a permit that is dropped counts its estimate as used, unless configured otherwise"]
pub struct ModelPermit<T, C: Clock + Clone = CounterClock> {
    // Dropped first: the model is in use until the permit has ended.
    permit: PoolPermit<'static, Arc<T>, C>,
    model: ModelInUse<T, C>,
}

impl<T, C: Clock + Clone> ModelPermit<T, C> {
    pub(super) fn new(permit: PoolPermit<'static, Arc<T>, C>, model: ModelInUse<T, C>) -> Self {
        Self { permit, model }
    }

    /// The model that was asked for.
    #[must_use]
    pub fn model(&self) -> &str {
        self.model.name()
    }

    /// The id of the key.
    #[must_use]
    pub fn id(&self) -> &str {
        self.permit.id()
    }

    /// The secret of the key.
    #[must_use]
    pub fn secret(&self) -> &T {
        self.permit.secret()
    }

    /// The key, as a handle that can outlive the permit.
    #[must_use]
    pub fn key(&self) -> PoolKey<Arc<T>> {
        self.permit.key()
    }

    /// See [`Permit::estimate`](crate::llm::Permit::estimate).
    #[must_use]
    pub fn estimate(&self) -> Tokens {
        self.permit.estimate()
    }

    /// See [`Permit::asked`](crate::llm::Permit::asked).
    #[must_use]
    pub fn asked(&self) -> Tokens {
        self.permit.asked()
    }

    /// See [`Permit::settle`](crate::llm::Permit::settle).
    pub fn settle(self, actual: impl Into<Tokens>) {
        self.permit.settle(actual);
    }

    /// See [`Permit::cancel`](crate::llm::Permit::cancel).
    pub fn cancel(self) {
        self.permit.cancel();
    }

    /// See [`Permit::observe`](crate::llm::Permit::observe).
    pub fn observe<N, V>(&self, headers: impl IntoIterator<Item = (N, V)>)
    where
        N: AsRef<[u8]>,
        V: AsRef<[u8]>,
    {
        self.permit.observe(headers);
    }

    /// See [`Permit::observe_limits`](crate::llm::Permit::observe_limits).
    pub fn observe_limits(&self, reported: &ServerLimits) {
        self.permit.observe_limits(reported);
    }

    /// See [`Permit::observe_reply`](crate::llm::Permit::observe_reply). What concerns the key itself
    /// is applied to all models.
    pub fn observe_reply(&self, reply: &Reply) {
        self.permit.observe_reply(reply);
        self.model.spread(self.id(), reply);
    }

    /// See [`Permit::observe_head`](crate::llm::Permit::observe_head). What concerns the key itself
    /// is applied to all models.
    pub fn observe_head(&self, reply: &Reply) {
        self.permit.observe_head(reply);
        self.model.spread(self.id(), reply);
    }

    /// See [`Permit::end`](crate::llm::Permit::end). What concerns the key itself is applied to all
    /// models.
    pub fn end(self, reply: &Reply) {
        let Self { permit, model } = self;
        let key = permit.key();
        permit.end(reply);
        model.spread(key.id(), reply);
    }

    /// See [`Permit::limited`](crate::llm::Permit::limited).
    pub fn limited<N, V>(self, headers: impl IntoIterator<Item = (N, V)>)
    where
        N: AsRef<[u8]>,
        V: AsRef<[u8]>,
    {
        self.end(&Reply::new(429).headers(headers));
    }

    /// See [`Permit::limited_for`](crate::llm::Permit::limited_for).
    pub fn limited_for(self, wait: Duration) {
        self.end(&Reply::new(429).limited_for(wait));
    }

    /// Records that the server answered 401: disables the key in all models until it is
    /// [restored](super::ModelPool::restore), and gives back everything that the permit took.
    pub fn unauthorized(self) {
        self.end(&Reply::new(401));
    }
}

impl<T, C: Clock + Clone> fmt::Debug for ModelPermit<T, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ModelPermit")
            .field("model", self.model.name())
            .field("id", &self.id())
            .field("estimate", &self.estimate())
            .finish_non_exhaustive()
    }
}
