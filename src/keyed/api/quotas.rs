//! QUOTAS

use std::hash::BuildHasher;

use crate::algorithm::Algorithm;
use crate::keyed::Keyed;
use crate::keyed::key::{Key, KeyRef};
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
        crate::events::info!(limiter = self.settings.name, %quota, carry_over = ?how, "quota changed");
    }

    /// The quota of all keys that have none of their own.
    pub fn quota(&self) -> Quota {
        self.shards[0].0.lock().basis.rule.quota()
    }

    /// Sets the quota of one key, and leaves the rest of its terms. From then on it is what was set,
    /// whatever [`quota_by`](crate::keyed::KeyedBuilder::quota_by) says: where plans come from there, see
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
}
