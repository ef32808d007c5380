//! A complete request in one call: acquire a permit, send, learn from the response, settle, and
//! retry after a 429.

use super::{KeyPool, Limiter, Permit, PoolPermit};
use crate::Clock;
use crate::llm::call::{CallPermit, run};
use crate::llm::{CallError, PoolKey, Reply, Tokens};

impl<C: Clock> CallPermit for Permit<C> {
    const HAS_OTHER_KEYS: bool = false;
}

impl<T, C: Clock> CallPermit for PoolPermit<T, C> {
    const HAS_OTHER_KEYS: bool = true;
}

impl<C: Clock> Limiter<C> {
    /// Sends a request once the limits permit it, learns from the response, and settles; see
    /// [`llm::Limiter::call`](crate::llm::Limiter::call).
    ///
    /// # Errors
    ///
    /// As [`llm::Limiter::call`](crate::llm::Limiter::call).
    ///
    /// # Cancel safety
    ///
    /// As [`llm::Limiter::call`](crate::llm::Limiter::call).
    ///
    /// ```
    /// use tollgate::shared::Client;
    /// use tollgate::shared::store::Memory;
    /// use tollgate::{llm, shared_llm};
    /// # tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(async {
    /// let local = llm::Limiter::builder().tokens_per_minute(200_000).build()?;
    /// let model = shared_llm::Limiter::new(local, &Client::builder(Memory::new()), "openai/gpt")?;
    /// let send = async || Ok::<_, std::io::Error>(900);
    /// let used = model.call(1_500, 3, send, |used| llm::Reply::new(200).spent(*used)).await?;
    /// assert_eq!(used, 900);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # }).unwrap();
    /// ```
    pub async fn call<R, E, F>(
        &self,
        estimate: impl Into<Tokens>,
        tries: u32,
        mut send: impl FnMut() -> F,
        read: impl Fn(&R) -> Reply,
    ) -> Result<R, CallError<R, E>>
    where
        F: Future<Output = Result<R, E>>,
    {
        let acquire = |estimate: Tokens| self.acquire(estimate);
        run(tries, estimate.into(), acquire, |_| send(), read).await
    }
}

impl<T, C: Clock> KeyPool<T, C> {
    /// As [`Limiter::call`], with the key that can serve the request first; see
    /// [`llm::KeyPool::call`](crate::llm::KeyPool::call).
    ///
    /// # Errors
    ///
    /// As [`llm::KeyPool::call`](crate::llm::KeyPool::call).
    ///
    /// # Cancel safety
    ///
    /// As [`llm::Limiter::call`](crate::llm::Limiter::call).
    pub async fn call<R, E, F>(
        &self,
        estimate: impl Into<Tokens>,
        tries: u32,
        mut send: impl FnMut(PoolKey<T>) -> F,
        read: impl Fn(&R) -> Reply,
    ) -> Result<R, CallError<R, E>>
    where
        F: Future<Output = Result<R, E>>,
    {
        let acquire = |estimate: Tokens| self.acquire(estimate);
        run(tries, estimate.into(), acquire, |permit| send(permit.key()), read).await
    }
}
