//! Limiters by key, ours and the peers', behind one face.
//!
//! All get the same rate and burst. It is a slow rate with a large burst: at a fast one every
//! bucket would be full again before its key comes back, and ours would rightly have dropped it.

use std::hash::BuildHasher;
use std::hint::black_box;
use std::num::NonZeroU32;

use governor::clock::{Clock as PeerClock, Reference};
use governor::middleware::{RateLimitingMiddleware, StateInformationMiddleware};
use governor::state::keyed::{DashMapStateStore, HashMapStateStore, KeyedStateStore};
use tollgate::algorithm::GreedyRefill;
use tollgate::{Clock, Keyed, KeyedLimiter, Quota};

use crate::contestants::Answer;
use crate::keyed_keys::Sort;

/// A limiter that answers for keys.
pub(crate) trait ByKey<K>: Send + Sync + 'static {
    /// Takes a permit, if there is one.
    fn ask(&self, key: &K) -> bool;

    /// Makes the key known: with so much in use that it is not full again while anything is
    /// measured, or with all of it.
    fn learn(&self, key: &K, answer: Answer);

    /// How many keys are held.
    fn keys(&self) -> usize;
}

/// The most governor can say.
const BURST: NonZeroU32 = NonZeroU32::MAX;
const PER_SECOND: NonZeroU32 = NonZeroU32::MIN;
/// It takes as many seconds until they are back.
const IN_USE: NonZeroU32 = NonZeroU32::MIN.saturating_add(99_999);

pub(crate) fn quota(answer: Answer) -> Quota {
    match answer {
        Answer::Allowed => {
            Quota::per_second(u32::from(PER_SECOND).into()).burst(u32::from(BURST).into())
        }
        Answer::Denied => Quota::per_hour(1),
    }
}

fn peer_quota(answer: Answer) -> governor::Quota {
    match answer {
        Answer::Allowed => governor::Quota::per_second(PER_SECOND).allow_burst(BURST),
        Answer::Denied => governor::Quota::per_hour(NonZeroU32::MIN),
    }
}

pub(crate) fn ours<K: Sort, C: Clock>(clock: C, answer: Answer) -> KeyedLimiter<K, C> {
    KeyedLimiter::builder(quota(answer)).clock(clock).build().expect("a valid quota")
}

type Dash<K, C> = governor::RateLimiter<K, DashMapStateStore<K>, C, Plainly<C>>;
type Plainly<C> = governor::middleware::NoOpMiddleware<<C as PeerClock>::Instant>;

/// governor, with the store it has by default.
pub(crate) fn dash<K: Sort, C: PeerClock>(clock: C, answer: Answer) -> Dash<K, C> {
    governor::RateLimiter::dashmap_with_clock(peer_quota(answer), clock)
}

/// governor with our hasher, to tell what the hasher makes.
pub(crate) fn dash_hashed<K: Sort, C: PeerClock>(
    clock: C,
    answer: Answer,
) -> governor::RateLimiter<K, DashMapStateStore<K, tollgate::keyed::RandomState>, C, Plainly<C>> {
    let hasher = tollgate::keyed::RandomState::default();
    governor::RateLimiter::dashmap_with_clock_and_hasher(peer_quota(answer), clock, hasher)
}

/// governor with one map under one lock.
pub(crate) fn hash<K: Sort, C: PeerClock>(
    clock: C,
    answer: Answer,
) -> governor::RateLimiter<K, HashMapStateStore<K>, C, Plainly<C>> {
    governor::RateLimiter::hashmap_with_clock(peer_quota(answer), clock)
}

/// governor telling what is left, as `try_acquire` does.
pub(crate) fn dash_telling<K: Sort, C: PeerClock>(
    clock: C,
    answer: Answer,
) -> governor::RateLimiter<K, DashMapStateStore<K>, C, StateInformationMiddleware> {
    dash(clock, answer).with_middleware()
}

/// It wants at least one permit a second, so what can be refused is a million.
pub(crate) fn tokio_rate_limit(answer: Answer) -> tokio_rate_limit::RateLimiter {
    assert!(answer == Answer::Allowed, "not measured otherwise");
    tokio_rate_limit::RateLimiter::builder()
        .requests_per_second(u32::from(PER_SECOND).into())
        .burst(u32::from(BURST).into())
        .build()
        .expect("a valid rate")
}

impl<K, C, S> ByKey<K> for Keyed<K, GreedyRefill, C, S>
where
    K: Sort,
    C: Clock,
    S: BuildHasher + Send + Sync + 'static,
{
    fn ask(&self, key: &K) -> bool {
        self.allow(key.borrowed())
    }

    fn learn(&self, key: &K, answer: Answer) {
        let permits = if answer == Answer::Allowed { IN_USE } else { NonZeroU32::MIN };
        assert!(self.allow_n(key.borrowed(), u32::from(permits).into()), "full at first");
    }

    fn keys(&self) -> usize {
        self.len()
    }
}

impl<K, S, C, M> ByKey<K> for governor::RateLimiter<K, S, C, M>
where
    K: Sort,
    S: KeyedStateStore<K> + governor::state::keyed::ShrinkableKeyedStateStore<K>,
    S: Send + Sync + 'static,
    C: PeerClock + Send + Sync + 'static,
    C::Instant: Reference + Send + Sync,
    M: RateLimitingMiddleware<C::Instant> + Send + Sync + 'static,
{
    fn ask(&self, key: &K) -> bool {
        black_box(self.check_key(key)).is_ok()
    }

    fn learn(&self, key: &K, answer: Answer) {
        let permits = if answer == Answer::Allowed { IN_USE } else { NonZeroU32::MIN };
        assert!(self.check_key_n(key, permits).is_ok_and(|all| all.is_ok()), "full at first");
    }

    fn keys(&self) -> usize {
        self.len()
    }
}

impl ByKey<String> for tokio_rate_limit::RateLimiter {
    fn ask(&self, key: &String) -> bool {
        self.check(key).permitted
    }

    fn learn(&self, key: &String, _: Answer) {
        assert!(self.check_with_cost(key, u32::from(IN_USE).into()).permitted, "full at first");
    }

    /// It does not say.
    fn keys(&self) -> usize {
        usize::MAX
    }
}

/// Ours, asked by `try_acquire`.
pub(crate) struct Telling<L>(pub(crate) L);

impl<K: Sort, C: Clock> ByKey<K> for Telling<KeyedLimiter<K, C>> {
    fn ask(&self, key: &K) -> bool {
        black_box(self.0.try_acquire(key.borrowed(), 1)).is_ok()
    }

    fn learn(&self, key: &K, answer: Answer) {
        self.0.learn(key, answer);
    }

    fn keys(&self) -> usize {
        self.0.keys()
    }
}
