//! What a keyed limiter must answer: a model bucket for every key, none of which ever goes away.

use std::time::Duration;

use tollgate::keyed::Terms;
use tollgate::{CarryOver, ConsumeError, Quota, Rejection, WaitError};

use crate::model::{Left, Look, Model};

/// One key.
pub(crate) struct Bucket {
    pub(crate) model: Model,
    /// A quota of its own.
    own: Option<Quota>,
    cost: u64,
    /// Why nothing passes, if so.
    pub(crate) refusal: Option<Rejection>,
    /// Reservations that had to wait and have not ended: with them, a key is never dropped.
    pub(crate) outstanding: usize,
    /// It takes no place, because its terms were set by hand when it last asked for one.
    uncounted: bool,
}

/// All keys; they are numbered from 0.
pub(crate) struct Buckets {
    quota: Quota,
    max_keys: usize,
    pub(crate) keys: Vec<Bucket>,
    /// Refused before any bucket was asked.
    pub(crate) denied: u64,
}

impl Bucket {
    fn is_set_by_hand(&self) -> bool {
        self.own.is_some() || self.cost != 1 || self.refusal.is_some()
    }
}

impl Buckets {
    pub(crate) fn new(quota: Quota, now: u64, keys: usize, max_keys: usize) -> Self {
        let bucket = || Bucket {
            model: Model::new(quota, now, usize::MAX),
            own: None,
            cost: 1,
            refusal: None,
            outstanding: 0,
            uncounted: false,
        };
        let keys = std::iter::repeat_with(bucket).take(keys).collect();
        Self { quota, max_keys, keys, denied: 0 }
    }

    /// Whether the debt of any key outlasts the clock.
    pub(crate) fn is_lost(&self) -> bool {
        self.keys.iter().any(|bucket| bucket.model.is_lost())
    }

    pub(crate) fn quota_of(&self, key: usize) -> Quota {
        self.keys[key].own.unwrap_or(self.quota)
    }

    pub(crate) fn cost_of(&self, key: usize) -> u64 {
        self.keys[key].cost
    }

    /// Whether the key must be held: it is anything but full.
    pub(crate) fn is_active(&mut self, key: usize, now: u64) -> bool {
        let bucket = &mut self.keys[key];
        bucket.is_set_by_hand() || bucket.outstanding > 0 || bucket.model.usage(now).used > 0
    }

    /// Whether the key takes one of the places there are: those set by hand do not.
    fn takes_place(&mut self, key: usize, now: u64) -> bool {
        self.is_active(key, now) && !self.keys[key].uncounted
    }

    /// A key whose terms are not set by hand any more takes a place, once nobody waits for it; it
    /// is forgotten if there is none.
    pub(crate) fn place(&mut self, key: usize, now: u64) {
        let bucket = &mut self.keys[key];
        if bucket.is_set_by_hand() {
            bucket.uncounted = true;
        } else if bucket.outstanding == 0 && bucket.uncounted {
            let (taken, max_keys) = (self.taken(now), self.max_keys);
            let bucket = &mut self.keys[key];
            bucket.uncounted = false;
            if taken >= max_keys && bucket.model.usage(now).used > 0 {
                bucket.model.reset(now);
            }
        }
    }

    /// How many keys may be held beyond the bound: those whose terms are set by hand, and those
    /// that were when somebody began to wait for them.
    pub(crate) fn places_free_of_bound(&self) -> usize {
        self.keys.iter().filter(|bucket| bucket.uncounted).count()
    }

    fn taken(&mut self, now: u64) -> usize {
        (0..self.keys.len()).filter(|key| self.takes_place(*key, now)).count()
    }

    /// There is room for a new key if one of those that are held is idle.
    pub(crate) fn has_room(&mut self, key: usize, now: u64) -> bool {
        self.max_keys == usize::MAX || self.is_active(key, now) || self.taken(now) < self.max_keys
    }

    fn admit(&mut self, key: usize, now: u64) -> Result<&mut Model, Rejection> {
        if let Some(rejection) = self.keys[key].refusal {
            return Err(rejection);
        }
        if !self.has_room(key, now) {
            return Err(Rejection::TooManyKeys { max_keys: self.max_keys });
        }
        Ok(&mut self.keys[key].model)
    }

    pub(crate) fn try_acquire(&mut self, key: usize, now: u64, n: u64) -> Result<Left, Rejection> {
        match self.admit(key, now) {
            Ok(model) => model.try_acquire(now, n),
            Err(rejection) => {
                self.denied = self.denied.saturating_add(n);
                Err(rejection)
            }
        }
    }

    pub(crate) fn reserve(
        &mut self,
        key: usize,
        now: u64,
        n: u64,
        deadline: u64,
    ) -> Result<u64, WaitError> {
        match self.admit(key, now) {
            Ok(model) => model.reserve(now, n, deadline),
            Err(rejection) => {
                self.denied = self.denied.saturating_add(n);
                Err(rejection.into())
            }
        }
    }

    pub(crate) fn delay_for(
        &mut self,
        key: usize,
        now: u64,
        n: u64,
    ) -> Result<Duration, Rejection> {
        self.admit(key, now)?.delay_for(now, n)
    }

    pub(crate) fn up_to(&mut self, key: usize, now: u64, n: u64) -> u64 {
        self.admit(key, now).map_or(0, |model| model.try_acquire_up_to(now, n))
    }

    pub(crate) fn consume(
        &mut self,
        key: usize,
        now: u64,
        n: u64,
    ) -> Result<Duration, ConsumeError> {
        if !self.has_room(key, now) {
            return Err(ConsumeError::TooManyKeys { max_keys: self.max_keys });
        }
        self.keys[key].model.consume(now, n)
    }

    /// A look, without what is counted for all keys together.
    pub(crate) fn look(&mut self, key: usize, now: u64) -> Look {
        Look { allowed: 0, denied: 0, ..self.keys[key].model.usage(now) }
    }

    /// Permits allowed and denied, of all keys.
    pub(crate) fn totals(&mut self, now: u64) -> (u64, u64) {
        self.keys.iter_mut().fold((0_u64, self.denied), |(allowed, denied), bucket| {
            let look = bucket.model.usage(now);
            (allowed.wrapping_add(look.allowed), denied.saturating_add(look.denied))
        })
    }

    /// A new quota for all keys that have none of their own.
    pub(crate) fn set_quota(&mut self, now: u64, quota: Quota, how: CarryOver) {
        self.quota = quota;
        for bucket in self.keys.iter_mut().filter(|bucket| bucket.own.is_none()) {
            // A full bucket is the same as none, and none is full whatever the quota.
            let full = bucket.outstanding == 0 && bucket.model.usage(now).used == 0;
            bucket.model.set_quota(now, quota, if full { CarryOver::Full } else { how });
        }
    }

    pub(crate) fn set_quota_for(&mut self, key: usize, now: u64, quota: Quota, how: CarryOver) {
        let bucket = &mut self.keys[key];
        bucket.own = Some(quota);
        bucket.model.set_quota(now, quota, how);
        self.place(key, now);
    }

    /// Gives the key terms with a `quota` and a `cost`.
    pub(crate) fn set_terms_for(
        &mut self,
        key: usize,
        now: u64,
        quota: Option<Quota>,
        cost: u64,
    ) -> Terms {
        self.apply(key, now, quota, cost);
        quota.map_or_else(Terms::default, Terms::from).cost(cost)
    }

    fn apply(&mut self, key: usize, now: u64, own: Option<Quota>, cost: u64) {
        let everybodys = self.quota;
        let bucket = &mut self.keys[key];
        (bucket.own, bucket.cost, bucket.refusal) = (own, cost, None);
        bucket.model.set_quota(now, own.unwrap_or(everybodys), CarryOver::Proportional);
        self.place(key, now);
    }

    /// Takes back what was set for the key.
    pub(crate) fn clear_terms_for(&mut self, key: usize, now: u64) {
        self.apply(key, now, None, 1);
    }

    pub(crate) fn remove(&mut self, key: usize, now: u64) {
        self.keys[key].model.reset(now);
        self.clear_terms_for(key, now);
    }

    /// Blocks the key; those of its reservations that are still waiting must have been cancelled.
    pub(crate) fn block(&mut self, key: usize, now: u64, why: Rejection) {
        let bucket = &mut self.keys[key];
        if bucket.refusal != Some(Rejection::Closed) {
            bucket.refusal = Some(why);
        }
        self.place(key, now);
    }
}
