//! Permits of accounts that several processes use.

use std::time::Duration;

use http::request::Parts;
use tollgate::llm::Error;
use tollgate::shared_llm::{KeyPool, Limiter, Permit, PoolPermit};
use tollgate::{Clock, Timestamp};

use super::key_header::KeyHeader;
use super::source::{PermitSource, RequestPermit, forward_to_permit};
use crate::BoxError;
use crate::llm::Estimate;

impl<C: Clock> PermitSource for Limiter<C> {
    type Permit = Permit<C>;

    async fn acquire_for(
        &self,
        estimate: &Estimate,
        timeout: Option<Duration>,
    ) -> Result<Self::Permit, Error> {
        match timeout {
            None => self.acquire(estimate.tokens()).await,
            Some(timeout) => self.acquire_timeout(estimate.tokens(), timeout).await,
        }
    }

    fn now(&self) -> Timestamp {
        self.local().clock().now()
    }
}

impl<T, C> PermitSource for KeyPool<T, C>
where
    T: AsRef<str> + Send + Sync,
    C: Clock,
{
    type Permit = PoolPermit<T, C>;

    async fn acquire_for(
        &self,
        estimate: &Estimate,
        timeout: Option<Duration>,
    ) -> Result<Self::Permit, Error> {
        match timeout {
            None => self.acquire(estimate.tokens()).await,
            Some(timeout) => self.acquire_timeout(estimate.tokens(), timeout).await,
        }
    }

    fn now(&self) -> Timestamp {
        self.local().clock().now()
    }
}

/// A limiter does not know its key: the client authenticates as it does without the layer.
impl<C: Clock> RequestPermit for Permit<C> {
    const HAS_OTHER_KEYS: bool = false;

    fn authorize(&self, _: &KeyHeader, _: &mut Parts) -> Result<(), BoxError> {
        Ok(())
    }

    forward_to_permit!(Permit);
}

impl<T, C> RequestPermit for PoolPermit<T, C>
where
    T: AsRef<str> + Send + Sync,
    C: Clock,
{
    const HAS_OTHER_KEYS: bool = true;

    fn authorize(&self, header: &KeyHeader, request: &mut Parts) -> Result<(), BoxError> {
        Ok(header.insert(self.secret().as_ref(), request)?)
    }

    forward_to_permit!(PoolPermit);
}
