//! Deciding a request for a key: the fast path, and what falls back to the slow one.

use std::hash::BuildHasher;

use crate::algorithm::Algorithm;
use crate::keyed::Keyed;
use crate::keyed::for_key::both_limits::tighter;
use crate::keyed::key::{Key, KeyRef};
use crate::keyed::shard::Call;
use crate::keyed::shard::fast_path::Outcome;
use crate::keyed::shard::guard::ShardGuard;
use crate::keyed::tier::Under;
use crate::limiters::core::{grant_of, refusal_of};
use crate::limiters::verbs::Need;
use crate::{Clock, Grant, Rejection, Timestamp};

impl<K, A, C, S> Keyed<K, A, C, S>
where
    K: Key,
    A: Algorithm,
    C: Clock,
    S: BuildHasher + Send + Sync + 'static,
{
    /// Takes the permits of `requests` requests; returns whether it did.
    #[inline]
    pub(crate) fn decide<Q>(&self, hash: u64, key: &Q, requests: u64) -> bool
    where
        Q: KeyRef<K> + ?Sized,
    {
        // The reason for a refusal is not computed.
        let refused = |rule: &A, state: &A::State, now, permits| {
            let ready = permits <= rule.limit() && rule.ready_at(state, now, permits) <= now;
            (!ready).then_some(Rejection::Closed)
        };
        let passes =
            self.decide_with(hash, key, requests, |_, _, _, _| (), refused, |_| ()).is_ok();
        if !passes {
            self.log_refusal(requests);
        }
        passes
    }

    /// Logs a refusal whose reason was not computed.
    #[inline]
    pub(crate) fn log_refusal(&self, requests: u64) {
        if crate::events::is_debug_heard() {
            crate::limiters::verbs::log_refusal(&self.settings.name, requests);
        }
    }

    /// Takes the permits of `requests` requests from the key and from the global limit, or none.
    pub(crate) fn acquire_both<Q>(
        &self,
        hash: u64,
        key: &Q,
        requests: u64,
    ) -> Result<Grant, Rejection>
    where
        Q: KeyRef<K> + ?Sized,
    {
        let answer = self.decide_with(hash, key, requests, grant_of, refusal_of, |grant| grant);
        if let Err(rejection) = &answer {
            crate::events::debug!(limiter = self.settings.name, requests, %rejection, "refused");
        }
        answer
    }

    /// Takes the permits of `requests` requests. For a plain key, `granted` or `refused` makes the
    /// answer from the key's state; for other keys, `slow` makes it from the grant.
    #[inline]
    fn decide_with<Q, R>(
        &self,
        hash: u64,
        key: &Q,
        requests: u64,
        granted: impl Fn(&A, &A::State, Timestamp, u64) -> R,
        refused: impl FnOnce(&A, &A::State, Timestamp, u64) -> Option<Rejection>,
        slow: impl FnOnce(Grant) -> R,
    ) -> Result<R, Rejection>
    where
        Q: KeyRef<K> + ?Sized,
    {
        let now = self.now();
        let mut shard = self.shard(hash).lock();
        if self.no_global {
            match shard.try_take(hash, key, now, requests, &granted, refused) {
                Outcome::Yes(answer) => return Ok(answer),
                Outcome::No(rejection) => return Err(rejection),
                Outcome::Undecided => {}
                Outcome::NotPlain => {
                    let call = self.call(hash, now);
                    if let Some(answer) = shard.try_take_elsewhere(&call, key, requests, granted) {
                        return Ok(answer);
                    }
                }
            }
        }
        let (shard, call) = (self.locked(shard), self.call(hash, now));
        self.decide_slowly(shard, &call, key, requests, Under::Limiter).map(slow)
    }

    /// Decides for special keys, keys with waiters, limiters with a key limit or a global limit.
    #[cold]
    pub(crate) fn decide_slowly<'a, Q>(
        &'a self,
        shard: ShardGuard<'a, K, A>,
        call: &Call<'_, S>,
        key: &Q,
        requests: u64,
        under: Under<'_, A>,
    ) -> Result<Grant, Rejection>
    where
        Q: KeyRef<K> + ?Sized,
    {
        self.with_locked(shard, Need::Place, call, key, under, |core, now, terms, wakers| {
            let permits = terms.permits(requests);
            let Some(global) = self.global.as_ref().filter(|_| !terms.is_exempt()) else {
                return core.try_acquire(now, permits, wakers);
            };
            if !core.check(now, permits, wakers).is_ok_and(|ready| ready <= core.latest()) {
                return core.try_acquire(now, permits, wakers);
            }
            // The global limit comes first, under the key's lock: permits taken from the key could
            // not always be given back without a trace.
            match global.lend(wakers, |all, wakers| all.try_acquire(now, permits, wakers)) {
                Ok(by_global) => {
                    let grant = core.try_acquire(now, permits, wakers)?;
                    Ok(tighter(grant, by_global))
                }
                Err(rejection) => {
                    core.count_denied(permits);
                    Err(rejection.by_global())
                }
            }
        })
    }
}
