//! Blocking keys, setting and reading their terms, and refreshing the terms that a function gives.

use std::hash::BuildHasher;
use std::time::Duration;

use crate::algorithm::Algorithm;
use crate::keyed::Keyed;
use crate::keyed::key::{Key, KeyRef};
use crate::keyed::terms::Terms;
use crate::{CarryOver, Clock, QuotaError};

impl<K, A, C, S> Keyed<K, A, C, S>
where
    K: Key,
    A: Algorithm,
    C: Clock,
    S: BuildHasher + Send + Sync + 'static,
{
    /// Blocks `key`: all its requests are rejected, and its waiters end with
    /// [`WaitError::Blocked`](crate::WaitError::Blocked). Its other terms are kept for
    /// [`unblock`](Self::unblock).
    ///
    /// # Errors
    ///
    /// As [`set_terms_for`](Self::set_terms_for).
    ///
    /// ```
    /// use tollgate::{KeyedLimiter, Quota, Rejection};
    /// let limiter = KeyedLimiter::<String>::new(Quota::per_minute(10))?;
    /// limiter.block("mallory")?;
    /// assert_eq!(limiter.try_acquire("mallory", 1), Err(Rejection::Blocked));
    /// limiter.unblock("mallory");
    /// assert!(limiter.allow("mallory"));
    /// # Ok::<(), tollgate::QuotaError>(())
    /// ```
    pub fn block<Q: KeyRef<K> + ?Sized>(&self, key: &Q) -> Result<(), QuotaError> {
        self.change_key(self.hash(key), key, CarryOver::default(), Terms::block)
    }

    /// Blocks `key` for `duration`, counted from now. After that, the key continues with the terms
    /// it had before, without a further call.
    ///
    /// Until then, requests are rejected with
    /// [`Rejection::BlockedFor`](crate::Rejection::BlockedFor), which contains the remaining time.
    /// Waiters of the key do not wait for the end of the block: they end at once with
    /// [`WaitError::BlockedFor`](crate::WaitError::BlockedFor), and so does every wait that begins
    /// before the block ends.
    ///
    /// If the key is already blocked for longer, nothing changes; to shorten a block, call
    /// [`unblock`](Self::unblock) first. [`set_terms_for`](Self::set_terms_for) replaces the block
    /// together with the other terms.
    ///
    /// A key that counts against [`max_keys`](crate::keyed::KeyedBuilder::max_keys) still counts
    /// while it is blocked. A key that the limiter does not hold can be blocked even if all slots
    /// are taken, and does not count; the caller must bound the number of such keys. Once the block
    /// has ended, the key is evicted like any other idle key.
    ///
    /// # Errors
    ///
    /// As [`set_terms_for`](Self::set_terms_for).
    ///
    /// ```
    /// use std::time::Duration;
    /// use tollgate::{KeyedLimiter, ManualClock, Quota};
    /// let clock = ManualClock::new();
    /// let builder = KeyedLimiter::<String>::builder(Quota::per_minute(10)).clock(clock.clone());
    /// let limiter = builder.build()?;
    /// limiter.block_for("mallory", Duration::from_secs(600))?;
    /// clock.advance(Duration::from_secs(599));
    /// let refused = limiter.try_acquire("mallory", 1).unwrap_err();
    /// assert_eq!(refused.retry_after(), Some(Duration::from_secs(1)));
    /// clock.advance(Duration::from_secs(1));
    /// assert!(limiter.allow("mallory"));
    /// # Ok::<(), tollgate::QuotaError>(())
    /// ```
    #[doc(alias = "ban")]
    #[doc(alias = "penalty")]
    pub fn block_for<Q: KeyRef<K> + ?Sized>(
        &self,
        key: &Q,
        duration: Duration,
    ) -> Result<(), QuotaError> {
        let until = self.now() + duration;
        self.change_key(self.hash(key), key, CarryOver::default(), |old| old.block_until(until))
    }

    /// Ends a block by [`block`](Self::block) or [`block_for`](Self::block_for). Does nothing if
    /// the key is not blocked.
    pub fn unblock<Q: KeyRef<K> + ?Sized>(&self, key: &Q) {
        if self.terms_for(key).is_blocked() {
            // This cannot fail: the key's quota is in use already.
            let _ = self.change_key(self.hash(key), key, CarryOver::default(), Terms::unblock);
        }
    }

    /// The terms of `key`.
    ///
    /// ```
    /// use tollgate::keyed::Terms;
    /// use tollgate::{KeyedLimiter, Quota};
    /// let limiter = KeyedLimiter::<String>::new(Quota::per_minute(10))?;
    /// assert_eq!(limiter.terms_for("alice"), Terms::default());
    /// # Ok::<(), tollgate::QuotaError>(())
    /// ```
    pub fn terms_for<Q: KeyRef<K> + ?Sized>(&self, key: &Q) -> Terms {
        self.for_key(key).bucket.terms().as_of(self.now())
    }

    /// Sets the terms of one key. They override the builder's
    /// [`terms_by`](crate::keyed::KeyedBuilder::terms_by). The used share is kept, and waiters are
    /// rescheduled.
    ///
    /// The key is held until [`clear_terms_for`](Self::clear_terms_for) or
    /// [`remove`](Self::remove), and takes about 50 bytes more than other keys. It does not count
    /// against [`max_keys`](crate::keyed::KeyedBuilder::max_keys), so its terms can be set when all
    /// slots are taken; the caller must bound the number of such keys. There are two exceptions:
    /// terms that apply to the key anyway are not stored, and if the terms only add a block that
    /// ends by itself, the key counts as after [`block_for`](Self::block_for).
    ///
    /// # Errors
    ///
    /// When the quota is invalid or the algorithm does not support it; then nothing changes.
    ///
    /// ```
    /// use tollgate::keyed::Terms;
    /// use tollgate::{KeyedLimiter, Quota};
    /// let limiter = KeyedLimiter::<String>::new(Quota::per_minute(10))?;
    /// limiter.set_terms_for("office", Terms::exempt())?;
    /// limiter.set_terms_for("mallory", Terms::blocked())?;
    /// limiter.set_terms_for("batch", Terms::from(Quota::per_hour(100)).cost(5))?;
    /// assert!(limiter.allow_n("office", 1_000));
    /// assert!(!limiter.allow("mallory"));
    /// # Ok::<(), tollgate::QuotaError>(())
    /// ```
    pub fn set_terms_for<Q: KeyRef<K> + ?Sized>(
        &self,
        key: &Q,
        terms: Terms,
    ) -> Result<(), QuotaError> {
        self.change_key(self.hash(key), key, CarryOver::default(), |_| terms)
    }

    /// Removes the terms set by [`set_terms_for`](Self::set_terms_for),
    /// [`set_quota_for`](Self::set_quota_for) or [`block`](Self::block). The used share is kept.
    ///
    /// From then on the key counts against [`max_keys`](crate::keyed::KeyedBuilder::max_keys)
    /// again. If there is no free slot, the key is forgotten as by [`remove`](Self::remove), so the
    /// maximum holds. While someone waits on the key, it stays until the wait has ended.
    ///
    /// ```
    /// use tollgate::keyed::Terms;
    /// use tollgate::{KeyedLimiter, Quota};
    /// let limiter = KeyedLimiter::<String>::new(Quota::per_minute(10))?;
    /// limiter.set_terms_for("mallory", Terms::blocked())?;
    /// limiter.clear_terms_for("mallory");
    /// assert!(limiter.allow("mallory"));
    /// # Ok::<(), tollgate::QuotaError>(())
    /// ```
    pub fn clear_terms_for<Q: KeyRef<K> + ?Sized>(&self, key: &Q) {
        self.clear_manual_terms(key, false);
    }

    /// Calls the builder's [`terms_by`](crate::keyed::KeyedBuilder::terms_by) again for every key
    /// that is held, except keys whose terms were set explicitly. The used share is kept.
    ///
    /// ```
    /// use std::sync::Arc;
    /// use std::sync::atomic::{AtomicU64, Ordering};
    /// use tollgate::{KeyedLimiter, Quota};
    ///
    /// let free = Arc::new(AtomicU64::new(10));
    /// let by = Arc::clone(&free);
    /// let limiter = KeyedLimiter::<String>::builder(Quota::per_hour(1))
    ///     .terms_by(move |_: &String| Quota::per_hour(by.load(Ordering::Relaxed)))
    ///     .build()?;
    /// limiter.allow_n("bob", 5);
    /// free.store(100, Ordering::Relaxed);
    /// limiter.refresh_terms();
    /// assert_eq!(limiter.usage("bob").remaining, 50);
    /// # Ok::<(), tollgate::QuotaError>(())
    /// ```
    pub fn refresh_terms(&self) {
        self.refresh_terms_with(CarryOver::default());
    }

    /// As [`refresh_terms`](Self::refresh_terms); `how` says how the permits in use carry over.
    pub fn refresh_terms_with(&self, how: CarryOver) {
        if !self.terms_function.is_some() {
            return;
        }
        self.terms_function.outdate_all();
        if self.terms_function.depth() > 1 {
            // The function itself refreshes at every call: stop, or this would never end.
            return;
        }
        for shard in &self.shards {
            let keys = shard.0.lock().keys_without_manual_terms();
            for key in keys {
                self.refresh(self.hash(&key), &key, how);
            }
        }
    }

    /// Calls the builder's [`terms_by`](crate::keyed::KeyedBuilder::terms_by) again for one key,
    /// unless its terms were set explicitly: for example for a user who has just changed plans.
    /// `how` says how the permits in use carry over: with [`CarryOver::AddDifference`], an upgrade
    /// takes effect immediately.
    ///
    /// ```
    /// use std::sync::Arc;
    /// use std::sync::atomic::{AtomicBool, Ordering};
    /// use tollgate::{CarryOver, KeyedLimiter, Quota};
    ///
    /// let premium = Arc::new(AtomicBool::new(false)); // in practice, a map of plans
    /// let plans = Arc::clone(&premium);
    /// let limiter = KeyedLimiter::<String>::builder(Quota::per_hour(10))
    ///     .quota_by(move |_user| {
    ///         Quota::per_hour(if plans.load(Ordering::Relaxed) { 300 } else { 10 })
    ///     })
    ///     .build()?;
    /// limiter.allow_n("ann", 10);
    /// premium.store(true, Ordering::Relaxed);
    /// limiter.refresh_terms_for("ann", CarryOver::AddDifference);
    /// assert_eq!(limiter.usage("ann").remaining, 290);
    /// # Ok::<(), tollgate::QuotaError>(())
    /// ```
    pub fn refresh_terms_for<Q: KeyRef<K> + ?Sized>(&self, key: &Q, how: CarryOver) {
        let hash = self.hash(key);
        self.terms_function.outdate(hash);
        if self.terms_function.depth() <= 1 {
            self.refresh(hash, key, how);
        }
    }
}
