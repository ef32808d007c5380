//! Changing what applies to keys.

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
    /// Lets nothing of `key` pass any more; those who wait end with
    /// [`WaitError::Blocked`](crate::WaitError::Blocked). The rest of its terms stays, for
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

    /// Lets nothing of `key` pass for `duration`, counted from now. After that, the key goes on as it
    /// was, without any further call.
    ///
    /// Until then, requests are refused with [`Rejection::BlockedFor`](crate::Rejection::BlockedFor),
    /// which says when to come back. Those who wait for the key do not wait for the end of the block:
    /// they end at once with [`WaitError::BlockedFor`](crate::WaitError::BlockedFor), and so does
    /// whoever begins to wait meanwhile.
    ///
    /// If the key is blocked for longer already, nothing changes; to make a block shorter, call
    /// [`unblock`](Self::unblock) first. [`set_terms_for`](Self::set_terms_for) replaces the block
    /// like the rest of the terms.
    ///
    /// A key that counts against [`max_keys`](crate::keyed::KeyedBuilder::max_keys) goes on counting while it is
    /// blocked. One that does not can be blocked for a while when there is no room, and takes no
    /// place then: whoever blocks such keys bounds their number. Once the block has ended, the key
    /// vanishes like any other that is idle.
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

    /// Ends what [`block`](Self::block) or [`block_for`](Self::block_for) began; without effect on a
    /// key that is not blocked.
    pub fn unblock<Q: KeyRef<K> + ?Sized>(&self, key: &Q) {
        if self.terms_for(key).is_blocked() {
            // Its quota is kept already: it can't fail.
            let _ = self.change_key(self.hash(key), key, CarryOver::default(), Terms::unblock);
        }
    }

    /// What applies to `key`.
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

    /// Sets what applies to one key, whatever the builder's [`terms_by`](crate::keyed::KeyedBuilder::terms_by)
    /// says. The used share is kept, and those who wait are re-timed.
    ///
    /// Such a key does not count against [`max_keys`](crate::keyed::KeyedBuilder::max_keys): it can be set when
    /// all places are taken, and whoever sets such bounds their number. It is held until [`clear_terms_for`](Self::clear_terms_for) or
    /// [`remove`](Self::remove), and takes about 50 bytes more than others.
    ///
    /// # Errors
    ///
    /// When the quota can't be kept; then nothing changes.
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

    /// Takes back what [`set_terms_for`](Self::set_terms_for) or
    /// [`set_quota_for`](Self::set_quota_for) has set. The used share is kept.
    ///
    /// From then on the key counts against [`max_keys`](crate::keyed::KeyedBuilder::max_keys) again. If there is
    /// no room for it, it is forgotten as by [`remove`](Self::remove): the bound on the keys holds.
    /// While somebody waits for it, it stays until that wait has ended.
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

    /// Asks the builder's [`terms_by`](crate::keyed::KeyedBuilder::terms_by) anew for every key that is held,
    /// except those whose terms were set by hand. The used share is kept.
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

    /// As [`refresh_terms`](Self::refresh_terms); `how` says what becomes of the old levels.
    pub fn refresh_terms_with(&self, how: CarryOver) {
        if !self.terms_function.is_some() {
            return;
        }
        self.terms_function.outdate_all();
        if self.terms_function.depth() > 1 {
            // The function refreshes whenever it is asked: that has no end.
            return;
        }
        for shard in &self.shards {
            let keys = shard.0.lock().keys_without_manual_terms();
            for key in keys {
                self.refresh(self.hash(&key), &key, how);
            }
        }
    }

    /// Asks the builder's [`terms_by`](crate::keyed::KeyedBuilder::terms_by) anew for one key, unless its terms
    /// were set by hand: for a user who has just changed plans. `how` says what becomes of the old
    /// level: with [`CarryOver::AddDifference`], an upgrade is felt at once.
    ///
    /// ```
    /// use std::sync::Arc;
    /// use std::sync::atomic::{AtomicBool, Ordering};
    /// use tollgate::{CarryOver, KeyedLimiter, Quota};
    ///
    /// let premium = Arc::new(AtomicBool::new(false)); // in truth: a map of plans
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
