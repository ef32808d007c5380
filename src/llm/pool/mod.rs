//! A pool of API keys, each with its own limits.

mod acquire;
mod among_models;
mod builder;
mod key;
mod permit;
mod reservation;
mod state;
mod usage;
mod without_permit;

pub use builder::KeyPoolBuilder;
pub use key::PoolKey;
pub use permit::PoolPermit;
pub use reservation::PoolReservation;

use std::fmt;
use std::sync::Arc;

use key::KeyRecord;

use crate::llm::Limits;
use crate::llm::engine::account::{Account, Health};
use crate::llm::engine::keys::{Key, Keys};
use crate::llm::engine::{Engine, Handle};
use crate::sync::Mutex;
use crate::wakers::Wakers;
use crate::{Clock, CounterClock, QuotaError, Timestamp};

/// A pool of API keys, each with its own limits. Each request is given the key that can serve it
/// first.
///
/// * If several keys can serve a request now, the pool picks one with a large share of its limits
///   left, and takes turns among equals.
/// * If no key can serve it now, the request waits for **all** keys at once: the first key that
///   becomes available serves the first waiter.
/// * What a response [means](crate::llm::Meaning) decides what becomes of its key. After a 429 the
///   key is paused for as long as the server asked for; if the server gave no time, the pause
///   doubles with each 429 in a row, up to a minute, with jitter. A key that is not accepted (401)
///   is disabled until it is [restored](Self::restore). A key without credit (402) rests for a time
///   that grows up to an hour. A key whose requests fail (500) is used only if no other key can
///   serve a request, and from the second failure in a row on it rests up to 30 s.
/// * Keys that [share](Self::add_sharing) an account are paused together.
/// * A key that is added without limits sends one request first; see
///   [`KeyPoolBuilder::try_first`].
/// * Keys can be added and removed at any time.
///
/// Each key has an id and a secret. The id appears in events and errors. The secret can be of any
/// type `T`, for example the API key itself or a client that is configured with it; it is never
/// logged and does not appear in `Debug` output.
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
    pub(crate) engine: Arc<Engine<C>>,
    /// The ids and secrets, indexed by the engine's key number.
    records: Mutex<Records<T>>,
}

type Records<T> = Vec<Arc<KeyRecord<T>>>;

/// Why a key could not be added or changed. The pool is unchanged.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AddKeyError {
    /// The pool already has a key with this id.
    #[error("the pool already has a key `{0}`")]
    Duplicate(Arc<str>),
    /// The pool has no key with this id.
    #[error("the pool has no key `{0}`")]
    Unknown(Arc<str>),
    /// One of the limits is outside the supported range.
    #[error(transparent)]
    Limits(#[from] QuotaError),
}

impl<T> KeyPool<T> {
    /// An empty pool on the default clock.
    #[must_use]
    pub fn new() -> Self {
        KeyPool::builder().build()
    }
}

/// The type of the secrets is chosen by [`build`](KeyPoolBuilder::build), not here.
impl KeyPool<()> {
    /// Starts building a pool with options.
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
    /// The engine, for a permit that borrows the pool.
    pub(crate) fn borrowed(&self) -> Handle<'_, C> {
        Handle::Borrowed(&self.engine)
    }

    /// The engine, for a permit that borrows nothing.
    pub(crate) fn shared(&self) -> Handle<'static, C> {
        Handle::Shared(Arc::clone(&self.engine))
    }

    pub(crate) fn from_engine(engine: Engine<C>) -> Self {
        Self { engine: Arc::new(engine), records: Mutex::new(Vec::new()) }
    }

    /// The key with this number in the engine, as a handle.
    #[cfg(feature = "shared")]
    pub(crate) fn key_of(&self, number: u32) -> Option<PoolKey<T>> {
        self.records.lock().get(number as usize).map(Arc::clone).map(PoolKey)
    }

    /// The clock that the pool reads.
    #[must_use]
    pub fn clock(&self) -> &C {
        self.engine.clock()
    }

    /// Adds a key with its own limits. Requests that already wait may be served by it at once.
    ///
    /// A kind of limit that `limits` does not set is unlimited until
    /// [`set_limits`](Self::set_limits) sets it or a response teaches it, usually the first one
    /// that is [observed](PoolPermit::observe). Until its first answer, a key that is added with
    /// [`Limits::new()`] sends one request at a time.
    ///
    /// # Errors
    ///
    /// [`AddKeyError::Duplicate`] if the pool already has a key with this id,
    /// [`AddKeyError::Limits`] if a limit is outside the supported range.
    pub fn add(
        &self,
        id: impl Into<Arc<str>>,
        secret: T,
        limits: Limits,
    ) -> Result<(), AddKeyError> {
        self.insert(&id.into(), secret, |_, keys, now| {
            let mut account = Account::new(limits, now)?;
            if self.engine.options.try_first && account.is_unknown() {
                account.health = Health::on_trial();
            }
            Ok(keys.add_account(account))
        })
    }

    /// Adds a key that shares the account, and so the limits, of the key `with`.
    ///
    /// # Errors
    ///
    /// [`AddKeyError::Duplicate`] if the pool already has a key with this id,
    /// [`AddKeyError::Unknown`] if it has no key `with`.
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
        self.insert(&id.into(), secret, |records, keys, _| {
            let number = find(records, keys, with);
            let number = number.ok_or_else(|| AddKeyError::Unknown(with.into()))?;
            Ok(keys.account_number(number))
        })
    }

    fn insert(
        &self,
        id: &Arc<str>,
        secret: T,
        account: impl FnOnce(&Records<T>, &mut Keys, Timestamp) -> Result<usize, AddKeyError>,
    ) -> Result<(), AddKeyError> {
        let record = Arc::new(KeyRecord { id: Arc::clone(id), secret });
        // A replaced secret is dropped after both locks are released, because its `Drop` may use
        // the pool.
        let replaced = self.with_records(|records, keys, now| {
            if find(records, keys, id).is_some() {
                return Err(AddKeyError::Duplicate(Arc::clone(id)));
            }
            let account = account(records, keys, now)?;
            // Under both locks, so that a caller who is granted the key also finds its record.
            let number = keys.add(Key::new(account));
            if let Some(free) = records.get_mut(number) {
                return Ok(Some(std::mem::replace(free, Arc::clone(&record))));
            }
            records.push(Arc::clone(&record));
            Ok(None)
        })?;
        drop(replaced);
        crate::events::info!(limiter = self.engine.settings.name, %id, "key added");
        Ok(())
    }

    /// Calls `act` under both locks, so that finding keys by id and changing them is one atomic
    /// step.
    fn with_records<R>(&self, act: impl FnOnce(&mut Records<T>, &mut Keys, Timestamp) -> R) -> R {
        // The wakers are dropped, and so called, after both locks are released.
        let mut wakers = Wakers::default();
        let mut records = self.records.lock();
        let result = self.engine.edit_under(&mut wakers, |keys, now| act(&mut records, keys, now));
        drop(records);
        drop(wakers);
        result
    }

    /// Calls `act` on the key with this id; `None` if there is no such key.
    fn with_key<R>(&self, id: &str, act: impl FnOnce(&mut Keys, u32, Timestamp) -> R) -> Option<R> {
        self.with_records(|records, keys, now| {
            let number = u32::try_from(find(records, keys, id)?).ok()?;
            Some(act(keys, number, now))
        })
    }

    /// Removes a key. Requests in flight with it finish normally. Returns whether the key existed.
    ///
    /// The pool holds on to the secret until a key that is added later takes the removed key's
    /// place.
    pub fn remove(&self, id: &str) -> bool {
        let removed = self.with_key(id, |keys, key, _| keys.remove(key as usize)).is_some();
        if removed {
            self.engine.fail_hopeless_waits();
            crate::events::info!(limiter = self.engine.settings.name, id, "key removed");
        }
        removed
    }

    /// Enables a key that was [disabled](PoolPermit::unauthorized), and ends its pause. Returns
    /// whether the key exists.
    pub fn restore(&self, id: &str) -> bool {
        self.with_key(id, |keys, key, _| keys.restore(key)).is_some()
    }

    /// Ends a pause of a key's account that a server asked for; see
    /// [`Limiter::resume`](crate::llm::Limiter::resume). A key that is disabled stays so. Returns
    /// whether the key exists.
    ///
    /// ```
    /// use tollgate::llm::{KeyPool, Limits, Reply};
    /// let pool = KeyPool::new();
    /// pool.add("main", "sk-1", Limits::new())?;
    /// pool.observe_reply("main", &Reply::new(429).headers([("retry-after", "86400")]));
    /// assert!(pool.resume("main"));
    /// assert_eq!(pool.usage("main").and_then(|usage| usage.paused_for), None);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn resume(&self, id: &str) -> bool {
        self.with_key(id, |keys, key, _| keys.resume(key)).is_some()
    }

    /// Discards what responses have taught about the limits of a key's account, and ends the key's
    /// pause; see [`Limiter::forget_learned`](crate::llm::Limiter::forget_learned). Returns whether
    /// the key exists.
    pub fn forget_learned(&self, id: &str) -> bool {
        self.with_key(id, Keys::forget_learned).is_some()
    }

    /// Changes the limits of a key's account, and ends the key's pause; see
    /// [`Limiter::set_limits`](crate::llm::Limiter::set_limits).
    ///
    /// # Errors
    ///
    /// [`AddKeyError::Unknown`] if there is no such key, [`AddKeyError::Limits`] if a limit is
    /// outside the supported range. Nothing changes then.
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

    /// Closes the pool: all further requests are rejected, and all waiters fail with
    /// [`Error::Closed`](crate::llm::Error::Closed).
    pub fn close(&self) {
        self.engine.close();
    }
}

/// The number of the key with this id.
fn find<T>(records: &Records<T>, keys: &Keys, id: &str) -> Option<usize> {
    let numbered = records.iter().enumerate();
    numbered
        .filter(|(number, _)| keys.is_known(*number))
        .find(|(_, record)| &*record.id == id)
        .map(|it| it.0)
}

impl<T, C: Clock> fmt::Debug for KeyPool<T, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyPool").field("ids", &self.ids()).finish_non_exhaustive()
    }
}
