//! The verbs of a limiter, with the key as an argument. All others are had by way of a view.

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
    /// Whether a request of `key` may pass now; takes one permit, or what one
    /// [costs](crate::keyed::Terms::cost).
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

    /// Whether `permits` permits were there for `key`; takes all of them or none.
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

    /// Takes `permits` of `key` now, or says when or why not.
    ///
    /// # Errors
    ///
    /// As [`RateLimiter::try_acquire`]; [`Rejection::Blocked`] for a blocked key,
    /// [`Rejection::BlockedFor`] for one that is blocked for a while; [`Rejection::TooManyKeys`] for a new one when there is no room.
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

    /// How long until `permits` could be had for `key`; see [`RateLimiter::delay_for`].
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

    /// Records usage of `key` that already happened; see [`RateLimiter::consume`].
    ///
    /// # Errors
    ///
    /// As [`RateLimiter::consume`], and [`ConsumeError::TooManyKeys`] for a new key when there is
    /// no room. Then nothing is recorded.
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

    /// Gives permits back to `key`; see [`RateLimiter::credit`].
    pub fn credit<Q: KeyRef<K> + ?Sized>(&self, key: &Q, permits: u64) {
        self.for_key(key).credit(permits);
    }

    /// A look at `key`. Takes nothing, and an unknown key stays unknown. Its counters are 0: they are
    /// kept for all keys together, see [`totals`](Self::totals).
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

    /// Blocks until a request of `key` may pass.
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

    /// Blocks until `permits` are there for `key`, for at most `timeout`: a wait that would take
    /// longer fails at once. See [`for_key`](Self::for_key) for all other ways to wait.
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

    /// Promises `permits` of `key` for later; see [`Reservation`].
    ///
    /// # Errors
    ///
    /// As [`RateLimiter::reserve`].
    ///
    /// ```
    /// use std::time::Duration;
    /// use tollgate::{KeyedLimiter, ManualClock, Quota};
    /// let builder = KeyedLimiter::<String>::builder(Quota::per_second(1)).clock(ManualClock::new());
    /// let limiter = builder.build()?;
    /// let (now, later) = (limiter.reserve("alice", 1)?, limiter.reserve("alice", 1)?);
    /// assert_eq!((now.delay(), later.delay()), (Some(Duration::ZERO), Some(Duration::from_secs(1))));
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

    /// Waits for `permits` of `key` on any runtime's `timer`.
    ///
    /// # Errors
    ///
    /// As [`RateLimiter::acquire_on`].
    ///
    /// # Cancel safety
    ///
    /// Dropping the future takes nothing and gives its place in the queue to those behind it.
    pub async fn acquire_on<Q: KeyRef<K> + ?Sized>(
        &self,
        key: &Q,
        permits: u64,
        timer: &dyn Timer,
    ) -> Result<Grant, WaitError> {
        self.for_key(key).acquire_on(permits, timer).await
    }

    /// Waits for `permits` of `key` on tokio.
    ///
    /// # Errors
    ///
    /// As [`RateLimiter::acquire`].
    ///
    /// # Cancel safety
    ///
    /// Dropping the future takes nothing and gives its place in the queue to those behind it.
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

    /// As [`acquire`](Self::acquire), but fails **at once** if it would take longer than `timeout`,
    /// counted from this call.
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

    /// One key as a [`RateLimiter`], with every verb there is. Costs a hash.
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

    /// One key as a [`RateLimiter`] that borrows nothing: to be stored, spawned, or put into an
    /// `Arc<dyn RateLimiter>`.
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
