//! Listing keys, evicting and resetting them, totals, and closing.

use std::cmp::Reverse;
use std::hash::BuildHasher;

use crate::algorithm::Algorithm;
use crate::keyed::Keyed;
use crate::keyed::key::{Key, KeyRef};
use crate::keyed::shard::Shard;
use crate::keyed::shard::offenders::Offender;
use crate::limiters::verbs::Gate;
use crate::wakers::Wakers;
use crate::{Clock, RateLimiter, Usage};

/// Totals of a keyed limiter, returned by [`Keyed::totals`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Totals {
    /// The number of keys held now.
    pub keys: usize,
    /// Permits granted or consumed, modulo 2⁶⁴.
    pub allowed: u64,
    /// Permits refused, saturating at 2⁶⁴ − 1.
    pub denied: u64,
}

impl<K, A, C, S> Keyed<K, A, C, S>
where
    K: Key,
    A: Algorithm,
    C: Clock,
    S: BuildHasher + Send + Sync + 'static,
{
    /// Refills the bucket of `key` and clears its debt. Its terms stay.
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
        Gate::reset(&self.for_key(key).bucket);
    }

    /// Forgets `key`: its usage, its debt, and the terms that were set for it. Its waiters are
    /// served as if the bucket had been refilled.
    ///
    /// ```
    /// use tollgate::{KeyedLimiter, Quota};
    /// let limiter = KeyedLimiter::<String>::new(Quota::per_hour(1))?;
    /// limiter.set_quota_for("alice", Quota::per_hour(9))?;
    /// limiter.allow("alice");
    /// limiter.remove("alice");
    /// assert!(limiter.is_empty());
    /// assert_eq!(limiter.usage("alice").limit, 1);
    /// # Ok::<(), tollgate::QuotaError>(())
    /// ```
    pub fn remove<Q: KeyRef<K> + ?Sized>(&self, key: &Q) {
        self.clear_manual_terms(key, true);
    }

    /// [Forgets](Self::remove) all keys for which `keep` returns `false`. `keep` gets a copy of
    /// each key and runs without any lock held, so it may use the limiter.
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

    /// Forgets the usage of all keys, and all keys whose terms were not set explicitly. Waiters are
    /// served as if the buckets had been refilled. Totals keep running.
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
        for shard in &self.shards {
            let mut wakers = Wakers::default();
            let now = self.now();
            self.change_shard(&shard.0, |shard| shard.clear(now, &mut self.sync(), &mut wakers));
        }
        if let Some(overflow) = self.overflow() {
            // The overflow bucket has no waiters.
            let now = self.now();
            overflow.lock().reset(now, &mut Wakers::default());
        }
    }

    /// The number of keys held: keys whose bucket is not full, and keys whose terms were set
    /// explicitly. This may include idle keys that are not evicted yet: about 11 % while new keys
    /// arrive, all of them when none do.
    pub fn len(&self) -> usize {
        self.shards.iter().map(|shard| shard.0.lock().len()).sum()
    }

    /// Whether no key is held.
    pub fn is_empty(&self) -> bool {
        self.shards.iter().all(|shard| shard.0.lock().len() == 0)
    }

    /// Every key that is held, with its usage. One shard is copied at a time while the others stay
    /// available, so keys that come or go meanwhile may be missed.
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
        self.shards.iter().flat_map(|shard| {
            let mut wakers = Wakers::default();
            let now = self.now();
            let mut shard = shard.0.lock();
            let usages = shard.usages(now, &mut self.sync(), &mut wakers);
            drop(shard);
            drop(wakers);
            usages
        })
    }

    /// The `n` keys that were refused the most permits, the most refused first.
    ///
    /// Only refusals for lack of permits count, including those by the global limit; refusals of
    /// blocked keys, or because all slots are taken, do not. Memory is bounded, so counts may be
    /// too high, by at most [`overcount`](Offender::overcount). Every key with more than a
    /// sixteenth of its shard's refusals is counted; a key that was refused only once may be
    /// missing.
    ///
    /// The counts of an idle key are dropped some time after its bucket is full again, as new keys
    /// arrive, or by [`sweep`](Self::sweep). [`clear`](Self::clear) resets all counts.
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
            .flat_map(|shard| shard.0.lock().offenders.list().collect::<Vec<_>>())
            .collect();
        all.sort_by_key(|offender| Reverse(offender.denied));
        all.truncate(n);
        all
    }

    /// Evicts all keys whose bucket is full and frees their memory; returns how many there were.
    /// Calling it is never necessary, because keys are evicted as new ones arrive, but it frees
    /// memory when none do.
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
        for shard in &self.shards {
            let now = self.now();
            swept += self.change_shard(&shard.0, |shard| {
                let before = shard.len();
                shard.sweep_all(now, &self.hasher);
                before - shard.len()
            });
        }
        swept
    }

    /// How many permits were allowed and denied so far, and how many keys are held.
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
        self.shards.iter().fold(Totals::default(), |sum, shard| {
            let shard = shard.0.lock();
            Totals {
                keys: sum.keys + shard.len(),
                allowed: sum.allowed.wrapping_add(shard.allowed),
                denied: sum.denied.saturating_add(shard.denied),
            }
        })
    }

    /// Changes the [maximum number of keys](crate::keyed::KeyedBuilder::max_keys); returns whether
    /// it did. It does not if `max_keys` is 0, or if the limiter was built without a maximum.
    ///
    /// If more keys are held, all of them stay until their buckets are full, and there is no slot
    /// for a new key before their number has fallen below the new maximum.
    ///
    /// ```
    /// use tollgate::{KeyedLimiter, Quota};
    /// let limiter = KeyedLimiter::<u64>::builder(Quota::per_hour(5)).max_keys(1).build()?;
    /// assert!(limiter.allow(&1) && !limiter.allow(&2));
    /// assert!(limiter.set_max_keys(2));
    /// assert!(limiter.allow(&2));
    /// # Ok::<(), tollgate::QuotaError>(())
    /// ```
    #[must_use = "a limiter that was built without a maximum can't be given one"]
    pub fn set_max_keys(&self, max_keys: usize) -> bool {
        let Some(bound) = self.key_limit.as_ref().filter(|_| max_keys > 0) else { return false };
        bound.set_max_keys(max_keys);
        true
    }

    /// Closes the limiter: all requests are rejected from now on, and waiters end with
    /// [`WaitError::Closed`](crate::WaitError::Closed). This cannot be undone.
    ///
    /// ```
    /// use tollgate::{KeyedLimiter, Quota, Rejection};
    /// let limiter = KeyedLimiter::<String>::new(Quota::per_hour(1))?;
    /// limiter.close();
    /// assert_eq!(limiter.try_acquire("alice", 1), Err(Rejection::Closed));
    /// # Ok::<(), tollgate::QuotaError>(())
    /// ```
    pub fn close(&self) {
        // Dropped, which wakes the waiters, after all locks are released.
        let mut wakers = Wakers::default();
        let changing = self.changing.lock();
        for shard in &self.shards {
            let now = self.now();
            self.change_shard(&shard.0, |shard| shard.close(now, &mut self.sync(), &mut wakers));
        }
        drop(changing);
        drop(wakers);
        if let Some(global) = &self.global {
            RateLimiter::close(global);
        }
        crate::events::info!(limiter = self.settings.name, "closed");
    }

    /// Whether [`close`](Self::close) was called.
    pub fn is_closed(&self) -> bool {
        self.shards[0].0.lock().basis.closed
    }

    /// Runs `act` on a shard, and updates the number of keys held if there is a key limit.
    pub(crate) fn change_shard<R>(
        &self,
        shard: &crate::sync::Mutex<Shard<K, A>>,
        act: impl FnOnce(&mut Shard<K, A>) -> R,
    ) -> R {
        act(&mut self.locked(shard.lock()))
    }
}
