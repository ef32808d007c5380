//! A permit of a pool: permission to send one request with one key.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::key::{KeyRecord, PoolKey};
use crate::llm::headers::ServerLimits;
use crate::llm::{Meaning, Permit, Reply, Tokens};
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

    /// See [`Permit::asked`].
    #[must_use]
    pub fn asked(&self) -> Tokens {
        self.permit.asked()
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

    /// See [`Permit::observe_limits`].
    pub fn observe_limits(&self, reported: &ServerLimits) {
        self.permit.observe_limits(reported);
    }

    /// See [`Permit::observe_reply`]. If the key is refused, it is disabled until it is
    /// [restored](super::KeyPool::restore).
    pub fn observe_reply(&self, reply: &Reply) {
        self.permit.observe_reply(reply);
        if reply.meaning() == Meaning::KeyRefused {
            self.permit.disable_key();
            let id = &self.record.id;
            crate::events::warn!(%id, "key disabled: the server does not accept it");
        }
    }

    /// See [`Permit::observe_head`]. If the key is refused, it is disabled until it is
    /// [restored](super::KeyPool::restore).
    pub fn observe_head(&self, reply: &Reply) {
        if reply.meaning() == Meaning::Success {
            self.permit.observe_head(reply);
        } else {
            self.observe_reply(reply);
        }
    }

    /// See [`Permit::end`]. If the key is refused, it is disabled until it is
    /// [restored](super::KeyPool::restore).
    pub fn end(self, reply: &Reply) {
        if reply.meaning() == Meaning::KeyRefused {
            self.observe_reply(reply);
            self.cancel();
        } else {
            self.permit.end(reply);
        }
    }

    /// See [`Permit::limited`].
    pub fn limited<N, V>(self, headers: impl IntoIterator<Item = (N, V)>)
    where
        N: AsRef<[u8]>,
        V: AsRef<[u8]>,
    {
        self.permit.limited(headers);
    }

    /// See [`Permit::limited_for`].
    pub fn limited_for(self, wait: Duration) {
        self.permit.limited_for(wait);
    }

    /// Records that the server answered 401: disables the key until it is
    /// [restored](super::KeyPool::restore), and gives back everything that the permit took.
    pub fn unauthorized(self) {
        self.end(&Reply::new(401));
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
