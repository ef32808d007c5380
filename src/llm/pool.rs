//! Many API keys, each with its limits.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::account::Account;
use super::choice::{Key, Keys};
use super::engine::{Engine, Handle, Request};
use super::headers::ServerLimits;
use super::limiter::acquire;
use super::{Error, KeyPoolBuilder, Limits, Permit, Tokens, Usage};
use crate::sync::Mutex;
use crate::wait::queue::Wakers;
use crate::wait::{Timer, blocking};
use crate::{CancelToken, Clock, CounterClock, QuotaError, Timestamp};

/// Many API keys, each with its own limits: a request gets the key that can serve it first.
///
/// * If several can serve it now, it gets one with much of its limits left, in turn among equals.
/// * If none can, it waits for **all** of them: the first to be free serves the first in line.
/// * A key that met a 429 rests: for as long as the server said, else longer each time, with jitter.
///   One that met a 401 or 403 is taken out.
/// * Keys can be added and removed at any time, and several can [share](Self::add_sharing) one
///   account's limits.
///
/// Each key has an id, which appears in events and errors, and a secret of any type `T`, which never
/// does: not in `Debug` either. It may be the key itself, or a client that is set up with it.
///
/// ```
/// use tollgate::llm::{KeyPool, Limits};
///
/// let pool = KeyPool::new();
/// let tier = Limits::new().requests_per_minute(500).tokens_per_minute(200_000);
/// pool.add("main", "sk-1234", tier)?;
/// pool.add("spare", "sk-5678", tier)?;
///
/// let permit = pool.try_acquire(1_500)?;
/// let authorization = format!("Bearer {}", permit.secret());
/// // ... the request ...
/// permit.settle(900);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct KeyPool<T, C: Clock = CounterClock> {
    engine: Arc<Engine<C>>,
    /// By the number that the engine knows a key by.
    entries: Mutex<Vec<Arc<Entry<T>>>>,
}

type Entries<T> = Vec<Arc<Entry<T>>>;

struct Entry<T> {
    id: Arc<str>,
    secret: T,
}

/// Why a key could not be added; nothing has changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AddKeyError {
    /// There is a key of this id.
    #[error("there is a key `{0}` already")]
    Duplicate(Arc<str>),
    /// There is no key of the id to share with.
    #[error("there is no key `{0}`")]
    Unknown(Arc<str>),
    /// A limit can't be kept.
    #[error(transparent)]
    Limits(#[from] QuotaError),
}

impl<T> KeyPool<T> {
    /// A pool without keys on the default clock.
    #[must_use]
    pub fn new() -> Self {
        KeyPool::builder().build()
    }
}

/// The type of the keys is told by `build`.
impl KeyPool<()> {
    /// Options of a pool.
    ///
    /// ```
    /// use std::time::Duration;
    /// use tollgate::llm::{KeyPool, Limits};
    /// let pool = KeyPool::builder().max_server_wait(Duration::from_secs(30)).build();
    /// pool.add("main", "sk-1", Limits::new())?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn builder() -> KeyPoolBuilder {
        KeyPoolBuilder::new()
    }
}

impl<T> Default for KeyPool<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T, C: Clock> KeyPool<T, C> {
    pub(super) fn from_engine(engine: Engine<C>) -> Self {
        Self { engine: Arc::new(engine), entries: Mutex::new(Vec::new()) }
    }

    /// Adds a key with limits of its own. Those who wait may be served by it at once.
    ///
    /// # Errors
    ///
    /// When there is a key of this id, or a limit can't be kept.
    pub fn add(
        &self,
        id: impl Into<Arc<str>>,
        secret: T,
        limits: Limits,
    ) -> Result<(), AddKeyError> {
        self.insert(&id.into(), secret, |_, keys, now| {
            let account = Account::new(limits, now)?;
            Ok(keys.add_account(account))
        })
    }

    /// Adds a key that shares the limits of the account that key `with` belongs to.
    ///
    /// # Errors
    ///
    /// When there is a key of this id, or none `with` which to share.
    ///
    /// ```
    /// use tollgate::llm::{KeyPool, Limits};
    /// let pool = KeyPool::new();
    /// pool.add("team", "sk-1", Limits::new().requests_per_minute(2))?;
    /// pool.add_sharing("team", "batch", "sk-2")?;
    /// pool.try_acquire(0)?.settle(0);
    /// pool.try_acquire(0)?.settle(0);
    /// assert!(pool.try_acquire(0).is_err());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn add_sharing(
        &self,
        with: &str,
        id: impl Into<Arc<str>>,
        secret: T,
    ) -> Result<(), AddKeyError> {
        self.insert(&id.into(), secret, |entries, keys, _| {
            let number = find(entries, keys, with);
            let number = number.ok_or_else(|| AddKeyError::Unknown(with.into()))?;
            Ok(keys.account_number(number))
        })
    }

    fn insert(
        &self,
        id: &Arc<str>,
        secret: T,
        account: impl FnOnce(&Entries<T>, &mut Keys, Timestamp) -> Result<usize, AddKeyError>,
    ) -> Result<(), AddKeyError> {
        let entry = Arc::new(Entry { id: Arc::clone(id), secret });
        // A secret that is replaced is dropped when nothing is locked: it may look at the pool.
        let replaced = self.with_entries(|entries, keys, now| {
            if find(entries, keys, id).is_some() {
                return Err(AddKeyError::Duplicate(Arc::clone(id)));
            }
            let account = account(entries, keys, now)?;
            // Under both locks, so that whoever is granted the key finds it.
            let number = keys.add(Key::new(account));
            if let Some(free) = entries.get_mut(number) {
                return Ok(Some(std::mem::replace(free, Arc::clone(&entry))));
            }
            entries.push(Arc::clone(&entry));
            Ok(None)
        })?;
        drop(replaced);
        crate::events::info!(limiter = self.engine.settings.name, %id, "key added");
        Ok(())
    }

    /// Changes keys by their ids, in one step.
    fn with_entries<R>(&self, act: impl FnOnce(&mut Entries<T>, &mut Keys, Timestamp) -> R) -> R {
        // Dropped after the locks are free.
        let mut wakers = Wakers::default();
        let mut entries = self.entries.lock();
        let result = self.engine.edit_under(&mut wakers, |keys, now| act(&mut entries, keys, now));
        drop(entries);
        drop(wakers);
        result
    }

    /// Changes the key of this id; `None` if there is none.
    fn with_key<R>(&self, id: &str, act: impl FnOnce(&mut Keys, u32, Timestamp) -> R) -> Option<R> {
        self.with_entries(|entries, keys, now| {
            let number = u32::try_from(find(entries, keys, id)?).ok()?;
            Some(act(keys, number, now))
        })
    }

    /// Takes a key out for good; requests that have it go on. Says whether there was one.
    pub fn remove(&self, id: &str) -> bool {
        let removed = self.with_key(id, |keys, key, _| keys.remove(key as usize)).is_some();
        if removed {
            self.engine.end_hopeless_waits();
            crate::events::info!(limiter = self.engine.settings.name, id, "key removed");
        }
        removed
    }

    /// Puts a key back that was [taken out](PoolPermit::unauthorized), and ends its rest. Says whether
    /// there is one.
    pub fn restore(&self, id: &str) -> bool {
        self.with_key(id, |keys, key, _| keys.restore(key as usize)).is_some()
    }

    /// Forgets what servers have said of a key's account, and ends its rest: see
    /// [`Limiter::forget_learned`](super::Limiter::forget_learned). Says whether there is such a key.
    pub fn forget_learned(&self, id: &str) -> bool {
        self.with_key(id, Keys::forget_learned).is_some()
    }

    /// Ids of the keys there are, those taken out among them.
    pub fn ids(&self) -> Vec<Arc<str>> {
        let entries = self.entries.lock();
        let known = |number: &usize| self.engine.look(|keys| keys.is_known(*number));
        (0..entries.len())
            .filter(known)
            .filter_map(|number| Some(Arc::clone(&entries.get(number)?.id)))
            .collect()
    }

    /// A look at one key's limits; `None` if there is no such key.
    pub fn usage(&self, id: &str) -> Option<Usage> {
        let mut wakers = Wakers::default();
        let entries = self.entries.lock();
        let usage = self.engine.usage_under(&mut wakers, |keys| {
            find(&entries, keys, id).and_then(|number| u32::try_from(number).ok())
        });
        // A look serves who is due, and wakers are foreign code: they are called once both locks are free.
        drop(entries);
        drop(wakers);
        usage
    }

    /// Changes the limits of a key's account; see [`Limiter::set_limits`](super::Limiter::set_limits).
    ///
    /// # Errors
    ///
    /// When there is no such key, or a limit can't be kept; then nothing changes.
    pub fn set_limits(&self, id: &str, limits: Limits) -> Result<(), AddKeyError> {
        let set = self.with_key(id, |keys, key, now| {
            if let Some(account) = keys.account_of(key) {
                account.set_limits(limits, now)?;
            }
            keys.resume(key);
            Ok(())
        });
        set.unwrap_or_else(|| Err(AddKeyError::Unknown(id.into())))
    }

    /// Takes a request and its tokens of some key now.
    ///
    /// # Errors
    ///
    /// [`Error::Denied`] with the time after which the first key can serve it; its limit is
    /// [`ServerWait`](super::LimitKind::ServerWait) if that key rests. [`Error::NoKeys`],
    /// [`Error::Never`], [`Error::ServerWait`].
    pub fn try_acquire(&self, estimate: impl Into<Tokens>) -> Result<PoolPermit<'_, T, C>, Error> {
        let (taken, tokens) = self.engine.try_acquire(estimate.into())?;
        self.permit(Permit::new(Handle::Borrowed(&self.engine), taken, tokens))
    }

    /// Blocks until some key can serve the request.
    ///
    /// # Errors
    ///
    /// [`Error::NoKeys`], [`Error::Never`], [`Error::ServerWait`], [`Error::QueueFull`],
    /// [`Error::Closed`].
    pub fn wait(&self, estimate: impl Into<Tokens>) -> Result<PoolPermit<'_, T, C>, Error> {
        self.wait_until(estimate.into(), Timestamp::MAX, None)
    }

    /// Blocks for at most `timeout`; what would take longer fails at once.
    ///
    /// # Errors
    ///
    /// As [`wait`](Self::wait), and [`Error::Timeout`].
    pub fn wait_timeout(
        &self,
        estimate: impl Into<Tokens>,
        timeout: Duration,
    ) -> Result<PoolPermit<'_, T, C>, Error> {
        self.wait_until(estimate.into(), self.engine.clock().now() + timeout, None)
    }

    fn wait_until(
        &self,
        tokens: Tokens,
        deadline: Timestamp,
        cancel: Option<&CancelToken>,
    ) -> Result<PoolPermit<'_, T, C>, Error> {
        let engine = Handle::Borrowed(&*self.engine);
        let request = Request::new(engine.clone(), tokens)?;
        let enqueue = |asked: crate::wait::Request<'_>| {
            asked.join(crate::wait::QueueHandle::Borrowed(&request))
        };
        let granted = blocking::wait(enqueue, 1, deadline, cancel);
        let grant = granted.map_err(|error| self.engine.explain(error, request.tokens))?;
        self.permit(Permit::new(engine, grant.taken, request.tokens))
    }

    /// Waits on any runtime's `timer`.
    ///
    /// # Errors
    ///
    /// As [`wait`](Self::wait), and [`Error::NoTimer`].
    ///
    /// # Cancel safety
    ///
    /// Dropping the future takes nothing and gives its place in the queue to those behind it.
    pub async fn acquire_on(
        &self,
        estimate: impl Into<Tokens>,
        timer: &dyn Timer,
    ) -> Result<PoolPermit<'_, T, C>, Error> {
        let engine = Handle::Borrowed(&*self.engine);
        self.permit(acquire(engine, estimate.into(), Timestamp::MAX, timer).await?)
    }

    /// Waits on tokio until some key can serve the request.
    ///
    /// # Errors
    ///
    /// As [`wait`](Self::wait), and [`Error::NoTimer`] outside of a tokio runtime.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future takes nothing and gives its place in the queue to those behind it.
    #[cfg(feature = "tokio")]
    pub async fn acquire(
        &self,
        estimate: impl Into<Tokens>,
    ) -> Result<PoolPermit<'_, T, C>, Error> {
        self.acquire_on(estimate, &crate::TokioTimer).await
    }

    /// As [`acquire`](Self::acquire), but fails at once if it would take longer than `timeout`,
    /// counted from the call, whenever the future is polled first.
    ///
    /// # Errors
    ///
    /// As [`acquire`](Self::acquire), and [`Error::Timeout`].
    ///
    /// # Cancel safety
    ///
    /// As [`acquire`](Self::acquire).
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use tollgate::ManualClock;
    /// # use tollgate::llm::{Error, KeyPool, Limits};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let pool = KeyPool::builder().clock(ManualClock::new()).build();
    /// pool.add("main", "sk-1", Limits::new().requests_per_minute(1))?;
    /// pool.acquire(0).await?.settle(0);
    /// let error = pool.acquire_timeout(0, Duration::from_secs(1)).await.unwrap_err();
    /// assert_eq!(error, Error::Timeout { retry_after: Some(Duration::from_secs(60)) });
    /// # Ok(())
    /// # }
    /// ```
    #[cfg(feature = "tokio")]
    pub fn acquire_timeout(
        &self,
        estimate: impl Into<Tokens>,
        timeout: Duration,
    ) -> impl Future<Output = Result<PoolPermit<'_, T, C>, Error>> {
        let (tokens, deadline) = (estimate.into(), self.engine.clock().now() + timeout);
        let engine = Handle::Borrowed(&*self.engine);
        let permit = acquire(engine, tokens, deadline, &crate::TokioTimer);
        async move { self.permit(permit.await?) }
    }

    /// [`acquire`](Self::acquire) with a permit that borrows nothing, to be sent to another task.
    ///
    /// # Errors
    ///
    /// As [`acquire`](Self::acquire).
    ///
    /// # Cancel safety
    ///
    /// As [`acquire`](Self::acquire).
    ///
    /// ```
    /// # use tollgate::llm::{KeyPool, Limits};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let pool = KeyPool::new();
    /// pool.add("main", "sk-1", Limits::new())?;
    /// let permit = pool.acquire_owned(100).await?;
    /// let task = tokio::spawn(async move { permit.settle(80) });
    /// task.await?;
    /// # Ok(())
    /// # }
    /// ```
    #[cfg(feature = "tokio")]
    pub async fn acquire_owned(
        &self,
        estimate: impl Into<Tokens>,
    ) -> Result<PoolPermit<'static, T, C>, Error> {
        let engine = Handle::Shared(Arc::clone(&self.engine));
        self.permit(acquire(engine, estimate.into(), Timestamp::MAX, &crate::TokioTimer).await?)
    }

    /// Refuses everybody from now on, and wakes those who wait.
    pub fn close(&self) {
        self.engine.with_core(super::super::bucket::core::Core::close);
    }

    fn permit<'a>(&self, permit: Permit<'a, C>) -> Result<PoolPermit<'a, T, C>, Error> {
        let entry = self.entries.lock().get(permit.key() as usize).cloned();
        let Some(entry) = entry else {
            permit.cancel();
            return Err(Error::NoKeys);
        };
        Ok(PoolPermit { permit, entry })
    }
}

/// The number of the key of this id.
fn find<T>(entries: &Entries<T>, keys: &Keys, id: &str) -> Option<usize> {
    let numbered = entries.iter().enumerate();
    numbered
        .filter(|(number, _)| keys.is_known(*number))
        .find(|(_, entry)| &*entry.id == id)
        .map(|it| it.0)
}

impl<T, C: Clock> fmt::Debug for KeyPool<T, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyPool").field("ids", &self.ids()).finish_non_exhaustive()
    }
}

/// A key of a pool, to be sent along with a request. Cheap to clone; its secret does not appear in
/// `Debug`.
pub struct PoolKey<T>(Arc<Entry<T>>);

impl<T> PoolKey<T> {
    /// Its id.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.0.id
    }

    /// The key itself.
    #[must_use]
    pub fn secret(&self) -> &T {
        &self.0.secret
    }
}

impl<T> Clone for PoolKey<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<T> fmt::Debug for PoolKey<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PoolKey").field("id", &self.0.id).finish_non_exhaustive()
    }
}

/// A [`Permit`] with the key to use for it.
#[must_use = "a permit that is dropped counts as used in full, unless built otherwise"]
pub struct PoolPermit<'a, T, C: Clock = CounterClock> {
    permit: Permit<'a, C>,
    entry: Arc<Entry<T>>,
}

impl<T, C: Clock> PoolPermit<'_, T, C> {
    /// The id of the key.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.entry.id
    }

    /// The key.
    #[must_use]
    pub fn secret(&self) -> &T {
        &self.entry.secret
    }

    /// The key, to be kept beyond the permit.
    #[must_use]
    pub fn key(&self) -> PoolKey<T> {
        PoolKey(Arc::clone(&self.entry))
    }

    /// See [`Permit::estimate`].
    #[must_use]
    pub fn estimate(&self) -> Tokens {
        self.permit.estimate()
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

    pub(super) fn went_well(self) {
        self.permit.went_well();
    }

    pub(super) fn observe_limits(&self, said: &ServerLimits) {
        self.permit.observe_limits(said);
    }

    /// See [`Permit::limited`].
    pub fn limited<N, V>(self, headers: impl IntoIterator<Item = (N, V)>)
    where
        N: AsRef<[u8]>,
        V: AsRef<[u8]>,
    {
        self.permit.limited(headers);
    }

    pub(super) fn limited_by(self, said: &ServerLimits) {
        self.permit.limited_by(said);
    }

    /// The server answered 401 or 403: the key is taken out, until it is
    /// [restored](KeyPool::restore). What was taken is given back.
    pub fn unauthorized(self) {
        let Self { permit, entry } = self;
        permit.take_out();
        crate::events::warn!(id = %entry.id, "key taken out: the server does not accept it");
    }
}

impl<T, C: Clock> fmt::Debug for PoolPermit<'_, T, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PoolPermit")
            .field("id", &self.entry.id)
            .field("estimate", &self.estimate())
            .finish_non_exhaustive()
    }
}
