//! A complete request in one call: acquire a permit, send, learn from the response, settle, and
//! retry after a 429.

use super::headers::ServerLimits;
use super::{Error, KeyPool, Limiter, Permit, PoolKey, PoolPermit, Tokens};
use crate::Clock;
use crate::clock::wall;
use crate::wait::Timer;

/// What a limiter needs to know about a response.
///
/// ```
/// use tollgate::llm::{Reply, Tokens};
/// let reply = Reply::new(200)
///     .headers([("x-ratelimit-remaining-tokens", "149000")])
///     .spent(Tokens::new(800, 200));
/// ```
#[derive(Clone, Copy, Debug)]
#[must_use]
pub struct Reply {
    status: u16,
    reported: ServerLimits,
    spent: Option<Tokens>,
}

impl Reply {
    /// A response with this HTTP status, and without headers or a known usage.
    pub fn new(status: u16) -> Self {
        Self { status, reported: ServerLimits::default(), spent: None }
    }

    /// Adds the headers of the response; see [`ServerLimits::from_headers`].
    pub fn headers<N, V>(mut self, headers: impl IntoIterator<Item = (N, V)>) -> Self
    where
        N: AsRef<[u8]>,
        V: AsRef<[u8]>,
    {
        self.reported = ServerLimits::from_headers(headers, wall::now());
        self
    }

    /// Adds the usage that the response reports. Without it, the builder's
    /// [`on_drop`](super::LimiterBuilder::on_drop) decides what counts as used.
    pub fn spent(mut self, tokens: impl Into<Tokens>) -> Self {
        self.spent = Some(tokens.into());
        self
    }
}

/// Why a call has failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CallError<R, E> {
    /// The request got no permit.
    #[error(transparent)]
    Limited(#[from] Error),
    /// The server rejected each try.
    #[error("the server rejected all {tries} tries")]
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

/// What a call does with a permit, whether it is from a limiter or from a pool.
trait CallPermit: Sized {
    fn observe_limits(&self, reported: &ServerLimits);
    fn limited_by(self, reported: &ServerLimits);
    fn settle(self, tokens: Tokens);
    /// Ends a request that succeeded with an unknown usage.
    fn succeeded(self);
    /// Ends a request that was answered with 401 or 403; returns whether a retry may succeed.
    fn unauthorized(self) -> bool;
}

impl<C: Clock> CallPermit for Permit<'_, C> {
    fn observe_limits(&self, reported: &ServerLimits) {
        Permit::observe_limits(self, reported);
    }

    fn limited_by(self, reported: &ServerLimits) {
        Permit::limited_by(self, reported);
    }

    fn settle(self, tokens: Tokens) {
        Permit::settle(self, tokens);
    }

    fn succeeded(self) {
        Permit::succeeded(self);
    }

    fn unauthorized(self) -> bool {
        self.cancel();
        false
    }
}

impl<T, C: Clock> CallPermit for PoolPermit<'_, T, C> {
    fn observe_limits(&self, reported: &ServerLimits) {
        PoolPermit::observe_limits(self, reported);
    }

    fn limited_by(self, reported: &ServerLimits) {
        PoolPermit::limited_by(self, reported);
    }

    fn settle(self, tokens: Tokens) {
        PoolPermit::settle(self, tokens);
    }

    fn succeeded(self) {
        PoolPermit::succeeded(self);
    }

    fn unauthorized(self) -> bool {
        PoolPermit::unauthorized(self);
        true
    }
}

/// Ends a request as its response demands.
fn apply_reply<R>(permit: impl CallPermit, reply: &Reply, response: R) -> Outcome<R> {
    match reply.status {
        429 => {
            permit.limited_by(&reply.reported);
            Outcome::Retry(response)
        }
        401 | 403 => {
            if permit.unauthorized() {
                Outcome::Retry(response)
            } else {
                Outcome::Done(response)
            }
        }
        _ => {
            permit.observe_limits(&reply.reported);
            match reply.spent {
                Some(tokens) => permit.settle(tokens),
                None if (200..300).contains(&reply.status) => permit.succeeded(),
                None => drop(permit),
            }
            Outcome::Done(response)
        }
    }
}

/// The outcome of one try.
enum Outcome<R> {
    Done(R),
    /// The server rejected the request, and a retry may succeed.
    Retry(R),
}

/// Sends the request until a retry is of no use, or it was sent `max` times.
async fn run<P, A, R, F, E>(
    max: u32,
    mut acquire: impl FnMut() -> A,
    mut send: impl FnMut(&P) -> F,
    read: impl Fn(&R) -> Reply,
) -> Result<R, CallError<R, E>>
where
    P: CallPermit,
    A: Future<Output = Result<P, Error>>,
    F: Future<Output = Result<R, E>>,
{
    let mut tries = 0;
    loop {
        let permit = acquire().await?;
        let response = send(&permit);
        tries += 1;
        let response = response.await.map_err(CallError::Request)?;
        match apply_reply(permit, &read(&response), response) {
            Outcome::Done(response) => return Ok(response),
            Outcome::Retry(_) if tries < max => {}
            Outcome::Retry(response) => return Err(CallError::Refused { tries, response }),
        }
    }
}

impl<C: Clock> Limiter<C> {
    /// Sends a request once the limits permit it, learns from the response, and settles. After a
    /// 429 it is sent again, at most `tries` times in all (0 counts as 1). `read` tells the limiter
    /// what it needs to know about a response.
    ///
    /// A response with 401 or 403 is returned without a retry, and everything is given back. Any
    /// other response is returned, and the permit is settled with the usage that `read` reports.
    ///
    /// The future is `Send` if `send`, the futures of `send` and `read` are.
    ///
    /// # Errors
    ///
    /// [`CallError::Limited`] if the request gets no permit, [`CallError::Refused`] with the last
    /// response if each try was answered with 429, [`CallError::Request`] if `send` fails. After a
    /// failed `send` there is no retry, and [`on_drop`](super::LimiterBuilder::on_drop) decides
    /// what counts as used.
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
        run(tries, || self.acquire_on(estimate, timer), |_| send(), read).await
    }
}

impl<T, C: Clock> KeyPool<T, C> {
    /// As [`Limiter::call`], with the key that can serve the request first. A 429 pauses that key,
    /// a 401 or 403 disables it, and after either the request is sent again, maybe with another
    /// key.
    ///
    /// # Errors
    ///
    /// As [`Limiter::call`]; [`CallError::Refused`] also if the last try was answered with 401 or
    /// 403.
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
        run(tries, || self.acquire_on(estimate, timer), |permit| send(permit.key()), read).await
    }
}
