//! Changing the quota of all keys, or of one key.

use std::hash::BuildHasher;

use crate::algorithm::Algorithm;
use crate::keyed::Keyed;
use crate::keyed::key::{Key, KeyRef};
use crate::wakers::Wakers;
use crate::{CarryOver, Clock, Quota, QuotaError};

impl<K, A, C, S> Keyed<K, A, C, S>
where
    K: Key,
    A: Algorithm,
    C: Clock,
    S: BuildHasher + Send + Sync + 'static,
{
    /// Changes the quota of all keys that have no quota of their own. Each key keeps its used
    /// share, and its waiters are rescheduled.
    ///
    /// The change goes shard by shard: it is atomic for each key, but not for all keys together.
    ///
    /// # Errors
    ///
    /// When the quota is invalid or the algorithm does not support it; then nothing changes.
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

    /// As [`set_quota`](Self::set_quota); `how` says how the permits in use carry over.
    ///
    /// # Errors
    ///
    /// As [`set_quota`](Self::set_quota).
    pub fn set_quota_with(&self, quota: Quota, how: CarryOver) -> Result<(), QuotaError> {
        self.set_algorithm(self.terms.template().with_quota(quota)?, how);
        Ok(())
    }

    /// Replaces the algorithm of all keys that have no quota of their own. This is for algorithms
    /// that a quota does not describe fully, such as [`AllOf`](crate::algorithm::AllOf).
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
        // Dropped, which wakes the waiters, after all locks are released.
        let mut wakers = Wakers::default();
        let changing = self.changing.lock();
        for shard in &self.shards {
            let call = self.call(0, self.now());
            self.change_shard(&shard.0, |shard| {
                shard.set_default(&call, &rule, how, &mut self.sync(), &mut wakers);
            });
        }
        if let Some(overflow) = self.overflow() {
            let now = self.now();
            overflow.lock().set_rule(now, rule, how, &mut wakers);
        }
        drop(changing);
        drop(wakers);
        crate::events::info!(
            limiter = self.settings.name,
            %quota,
            carry_over = ?how,
            "quota changed"
        );
    }

    /// The quota of all keys that have no quota of their own.
    pub fn quota(&self) -> Quota {
        self.shards[0].0.lock().basis.rule.quota()
    }

    /// Sets the quota of one key and leaves its other [`Terms`](crate::keyed::Terms) as they are.
    /// Overrides [`quota_by`](crate::keyed::KeyedBuilder::quota_by) until
    /// [`clear_terms_for`](Self::clear_terms_for). If quotas come from `quota_by`, use
    /// [`refresh_terms_for`](Self::refresh_terms_for) instead. See also
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

    /// As [`set_quota_for`](Self::set_quota_for); `how` says how the permits in use carry over.
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
}
