//! A permit of a pool whose keys several processes use.

use std::fmt;

use super::Permit;
use crate::llm::{EndPermit, Meaning, PoolKey, Reply, ServerLimits, Tokens};
use crate::shared::Source;
use crate::{Clock, CounterClock};

/// A [`Permit`] together with the key to send the request with.
#[must_use = "a permit that is dropped counts its estimate as used, unless configured otherwise"]
pub struct PoolPermit<T, C: Clock = CounterClock> {
    permit: Permit<C>,
    key: PoolKey<T>,
    /// Whether no other key has the same account.
    is_only: bool,
}

impl<T, C: Clock> PoolPermit<T, C> {
    pub(super) fn new(permit: Permit<C>, key: PoolKey<T>, is_only: bool) -> Self {
        Self { permit, key, is_only }
    }

    /// The id of the key.
    #[must_use]
    pub fn id(&self) -> &str {
        self.key.id()
    }

    /// The secret of the key.
    #[must_use]
    pub fn secret(&self) -> &T {
        self.key.secret()
    }

    /// The key, as a handle that can outlive the permit.
    #[must_use]
    pub fn key(&self) -> PoolKey<T> {
        self.key.clone()
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

    /// See [`Permit::source`].
    #[must_use]
    pub fn source(&self) -> Source {
        self.permit.source()
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

    /// See [`Permit::observe_reply`]. If the key is refused, it is disabled in this process until it
    /// is [restored](super::KeyPool::restore), and rests in all others.
    pub fn observe_reply(&self, reply: &Reply) {
        self.permit.observe_reply(reply);
        if reply.meaning() == Meaning::KeyRefused {
            self.permit.disable_key();
            if self.is_only {
                self.permit.rest_everywhere();
            }
            crate::events::warn!(id = self.id(), "key disabled: the server does not accept it");
        }
    }

    /// See [`Permit::observe_head`], and [`observe_reply`](Self::observe_reply) if the key is refused.
    pub fn observe_head(&self, reply: &Reply) {
        if reply.meaning() == Meaning::Success {
            self.permit.observe_head(reply);
        } else {
            self.observe_reply(reply);
        }
    }

    /// See [`Permit::end`], and [`observe_reply`](Self::observe_reply) if the key is refused.
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

    /// Records that the server answered 401; see [`observe_reply`](Self::observe_reply). Everything
    /// that the permit took is given back.
    pub fn unauthorized(self) {
        self.end(&Reply::new(401));
    }
}

impl<T, C: Clock> EndPermit for PoolPermit<T, C> {
    fn end(self, reply: &Reply) {
        Self::end(self, reply);
    }
}

impl<T, C: Clock> fmt::Debug for PoolPermit<T, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("PoolPermit");
        debug.field("id", &self.id()).field("estimate", &self.estimate()).finish_non_exhaustive()
    }
}
