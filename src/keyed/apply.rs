//! Changing what applies to keys.

use std::hash::BuildHasher;

use super::Keyed;
use super::key::{Key, KeyRef};
use super::shard::At;
use super::terms::Terms;
use super::walk::Change;
use crate::algorithm::Algorithm;
use crate::sync::atomic::Ordering;
use crate::wait::queue::Wakers;
use crate::{CarryOver, Clock, Quota, QuotaError, Rejection};

impl<K, A, C, S> Keyed<K, A, C, S>
where
    K: Key,
    A: Algorithm,
    C: Clock,
    S: BuildHasher + Send + Sync + 'static,
{
    /// Changes the quota of all keys that have none of their own; each keeps its used share. Those
    /// who wait are re-timed.
    ///
    /// Shard by shard: for each key in one step, but not for all at the same moment.
    ///
    /// # Errors
    ///
    /// When the quota can't be kept; then nothing changes.
    ///
    /// ```
    /// use tollgate::{KeyedLimiter, Quota};
    /// let limiter = KeyedLimiter::<String>::new(Quota::per_hour(100))?;
    /// limiter.allow_n("alice", 60);
    /// limiter.set_quota(Quota::per_hour(200))?;
    /// assert_eq!(limiter.usage("alice").remaining, 80);
    /// # Ok::<(), tollgate::QuotaError>(())
    /// ```
    pub fn set_quota(&self, quota: Quota) -> Result<(), QuotaError> {
        self.set_quota_with(quota, CarryOver::default())
    }

    /// As [`set_quota`](Self::set_quota); `how` says what becomes of the old level.
    ///
    /// # Errors
    ///
    /// As [`set_quota`](Self::set_quota).
    pub fn set_quota_with(&self, quota: Quota, how: CarryOver) -> Result<(), QuotaError> {
        self.set_algorithm(self.terms.template().with_quota(quota)?, how);
        Ok(())
    }

    /// Changes the rule of all keys that have no quota of their own: for rules that a quota does not
    /// tell in full, such as [`AllOf`](crate::algorithm::AllOf).
    ///
    /// ```
    /// use tollgate::algorithm::{AllOf, GreedyRefill};
    /// use tollgate::{CarryOver, Keyed, Quota};
    /// let limits = |hourly| {
    ///     let second = GreedyRefill::try_from(Quota::per_second(10))?;
    ///     AllOf::new([("second", second), ("hour", Quota::per_hour(hourly).try_into()?)])
    /// };
    /// let limiter = Keyed::<u64, _>::builder_with(limits(500)?).build()?;
    /// limiter.set_algorithm(limits(5)?, CarryOver::Keep);
    /// assert_eq!(limiter.usage(&7).limit, 5);
    /// # Ok::<(), tollgate::QuotaError>(())
    /// ```
    pub fn set_algorithm(&self, rule: A, how: CarryOver) {
        let quota = rule.quota();
        // Woken when nothing is locked any more.
        let mut wakers = Wakers::default();
        let changing = self.changing.lock();
        for line in &self.shards {
            let call = self.call(0, self.now());
            self.change_shard(&line.0, |shard| shard.set_default(&call, &rule, how, &mut wakers));
        }
        if let Some(overflow) = self.overflow() {
            let now = self.now();
            overflow.lock().set_rule(now, rule, how, &mut wakers);
        }
        drop(changing);
        drop(wakers);
        tracing::info!(limiter = self.settings.name, %quota, carry_over = ?how, "quota changed");
    }

    /// The quota of all keys that have none of their own.
    pub fn quota(&self) -> Quota {
        self.shards[0].0.lock().basis.rule.quota()
    }

    /// Sets the quota of one key, and leaves the rest of its terms. From then on it is what was set,
    /// whatever [`quota_by`](super::Builder::quota_by) says: where plans come from there, see
    /// [`refresh_terms_for`](Self::refresh_terms_for). See also
    /// [`set_terms_for`](Self::set_terms_for).
    ///
    /// # Errors
    ///
    /// As [`set_terms_for`](Self::set_terms_for).
    ///
    /// ```
    /// use tollgate::{KeyedLimiter, Quota};
    /// let limiter = KeyedLimiter::<String>::new(Quota::per_minute(10))?;
    /// limiter.set_quota_for("acme", Quota::per_minute(1_000))?;
    /// assert_eq!(limiter.usage("acme").limit, 1_000);
    /// assert_eq!(limiter.usage("bob").limit, 10);
    /// # Ok::<(), tollgate::QuotaError>(())
    /// ```
    pub fn set_quota_for<Q: KeyRef<K> + ?Sized>(
        &self,
        key: &Q,
        quota: Quota,
    ) -> Result<(), QuotaError> {
        self.change_key(self.hash(key), key, CarryOver::default(), |old| old.quota(quota))
    }

    /// As [`set_quota_for`](Self::set_quota_for); `how` says what becomes of the old level.
    ///
    /// # Errors
    ///
    /// As [`set_terms_for`](Self::set_terms_for).
    pub fn set_quota_for_with<Q: KeyRef<K> + ?Sized>(
        &self,
        key: &Q,
        quota: Quota,
        how: CarryOver,
    ) -> Result<(), QuotaError> {
        self.change_key(self.hash(key), key, how, |old| old.quota(quota))
    }

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

    /// Ends what [`block`](Self::block) began; without effect on a key that is not blocked.
    pub fn unblock<Q: KeyRef<K> + ?Sized>(&self, key: &Q) {
        if self.terms_for(key).refusal() == Some(Rejection::Blocked) {
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
        self.for_key(key).cell.terms()
    }

    /// Sets what applies to one key, whatever the builder's [`terms_by`](super::Builder::terms_by)
    /// says. The used share is kept, and those who wait are re-timed.
    ///
    /// Such a key does not count against [`max_keys`](super::Builder::max_keys): it can be set when
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
        self.back_to_own(key, false, CarryOver::default(), true);
    }

    /// Asks the builder's [`terms_by`](super::Builder::terms_by) anew for every key that is held,
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
        if self.terms_by.is_none() {
            return;
        }
        self.terms_version.fetch_add(1, Ordering::Relaxed);
        for line in &self.shards {
            let keys = line.0.lock().keys_not_pinned();
            for key in keys {
                self.back_to_own(&key, false, how, false);
            }
        }
    }

    /// Asks the builder's [`terms_by`](super::Builder::terms_by) anew for one key, unless its terms
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
        self.terms_version.fetch_add(1, Ordering::Relaxed);
        self.back_to_own(key, false, how, false);
    }

    pub(super) fn set_own_quota<Q: KeyRef<K> + ?Sized>(
        &self,
        hash: u64,
        key: &Q,
        quota: Quota,
        how: CarryOver,
    ) -> Result<(), QuotaError> {
        self.change_key(hash, key, how, |old| old.quota(quota))
    }

    pub(super) fn close_key<Q: KeyRef<K> + ?Sized>(&self, hash: u64, key: &Q) {
        let closed = self.change_key(hash, key, CarryOver::default(), Terms::close);
        if let Err(error) = closed {
            tracing::warn!(limiter = self.settings.name, %error, "a key could not be closed");
        }
    }

    /// Sets by hand what applies to a key, to what `change` makes of what applies now.
    fn change_key<Q: KeyRef<K> + ?Sized>(
        &self,
        hash: u64,
        key: &Q,
        how: CarryOver,
        change: impl Fn(Terms) -> Terms,
    ) -> Result<(), QuotaError> {
        let now = self.now();
        let by_function = self.terms_of(key);
        let mut wakers = Wakers::default();
        // The terms are worked out before the lock; if they have changed meanwhile, once more.
        let mut old = self.terms_at(hash, key, At::New(by_function.clone()));
        loop {
            let own = self.terms.apply(change(old))?;
            let mut shard = self.shard(hash).lock();
            let before = shard.bounded();
            let found = shard.find(hash, key);
            let at = found.unwrap_or(At::New(by_function.clone()));
            let current = shard.own_of(&at).map(|own| own.terms).unwrap_or_default();
            if current == old {
                // What applies anyway need not be kept.
                let same = by_function.as_ref().map(|own| own.terms).unwrap_or_default();
                let pinned = own.as_ref().map(|own| own.terms).unwrap_or_default() != same;
                let change = Change { own, pinned, how, reset: false };
                shard.change(&self.call(hash, now), key, &at, change, &mut wakers);
                self.settle(before, shard.bounded());
                return Ok(());
            }
            old = current;
        }
    }

    /// What applies to a key now.
    fn terms_at<Q: KeyRef<K> + ?Sized>(&self, hash: u64, key: &Q, new: At<A>) -> Terms {
        let shard = self.shard(hash).lock();
        let at = shard.find(hash, key).unwrap_or(new);
        shard.own_of(&at).map(|own| own.terms).unwrap_or_default()
    }

    /// Gives a known key the terms that it would have if none had been set by hand.
    pub(super) fn back_to_own<Q: KeyRef<K> + ?Sized>(
        &self,
        key: &Q,
        reset: bool,
        how: CarryOver,
        pinned_too: bool,
    ) {
        let (hash, now) = (self.hash(key), self.now());
        let own = self.terms_of(key);
        let mut wakers = Wakers::default();
        self.change_shard(self.shard(hash), |shard| {
            let Some(at) = shard.find(hash, key) else { return };
            if pinned_too || !shard.is_pinned(&at) {
                let change = Change { own, pinned: false, how, reset };
                shard.change(&self.call(hash, now), key, &at, change, &mut wakers);
            }
        });
    }
}
