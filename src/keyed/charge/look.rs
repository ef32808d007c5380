//! What a charge would be answered, without taking anything.

use std::hash::BuildHasher;

use super::KeyCharge;
use crate::algorithm::Algorithm;
use crate::keyed::key::{Key, KeyRef};
use crate::keyed::shard::At;
use crate::keyed::shard::peek::look;
use crate::keyed::terms::KeyTerms;
use crate::keyed::tier::Under;
use crate::limiters::verbs::Need;
use crate::{Answer, Clock, Rejection};

impl<K, Q, A, C, S> KeyCharge<'_, K, Q, A, C, S>
where
    Q: KeyRef<K> + ?Sized,
    K: Key,
    A: Algorithm,
    C: Clock,
    S: BuildHasher + Send + Sync + 'static,
{
    /// Tells what the key's limit would answer to this charge now: [`Answer::Refused`], or
    /// [`Answer::Untouched`] if it would grant. Nothing is taken and nothing changes: an unknown
    /// key stays unknown, and a key whose last request was under another tier stays in that tier.
    ///
    /// Waiters and the global limit are not looked at.
    ///
    /// ```
    /// use tollgate::{Answer, KeyedLimiter, Quota};
    /// let per_user = KeyedLimiter::<u64>::new(Quota::per_hour(10))?;
    /// let gold = per_user.tier(Quota::per_hour(100))?;
    /// assert!(per_user.allow_n(&7, 5));
    /// assert!(matches!(per_user.charge(&7).cost(6).look(), Answer::Refused(_)));
    /// let answer = per_user.charge(&7).cost(6).under(&gold).look();
    /// assert_eq!(answer.remaining(), Some(50)); // half is used
    /// assert_eq!(per_user.usage(&7).remaining, 5); // as before
    /// # Ok::<(), tollgate::QuotaError>(())
    /// ```
    pub fn look(&self) -> Answer {
        let (limiter, under) = (self.limiter, Under::from(self.tier));
        let now = limiter.now();
        let mut shard = limiter.lock(self.hash);
        let at = match shard.find(self.hash, self.key) {
            Some(at) => at,
            None if limiter.inserts_freely => At::New(KeyTerms::default()),
            None => {
                // The function that gives terms is not called under a lock, and neither is room for
                // a new key looked for.
                drop(shard);
                let own = limiter.terms_of(self.hash, self.key);
                let room = limiter.reserve_slot(Need::Look, self.hash, now);
                shard = limiter.lock(self.hash);
                match (shard.find(self.hash, self.key), room) {
                    (Some(at), _) => at,
                    (None, Ok(_)) => At::New(own),
                    (None, Err(why)) => {
                        let permits = own.terms().permits(self.requests);
                        return limiter.overflow().map_or(Answer::Refused(why), |shared| {
                            drop(shard);
                            let core = shared.lock();
                            look(&core.rest.rule, &core.state, now.max(core.latest()), permits)
                        });
                    }
                }
            }
        };
        shard.latest = shard.latest.max(now);
        let terms = shard.own_of(&at).terms();
        let closed = shard.basis.closed.then_some(Rejection::Closed);
        match closed.or_else(|| terms.refusal(shard.latest)) {
            Some(rejection) => Answer::Refused(rejection),
            None if terms.is_exempt() => shard.look_under(&at, under, 0),
            None => shard.look_under(&at, under, terms.permits(self.requests)),
        }
    }
}
