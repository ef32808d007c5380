//! A pool whose secrets are put into requests by a function of the user.

use std::sync::Arc;
use std::time::Duration;

use http::request::Parts;
use tollgate::llm::{Error, KeyPool, PoolPermit, Reply, Tokens};
use tollgate::{Clock, Timestamp};

use super::key_header::KeyHeader;
use super::source::{PermitSource, RequestPermit, acquire_key};
use crate::BoxError;
use crate::llm::Estimate;

/// Puts the secret of a key into a request.
type Authorize<T> = dyn Fn(&T, &mut Parts) -> Result<(), BoxError> + Send + Sync;

/// The pool and the function.
pub(super) struct WithSecrets<T, C: Clock> {
    pub(super) pool: Arc<KeyPool<T, C>>,
    pub(super) authorize: Arc<Authorize<T>>,
}

/// The permit of a key of the pool.
pub(super) struct SecretPermit<T, C: Clock> {
    permit: PoolPermit<'static, T, C>,
    authorize: Arc<Authorize<T>>,
}

impl<T, C> PermitSource for WithSecrets<T, C>
where
    T: Send + Sync + 'static,
    C: Clock,
{
    type Permit = SecretPermit<T, C>;

    async fn acquire_for(
        &self,
        estimate: &Estimate,
        timeout: Option<Duration>,
    ) -> Result<Self::Permit, Error> {
        let permit = acquire_key(&self.pool, estimate, timeout).await?;
        Ok(SecretPermit { permit, authorize: Arc::clone(&self.authorize) })
    }

    fn now(&self) -> Timestamp {
        self.pool.clock().now()
    }
}

impl<T, C> RequestPermit for SecretPermit<T, C>
where
    T: Send + Sync + 'static,
    C: Clock,
{
    const HAS_OTHER_KEYS: bool = true;

    fn authorize(&self, _: &KeyHeader, request: &mut Parts) -> Result<(), BoxError> {
        (self.authorize)(self.permit.secret(), request)
    }

    fn estimate(&self) -> Tokens {
        self.permit.estimate()
    }

    fn observe_head(&self, reply: &Reply) {
        self.permit.observe_head(reply);
    }

    fn observe_reply(&self, reply: &Reply) {
        self.permit.observe_reply(reply);
    }

    fn settle(self, tokens: Tokens) {
        self.permit.settle(tokens);
    }

    fn end(self, reply: &Reply) {
        self.permit.end(reply);
    }

    fn cancel(self) {
        self.permit.cancel();
    }
}
