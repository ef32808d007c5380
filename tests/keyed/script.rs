//! Random scripts of verbs for a few keys, run against a limiter and the model side by side.

use std::time::Duration;

use tollgate::{CarryOver, Clock, KeyedLimiter, ManualClock, Quota, RateLimiter, Timestamp, Usage};

use crate::buckets::Buckets;
use crate::held::Held;
use crate::model::Look;
use crate::sizes::{LAST, permits_of, span_of};
use crate::{Hasher, OnManual};

/// What to do, to which key, and two sizes.
pub(crate) type Step = (u8, u8, u64, u64);

/// What a script is run on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Setup {
    pub(crate) quotas: fn(u8, u64, u64) -> Quota,
    pub(crate) keys: usize,
    pub(crate) shards: usize,
    pub(crate) max_keys: usize,
    /// Other keys come all the time, and full buckets are swept after each step.
    pub(crate) evict: bool,
}

pub(crate) struct Run<'a> {
    setup: Setup,
    pub(crate) clock: ManualClock,
    pub(crate) limiter: &'a OnManual,
    pub(crate) views: &'a [Box<dyn RateLimiter + 'a>],
    pub(crate) model: Buckets,
    pub(crate) held: Vec<Held<'a>>,
    /// No shard is behind this time when the clock steps back.
    latest: u64,
    /// Keys that came and went.
    others: u64,
}

/// Runs `steps` against a limiter and the model; panics where they differ.
pub(crate) fn run(setup: Setup, first: (u8, u64, u64), steps: &[Step]) {
    let quota = (setup.quotas)(first.0, first.1, first.2);
    let clock = ManualClock::new();
    clock.set(Timestamp::from_nanos(1_000));
    let builder = KeyedLimiter::<u64>::builder(quota).clock(clock.clone());
    let builder = builder.hasher(Hasher::default()).shards(setup.shards);
    let limiter = builder.max_keys(setup.max_keys).build().unwrap();
    let names: Vec<_> = (0_u64..).take(setup.keys).collect();
    let views: Vec<Box<dyn RateLimiter>> =
        names.iter().map(|key| Box::new(limiter.for_key(key)) as _).collect();
    let model = Buckets::new(quota, 1_000, setup.keys, setup.max_keys);
    let (held, limiter, views) = (Vec::new(), &limiter, &*views);
    let mut run = Run { setup, clock, limiter, views, model, held, latest: 1_000, others: 0 };
    for step in steps {
        run.step(*step);
        if run.model.is_lost() {
            break;
        }
        run.evict(step.2);
        let free = run.model.places_free_of_bound();
        assert!(run.limiter.len() <= setup.max_keys.saturating_add(free));
    }
}

fn seen(usage: Usage) -> Look {
    Look {
        limit: usage.limit,
        used: usage.used,
        remaining: usage.remaining,
        reset_after: usage.reset_after,
        allowed: usage.allowed,
        denied: usage.denied,
        waiting: usage.waiting,
    }
}

fn how(a: u64) -> CarryOver {
    [CarryOver::Proportional, CarryOver::Keep, CarryOver::AddDifference, CarryOver::Full]
        [(a % 4) as usize]
}

impl Run<'_> {
    /// The time on the clock.
    pub(crate) fn clock(&self) -> u64 {
        self.clock.now().as_nanos()
    }

    /// The time that counts.
    pub(crate) fn now(&self) -> u64 {
        self.latest.max(self.clock())
    }

    fn permits(&self, key: usize, size: u64) -> u64 {
        permits_of(self.model.quota_of(key).burst_size(), size)
    }

    fn span(&mut self, key: usize, size: u64) -> u64 {
        let now = self.now();
        let next = self.model.keys[key].model.next_event(now).saturating_sub(now);
        span_of(self.model.quota_of(key), next, size)
    }

    /// The permits that so many requests take.
    pub(crate) fn cost(&self, key: usize, requests: u64) -> u64 {
        requests.saturating_mul(self.model.cost_of(key))
    }

    fn quota(&self, what: u8, b: u64) -> Quota {
        (self.setup.quotas)(what / 27 + (b % 11) as u8, b, b.rotate_left(9))
    }

    fn step(&mut self, (what, key, a, b): Step) {
        let key = usize::from(key) % self.setup.keys;
        let name = key as u64;
        let (now, n) = (self.now(), self.permits(key, a));
        match what % 27 {
            0..=3 => {
                let to = self.clock().saturating_add(self.span(key, a)).min(LAST);
                self.clock.set(Timestamp::from_nanos(to));
            }
            4 => self.step_back(a),
            5 | 6 => {
                let allowed = self.limiter.allow_n(&name, n);
                let asked = self.cost(key, n);
                assert_eq!(allowed, self.model.try_acquire(key, now, asked).is_ok(), "allow {n}");
            }
            7 => {
                let allowed = self.limiter.allow(&name);
                let cost = self.cost(key, 1);
                assert_eq!(allowed, self.model.try_acquire(key, now, cost).is_ok(), "allow");
            }
            8 | 9 => self.try_acquire(key, n),
            10 => self.reserve(key, n, None),
            11 => {
                let within = Duration::from_nanos(self.span(key, b));
                self.reserve(key, n, Some(within));
            }
            12 | 13 => self.end_reservation(a, b),
            14 => self.consume(key, n),
            15 => self.consume(key, n.saturating_mul(1 << (b % 40))),
            16 => {
                self.limiter.credit(&name, n);
                self.model.keys[key].model.credit(now, n);
            }
            17 => {
                let taken = self.views[key].try_acquire_up_to(n);
                assert_eq!(taken, self.model.up_to(key, now, n), "up to {n}");
            }
            18 => {
                let (quota, how) = (self.quota(what, b), how(a));
                self.limiter.set_quota_with(quota, how).unwrap();
                self.model.set_quota(now, quota, how);
                assert_eq!(self.limiter.quota(), quota);
            }
            19 => self.set_quota_for(key, self.quota(what, b), a),
            20 => self.set_terms_for(key, self.quota(what, b), a),
            21 => {
                self.limiter.clear_terms_for(&name);
                self.model.clear_terms_for(key, now);
            }
            22 if a % 2 == 0 => {
                self.limiter.remove(&name);
                self.model.remove(key, now);
            }
            22 => {
                self.limiter.reset(&name);
                self.model.keys[key].model.reset(now);
            }
            23 => self.forget_some(a, b),
            24 => self.delays(),
            25 => {
                let (delay, asked) = (self.limiter.delay_for(&name, n), self.cost(key, n));
                assert_eq!(delay, self.model.delay_for(key, now, asked), "delay for {n}");
            }
            _ => self.look(),
        }
    }

    /// Every shard sees the time before the clock steps back; a lone one by way of any key.
    fn step_back(&mut self, a: u64) {
        self.latest = self.now();
        if self.setup.shards == 1 {
            self.limiter.usage(&u64::MAX);
        } else {
            assert!(self.limiter.usages().count() <= self.limiter.len());
        }
        let now = self.clock();
        self.clock.set(Timestamp::from_nanos(now - a % now.max(1)));
    }

    /// Others come, and who is full goes.
    fn evict(&mut self, a: u64) {
        if !self.setup.evict {
            return;
        }
        for _ in 0..a % 4 {
            self.others += 1;
            let other = (1 << 32) + self.others;
            assert!(self.limiter.allow(&other), "a new key has a full bucket");
        }
        if a % 3 == 0 {
            self.limiter.sweep();
        }
    }

    fn try_acquire(&mut self, key: usize, n: u64) {
        let now = self.now();
        let real = self.limiter.try_acquire(&(key as u64), n);
        let n = self.cost(key, n);
        match (real, self.model.try_acquire(key, now, n)) {
            (Ok(grant), Ok(left)) => assert_eq!(
                (grant.permits, grant.remaining, grant.reset_after),
                (n, left.remaining, left.reset_after)
            ),
            (Err(real), Err(model)) => assert_eq!(real, model, "try {n}"),
            (real, model) => panic!("try {n}: {real:?}, but by the model {model:?}"),
        }
    }

    fn consume(&mut self, key: usize, n: u64) {
        let now = self.now();
        let real = self.limiter.consume(&(key as u64), n);
        assert_eq!(real, self.model.consume(key, now, n), "consume {n}");
    }

    fn set_quota_for(&mut self, key: usize, quota: Quota, a: u64) {
        let (now, name) = (self.now(), key as u64);
        if a % 3 == 0 {
            self.limiter.set_quota_for(&name, quota).unwrap();
            self.model.set_quota_for(key, now, quota, CarryOver::Proportional);
        } else {
            self.views[key].set_quota_with(quota, how(a)).unwrap();
            self.model.set_quota_for(key, now, quota, how(a));
        }
        assert_eq!(self.views[key].quota(), quota);
    }

    fn set_terms_for(&mut self, key: usize, quota: Quota, a: u64) {
        let (now, name) = (self.now(), key as u64);
        if a % 5 == 0 {
            return self.block(key, a % 2 == 0);
        }
        let (own, cost) = ((a % 2 == 0).then_some(quota), a % 7 % 4);
        let terms = self.model.set_terms_for(key, now, own, cost);
        self.limiter.set_terms_for(&name, terms).unwrap();
    }

    fn forget_some(&mut self, a: u64, b: u64) {
        let now = self.now();
        if a % 3 == 0 {
            self.limiter.clear();
            for bucket in &mut self.model.keys {
                bucket.model.reset(now);
            }
            return;
        }
        let (model, keys) = (&mut self.model, self.setup.keys as u64);
        self.limiter.retain(|key, usage| {
            let known = usize::try_from(*key).unwrap();
            let goes = *key >= keys || (b >> known) & 1 == 0;
            if *key < keys {
                assert_eq!(seen(*usage), model.look(known, now), "key {key}");
            }
            !goes
        });
        for key in (0..self.setup.keys).filter(|key| (b >> key) & 1 == 0) {
            self.model.remove(key, now);
        }
    }

    /// The usages of all, which leave out none but full ones; then each key's own; then the sums.
    fn look(&mut self) {
        let now = self.now();
        let mut listed = vec![false; self.setup.keys];
        for (key, usage) in self.limiter.usages() {
            if let Some(listed) = listed.get_mut(usize::try_from(key).unwrap()) {
                assert!(!std::mem::replace(listed, true), "{key} is listed twice");
                let key = usize::try_from(key).unwrap();
                assert_eq!(seen(usage), self.model.look(key, now), "key {key}");
            }
        }
        for (key, listed) in listed.iter().enumerate() {
            assert!(*listed || !self.model.is_active(key, now), "{key} is missing");
            assert_eq!(seen(self.limiter.usage(&(key as u64))), self.model.look(key, now));
        }
        let (allowed, denied) = self.model.totals(now);
        let totals = self.limiter.totals();
        assert_eq!((totals.allowed, totals.denied), (allowed.wrapping_add(self.others), denied));
    }
}
