//! Changing what applies, listing, and forgetting keys.

use std::hash::BuildHasher;

use super::Keyed;
use super::key::{Key, KeyRef};
use super::refused::Offender;
use super::shard::{At, Shard};
use super::terms::{Own, Terms};
use super::walk::Change;
use crate::algorithm::Algorithm;
use crate::bucket::gate::Gate;
use crate::wait::queue::Wakers;
use crate::{CarryOver, Clock, Quota, QuotaError, RateLimiter, Rejection, Usage};

/// Why the terms of a key could not be set; nothing has changed.
///
/// ```
/// use tollgate::keyed::KeyedError;
/// use tollgate::{KeyedLimiter, Quota, QuotaError};
/// let limiter = KeyedLimiter::<u64>::new(Quota::per_second(5))?;
/// let error = limiter.set_quota_for(&7, Quota::per_second(0)).unwrap_err();
/// assert_eq!(error, KeyedError::Quota(QuotaError::ZeroRate));
/// # Ok::<(), QuotaError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeyedError {
    /// The quota can't be kept.
    #[error(transparent)]
    Quota(#[from] QuotaError),
    /// The key is new, and as many are held as may be.
    #[error("no room for a new key: {max_keys} are held already")]
    TooManyKeys {
        /// The bound that was set.
        max_keys: usize,
    },
}

/// What a keyed limiter has done so far: [`Keyed::totals`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Totals {
    /// Keys held now.
    pub keys: usize,
    /// Permits granted or consumed, modulo 2⁶⁴.
    pub allowed: u64,
    /// Permits refused, up to 2⁶⁴ − 1.
    pub denied: u64,
}

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
        let rule = self.terms.template().with_quota(quota)?;
        // Woken when nothing is locked any more.
        let mut wakers = Wakers::default();
        let changing = self.changing.lock();
        for line in &self.shards {
            let call = self.call(0, self.clock.now());
            self.change_shard(&line.0, |shard| shard.set_default(&call, &rule, how, &mut wakers));
        }
        if let Some(overflow) = self.overflow() {
            overflow.lock().set_rule(self.clock.now(), rule, how, &mut wakers);
        }
        drop(changing);
        drop(wakers);
        tracing::info!(limiter = self.settings.name, %quota, carry_over = ?how, "quota changed");
        Ok(())
    }

    /// The quota of all keys that have none of their own.
    pub fn quota(&self) -> Quota {
        self.shards[0].0.lock().basis.rule.quota()
    }

    /// Sets the quota of one key, and leaves the rest of its terms. See
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
    /// # Ok::<(), tollgate::keyed::KeyedError>(())
    /// ```
    pub fn set_quota_for<Q: KeyRef<K> + ?Sized>(
        &self,
        key: &Q,
        quota: Quota,
    ) -> Result<(), KeyedError> {
        self.change_key(self.hash(key), key, CarryOver::default(), |old| old.quota(quota))
    }

    /// Sets what applies to one key, whatever the builder's [`terms_by`](super::Builder::terms_by)
    /// says. The used share is kept, and those who wait are re-timed.
    ///
    /// Such a key is held until [`unset_terms_for`](Self::unset_terms_for) or
    /// [`remove`](Self::remove), and takes about 50 bytes more than others.
    ///
    /// # Errors
    ///
    /// When the quota can't be kept, or the key is new and there is no room; then nothing changes.
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
    /// # Ok::<(), tollgate::keyed::KeyedError>(())
    /// ```
    pub fn set_terms_for<Q: KeyRef<K> + ?Sized>(
        &self,
        key: &Q,
        terms: Terms,
    ) -> Result<(), KeyedError> {
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
    /// limiter.unset_terms_for("mallory");
    /// assert!(limiter.allow("mallory"));
    /// # Ok::<(), tollgate::keyed::KeyedError>(())
    /// ```
    pub fn unset_terms_for<Q: KeyRef<K> + ?Sized>(&self, key: &Q) {
        self.back_to_own(key, false, true);
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
        if self.terms_by.is_none() {
            return;
        }
        for line in &self.shards {
            let keys = line.0.lock().keys_not_pinned();
            for key in keys {
                self.back_to_own(&key, false, false);
            }
        }
    }

    /// Makes all permits of `key` there again and forgets its debts. Its terms stay.
    ///
    /// ```
    /// use tollgate::{KeyedLimiter, Quota};
    /// let limiter = KeyedLimiter::<String>::new(Quota::per_hour(1))?;
    /// assert!(limiter.allow("alice"));
    /// limiter.reset("alice");
    /// assert!(limiter.allow("alice"));
    /// # Ok::<(), tollgate::QuotaError>(())
    /// ```
    pub fn reset<Q: KeyRef<K> + ?Sized>(&self, key: &Q) {
        Gate::reset(&self.for_key(key).cell);
    }

    /// Forgets `key`: its usage, its debts, and the terms that were set for it. Who waits on it is
    /// served as if all permits were there again.
    ///
    /// ```
    /// use tollgate::{KeyedLimiter, Quota};
    /// let limiter = KeyedLimiter::<String>::new(Quota::per_hour(1))?;
    /// limiter.set_quota_for("alice", Quota::per_hour(9))?;
    /// limiter.allow("alice");
    /// limiter.remove("alice");
    /// assert!(limiter.is_empty());
    /// assert_eq!(limiter.usage("alice").limit, 1);
    /// # Ok::<(), tollgate::keyed::KeyedError>(())
    /// ```
    pub fn remove<Q: KeyRef<K> + ?Sized>(&self, key: &Q) {
        self.back_to_own(key, true, true);
    }

    /// [Forgets](Self::remove) all keys for which `keep` says `false`. It gets a copy of each key and
    /// runs under no lock: it may use the limiter.
    ///
    /// ```
    /// use tollgate::{KeyedLimiter, Quota};
    /// let limiter = KeyedLimiter::<String>::new(Quota::per_hour(9))?;
    /// limiter.allow_n("alice", 5);
    /// limiter.allow("bob");
    /// limiter.retain(|_, usage| usage.used >= 5);
    /// assert_eq!(limiter.usages().map(|(key, _)| key).collect::<Vec<_>>(), ["alice"]);
    /// # Ok::<(), tollgate::QuotaError>(())
    /// ```
    pub fn retain(&self, mut keep: impl FnMut(&K, &Usage) -> bool) {
        for (key, usage) in self.usages() {
            if !keep(&key, &usage) {
                self.remove(&key);
            }
        }
    }

    /// Forgets the usage of all keys, and all keys whose terms were not set by hand. Who waits is
    /// served as if all permits were there again. Totals go on.
    ///
    /// ```
    /// use tollgate::{KeyedLimiter, Quota};
    /// let limiter = KeyedLimiter::<String>::new(Quota::per_hour(1))?;
    /// limiter.allow("alice");
    /// limiter.clear();
    /// assert!(limiter.is_empty() && limiter.allow("alice"));
    /// # Ok::<(), tollgate::QuotaError>(())
    /// ```
    pub fn clear(&self) {
        for line in &self.shards {
            let mut wakers = Wakers::default();
            let now = self.clock.now();
            self.change_shard(&line.0, |shard| shard.clear(now, &mut wakers));
        }
        if let Some(overflow) = self.overflow() {
            // Nobody waits there.
            overflow.lock().reset(self.clock.now(), &mut Wakers::default());
        }
    }

    /// How many keys are held: those that are not full, and those with terms set by hand. Some that
    /// have become full may count until they are swept.
    pub fn len(&self) -> usize {
        self.shards.iter().map(|line| line.0.lock().len()).sum()
    }

    /// Whether no key is held.
    pub fn is_empty(&self) -> bool {
        self.shards.iter().all(|line| line.0.lock().len() == 0)
    }

    /// Every key that is held, with its usage. One shard is copied at a time, so the others go on;
    /// keys that come or go meanwhile may be missed.
    ///
    /// ```
    /// use tollgate::{KeyedLimiter, Quota};
    /// let limiter = KeyedLimiter::<String>::new(Quota::per_hour(9))?;
    /// limiter.allow_n("alice", 5);
    /// for (key, usage) in limiter.usages() {
    ///     assert_eq!((key.as_str(), usage.used), ("alice", 5));
    /// }
    /// # Ok::<(), tollgate::QuotaError>(())
    /// ```
    pub fn usages(&self) -> impl Iterator<Item = (K, Usage)> + '_ {
        self.shards.iter().flat_map(|line| {
            let mut wakers = Wakers::default();
            let now = self.clock.now();
            let mut shard = line.0.lock();
            let usages = shard.usages(now, &mut wakers);
            drop(shard);
            drop(wakers);
            usages
        })
    }

    /// The `n` keys that were refused the most permits, the most refused first.
    ///
    /// Memory is bounded, so counts may be too high, by at most [`error`](Offender::error). Every key
    /// with more than a sixteenth of the refusals of its shard is among those that are counted; one
    /// that was refused just once may be missing.
    ///
    /// ```
    /// use tollgate::{KeyedLimiter, Quota};
    /// let limiter = KeyedLimiter::<String>::new(Quota::per_hour(1))?;
    /// for _ in 0..4 {
    ///     limiter.allow("mallory");
    /// }
    /// let worst = &limiter.most_limited(10)[0];
    /// assert_eq!((worst.key.as_str(), worst.denied), ("mallory", 3));
    /// # Ok::<(), tollgate::QuotaError>(())
    /// ```
    pub fn most_limited(&self, n: usize) -> Vec<Offender<K>> {
        let mut all: Vec<_> = self
            .shards
            .iter()
            .flat_map(|line| line.0.lock().refused.offenders().collect::<Vec<_>>())
            .collect();
        all.sort_by(|a, b| b.denied.cmp(&a.denied));
        all.truncate(n);
        all
    }

    /// Drops all keys that are full by now, and the memory they took; says how many went. Never
    /// needed: keys vanish as new ones come. It frees memory when no new ones do.
    ///
    /// ```
    /// use std::time::Duration;
    /// use tollgate::{KeyedLimiter, ManualClock, Quota};
    /// let clock = ManualClock::new();
    /// let builder = KeyedLimiter::<u64>::builder(Quota::per_second(1)).clock(clock.clone());
    /// let limiter = builder.build()?;
    /// limiter.allow(&7);
    /// assert_eq!(limiter.sweep(), 0);
    /// clock.advance(Duration::from_secs(1));
    /// assert_eq!(limiter.sweep(), 1);
    /// # Ok::<(), tollgate::QuotaError>(())
    /// ```
    pub fn sweep(&self) -> usize {
        let mut swept = 0;
        for line in &self.shards {
            let now = self.clock.now();
            swept += self.change_shard(&line.0, |shard| {
                let before = shard.len();
                shard.sweep_all(now, &self.hasher);
                before - shard.len()
            });
        }
        swept
    }

    /// What was allowed and denied so far, and how many keys are held.
    ///
    /// ```
    /// use tollgate::{KeyedLimiter, Quota};
    /// let limiter = KeyedLimiter::<String>::new(Quota::per_hour(1))?;
    /// limiter.allow("alice");
    /// limiter.allow("alice");
    /// let totals = limiter.totals();
    /// assert_eq!((totals.keys, totals.allowed, totals.denied), (1, 1, 1));
    /// # Ok::<(), tollgate::QuotaError>(())
    /// ```
    pub fn totals(&self) -> Totals {
        self.shards.iter().fold(Totals::default(), |sum, line| {
            let shard = line.0.lock();
            Totals {
                keys: sum.keys + shard.len(),
                allowed: sum.allowed.wrapping_add(shard.allowed),
                denied: sum.denied.saturating_add(shard.denied),
            }
        })
    }

    /// Refuses everybody from now on, and wakes those who wait with
    /// [`WaitError::Closed`](crate::WaitError::Closed). There is no way back.
    ///
    /// ```
    /// use tollgate::{KeyedLimiter, Quota, Rejection};
    /// let limiter = KeyedLimiter::<String>::new(Quota::per_hour(1))?;
    /// limiter.close();
    /// assert_eq!(limiter.try_acquire("alice", 1), Err(Rejection::Closed));
    /// # Ok::<(), tollgate::QuotaError>(())
    /// ```
    pub fn close(&self) {
        // Woken when nothing is locked any more.
        let mut wakers = Wakers::default();
        let changing = self.changing.lock();
        for line in &self.shards {
            let now = self.clock.now();
            self.change_shard(&line.0, |shard| shard.close(now, &mut wakers));
        }
        drop(changing);
        drop(wakers);
        if let Some(global) = &self.global {
            RateLimiter::close(global);
        }
        tracing::info!(limiter = self.settings.name, "closed");
    }

    /// Whether [`close`](Self::close) was called.
    pub fn is_closed(&self) -> bool {
        self.shards[0].0.lock().basis.closed
    }

    pub(super) fn set_own_quota<Q: KeyRef<K> + ?Sized>(
        &self,
        hash: u64,
        key: &Q,
        quota: Quota,
        how: CarryOver,
    ) -> Result<(), QuotaError> {
        match self.change_key(hash, key, how, |old| old.quota(quota)) {
            Err(KeyedError::Quota(error)) => Err(error),
            // A full bucket has no level to carry over; the key is as it was.
            Err(KeyedError::TooManyKeys { .. }) => Err(QuotaError::NoRoom),
            Ok(()) => Ok(()),
        }
    }

    pub(super) fn block_key<Q: KeyRef<K> + ?Sized>(&self, hash: u64, key: &Q) {
        let blocked = self.change_key(hash, key, CarryOver::default(), Terms::block);
        if let Err(error) = blocked {
            tracing::warn!(limiter = self.settings.name, %error, "a key could not be blocked");
        }
    }

    /// Sets by hand what applies to a key, to what `change` makes of what applies now.
    fn change_key<Q: KeyRef<K> + ?Sized>(
        &self,
        hash: u64,
        key: &Q,
        how: CarryOver,
        change: impl Fn(Terms) -> Terms,
    ) -> Result<(), KeyedError> {
        let now = self.clock.now();
        let by_function = self.terms_of(key);
        let mut wakers = Wakers::default();
        // The terms are worked out before the lock; if they have changed meanwhile, once more.
        let mut old = self.terms_at(hash, key, &by_function);
        loop {
            let own = self.terms.apply(change(old))?;
            let reserved = match self.place_for(hash, now) {
                Ok(reserved) => usize::from(reserved),
                Err(Rejection::TooManyKeys { max_keys }) if !self.knows(hash, key) => {
                    return Err(KeyedError::TooManyKeys { max_keys });
                }
                Err(_) => 0,
            };
            let mut shard = self.shard(hash).lock();
            let before = shard.len();
            let found = shard.find(hash, key);
            if found.is_none() && self.bound.is_some() && reserved == 0 {
                // Known a moment ago, and gone now.
                continue;
            }
            let at = found.unwrap_or(At::New(by_function.clone()));
            let current = shard.own_of(&at).map(|own| own.terms).unwrap_or_default();
            if current == old {
                let change = Change { own, pinned: true, how, reset: false };
                shard.change(&self.call(hash, now), key, at, change, &mut wakers);
                self.settle(reserved, before, shard.len());
                return Ok(());
            }
            self.settle(reserved, before, shard.len());
            old = current;
        }
    }

    /// What applies to a key now.
    fn terms_at<Q: KeyRef<K> + ?Sized>(&self, hash: u64, key: &Q, new: &Own<A>) -> Terms {
        let shard = self.shard(hash).lock();
        let at = shard.find(hash, key).unwrap_or(At::New(new.clone()));
        shard.own_of(&at).map(|own| own.terms).unwrap_or_default()
    }

    fn knows<Q: KeyRef<K> + ?Sized>(&self, hash: u64, key: &Q) -> bool {
        self.shard(hash).lock().find(hash, key).is_some()
    }

    /// Gives a known key the terms that it would have if none had been set by hand.
    fn back_to_own<Q: KeyRef<K> + ?Sized>(&self, key: &Q, reset: bool, pinned_too: bool) {
        let (hash, now) = (self.hash(key), self.clock.now());
        let own = self.terms_of(key);
        let mut wakers = Wakers::default();
        self.change_shard(self.shard(hash), |shard| {
            let Some(at) = shard.find(hash, key) else { return };
            if pinned_too || !shard.is_pinned(&at) {
                let change = Change { own, pinned: false, how: CarryOver::default(), reset };
                shard.change(&self.call(hash, now), key, at, change, &mut wakers);
            }
        });
    }

    /// Runs `act` on a shard, and counts the keys it drops.
    fn change_shard<R>(
        &self,
        shard: &crate::sync::Mutex<Shard<K, A>>,
        act: impl FnOnce(&mut Shard<K, A>) -> R,
    ) -> R {
        let mut shard = shard.lock();
        let before = shard.len();
        let result = act(&mut shard);
        self.settle(0, before, shard.len());
        result
    }
}
