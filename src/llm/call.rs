//! A complete request in one call: acquire a permit, send, learn from the response, settle, and
//! retry after a 429.

use std::sync::Arc;

use super::{
    EndPermit, Error, KeyPool, Limiter, Meaning, ModelPermit, ModelPool, Permit, PoolKey,
    PoolPermit, Reply, Tokens,
};
use crate::Clock;
use crate::wait::Timer;

/// Why a call has failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CallError<R, E> {
    /// The request got no permit.
    #[error(transparent)]
    Limited(#[from] Error),
    /// The server refused or failed to answer each try.
    #[error("the server answered none of {tries} tries")]
    Refused {
        /// How often the request was sent.
        tries: u32,
        /// The last response.
        response: R,
    },
    /// Sending the request failed.
    #[error("the request failed")]
    Request(#[source] E),
}

/// A permit of a call, whether it is from a limiter or from a pool.
pub(crate) trait CallPermit: EndPermit {
    /// Whether another key may serve a request whose key is not accepted.
    const HAS_OTHER_KEYS: bool;
}

impl<C: Clock> CallPermit for Permit<'_, C> {
    const HAS_OTHER_KEYS: bool = false;
}

impl<T, C: Clock> CallPermit for PoolPermit<'_, T, C> {
    const HAS_OTHER_KEYS: bool = true;
}

impl<T, C: Clock + Clone> CallPermit for ModelPermit<T, C> {
    const HAS_OTHER_KEYS: bool = true;
}

/// Ends a request as its response demands.
fn apply_reply<P: CallPermit, R>(permit: P, reply: &Reply, response: R) -> Outcome<R> {
    permit.end(reply);
    let refused = reply.meaning() == Meaning::KeyRefused;
    if reply.wants_retry() && (P::HAS_OTHER_KEYS || !refused) {
        Outcome::Retry(response)
    } else {
        Outcome::Done(response)
    }
}

/// The outcome of one try.
enum Outcome<R> {
    Done(R),
    /// The server rejected the request, and a retry may succeed.
    Retry(R),
}

/// Sends the request until a retry is of no use, or it was sent `max` times.
pub(crate) async fn run<P, A, R, F, E>(
    max: u32,
    estimate: Tokens,
    mut acquire: impl FnMut(Tokens) -> A,
    mut send: impl FnMut(&P) -> F,
    read: impl Fn(&R) -> Reply,
) -> Result<R, CallError<R, E>>
where
    P: CallPermit,
    A: Future<Output = Result<P, Error>>,
    F: Future<Output = Result<R, E>>,
{
    let mut tries = 0;
    let mut last = None;
    let mut raised = estimate;
    loop {
        let permit = match (acquire(raised).await, last.take()) {
            (Ok(permit), _) => permit,
            // Not even an idle key could hold what the request seems to need.
            (Err(Error::Never { .. }), response) if raised != estimate => {
                (raised, last) = (estimate, response);
                continue;
            }
            // No key is left, and the last response says why.
            (Err(Error::NoKeys), Some(response)) => {
                return Err(CallError::Refused { tries, response });
            }
            (Err(error), _) => return Err(error.into()),
        };
        let response = send(&permit);
        tries += 1;
        let response = match response.await {
            Ok(response) => response,
            Err(error) => {
                // As if a gateway had answered that it can't reach the server.
                permit.end(&Reply::new(502));
                return Err(CallError::Request(error));
            }
        };
        let reply = read(&response);
        raised = reply.estimate_again(raised);
        match apply_reply(permit, &reply, response) {
            Outcome::Done(response) => return Ok(response),
            Outcome::Retry(response) if tries < max => last = Some(response),
            Outcome::Retry(response) => return Err(CallError::Refused { tries, response }),
        }
    }
}

impl<C: Clock> Limiter<C> {
    /// Sends a request once the limits permit it, learns from the response, and settles. It is sent
    /// again if its response [is worth a retry](Meaning::is_worth_a_retry), at most `tries` times in
    /// all (0 counts as 1). `read` tells the limiter what it needs to know about a response;
    /// [`Reply::retry`] and [`Reply::give_up`] change what is worth a retry.
    ///
    /// A retry waits for as long as the response asked for, and at least for the rest that a failing
    /// key takes. If the key is refused (401), a limiter has no other one: the response is returned,
    /// and everything is given back.
    ///
    /// The future is `Send` if `send`, the futures of `send` and `read` are.
    ///
    /// # Errors
    ///
    /// [`CallError::Limited`] if the request gets no permit, [`CallError::Refused`] with the last
    /// response if each try was refused or failed, [`CallError::Request`] if `send` fails. A failed
    /// `send` is not repeated, but counts as a failure of the key, and
    /// [`on_drop`](super::LimiterBuilder::on_drop) decides what counts as used.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future while it waits takes nothing. Dropping it while the request is in flight
    /// drops the permit, and `on_drop` decides what counts as used.
    ///
    /// ```
    /// # use tollgate::llm::{CallError, Limiter, Reply};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), CallError<u64, std::io::Error>> {
    /// let model = Limiter::builder().tokens_per_minute(200_000).build().expect("valid");
    /// let used = model
    ///     .call(1_500, 3, async || Ok(900), |used| Reply::new(200).spent(*used))
    ///     .await?;
    /// assert_eq!(used, 900);
    /// # Ok(())
    /// # }
    /// ```
    #[cfg(feature = "tokio")]
    pub async fn call<R, E, F>(
        &self,
        estimate: impl Into<Tokens>,
        tries: u32,
        send: impl FnMut() -> F,
        read: impl Fn(&R) -> Reply,
    ) -> Result<R, CallError<R, E>>
    where
        F: Future<Output = Result<R, E>>,
    {
        self.call_on(&crate::TokioTimer, estimate, tries, send, read).await
    }

    /// As [`call`](Self::call), with the `timer` of any async runtime.
    ///
    /// # Errors
    ///
    /// As [`call`](Self::call).
    ///
    /// # Cancel safety
    ///
    /// As [`call`](Self::call).
    pub async fn call_on<R, E, F>(
        &self,
        timer: &dyn Timer,
        estimate: impl Into<Tokens>,
        tries: u32,
        mut send: impl FnMut() -> F,
        read: impl Fn(&R) -> Reply,
    ) -> Result<R, CallError<R, E>>
    where
        F: Future<Output = Result<R, E>>,
    {
        let estimate = estimate.into();
        run(tries, estimate, |estimate| self.acquire_on(estimate, timer), |_| send(), read).await
    }
}

impl<T, C: Clock> KeyPool<T, C> {
    /// As [`Limiter::call`], with the key that can serve the request first. A retry may be sent with
    /// another key. A key that is refused (401) is disabled.
    ///
    /// # Errors
    ///
    /// As [`Limiter::call`]; [`CallError::Refused`] with the last response also if no active key is
    /// left.
    ///
    /// # Cancel safety
    ///
    /// As [`Limiter::call`].
    ///
    /// ```
    /// # use tollgate::llm::{CallError, KeyPool, Limits, Reply};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), CallError<u16, std::io::Error>> {
    /// let pool = KeyPool::new();
    /// pool.add("revoked", "sk-1", Limits::new()).expect("new");
    /// pool.add("good", "sk-2", Limits::new()).expect("new");
    /// let status = |secret: &str| if secret == "sk-2" { 200 } else { 401 };
    /// let answer = pool
    ///     .call(1_500, 3, async |key| Ok(status(key.secret())), |status| {
    ///         Reply::new(*status).spent(900)
    ///     })
    ///     .await?;
    /// assert_eq!(answer, 200);
    /// # Ok(())
    /// # }
    /// ```
    #[cfg(feature = "tokio")]
    pub async fn call<R, E, F>(
        &self,
        estimate: impl Into<Tokens>,
        tries: u32,
        send: impl FnMut(PoolKey<T>) -> F,
        read: impl Fn(&R) -> Reply,
    ) -> Result<R, CallError<R, E>>
    where
        F: Future<Output = Result<R, E>>,
    {
        self.call_on(&crate::TokioTimer, estimate, tries, send, read).await
    }

    /// As [`call`](Self::call), with the `timer` of any async runtime.
    ///
    /// # Errors
    ///
    /// As [`call`](Self::call).
    ///
    /// # Cancel safety
    ///
    /// As [`call`](Self::call).
    pub async fn call_on<R, E, F>(
        &self,
        timer: &dyn Timer,
        estimate: impl Into<Tokens>,
        tries: u32,
        mut send: impl FnMut(PoolKey<T>) -> F,
        read: impl Fn(&R) -> Reply,
    ) -> Result<R, CallError<R, E>>
    where
        F: Future<Output = Result<R, E>>,
    {
        let estimate = estimate.into();
        run(tries, estimate, |it| self.acquire_on(it, timer), |permit| send(permit.key()), read)
            .await
    }
}

impl<T, C: Clock + Clone> ModelPool<T, C> {
    /// As [`KeyPool::call`], for a request to `model`.
    ///
    /// # Errors
    ///
    /// As [`KeyPool::call`].
    ///
    /// # Cancel safety
    ///
    /// As [`Limiter::call`].
    #[cfg(feature = "tokio")]
    pub async fn call<R, E, F>(
        &self,
        model: &str,
        estimate: impl Into<Tokens>,
        tries: u32,
        send: impl FnMut(PoolKey<Arc<T>>) -> F,
        read: impl Fn(&R) -> Reply,
    ) -> Result<R, CallError<R, E>>
    where
        F: Future<Output = Result<R, E>>,
    {
        self.call_on(&crate::TokioTimer, model, estimate, tries, send, read).await
    }

    /// As [`call`](Self::call), with the `timer` of any async runtime.
    ///
    /// # Errors
    ///
    /// As [`KeyPool::call`].
    ///
    /// # Cancel safety
    ///
    /// As [`Limiter::call`].
    pub async fn call_on<R, E, F>(
        &self,
        timer: &dyn Timer,
        model: &str,
        estimate: impl Into<Tokens>,
        tries: u32,
        mut send: impl FnMut(PoolKey<Arc<T>>) -> F,
        read: impl Fn(&R) -> Reply,
    ) -> Result<R, CallError<R, E>>
    where
        F: Future<Output = Result<R, E>>,
    {
        let estimate = estimate.into();
        let acquire = |estimate| self.acquire_on(model, estimate, timer);
        run(tries, estimate, acquire, |permit| send(permit.key()), read).await
    }
}
