//! Requests for permits of a key. Methods that are missing here are available through
//! [`for_key`](Keyed::for_key).

use std::hash::BuildHasher;
use std::sync::Arc;
use std::time::Duration;

use crate::algorithm::Algorithm;
use crate::keyed::Keyed;
use crate::keyed::for_key::ForKey;
use crate::keyed::key::{Key, KeyRef};
#[cfg(feature = "tokio")]
use crate::wait::Acquire;
use crate::wait::{QueueHandle, Request, Reservation, Timer};
use crate::{Clock, ConsumeError, Grant, RateLimiter, Rejection, Timestamp, Usage, WaitError};

impl<K, A, C, S> Keyed<K, A, C, S>
where
    K: Key,
    A: Algorithm,
    C: Clock,
    S: BuildHasher + Send + Sync + 'static,
{
    /// Takes one permit of `key`, or as many as one request [costs](crate::keyed::Terms::cost), if
    /// available; returns whether it did.
    ///
    /// ```
    /// use tollgate::{KeyedLimiter, Quota};
    /// let limiter = KeyedLimiter::<String>::new(Quota::per_hour(1))?;
    /// assert!(limiter.allow("alice"));
    /// assert!(!limiter.allow("alice"));
    /// assert!(limiter.allow("bob"));
    /// # Ok::<(), tollgate::QuotaError>(())
    /// ```
    #[must_use = "permits may have been taken: the answer says whether, or how many"]
    #[inline]
    pub fn allow<Q: KeyRef<K> + ?Sized>(&self, key: &Q) -> bool {
        self.decide(self.hash(key), key, 1)
    }

    /// Takes `permits` permits of `key` if all of them are available; returns whether it did.
    ///
    /// ```
    /// use tollgate::{KeyedLimiter, Quota};
    /// let limiter = KeyedLimiter::<u64>::new(Quota::per_hour(5))?;
    /// assert!(!limiter.allow_n(&7, 6));
    /// assert!(limiter.allow_n(&7, 5));
    /// # Ok::<(), tollgate::QuotaError>(())
    /// ```
    #[must_use = "permits may have been taken: the answer says whether, or how many"]
    #[inline]
    pub fn allow_n<Q: KeyRef<K> + ?Sized>(&self, key: &Q, permits: u64) -> bool {
        self.decide(self.hash(key), key, permits)
    }

    /// Takes `permits` permits of `key` now; otherwise returns the reason, with the time to wait if
    /// waiting helps.
    ///
    /// # Errors
    ///
    /// As [`RateLimiter::try_acquire`]; [`Rejection::Blocked`] or [`Rejection::BlockedFor`] if the
    /// key is blocked; [`Rejection::TooManyKeys`] if the key is new and there is no slot for it.
    ///
    /// ```
    /// use tollgate::{KeyedLimiter, ManualClock, Quota};
    /// let builder = KeyedLimiter::<String>::builder(Quota::per_hour(5)).clock(ManualClock::new());
    /// let limiter = builder.build()?;
    /// assert_eq!(limiter.try_acquire("alice", 3)?.remaining, 2);
    /// let rejection = limiter.try_acquire("alice", 3).unwrap_err();
    /// assert_eq!(rejection.retry_after_secs(), Some(720));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn try_acquire<Q: KeyRef<K> + ?Sized>(
        &self,
        key: &Q,
        permits: u64,
    ) -> Result<Grant, Rejection> {
        self.acquire_both(self.hash(key), key, permits)
    }

    /// How long until `permits` permits of `key` would be available; see
    /// [`RateLimiter::delay_for`].
    ///
    /// # Errors
    ///
    /// As [`RateLimiter::delay_for`].
    pub fn delay_for<Q: KeyRef<K> + ?Sized>(
        &self,
        key: &Q,
        permits: u64,
    ) -> Result<Duration, Rejection> {
        self.for_key(key).delay_for(permits)
    }

    /// Records usage of `key` that has already happened; see [`RateLimiter::consume`].
    ///
    /// # Errors
    ///
    /// As [`RateLimiter::consume`], and [`ConsumeError::TooManyKeys`] if the key is new and there
    /// is no slot for it. On an error, nothing is recorded.
    ///
    /// ```
    /// use tollgate::{KeyedLimiter, Quota};
    /// let limiter = KeyedLimiter::<String>::new(Quota::per_day(60))?;
    /// limiter.consume("alice", 90)?;
    /// assert_eq!(limiter.usage("alice").used, 90);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn consume<Q: KeyRef<K> + ?Sized>(
        &self,
        key: &Q,
        permits: u64,
    ) -> Result<Duration, ConsumeError> {
        self.for_key(key).consume(permits)
    }

    /// Returns permits to `key`; see [`RateLimiter::credit`].
    pub fn credit<Q: KeyRef<K> + ?Sized>(&self, key: &Q, permits: u64) {
        self.for_key(key).credit(permits);
    }

    /// The current usage of `key`. Takes no permits, and an unknown key stays unknown. The counters
    /// of the usage are 0: they are kept for all keys together, see [`totals`](Self::totals).
    ///
    /// ```
    /// use tollgate::{KeyedLimiter, Quota};
    /// let limiter = KeyedLimiter::<String>::new(Quota::per_minute(60))?;
    /// assert_eq!(limiter.usage("alice").remaining, 60);
    /// assert!(limiter.is_empty());
    /// # Ok::<(), tollgate::QuotaError>(())
    /// ```
    pub fn usage<Q: KeyRef<K> + ?Sized>(&self, key: &Q) -> Usage {
        self.for_key(key).usage()
    }

    /// Blocks the current thread until a request of `key` may pass.
    ///
    /// # Errors
    ///
    /// As [`RateLimiter::wait`].
    ///
    /// ```
    /// use tollgate::{KeyedLimiter, Quota};
    /// let limiter = KeyedLimiter::<String>::new(Quota::per_second(1_000).burst(1))?;
    /// limiter.wait("alice")?;
    /// limiter.wait("alice")?; // a millisecond later
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn wait<Q: KeyRef<K> + ?Sized>(&self, key: &Q) -> Result<Grant, WaitError> {
        self.for_key(key).wait()
    }

    /// Blocks the current thread until `permits` permits of `key` are available, for at most
    /// `timeout`: a wait that would take longer fails at once. [`for_key`](Self::for_key) offers
    /// more ways to wait.
    ///
    /// # Errors
    ///
    /// As [`RateLimiter::wait_timeout`].
    ///
    /// ```
    /// use std::time::Duration;
    /// use tollgate::{KeyedLimiter, Quota};
    /// let limiter = KeyedLimiter::<String>::new(Quota::per_hour(1))?;
    /// assert!(limiter.wait_timeout("alice", 1, Duration::ZERO).is_ok());
    /// assert!(limiter.wait_timeout("alice", 1, Duration::from_secs(60)).is_err());
    /// # Ok::<(), tollgate::QuotaError>(())
    /// ```
    pub fn wait_timeout<Q: KeyRef<K> + ?Sized>(
        &self,
        key: &Q,
        permits: u64,
        timeout: Duration,
    ) -> Result<Grant, WaitError> {
        self.for_key(key).wait_timeout(permits, timeout)
    }

    /// Reserves `permits` permits of `key` for a later time; see [`Reservation`].
    ///
    /// # Errors
    ///
    /// As [`RateLimiter::reserve`].
    ///
    /// ```
    /// use std::time::Duration;
    /// use tollgate::{KeyedLimiter, ManualClock, Quota};
    /// let builder = KeyedLimiter::<String>::builder(Quota::per_second(1));
    /// let limiter = builder.clock(ManualClock::new()).build()?;
    /// let (first, second) = (limiter.reserve("alice", 1)?, limiter.reserve("alice", 1)?);
    /// assert_eq!(first.delay(), Some(Duration::ZERO));
    /// assert_eq!(second.delay(), Some(Duration::from_secs(1)));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn reserve<'a, Q: KeyRef<K> + ?Sized>(
        &'a self,
        key: &'a Q,
        permits: u64,
    ) -> Result<Reservation<'a>, WaitError> {
        let queue = QueueHandle::Owned(Box::new(self.for_key(key)));
        let request = Request::new(permits, Timestamp::MAX, None);
        Ok(Reservation::new(permits, request.join(queue)?))
    }

    /// Waits for `permits` permits of `key`, using any runtime's `timer`.
    ///
    /// # Errors
    ///
    /// As [`RateLimiter::acquire_on`].
    ///
    /// # Cancel safety
    ///
    /// Dropping the future takes no permits; the waiters behind it in the queue move up.
    pub async fn acquire_on<Q: KeyRef<K> + ?Sized>(
        &self,
        key: &Q,
        permits: u64,
        timer: &dyn Timer,
    ) -> Result<Grant, WaitError> {
        self.for_key(key).acquire_on(permits, timer).await
    }

    /// Waits for `permits` permits of `key` on the tokio runtime.
    ///
    /// # Errors
    ///
    /// As [`RateLimiter::acquire`].
    ///
    /// # Cancel safety
    ///
    /// Dropping the future takes no permits; the waiters behind it in the queue move up.
    ///
    /// ```
    /// # use tollgate::{KeyedLimiter, Quota};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let limiter = KeyedLimiter::<String>::new(Quota::per_second(1_000).burst(1))?;
    /// limiter.acquire("alice", 1).await?;
    /// limiter.acquire("alice", 1).await?; // a millisecond later
    /// # Ok(())
    /// # }
    /// ```
    #[cfg(feature = "tokio")]
    pub async fn acquire<Q: KeyRef<K> + ?Sized>(
        &self,
        key: &Q,
        permits: u64,
    ) -> Result<Grant, WaitError> {
        self.for_key(key).acquire(permits).await
    }

    /// As [`acquire`](Self::acquire), but fails **at once** if the wait would take longer than
    /// `timeout`, counted from this call.
    ///
    /// # Errors
    ///
    /// As [`RateLimiter::acquire_timeout`].
    ///
    /// # Cancel safety
    ///
    /// As [`acquire`](Self::acquire).
    #[cfg(feature = "tokio")]
    pub fn acquire_timeout<'a, Q: KeyRef<K> + ?Sized>(
        &'a self,
        key: &'a Q,
        permits: u64,
        timeout: Duration,
    ) -> impl Future<Output = Result<Grant, WaitError>> + Send + 'a {
        let deadline = self.now() + timeout;
        async move {
            let view = self.for_key(key);
            Acquire::of(&view, permits, deadline, &crate::TokioTimer).await
        }
    }

    /// Returns one key as a [`RateLimiter`], with all its methods. Costs one hash.
    ///
    /// ```
    /// use std::time::Duration;
    /// use tollgate::{KeyedLimiter, Quota, RateLimiter};
    /// let limiter = KeyedLimiter::<String>::new(Quota::per_second(1_000))?;
    /// limiter.for_key("alice").wait_timeout(5, Duration::from_secs(1))?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn for_key<'a, Q: KeyRef<K> + ?Sized>(&'a self, key: &'a Q) -> ForKey<&'a Self, &'a Q> {
        ForKey::new(self, key)
    }

    /// Returns one key as a [`RateLimiter`] that borrows nothing, so it can be stored, moved into a
    /// task, or put into an `Arc<dyn RateLimiter>`.
    ///
    /// ```
    /// use std::sync::Arc;
    /// use tollgate::{KeyedLimiter, Quota, RateLimiter};
    /// let limiter = Arc::new(KeyedLimiter::<String>::new(Quota::per_hour(1))?);
    /// let alice: Arc<dyn RateLimiter> = Arc::new(limiter.for_key_owned("alice".to_owned()));
    /// assert!(alice.allow());
    /// assert!(!limiter.allow("alice"));
    /// # Ok::<(), tollgate::QuotaError>(())
    /// ```
    pub fn for_key_owned(self: &Arc<Self>, key: K) -> ForKey<Arc<Self>, Arc<K>>
    where
        K: KeyRef<K>,
    {
        ForKey::new(Arc::clone(self), Arc::new(key))
    }
}
