//! Changing what applies to keys.

use std::hash::BuildHasher;
use std::time::Duration;

use super::Keyed;
use super::key::{Key, KeyRef};
use super::locked::Locked;
use super::shard::{At, Hold, Kept};
use super::terms::{Own, Terms};
use super::walk::Change;
use crate::algorithm::Algorithm;
use crate::wait::queue::Wakers;
use crate::{CarryOver, Clock, Quota, QuotaError};

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
    /// let limiter = Keyed::<u64, _>::builder_from_algorithm(limits(500)?).build()?;
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
            self.change_shard(&line.0, |shard| {
                shard.set_default(&call, &rule, how, &mut self.sync(), &mut wakers);
            });
        }
        if let Some(overflow) = self.overflow() {
            let now = self.now();
            overflow.lock().set_rule(now, rule, how, &mut wakers);
        }
        drop(changing);
        drop(wakers);
        crate::events::info!(limiter = self.settings.name, %quota, carry_over = ?how, "quota changed");
    }

    /// The quota of all keys that have none of their own.
    pub fn quota(&self) -> Quota {
        self.shards[0].0.lock().basis.rule.quota()
    }

    /// Sets the quota of one key, and leaves the rest of its terms. From then on it is what was set,
    /// whatever [`quota_by`](super::KeyedBuilder::quota_by) says: where plans come from there, see
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
        self.set_own_quota(self.hash(key), key, quota, CarryOver::default())
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
        self.set_own_quota(self.hash(key), key, quota, how)
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
    /// A key that counts against [`max_keys`](super::KeyedBuilder::max_keys) goes on counting while it is
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
        self.for_key(key).cell.terms().as_of(self.now())
    }

    /// Sets what applies to one key, whatever the builder's [`terms_by`](super::KeyedBuilder::terms_by)
    /// says. The used share is kept, and those who wait are re-timed.
    ///
    /// Such a key does not count against [`max_keys`](super::KeyedBuilder::max_keys): it can be set when
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
    /// From then on the key counts against [`max_keys`](super::KeyedBuilder::max_keys) again. If there is
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
        self.back_to_own(key, false);
    }

    /// Asks the builder's [`terms_by`](super::KeyedBuilder::terms_by) anew for every key that is held,
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
        if !self.asked.is_some() {
            return;
        }
        self.asked.outdate_all();
        if self.asked.depth() > 1 {
            // The function refreshes whenever it is asked: that has no end.
            return;
        }
        for line in &self.shards {
            let keys = line.0.lock().keys_not_set_by_hand();
            for key in keys {
                self.refresh(self.hash(&key), &key, how);
            }
        }
    }

    /// Asks the builder's [`terms_by`](super::KeyedBuilder::terms_by) anew for one key, unless its terms
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
        self.asked.outdate(hash);
        if self.asked.depth() <= 1 {
            self.refresh(hash, key, how);
        }
    }

    pub(super) fn set_own_quota<Q: KeyRef<K> + ?Sized>(
        &self,
        hash: u64,
        key: &Q,
        quota: Quota,
        how: CarryOver,
    ) -> Result<(), QuotaError> {
        self.change_key(hash, key, how, |old| old.with_own_quota(quota))
    }

    pub(super) fn close_key<Q: KeyRef<K> + ?Sized>(&self, hash: u64, key: &Q) {
        let closed = self.change_key(hash, key, CarryOver::default(), Terms::close);
        if let Err(error) = closed {
            crate::events::warn!(limiter = self.settings.name, %error, "a key could not be closed");
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
        let mut wakers = Wakers::default();
        let mut tries = self.asked.tries();
        // The terms are worked out before the lock; if they have changed meanwhile, once more.
        let (mut version, mut by_function) = (self.asked.version(hash), self.terms_of(hash, key));
        let mut old = self.terms_at(hash, key, &by_function);
        loop {
            let call = self.call(hash, self.now());
            let (now, new) = (call.now, change(old).as_of(call.now));
            let own = self.terms.apply(hash, new)?;
            // What applies anyway need not be kept.
            let hold = match by_function.terms().as_of(now) {
                anyway if anyway == new => Hold::No,
                anyway if anyway == new.without_end_of_block() => Hold::WhileBlocked,
                _ => Hold::Always,
            };
            let mut shard = self.lock(hash);
            let found = shard.find(hash, key);
            let newest = self.asked.version(hash);
            if found.is_none() && version != newest && tries > 0 {
                drop(shard);
                (version, by_function) = (newest, self.terms_of(hash, key));
                old = self.terms_at(hash, key, &by_function);
                tries -= 1;
                continue;
            }
            let at = found.unwrap_or_else(|| At::New(by_function.clone()));
            let current = shard.own_of(&at).terms();
            if current == old {
                let own = own.in_tier_of(&shard.own_of(&at));
                let change = Change { own, hold, how, reset: false };
                shard.change(&call, key, &at, change, &mut self.sync(), &mut wakers);
                self.end_change(hash, key, shard);
                return Ok(());
            }
            old = current;
        }
    }

    /// Unlocks the shard of a key whose terms were changed.
    fn end_change<Q: KeyRef<K> + ?Sized>(&self, hash: u64, key: &Q, mut shard: Locked<'_, K, A>) {
        let unplaced = shard.take_unplaced();
        drop(shard);
        if unplaced {
            self.place_or_forget(hash, key);
        }
    }

    /// What applies to a key now, if `by_function` is what applies to it as a new one.
    fn terms_at<Q: KeyRef<K> + ?Sized>(&self, hash: u64, key: &Q, by_function: &Own<A>) -> Terms {
        let shard = self.shard(hash).lock();
        match shard.find(hash, key) {
            Some(at) => shard.own_of(&at).terms(),
            None => by_function.terms(),
        }
    }

    /// Gives a known key the terms that the function says now, unless they were set by hand. A block
    /// for a while stays.
    fn refresh<Q: KeyRef<K> + ?Sized>(&self, hash: u64, key: &Q, how: CarryOver) {
        self.ask_anew(hash, key, |own, old| {
            let hold = old.hold;
            (hold != Hold::Always).then(|| {
                let blocked_until = match hold {
                    Hold::WhileBlocked => own.blocked_until.max(old.own.blocked_until),
                    _ => own.blocked_until,
                };
                Change { own: Own { blocked_until, ..own }, hold, how, reset: false }
            })
        });
    }

    /// Gives a known key the terms that it would have if none had been set by hand; `reset` makes it
    /// full, too. One that did not count before needs room for that, and is forgotten without.
    pub(super) fn back_to_own<Q: KeyRef<K> + ?Sized>(&self, key: &Q, reset: bool) {
        let hash = self.hash(key);
        let how = CarryOver::default();
        self.ask_anew(hash, key, |own, _| Some(Change { own, hold: Hold::No, how, reset }));
    }

    /// Changes a known key to what `change` makes of the function's newest answer and of what is kept
    /// of the key.
    fn ask_anew<Q: KeyRef<K> + ?Sized>(
        &self,
        hash: u64,
        key: &Q,
        change: impl Fn(Own<A>, Kept<A>) -> Option<Change<A>>,
    ) {
        let mut wakers = Wakers::default();
        let mut tries = self.asked.tries();
        loop {
            let version = self.asked.version(hash);
            let own = self.terms_of(hash, key);
            let mut shard = self.lock(hash);
            tries -= 1;
            if version != self.asked.version(hash) && tries > 0 {
                // Somebody has asked for a newer answer meanwhile.
                continue;
            }
            if let Some(at) = shard.find(hash, key) {
                if let Some(change) = change(own.in_tier_of(&shard.own_of(&at)), shard.kept_of(&at))
                {
                    let call = self.call(hash, self.now());
                    shard.change(&call, key, &at, change, &mut self.sync(), &mut wakers);
                    self.end_change(hash, key, shard);
                }
            }
            return;
        }
    }
}
