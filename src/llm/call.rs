//! A whole request in one call: acquire, send, learn, settle, and try again after a 429.

use std::time::SystemTime;

use super::headers::ServerLimits;
use super::{Error, KeyPool, Limiter, Permit, PoolKey, PoolPermit, Tokens};
use crate::Clock;
use crate::wait::Timer;

/// What a limiter needs to know of a response.
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
    said: ServerLimits,
    spent: Option<Tokens>,
}

impl Reply {
    /// A response of this HTTP status, about which nothing more is known.
    pub fn new(status: u16) -> Self {
        Self { status, said: ServerLimits::default(), spent: None }
    }

    /// With these headers; see [`ServerLimits::from_headers`].
    pub fn headers<N, V>(mut self, headers: impl IntoIterator<Item = (N, V)>) -> Self
    where
        N: AsRef<[u8]>,
        V: AsRef<[u8]>,
    {
        self.said = ServerLimits::from_headers(headers, SystemTime::now());
        self
    }

    /// It says that so many tokens were used. Without that, the permit is dropped, and the builder's
    /// [`on_drop`](super::LimiterBuilder::on_drop) says what counts.
    pub fn spent(mut self, tokens: impl Into<Tokens>) -> Self {
        self.spent = Some(tokens.into());
        self
    }
}

/// Why a request has failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CallError<R, E> {
    /// It could not go out.
    #[error(transparent)]
    Limited(#[from] Error),
    /// The server refused each try; this was its last answer.
    #[error("the server refused each of {tries} tries")]
    Refused {
        /// How often it was tried.
        tries: u32,
        /// The last answer.
        response: R,
    },
    /// The request itself failed.
    #[error("the request failed")]
    Request(#[source] E),
}

/// Leave for one request, with one key or by a pool.
trait Leave: Sized {
    fn observe_limits(&self, said: &ServerLimits);
    fn limited_by(self, said: &ServerLimits);
    fn settle(self, tokens: Tokens);
    /// The answer did not say what was used.
    fn went_well(self);
    /// Whether it is of use to try again.
    fn unauthorized(self) -> bool;
}

impl<C: Clock> Leave for Permit<'_, C> {
    fn observe_limits(&self, said: &ServerLimits) {
        Permit::observe_limits(self, said);
    }

    fn limited_by(self, said: &ServerLimits) {
        Permit::limited_by(self, said);
    }

    fn settle(self, tokens: Tokens) {
        Permit::settle(self, tokens);
    }

    fn went_well(self) {
        Permit::went_well(self);
    }

    fn unauthorized(self) -> bool {
        self.cancel();
        false
    }
}

impl<T, C: Clock> Leave for PoolPermit<'_, T, C> {
    fn observe_limits(&self, said: &ServerLimits) {
        PoolPermit::observe_limits(self, said);
    }

    fn limited_by(self, said: &ServerLimits) {
        PoolPermit::limited_by(self, said);
    }

    fn settle(self, tokens: Tokens) {
        PoolPermit::settle(self, tokens);
    }

    fn went_well(self) {
        PoolPermit::went_well(self);
    }

    fn unauthorized(self) -> bool {
        PoolPermit::unauthorized(self);
        true
    }
}

/// Acts on an answer.
fn take_in<R>(permit: impl Leave, reply: &Reply, response: R) -> Outcome<R> {
    match reply.status {
        429 => {
            permit.limited_by(&reply.said);
            Outcome::Again(response)
        }
        401 | 403 => {
            if permit.unauthorized() {
                Outcome::Again(response)
            } else {
                Outcome::Done(response)
            }
        }
        _ => {
            permit.observe_limits(&reply.said);
            match reply.spent {
                Some(tokens) => permit.settle(tokens),
                None if (200..300).contains(&reply.status) => permit.went_well(),
                None => drop(permit),
            }
            Outcome::Done(response)
        }
    }
}

/// What has become of one try.
enum Outcome<R> {
    Done(R),
    /// Refused, and another try may pass.
    Again(R),
}

/// Tries until an answer is of use, or there were `max` tries.
async fn run<P, A, R, F, E>(
    max: u32,
    mut acquire: impl FnMut() -> A,
    mut send: impl FnMut(&P) -> F,
    read: impl Fn(&R) -> Reply,
) -> Result<R, CallError<R, E>>
where
    P: Leave,
    A: Future<Output = Result<P, Error>>,
    F: Future<Output = Result<R, E>>,
{
    let mut tries = 0;
    loop {
        let permit = acquire().await?;
        let response = send(&permit);
        tries += 1;
        let response = response.await.map_err(CallError::Request)?;
        match take_in(permit, &read(&response), response) {
            Outcome::Done(response) => return Ok(response),
            Outcome::Again(_) if tries < max => {}
            Outcome::Again(response) => return Err(CallError::Refused { tries, response }),
        }
    }
}

impl<C: Clock> Limiter<C> {
    /// Sends a request when the limits let it out, learns from the answer, settles, and tries again
    /// after a 429, at most `tries` times in all (0 counts as 1). `read` says what the answer means.
    ///
    /// The future can be spawned if those of `send` can.
    ///
    /// # Errors
    ///
    /// [`CallError::Limited`] if it may not go out, [`CallError::Refused`] with the last answer if
    /// each try met a 429, [`CallError::Request`] if `send` fails: then the permit counts as
    /// [`on_drop`](super::LimiterBuilder::on_drop) says, and it is not tried again.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future while it waits takes nothing; while the request is out, the permit counts
    /// as `on_drop` says.
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

    /// [`call`](Self::call) on any runtime's `timer`.
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
    /// Sends a request with the key that can serve it first, as [`Limiter::call`] does. A 429 rests
    /// that key, a 401 or 403 takes it out, and another try may be with another key.
    ///
    /// # Errors
    ///
    /// As [`Limiter::call`].
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

    /// [`call`](Self::call) on any runtime's `timer`.
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
