//! Where permits come from: a limiter of one key, or a pool of several.

use std::future::Future;
use std::time::Duration;

use http::request::Parts;
use tollgate::llm::{
    Error, KeyPool, Limiter, ModelPermit, ModelPool, Permit, PoolPermit, Reply, Tokens,
};
use tollgate::{Clock, Timestamp};

use super::key_header::KeyHeader;
use crate::BoxError;
use crate::llm::Estimate;

/// Gives permission to send requests. [`Limiter`], [`KeyPool`] and [`ModelPool`] are sources. With
/// the feature `shared`, so are those of `tollgate::shared_llm`, whose limits hold for several
/// processes.
///
/// Write your own to choose in another way, such as a pool of its own for one
/// [model](Estimate::model):
///
/// ```
/// use std::collections::HashMap;
/// use std::time::Duration;
/// use tollgate::llm::{Error, KeyPool, Limits, PoolPermit};
/// use tollgate::{Clock as _, CounterClock, Timestamp};
/// use tollgate_http::llm::{Estimate, LlmLayer, PermitSource};
///
/// struct ByModel {
///     pools: HashMap<String, KeyPool<String>>,
///     others: KeyPool<String>,
/// }
///
/// impl PermitSource for ByModel {
///     type Permit = PoolPermit<'static, String, CounterClock>;
///
///     async fn acquire_for(
///         &self,
///         estimate: &Estimate,
///         timeout: Option<Duration>,
///     ) -> Result<Self::Permit, Error> {
///         let model = estimate.model.as_deref().unwrap_or_default();
///         self.pools.get(model).unwrap_or(&self.others).acquire_for(estimate, timeout).await
///     }
///
///     fn now(&self) -> Timestamp {
///         self.others.clock().now()
///     }
/// }
/// let others = KeyPool::new();
/// others.add("main", "sk-1".to_owned(), Limits::new())?;
/// let layer = LlmLayer::new(ByModel { pools: HashMap::new(), others });
/// # Ok::<(), tollgate::llm::AddKeyError>(())
/// ```
pub trait PermitSource: Send + Sync {
    /// The permit of one request.
    type Permit: RequestPermit;

    /// Waits until a request may be sent, for at most `timeout` if there is one.
    ///
    /// # Errors
    ///
    /// If the request gets no permit. Nothing is taken then.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future takes nothing.
    fn acquire_for(
        &self,
        estimate: &Estimate,
        timeout: Option<Duration>,
    ) -> impl Future<Output = Result<Self::Permit, Error>> + Send;

    /// The time of the clock by which `acquire_for` waits.
    fn now(&self) -> Timestamp;
}

/// The permission to send one request: the permit of a [`Limiter`], a [`KeyPool`] or a
/// [`ModelPool`].
pub trait RequestPermit: Send + Sync {
    /// Whether another key may serve a request whose key is not accepted.
    const HAS_OTHER_KEYS: bool;

    /// Puts the key that the permit is for into a request. A source that does not know its key
    /// leaves the request as it is.
    ///
    /// # Errors
    ///
    /// If that is not possible. The request is not sent then.
    fn authorize(&self, header: &KeyHeader, request: &mut Parts) -> Result<(), BoxError>;

    /// See [`Permit::estimate`].
    fn estimate(&self) -> Tokens;

    /// See [`Permit::observe_head`].
    fn observe_head(&self, reply: &Reply);

    /// See [`Permit::observe_reply`].
    fn observe_reply(&self, reply: &Reply);

    /// See [`Permit::settle`].
    fn settle(self, tokens: Tokens);

    /// See [`Permit::end`].
    fn end(self, reply: &Reply);

    /// See [`Permit::cancel`].
    fn cancel(self);
}

/// What every permit of the library can do by itself.
macro_rules! forward_to_permit {
    ($permit:ident) => {
        fn estimate(&self) -> tollgate::llm::Tokens {
            $permit::estimate(self)
        }

        fn observe_head(&self, reply: &tollgate::llm::Reply) {
            $permit::observe_head(self, reply);
        }

        fn observe_reply(&self, reply: &tollgate::llm::Reply) {
            $permit::observe_reply(self, reply);
        }

        fn settle(self, tokens: tollgate::llm::Tokens) {
            $permit::settle(self, tokens);
        }

        fn end(self, reply: &tollgate::llm::Reply) {
            $permit::end(self, reply);
        }

        fn cancel(self) {
            $permit::cancel(self);
        }
    };
}
#[cfg(feature = "shared")]
pub(super) use forward_to_permit;

impl<C: Clock> PermitSource for Limiter<C> {
    type Permit = Permit<'static, C>;

    async fn acquire_for(
        &self,
        estimate: &Estimate,
        timeout: Option<Duration>,
    ) -> Result<Self::Permit, Error> {
        match timeout {
            None => self.acquire_owned(estimate.tokens()).await,
            Some(timeout) => self.acquire_owned_timeout(estimate.tokens(), timeout).await,
        }
    }

    fn now(&self) -> Timestamp {
        self.clock().now()
    }
}

impl<T, C> PermitSource for KeyPool<T, C>
where
    T: AsRef<str> + Send + Sync,
    C: Clock,
{
    type Permit = PoolPermit<'static, T, C>;

    async fn acquire_for(
        &self,
        estimate: &Estimate,
        timeout: Option<Duration>,
    ) -> Result<Self::Permit, Error> {
        acquire_key(self, estimate, timeout).await
    }

    fn now(&self) -> Timestamp {
        self.clock().now()
    }
}

/// A request whose body names no model has the limits of the model without a name.
impl<T, C> PermitSource for ModelPool<T, C>
where
    T: AsRef<str> + Send + Sync,
    C: Clock + Clone,
{
    type Permit = ModelPermit<T, C>;

    async fn acquire_for(
        &self,
        estimate: &Estimate,
        timeout: Option<Duration>,
    ) -> Result<Self::Permit, Error> {
        let (model, tokens) = (estimate.model.as_deref().unwrap_or_default(), estimate.tokens());
        match timeout {
            None => self.acquire(model, tokens).await,
            Some(timeout) => self.acquire_timeout(model, tokens, timeout).await,
        }
    }

    fn now(&self) -> Timestamp {
        self.clock().now()
    }
}

/// Waits for a key of a pool.
pub(super) async fn acquire_key<T, C: Clock>(
    pool: &KeyPool<T, C>,
    estimate: &Estimate,
    timeout: Option<Duration>,
) -> Result<PoolPermit<'static, T, C>, Error> {
    match timeout {
        None => pool.acquire_owned(estimate.tokens()).await,
        Some(timeout) => pool.acquire_owned_timeout(estimate.tokens(), timeout).await,
    }
}

/// A limiter does not know its key: the client authenticates as it does without the layer.
impl<C: Clock> RequestPermit for Permit<'_, C> {
    const HAS_OTHER_KEYS: bool = false;

    fn authorize(&self, _: &KeyHeader, _: &mut Parts) -> Result<(), BoxError> {
        Ok(())
    }

    forward_to_permit!(Permit);
}

impl<T, C> RequestPermit for PoolPermit<'_, T, C>
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

impl<T, C> RequestPermit for ModelPermit<T, C>
where
    T: AsRef<str> + Send + Sync,
    C: Clock + Clone,
{
    const HAS_OTHER_KEYS: bool = true;

    fn authorize(&self, header: &KeyHeader, request: &mut Parts) -> Result<(), BoxError> {
        Ok(header.insert(self.secret().as_ref(), request)?)
    }

    forward_to_permit!(ModelPermit);
}
