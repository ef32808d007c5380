//! Random scripts of verbs, run against a limiter and the model side by side.

use std::time::Duration;

use tollgate::{
    CarryOver, Clock, Composite, Grant, ManualClock, Quota, RateLimiter, Reservation, Timestamp,
    TokenBucket, WaitError,
};

use super::model::{Fate, Left, Look, Model};
use super::sizes::{LAST, permits_of, quota_of, span_of, usual_quota_of};

/// A step of a script, as raw numbers: what to do, and two sizes.
pub(crate) type Step = (u8, u64, u64);

/// A limiter that is to answer what the model answers.
pub(crate) struct Setup {
    pub(crate) quotas: fn(u8, u64, u64) -> Quota,
    pub(crate) build: fn(Quota, usize, ManualClock) -> Box<dyn RateLimiter>,
    /// It counts, and a clock that steps back does not confuse it.
    pub(crate) plain: bool,
}

/// The token bucket, at any quota.
pub(crate) const BUCKET: Setup = Setup {
    quotas: quota_of,
    build: |quota, max_waiters, clock| {
        let builder = TokenBucket::builder(quota).clock(clock).max_waiters(max_waiters);
        Box::new(builder.build().expect("a valid quota"))
    },
    plain: true,
};

/// A composite of one limit, which does not know how to add waits up.
pub(crate) const COMPOSITE: Setup = Setup {
    quotas: quota_of,
    build: |quota, max_waiters, clock| {
        let builder = Composite::builder_of([("only", quota)]);
        Box::new(builder.clock(clock).max_waiters(max_waiters).build().expect("a valid quota"))
    },
    plain: true,
};

/// The lock-free twin, at rates that its word holds exactly.
pub(crate) const ATOMIC: Setup = Setup {
    quotas: usual_quota_of,
    build: |quota, max_waiters, clock| {
        let builder = TokenBucket::builder(quota).clock(clock).max_waiters(max_waiters);
        Box::new(builder.build_atomic().expect("it fits 64 bits"))
    },
    plain: false,
};

struct Held<'a> {
    reservation: Reservation<'a>,
    id: u64,
}

struct Run<'a> {
    setup: &'a Setup,
    clock: ManualClock,
    limiter: &'a dyn RateLimiter,
    model: Model,
    held: Vec<Held<'a>>,
    /// The latest time that the limiter has surely read.
    read: u64,
}

/// Runs `steps` against a limiter and the model; panics where they differ.
pub(crate) fn run(setup: &Setup, first: Step, max_waiters: usize, steps: &[Step]) {
    let quota = (setup.quotas)(first.0, first.1, first.2);
    let clock = ManualClock::new();
    clock.set(Timestamp::from_nanos(1_000));
    let limiter = (setup.build)(quota, max_waiters, clock.clone());
    let model = Model::new(quota, 1_000, max_waiters);
    let mut run = Run { setup, clock, limiter: &*limiter, model, held: Vec::new(), read: 1_000 };
    for &(what, a, b) in steps {
        run.step(what, a, b);
        if run.model.is_lost() {
            break;
        }
    }
}

fn same_grant(real: Grant, permits: u64, model: Left) {
    let Left { remaining, reset_after } = model;
    assert_eq!((real.permits, real.remaining, real.reset_after), (permits, remaining, reset_after));
}

impl Run<'_> {
    fn now(&self) -> u64 {
        self.clock.now().as_nanos()
    }

    fn permits(&self, size: u64) -> u64 {
        permits_of(self.model.quota().burst_size(), size)
    }

    fn span(&mut self, size: u64) -> u64 {
        let now = self.now();
        let next = self.model.next_event(now).saturating_sub(now);
        span_of(self.model.quota(), next, size)
    }

    fn step(&mut self, what: u8, a: u64, b: u64) {
        let (now, n) = (self.now(), self.permits(a));
        let duration = Duration::from_nanos(self.span(b));
        let mut reads = true;
        match what % 20 {
            0..=3 => {
                let to = now.saturating_add(self.span(a)).min(LAST);
                self.clock.set(Timestamp::from_nanos(to));
                reads = false;
            }
            4 if self.setup.plain => {
                // A lock-free refusal may leave no trace of the time it read.
                if self.read < self.model.latest().max(now) {
                    self.look();
                }
                self.clock.set(Timestamp::from_nanos(now - a % now.max(1)));
                reads = false;
            }
            5 | 6 => reads = self.allow(n),
            7 | 8 => reads = self.try_acquire(n),
            9 => self.reserve(n, None),
            10 | 11 => self.reserve(n, Some(duration)),
            12 => {
                self.end_reservation(a, b);
                reads = false;
            }
            13 => self.consume(n),
            14 => {
                self.limiter.credit(n);
                self.model.credit(now, n);
            }
            15 => {
                let taken = self.limiter.try_acquire_up_to(n);
                assert_eq!(taken, self.model.try_acquire_up_to(now, n), "up to {n}");
            }
            16 => self.set_quota(what, a, b),
            17 => {
                self.delays();
                reads = false;
            }
            18 => {
                let delay = self.limiter.delay_for(n);
                assert_eq!(delay, self.model.delay_for(now, n), "delay for {n}");
            }
            _ if a % 40 == 0 => {
                self.limiter.close();
                self.model.close(now);
            }
            _ if a % 7 == 0 => {
                self.limiter.reset();
                self.model.reset(now);
            }
            _ => self.look(),
        }
        if reads {
            self.read = self.read.max(now);
        }
    }

    /// Whether the answer must have come from a reading of the clock that the limiter keeps.
    fn allow(&mut self, n: u64) -> bool {
        let now = self.now();
        let allowed = self.limiter.allow_n(n);
        assert_eq!(allowed, self.model.try_acquire(now, n).is_ok(), "allow {n}");
        allowed
    }

    fn try_acquire(&mut self, n: u64) -> bool {
        let now = self.now();
        match (self.limiter.try_acquire(n), self.model.try_acquire(now, n)) {
            (Ok(grant), Ok(left)) => {
                same_grant(grant, n, left);
                true
            }
            (Err(real), Err(model)) => {
                assert_eq!(real, model, "try {n}");
                false
            }
            (real, model) => panic!("try {n}: {real:?}, but by the model {model:?}"),
        }
    }

    fn reserve(&mut self, n: u64, within: Option<Duration>) {
        let now = self.now();
        let deadline = within.map_or(Timestamp::MAX, |within| self.limiter.now() + within);
        let real = match within {
            Some(within) => self.limiter.reserve_within(n, within),
            None => self.limiter.reserve(n),
        };
        match (real, self.model.reserve(now, n, deadline.as_nanos())) {
            (Ok(reservation), Ok(id)) => self.held.push(Held { reservation, id }),
            (Err(real), Err(model)) => assert_eq!(real, model, "reserve {n}"),
            (real, model) => panic!("reserve {n}: {real:?}, but by the model {model:?}"),
        }
    }

    /// Cancels, drops or collects one of the reservations.
    fn end_reservation(&mut self, which: u64, how: u64) {
        let count = self.held.len() as u64;
        let Some(index) = which.checked_rem(count) else { return };
        let held = self.held.remove(usize::try_from(index).expect("an index"));
        let (now, permits) = (self.now(), held.reservation.permits());
        let fate = self.model.due(now, held.id);
        match how % 3 {
            0 => {
                held.reservation.cancel();
                self.model.cancel(now, held.id);
            }
            1 if fate.is_ok() => {
                let served_at_once = held.reservation.wait();
                let expected = self.model.collect(held.id).expect("it has ended");
                match (served_at_once, expected) {
                    // One that was granted on the spot keeps the numbers of that moment.
                    (Ok(grant), Ok(_)) => assert_eq!(grant.permits, permits),
                    // Its number depends on who noticed when.
                    (Err(WaitError::Timeout { .. }), Err(WaitError::Timeout { .. })) => {}
                    (Err(real), Err(model)) => assert_eq!(real, model),
                    (real, model) => panic!("{real:?}, but by the model {model:?}"),
                }
            }
            _ => {
                drop(held.reservation);
                self.model.abandon(now, held.id);
            }
        }
    }

    fn consume(&mut self, n: u64) {
        let now = self.now();
        let real = self.limiter.consume(n);
        assert_eq!(real, self.model.consume(now, n), "consume {n}");
    }

    fn set_quota(&mut self, what: u8, a: u64, b: u64) {
        let hows =
            [CarryOver::Proportional, CarryOver::Keep, CarryOver::AddDifference, CarryOver::Full];
        let quota = (self.setup.quotas)(what / 20 + (b % 11) as u8, a, b.rotate_left(9));
        let how = hows[(a % 4) as usize];
        self.limiter.set_quota_with(quota, how).expect("a valid quota");
        let now = self.now();
        self.model.set_quota(now, quota, how);
    }

    /// Each reservation is due exactly when the model says.
    fn delays(&mut self) {
        let now = self.now();
        for held in &self.held {
            let expected = match self.model.due(now, held.id) {
                Ok(Fate::Served) => Some(0),
                // It never will be.
                Ok(_) => None,
                Err(due) => (due < u64::MAX).then(|| due - now),
            };
            let expected = expected.map(Duration::from_nanos);
            assert_eq!(held.reservation.delay(), expected, "{}", held.id);
        }
    }

    fn look(&mut self) {
        let now = self.now();
        let real = self.limiter.usage();
        let look = Look {
            limit: real.limit,
            used: real.used,
            remaining: real.remaining,
            reset_after: real.reset_after,
            allowed: real.allowed,
            denied: real.denied,
            waiting: real.waiting,
        };
        let mut expected = self.model.usage(now);
        if !self.setup.plain {
            (expected.allowed, expected.denied) = (0, 0);
        }
        assert_eq!(look, expected);
        self.read = self.read.max(now);
    }
}
