//! A permit of a pool: permission to send one request with one key.

use std::fmt;
use std::sync::Arc;

use super::key::{KeyRecord, PoolKey};
use crate::llm::headers::ServerLimits;
use crate::llm::{Permit, Tokens};
use crate::{Clock, CounterClock};

/// A [`Permit`] together with the key to send the request with.
#[must_use = "a permit that is dropped counts its estimate as used, unless configured otherwise"]
pub struct PoolPermit<'a, T, C: Clock = CounterClock> {
    permit: Permit<'a, C>,
    record: Arc<KeyRecord<T>>,
}

impl<'a, T, C: Clock> PoolPermit<'a, T, C> {
    pub(super) fn new(permit: Permit<'a, C>, record: Arc<KeyRecord<T>>) -> Self {
        Self { permit, record }
    }
}

impl<T, C: Clock> PoolPermit<'_, T, C> {
    /// The id of the key.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.record.id
    }

    /// The secret of the key.
    #[must_use]
    pub fn secret(&self) -> &T {
        &self.record.secret
    }

    /// The key, as a handle that can outlive the permit.
    #[must_use]
    pub fn key(&self) -> PoolKey<T> {
        PoolKey(Arc::clone(&self.record))
    }

    /// See [`Permit::estimate`].
    #[must_use]
    pub fn estimate(&self) -> Tokens {
        self.permit.estimate()
    }

    /// See [`Permit::settle`].
    pub fn settle(self, actual: impl Into<Tokens>) {
        self.permit.settle(actual);
    }

    /// See [`Permit::cancel`].
    pub fn cancel(self) {
        self.permit.cancel();
    }

    /// See [`Permit::observe`].
    pub fn observe<N, V>(&self, headers: impl IntoIterator<Item = (N, V)>)
    where
        N: AsRef<[u8]>,
        V: AsRef<[u8]>,
    {
        self.permit.observe(headers);
    }

    pub(crate) fn succeeded(self) {
        self.permit.succeeded();
    }

    pub(crate) fn observe_limits(&self, reported: &ServerLimits) {
        self.permit.observe_limits(reported);
    }

    /// See [`Permit::limited`].
    pub fn limited<N, V>(self, headers: impl IntoIterator<Item = (N, V)>)
    where
        N: AsRef<[u8]>,
        V: AsRef<[u8]>,
    {
        self.permit.limited(headers);
    }

    pub(crate) fn limited_by(self, reported: &ServerLimits) {
        self.permit.limited_by(reported);
    }

    /// Records that the server answered 401 or 403: disables the key until it is
    /// [restored](super::KeyPool::restore), and gives back everything that the permit took.
    pub fn unauthorized(self) {
        let Self { permit, record } = self;
        permit.disable_key();
        crate::events::warn!(id = %record.id, "key disabled: the server does not accept it");
    }
}

impl<T, C: Clock> fmt::Debug for PoolPermit<'_, T, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PoolPermit")
            .field("id", &self.record.id)
            .field("estimate", &self.estimate())
            .finish_non_exhaustive()
    }
}
