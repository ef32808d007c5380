//! Random scripts against every limiter, on a clock that the script moves.

use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;
use tollgate::{
    Clock, Composite, FixedWindowLimiter, IntervalTokenBucket, KeyedLimiter, ManualClock, Quota,
    RateLimiter, Reservation, SlidingWindowLimiter, StrictLimiter, Timestamp, TokenBucket,
};

use crate::bounds::{self, Log, What};

/// When the scripts begin.
const START: u64 = 1 << 60;

/// A step: what to do, a time as a share of the period, and a number.
type Step = (u8, u16, u64);

/// A promise that is held: it is used when it is due, unless it is cancelled.
struct Held<'a> {
    reservation: Reservation<'a>,
    /// When it is due, as of the last look; nothing has happened since.
    due: u64,
    /// Where in the log its use is noted, once it was due.
    noted: Option<usize>,
}

/// What a script may do besides asking.
#[derive(Clone, Copy, PartialEq, Eq)]
enum May {
    /// Credits, debts and resets too.
    All,
    Ask,
    /// Reservations only where they are granted at once: one that waits for two limits counts at
    /// each from when that one is due, which is said where such a limit is built.
    AskAtOnce,
}

struct Script<'a> {
    limiter: &'a dyn RateLimiter,
    clock: ManualClock,
    period: u64,
    burst: u64,
    latest: u64,
    held: Vec<Held<'a>>,
    log: Log,
}

impl<'a> Script<'a> {
    fn new(limiter: &'a dyn RateLimiter, clock: &ManualClock, quota: Quota) -> Self {
        Self {
            limiter,
            clock: clock.clone(),
            period: u64::try_from(quota.period().as_nanos()).unwrap(),
            burst: quota.burst_size(),
            latest: clock.now().as_nanos(),
            held: Vec::new(),
            log: Log::new(),
        }
    }

    /// Moves the clock; what was promised for the time in between is used when it was due, whoever
    /// looks.
    fn advance(&mut self, nanos: u64) {
        let now = self.clock.now().as_nanos().saturating_add(nanos);
        self.clock.set(Timestamp::from_nanos(now));
        self.latest = self.latest.max(now);
        let mut due: Vec<usize> = (0..self.held.len())
            .filter(|at| self.held[*at].noted.is_none() && self.held[*at].due <= self.latest)
            .collect();
        due.sort_by_key(|at| self.held[*at].due);
        for at in due {
            let (time, permits) = (self.held[at].due, self.held[at].reservation.permits());
            self.note(Some(at), time, permits);
        }
    }

    /// After anything that may move promises: learns when they are due now.
    fn look(&mut self) {
        let now = self.clock.now();
        for at in 0..self.held.len() {
            if self.held[at].noted.is_some() {
                continue;
            }
            let permits = self.held[at].reservation.permits();
            match self.held[at].reservation.delay() {
                Some(Duration::ZERO) => self.note(Some(at), self.latest, permits),
                Some(delay) => self.held[at].due = (now + delay).as_nanos().max(self.latest),
                // It will never be due.
                None => self.held[at].due = u64::MAX,
            }
        }
    }

    fn note(&mut self, held: Option<usize>, time: u64, permits: u64) {
        if let Some(at) = held {
            self.held[at].noted = Some(self.log.len());
        }
        self.log.push((time, What::Used(permits)));
    }

    fn step(&mut self, (what, share, x): Step, may: May) {
        let n = 1 + x % self.burst;
        match what % 16 {
            0 => self.advance(x % 5),
            1 | 2 => self.advance((self.period >> 16) * u64::from(share)),
            3 => self.advance(self.period.saturating_mul(u64::from(share % 100))),
            4 => {
                // The limiter has seen the time before the clock steps back.
                self.limiter.usage();
                let back = x % (self.period.saturating_mul(2)).max(1);
                let now = self.clock.now().as_nanos().saturating_sub(back);
                self.clock.set(Timestamp::from_nanos(now));
            }
            5 | 6 if self.limiter.allow_n(n) => self.note(None, self.latest, n),
            7 => {
                if let Ok(grant) = self.limiter.try_acquire(n) {
                    self.note(None, self.latest, grant.permits);
                }
            }
            8 => {
                let taken = self.limiter.try_acquire_up_to(n);
                self.note(None, self.latest, taken);
            }
            9 | 10 => {
                if let Ok(reservation) = self.limiter.reserve(n) {
                    if may != May::AskAtOnce || reservation.delay() == Some(Duration::ZERO) {
                        self.held.push(Held { reservation, due: u64::MAX, noted: None });
                    }
                }
            }
            11 | 12 if !self.held.is_empty() => {
                // Late or not, used or not: a cancelled promise was not used.
                let held = self.held.swap_remove(usize::try_from(x).unwrap_or(0) % self.held.len());
                held.reservation.cancel();
                if let Some(at) = held.noted {
                    self.log[at].1 = What::Used(0);
                }
            }
            13 if !self.held.is_empty() => {
                // Dropped when due, it counts as used; before, it gives its place up.
                let held = self.held.swap_remove(usize::try_from(x).unwrap_or(0) % self.held.len());
                drop(held.reservation);
            }
            14 if may == May::All => match x % 3 {
                0 => {
                    self.limiter.credit(n);
                    self.log.push((self.latest, What::Credited(n)));
                }
                1 => drop(self.limiter.consume(n)),
                _ if share % 4 == 0 => {
                    self.limiter.reset();
                    self.log.push((self.latest, What::Reset));
                }
                _ => {}
            },
            _ => {}
        }
        self.look();
    }

    fn run(mut self, steps: &[Step], may: May) -> Log {
        for step in steps {
            self.step(*step, may);
        }
        // Whatever was given back must not let more through at the end either.
        let taken = self.limiter.drain();
        self.note(None, self.latest, taken);
        let mut log = self.log;
        log.sort_by_key(|(at, _)| *at);
        log
    }
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    prop::collection::vec((any::<u8>(), any::<u16>(), any::<u64>()), 1..120)
}

fn quota() -> impl Strategy<Value = Quota> {
    (1_u64..50, 1_u64..5_000_000_000, 1_u64..60).prop_map(|(permits, nanos, burst)| {
        Quota::per(permits, Duration::from_nanos(nanos)).burst(burst)
    })
}

/// A quota whose burst is its permits, as windows have it.
fn window() -> impl Strategy<Value = Quota> {
    (1_u64..50, 64_u64..5_000_000_000)
        .prop_map(|(permits, nanos)| Quota::per(permits, Duration::from_nanos(nanos)))
}

fn clock() -> ManualClock {
    let clock = ManualClock::new();
    clock.set(Timestamp::from_nanos(START));
    clock
}

fn run(limiter: &dyn RateLimiter, clock: &ManualClock, quota: Quota, steps: &[Step]) -> Log {
    Script::new(limiter, clock, quota).run(steps, May::All)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_500))]

    #[test]
    fn a_token_bucket(quota in quota(), steps in steps()) {
        let clock = clock();
        let limiter = TokenBucket::builder(quota).clock(clock.clone()).build().unwrap();
        bounds::bucket(quota, &run(&limiter, &clock, quota, &steps));
    }

    #[test]
    fn an_atomic_bucket(quota in quota(), steps in steps()) {
        let clock = clock();
        let limiter = TokenBucket::builder(quota).clock(clock.clone()).build_atomic();
        if let Ok(limiter) = limiter {
            bounds::bucket(quota, &run(&limiter, &clock, quota, &steps));
        }
    }

    #[test]
    fn an_interval_bucket(quota in quota(), steps in steps()) {
        let clock = clock();
        let limiter = IntervalTokenBucket::builder(quota).clock(clock.clone()).build().unwrap();
        // A reset begins a new grid.
        let log = Script::new(&limiter, &clock, quota).run(&steps, May::Ask);
        bounds::interval(quota, START, &log);
    }

    #[test]
    fn a_fixed_window(quota in window(), steps in steps()) {
        let clock = clock();
        let limiter = FixedWindowLimiter::builder(quota).clock(clock.clone()).build().unwrap();
        let log = Script::new(&limiter, &clock, quota).run(&steps, May::Ask);
        bounds::interval(quota, START, &log);
    }

    #[test]
    fn a_sliding_window(quota in window(), steps in steps()) {
        let clock = clock();
        let limiter = SlidingWindowLimiter::builder(quota).clock(clock.clone()).build().unwrap();
        let log = Script::new(&limiter, &clock, quota).run(&steps, May::Ask);
        bounds::weighed(quota, START, &log);
        bounds::any_period(quota, 2 * quota.permits(), &log);
    }

    #[test]
    fn a_strict_window(quota in window(), steps in steps()) {
        let clock = clock();
        let limiter = StrictLimiter::builder(quota).clock(clock.clone()).build().unwrap();
        bounds::any_period(quota, quota.permits(), &run(&limiter, &clock, quota, &steps));
    }

    #[test]
    fn a_composite(one in quota(), other in quota(), steps in steps()) {
        let clock = clock();
        let limits = [("one", one), ("other", other)];
        let limiter = Composite::builder_of(limits).clock(clock.clone()).build().unwrap();
        let small = if one.burst_size() < other.burst_size() { one } else { other };
        let log = run(&limiter, &clock, small, &steps);
        bounds::bucket(one, &log);
        bounds::bucket(other, &log);
    }

    #[test]
    fn a_key(quota in quota(), own in any::<bool>(), steps in steps()) {
        let clock = clock();
        let builder = KeyedLimiter::<u8>::builder(Quota::per_hour(1)).clock(clock.clone());
        let keyed = if own {
            let keyed = builder.build().unwrap();
            keyed.set_quota_for(&1, quota).unwrap();
            keyed
        } else {
            KeyedLimiter::<u8>::builder(quota).clock(clock.clone()).build().unwrap()
        };
        let key = Arc::new(keyed).for_key_owned(1);
        bounds::bucket(quota, &run(&key, &clock, quota, &steps));
    }

    #[test]
    fn a_key_below_a_limit_for_everybody(
        quota in quota(),
        all in quota(),
        steps in steps(),
    ) {
        let clock = clock();
        let builder = KeyedLimiter::<u8>::builder(quota).global(all).clock(clock.clone());
        let keyed = Arc::new(builder.build().unwrap());
        let key = keyed.for_key_owned(1);
        let small = if quota.burst_size() < all.burst_size() { quota } else { all };
        let log = Script::new(&key, &clock, small).run(&steps, May::AskAtOnce);
        bounds::bucket(quota, &log);
        bounds::bucket(all, &log);
    }
}
