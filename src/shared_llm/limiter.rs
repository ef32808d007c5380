//! The limits of one API key that several processes use.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::account::Account;
use super::acquire::{Accounts, Until, acquire_shared};
use super::{OpenError, Permit};
use crate::llm::{self, Error, Limits, Reply, Tokens};
use crate::shared::{ClientBuilder, Line, Stats};
use crate::{Clock, CounterClock, QuotaError};

/// The limits of one API key in one model, for all processes that use it; see the
/// [module](crate::shared_llm).
///
/// It has the words of an [`llm::Limiter`], and counts what that counts twice: in this process, and
/// in a store. Clones share everything.
///
/// ```
/// use tollgate::shared::store::Memory;
/// use tollgate::shared::Client;
/// use tollgate::{llm, shared_llm};
/// # tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(async {
/// let store = Client::builder(Memory::new());
/// let worker = || -> Result<_, Box<dyn std::error::Error>> {
///     let limiter = llm::Limiter::builder().requests_per_minute(2).build()?;
///     Ok(shared_llm::Limiter::new(limiter, &store, "openai/gpt")?)
/// };
/// let (one, other) = (worker()?, worker()?);
/// one.acquire(0).await?.settle(0);
/// other.acquire(0).await?.settle(0);
/// assert!(one.try_acquire(0).await.is_err());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # }).unwrap();
/// ```
pub struct Limiter<C: Clock = CounterClock> {
    local: Arc<llm::Limiter<C>>,
    account: Arc<Account>,
}

/// The account of the only key.
struct Only<'a>(&'a Arc<Account>);

impl Accounts for Only<'_> {
    const SEVERAL: bool = false;

    fn of(&self, _: u32) -> Option<Arc<Account>> {
        Some(Arc::clone(self.0))
    }

    fn line(&self) -> &Line {
        &self.0.line
    }
}

impl<C: Clock> Limiter<C> {
    /// A limiter that shares the limits of `local` under the name `account`: processes that use the
    /// same name on the same store share them. Providers limit each model by itself, so the name
    /// should contain the model, unless the limits are those of all models.
    ///
    /// All processes should configure the same limits.
    ///
    /// # Errors
    ///
    /// If the store can't keep a limit exactly.
    pub fn new(
        local: llm::Limiter<C>,
        store: &ClientBuilder,
        account: impl Into<Arc<str>>,
    ) -> Result<Self, OpenError> {
        let (view, line) = (local.engine.account_view(0), Arc::default());
        let account = match view {
            Some(view) => Account::open(store, account, &view, line)?,
            None => Account::configured(store, account, Limits::new(), line)?,
        };
        Ok(Self { local: Arc::new(local), account: Arc::new(account) })
    }

    /// The limiter of this process. Its [`usage`](llm::Limiter::usage) is what this process knows.
    /// What is acquired or observed there directly is not shared.
    #[must_use]
    pub fn local(&self) -> &llm::Limiter<C> {
        &self.local
    }

    /// Takes one request and its estimated tokens, if all limits permit it now.
    ///
    /// # Errors
    ///
    /// As [`llm::Limiter::try_acquire`]; [`Error::Unavailable`] if the store does not answer.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, nothing is taken.
    pub async fn try_acquire(&self, estimate: impl Into<Tokens>) -> Result<Permit<C>, Error> {
        self.acquire_until(estimate.into(), Until::Now).await
    }

    /// Waits until the request may be sent.
    ///
    /// # Errors
    ///
    /// As [`llm::Limiter::acquire`]; [`Error::Unavailable`] if the store does not answer.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, the request gives up its place, and gives back what it has taken.
    /// If it has taken a place in the store, and others stand behind it there already, what it has
    /// taken there is lost: their times do not change.
    pub async fn acquire(&self, estimate: impl Into<Tokens>) -> Result<Permit<C>, Error> {
        self.acquire_until(estimate.into(), Until::Forever).await
    }

    /// As [`acquire`](Self::acquire), for at most `timeout`. If the request can't be sent by then,
    /// the refusal comes as soon as that is known, and nothing is taken.
    ///
    /// # Errors
    ///
    /// As [`acquire`](Self::acquire), and [`Error::Timeout`].
    ///
    /// # Cancel safety
    ///
    /// As [`acquire`](Self::acquire).
    pub async fn acquire_timeout(
        &self,
        estimate: impl Into<Tokens>,
        timeout: Duration,
    ) -> Result<Permit<C>, Error> {
        self.acquire_until(estimate.into(), Until::within(timeout)).await
    }

    async fn acquire_until(&self, tokens: Tokens, until: Until) -> Result<Permit<C>, Error> {
        acquire_shared(&self.local.engine, &Only(&self.account), tokens, until).await
    }

    /// Applies what the response to a request without a permit says; see
    /// [`llm::Limiter::observe_reply`].
    pub fn observe_reply(&self, reply: &Reply) {
        self.local.observe_reply(reply);
        self.share();
    }

    /// Replaces the limits, here and in the store; see [`llm::Limiter::set_limits`]. The number of
    /// concurrent requests in all processes stays as it was when the limiter was built.
    ///
    /// # Errors
    ///
    /// [`QuotaError`] if a limit is outside the supported range. Nothing changes then.
    pub fn set_limits(&self, limits: Limits) -> Result<(), QuotaError> {
        self.local.set_limits(limits)?;
        self.share();
        Ok(())
    }

    /// Ends a pause that a server asked for, in all processes that have not begun to wait for its
    /// end.
    pub fn resume(&self) {
        self.local.resume();
        self.account.resume();
    }

    fn share(&self) {
        if let Some(view) = self.local.engine.account_view(0) {
            self.account.heard(&view);
        }
    }

    /// What was asked of the store so far, for metrics.
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.account.client.stats()
    }

    /// Closes the limiter in this process: all further requests are refused.
    pub fn close(&self) {
        self.local.close();
    }
}

impl<C: Clock> Clone for Limiter<C> {
    fn clone(&self) -> Self {
        Self { local: Arc::clone(&self.local), account: Arc::clone(&self.account) }
    }
}

impl<C: Clock> fmt::Debug for Limiter<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("Limiter");
        debug.field("account", &self.account.subject).finish_non_exhaustive()
    }
}
