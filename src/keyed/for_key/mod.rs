//! One key of a keyed limiter as a [`RateLimiter`].
pub(crate) mod both_limits;
mod bucket;
mod join;
mod poll;
mod queue;
mod waits;

use std::fmt;
use std::hash::BuildHasher;
use std::ops::Deref;
use std::time::Duration;

use crate::algorithm::Algorithm;
use crate::keyed::for_key::bucket::KeyBucket;
use crate::keyed::for_key::waits::PairWaits;
use crate::keyed::key::{Key, KeyRef};
use crate::keyed::{Global, Keyed};
use crate::limiters::verbs::Gate;
use crate::wait::{Enqueued, QueueHandle, Request};
use crate::{
    CarryOver, Clock, ConsumeError, Grant, Quota, QuotaError, RateLimiter, Rejection, Timestamp,
    Usage, WaitError,
};

/// One key of a keyed limiter, as a [`RateLimiter`]; returned by [`Keyed::for_key`] and
/// [`Keyed::for_key_owned`].
///
/// It holds no permits and no state: two values for the same key use the same bucket. The [global
/// limit](crate::keyed::KeyedBuilder::global), if there is one, applies here too. The usage is that
/// of the key alone, and its counters are 0: see [`Keyed::totals`].
/// [`set_quota`](RateLimiter::set_quota) and [`close`](RateLimiter::close) set the key's terms.
pub struct ForKey<L, Q> {
    pub(crate) bucket: KeyBucket<L, Q>,
    pub(crate) waits: PairWaits,
}

impl<L, Q> fmt::Debug for ForKey<L, Q> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The key is not printed: it may be a secret.
        f.debug_struct("ForKey").finish_non_exhaustive()
    }
}

impl<L, Q, K, A, C, S> ForKey<L, Q>
where
    L: Deref<Target = Keyed<K, A, C, S>> + Send + Sync,
    Q: Deref + Send + Sync,
    Q::Target: KeyRef<K>,
    K: Key,
    A: Algorithm,
    C: Clock,
    S: BuildHasher + Send + Sync + 'static,
{
    pub(crate) fn new(limiter: L, key: Q) -> Self {
        let hash = limiter.hash(&*key);
        Self { bucket: KeyBucket { limiter, key, hash }, waits: PairWaits::default() }
    }

    fn limiter(&self) -> &Keyed<K, A, C, S> {
        &self.bucket.limiter
    }

    /// The global limit, if it applies to this key.
    pub(crate) fn global(&self) -> Option<&Global<C>> {
        // Without a global limit, there is no need to look at the key.
        self.limiter().global.as_ref().filter(|_| !self.bucket.terms().is_exempt())
    }

    /// The permits of `requests` requests, and the global limit if it applies to this key.
    pub(crate) fn permits_and_global(&self, requests: u64) -> (u64, Option<&Global<C>>) {
        let terms = self.bucket.terms();
        let global = self.limiter().global.as_ref().filter(|_| !terms.is_exempt());
        (terms.permits(requests), global)
    }
}

impl<L, Q, K, A, C, S> RateLimiter for ForKey<L, Q>
where
    L: Deref<Target = Keyed<K, A, C, S>> + Send + Sync,
    Q: Deref + Send + Sync,
    Q::Target: KeyRef<K>,
    K: Key,
    A: Algorithm,
    C: Clock,
    S: BuildHasher + Send + Sync + 'static,
{
    fn allow_n(&self, requests: u64) -> bool {
        self.limiter().decide(self.bucket.hash, &*self.bucket.key, requests)
    }

    fn try_acquire(&self, requests: u64) -> Result<Grant, Rejection> {
        self.limiter().acquire_both(self.bucket.hash, &*self.bucket.key, requests)
    }

    fn delay_for(&self, requests: u64) -> Result<Duration, Rejection> {
        let (permits, global) = self.permits_and_global(requests);
        let delay = Gate::delay_for(&self.bucket, permits)?;
        let Some(global) = global else { return Ok(delay) };
        Ok(delay.max(RateLimiter::delay_for(global, permits).map_err(Rejection::by_global)?))
    }

    fn consume(&self, permits: u64) -> Result<Duration, ConsumeError> {
        let Some(global) = self.global() else { return Gate::consume(&self.bucket, permits) };
        Gate::with_core(&self.bucket, |core, now, wakers| {
            // Nothing is taken from either limit unless both can record it: a debt that is undone
            // at once would still end other callers' waits.
            core.paid_at(now, permits, wakers)?;
            let by_global = global.lend(wakers, |all, wakers| all.consume(now, permits, wakers))?;
            Ok(core.consume(now, permits, wakers)?.max(by_global))
        })
    }

    fn credit(&self, permits: u64) {
        Gate::credit(&self.bucket, permits);
        if let Some(global) = self.global() {
            RateLimiter::credit(global, permits);
        }
    }

    fn try_acquire_up_to(&self, permits: u64) -> u64 {
        let Some(global) = self.global() else {
            return Gate::try_acquire_up_to(&self.bucket, permits);
        };
        Gate::with_core(&self.bucket, |core, now, wakers| {
            let mine = core.available(now, wakers).min(permits);
            let both = global.lend(wakers, |all, wakers| all.take_up_to(now, mine, wakers));
            core.take_up_to(now, both, wakers)
        })
    }

    fn usage(&self) -> Usage {
        Gate::usage(&self.bucket)
    }

    fn set_quota_with(&self, quota: Quota, how: CarryOver) -> Result<(), QuotaError> {
        self.limiter().set_own_quota(self.bucket.hash, &*self.bucket.key, quota, how)
    }

    fn quota(&self) -> Quota {
        Gate::quota(&self.bucket)
    }

    fn reset(&self) {
        Gate::reset(&self.bucket);
    }

    fn close(&self) {
        self.limiter().close_key(self.bucket.hash, &*self.bucket.key);
    }

    fn is_closed(&self) -> bool {
        Gate::is_closed(&self.bucket)
    }

    fn now(&self) -> Timestamp {
        self.limiter().now()
    }

    fn enqueue(&self, request: Request<'_>) -> Result<Enqueued<'_>, WaitError> {
        request.join(QueueHandle::Borrowed(self))
    }
}
