//! API keys that several processes use, each with its own limits.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::account::Account;
use super::acquire::{Accounts, Until, acquire_shared};
use super::{AddKeyError, PoolPermit};
use crate::llm::{self, Error, Limits, Reply, Tokens};
use crate::shared::{ClientBuilder, Line, Stats};
use crate::sync::Mutex;
use crate::{Clock, CounterClock};

/// Several API keys, each with its own limits, for all processes that use them; see the
/// [module](crate::shared_llm).
///
/// It has the words of an [`llm::KeyPool`]. A request is served by the key that this process
/// prefers among those that the store has permits of.
///
/// A key that is refused by its server is disabled in the process that was told so, and rests in
/// all others for as long as [`max_spent_rest`](llm::KeyPoolBuilder::max_spent_rest) says. If
/// several keys share its account, the others find out for themselves.
///
/// ```
/// use tollgate::llm::{self, Limits};
/// use tollgate::shared::Client;
/// use tollgate::shared::store::Memory;
/// use tollgate::shared_llm::KeyPool;
/// # tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(async {
/// let pool = KeyPool::new(llm::KeyPool::new(), Client::builder(Memory::new()), "openai");
/// pool.add("main", "sk-1", Limits::new().requests_per_minute(500))?;
/// pool.add("spare", "sk-2", Limits::new().requests_per_minute(60))?;
/// let permit = pool.acquire(1_500).await?;
/// let request = format!("authorization: Bearer {}", permit.secret());
/// permit.settle(900);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # }).unwrap();
/// ```
pub struct KeyPool<T, C: Clock = CounterClock> {
    local: llm::KeyPool<T, C>,
    store: ClientBuilder,
    name: Arc<str>,
    accounts: Mutex<HashMap<Arc<str>, Arc<Account>>>,
    line: Arc<Line>,
}

/// The accounts of the keys, by their numbers in the process.
struct Each<'a, T, C: Clock>(&'a KeyPool<T, C>);

impl<T, C: Clock> Accounts for Each<'_, T, C> {
    const SEVERAL: bool = true;

    fn of(&self, key: u32) -> Option<Arc<Account>> {
        let id = self.0.local.key_of(key)?;
        self.0.accounts.lock().get(id.id()).cloned()
    }

    fn line(&self) -> &Line {
        &self.0.line
    }
}

impl<T, C: Clock> KeyPool<T, C> {
    /// A pool that shares the limits of its keys: processes that use the same `name` and ids of
    /// keys on the same store share them. A [`Limiter`](super::Limiter) whose account is `name/id`
    /// shares those of a key, too.
    ///
    /// `local` is the pool of this process. It must be empty: keys are added here.
    #[must_use]
    pub fn new(local: llm::KeyPool<T, C>, store: ClientBuilder, name: impl Into<Arc<str>>) -> Self {
        Self { local, store, name: name.into(), accounts: Mutex::default(), line: Arc::default() }
    }

    /// The pool of this process, to look at. What is added, acquired or observed there directly is
    /// not shared.
    #[must_use]
    pub fn local(&self) -> &llm::KeyPool<T, C> {
        &self.local
    }

    /// Adds a key with its own limits; see [`llm::KeyPool::add`]. All processes should configure
    /// the same limits.
    ///
    /// # Errors
    ///
    /// As [`llm::KeyPool::add`], and if the store can't keep a limit exactly.
    pub fn add(
        &self,
        id: impl Into<Arc<str>>,
        secret: T,
        limits: Limits,
    ) -> Result<(), AddKeyError> {
        let id = id.into();
        let (name, line) = (format!("{}/{id}", self.name), Arc::clone(&self.line));
        let account = Account::configured(&self.store, name, limits, line)?;
        self.insert(&id, Arc::new(account), |id| self.local.add(id, secret, limits))
    }

    /// Adds a key that shares the account, and so the limits, of the key `with`.
    ///
    /// # Errors
    ///
    /// As [`llm::KeyPool::add_sharing`].
    pub fn add_sharing(
        &self,
        with: &str,
        id: impl Into<Arc<str>>,
        secret: T,
    ) -> Result<(), AddKeyError> {
        let id = id.into();
        let account = self.accounts.lock().get(with).cloned();
        let account = account.ok_or_else(|| llm::AddKeyError::Unknown(with.into()))?;
        self.insert(&id, account, |id| self.local.add_sharing(with, id, secret))
    }

    /// A key must have an account before it can serve a request.
    fn insert(
        &self,
        id: &Arc<str>,
        account: Arc<Account>,
        add: impl FnOnce(Arc<str>) -> Result<(), llm::AddKeyError>,
    ) -> Result<(), AddKeyError> {
        {
            let mut accounts = self.accounts.lock();
            if accounts.contains_key(id) {
                return Err(llm::AddKeyError::Duplicate(Arc::clone(id)).into());
            }
            accounts.insert(Arc::clone(id), account);
        }
        add(Arc::clone(id)).inspect_err(|_| {
            self.accounts.lock().remove(id);
        })?;
        Ok(())
    }

    /// Removes a key in this process. Requests in flight with it finish normally. Returns whether
    /// the key existed.
    pub fn remove(&self, id: &str) -> bool {
        let removed = self.local.remove(id);
        self.accounts.lock().remove(id);
        removed
    }

    /// Enables a key that was disabled, and ends its pause in all processes that have not begun to
    /// wait for its end. Returns whether the key exists.
    pub fn restore(&self, id: &str) -> bool {
        let account = self.accounts.lock().get(id).cloned();
        if let Some(account) = account {
            account.resume();
        }
        self.local.restore(id)
    }

    /// Takes one request and its estimated tokens from a key that can serve it now.
    ///
    /// # Errors
    ///
    /// As [`llm::KeyPool::try_acquire`]; [`Error::Unavailable`] if the store does not answer.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, nothing is taken.
    pub async fn try_acquire(
        &self,
        estimate: impl Into<Tokens>,
    ) -> Result<PoolPermit<T, C>, Error> {
        self.acquire_until(estimate.into(), Until::Now).await
    }

    /// Waits until a key can serve the request.
    ///
    /// # Errors
    ///
    /// As [`llm::KeyPool::acquire`]; [`Error::Unavailable`] if the store does not answer.
    ///
    /// # Cancel safety
    ///
    /// See [`Limiter::acquire`](super::Limiter::acquire).
    pub async fn acquire(&self, estimate: impl Into<Tokens>) -> Result<PoolPermit<T, C>, Error> {
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
    ) -> Result<PoolPermit<T, C>, Error> {
        self.acquire_until(estimate.into(), Until::within(timeout)).await
    }

    async fn acquire_until(&self, tokens: Tokens, until: Until) -> Result<PoolPermit<T, C>, Error> {
        let permit = acquire_shared(&self.local.engine, &Each(self), tokens, until).await?;
        let Some(key) = self.local.key_of(permit.key()) else {
            permit.cancel();
            return Err(Error::NoKeys);
        };
        let is_only = {
            let accounts = self.accounts.lock();
            let account = accounts.get(key.id());
            let same = |other: &&Arc<Account>| account.is_some_and(|it| Arc::ptr_eq(it, other));
            accounts.values().filter(same).count() == 1
        };
        Ok(PoolPermit::new(permit, key, is_only))
    }

    /// Applies what the response to a request of a key without a permit says; see
    /// [`llm::KeyPool::observe_reply`]. Returns whether the key exists.
    pub fn observe_reply(&self, id: &str, reply: &Reply) -> bool {
        let known = self.local.observe_reply(id, reply);
        let account = self.accounts.lock().get(id).cloned();
        let number = self.local.number(id);
        if let Some((account, number)) = account.zip(number) {
            if let Some(view) = self.local.engine.account_view(number) {
                account.heard(&view);
            }
        }
        known
    }

    /// What was asked of the store so far, for all keys, for metrics.
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.store.stats()
    }

    /// Closes the pool in this process: all further requests are refused.
    pub fn close(&self) {
        self.local.close();
    }
}

impl<T, C: Clock> fmt::Debug for KeyPool<T, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("KeyPool");
        debug.field("name", &self.name).field("ids", &self.local.ids()).finish_non_exhaustive()
    }
}
