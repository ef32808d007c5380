//! Whatever the rule: a limiter that sweeps all the time answers as one that never drops a key.

use std::time::Duration;

use proptest::prelude::*;
use tollgate::algorithm::{
    Algorithm, FixedWindow, GreedyRefill, IntervalRefill, SlidingWindow, StrictWindow,
};
use tollgate::{
    CarryOver, Clock, Keyed, ManualClock, Quota, QuotaError, RateLimiter, Reservation, Timestamp,
};

use crate::{Hasher, OnManual};

/// What to do, to which key, and a size.
type Step = (u8, u8, u64);

const KEYS: u64 = 4;

fn limiter<A>(quota: Quota, clock: &ManualClock) -> OnManual<A>
where
    A: Algorithm + TryFrom<Quota, Error = QuotaError>,
{
    let builder = Keyed::<u64, A>::builder(quota).clock(clock.clone());
    builder.hasher(Hasher::default()).shards(1).build().unwrap()
}

/// Forgets what is full, while other keys come.
struct Sweeper<'a, A: Algorithm>(&'a OnManual<A>, u64);

impl<A: Algorithm> Sweeper<'_, A> {
    fn step(&mut self, x: u64) {
        for _ in 0..x % 3 {
            self.1 += 1;
            assert!(self.0.allow(&(KEYS + self.1)), "a new key has a full bucket");
        }
        // Not always: a key that is full and still there is a case of its own.
        if x % 2 == 0 {
            self.0.sweep();
        }
    }
}

/// Runs `steps` on both, and compares every answer.
fn run<A>(quota: Quota, steps: &[Step])
where
    A: Algorithm + TryFrom<Quota, Error = QuotaError>,
{
    let clock = ManualClock::new();
    clock.set(Timestamp::from_nanos(1 << 40));
    let (swept, kept) = (limiter::<A>(quota, &clock), limiter::<A>(quota, &clock));
    let names: Vec<u64> = (0..KEYS).collect();
    for name in &names {
        // A key with terms of its own stays, though here they are everybody's.
        kept.set_quota_for(name, quota).unwrap();
    }
    let views = |limiter| -> Vec<Box<dyn RateLimiter + '_>> {
        let limiter: &OnManual<A> = limiter;
        names.iter().map(|name| Box::new(limiter.for_key(name)) as _).collect()
    };
    let (one, other) = (views(&swept), views(&kept));
    let mut held: Vec<[Reservation<'_>; 2]> = Vec::new();
    let mut sweeper = Sweeper(&swept, 0);
    for &(what, key, x) in steps {
        sweeper.step(x);
        let (one, other) = (&one[usize::from(key % 4)], &other[usize::from(key % 4)]);
        // Not by way of the view: a look at a full key drops it.
        let n = x % (swept.quota().burst_size() + 2);
        let period = u64::try_from(quota.period().as_nanos()).unwrap();
        match what % 16 {
            0..=3 => clock.advance(Duration::from_nanos((x >> 8) % (period / 2))),
            4 => clock.advance(Duration::from_nanos(period * (x % 3) + (x >> 8) % period)),
            5 => {
                // Both have seen the time, and go on from it.
                assert_eq!(one.usage(), other.usage());
                let back = (x >> 8) % period;
                clock.set(Timestamp::from_nanos(clock.now().as_nanos() - back));
            }
            6 | 7 => assert_eq!(one.allow_n(n), other.allow_n(n)),
            8 => assert_eq!(one.try_acquire(n), other.try_acquire(n)),
            9 => assert_eq!(one.delay_for(n), other.delay_for(n)),
            10 => assert_eq!(one.consume(n * 3), other.consume(n * 3)),
            11 => {
                one.credit(n);
                other.credit(n);
            }
            12 => match (one.reserve(n), other.reserve(n)) {
                (Ok(one), Ok(other)) => held.push([one, other]),
                (one, other) => assert_eq!(one.err(), other.err()),
            },
            13 if !held.is_empty() => {
                let pair = held.swap_remove(usize::try_from(x).unwrap_or(0) % held.len());
                assert_eq!(pair[0].delay(), pair[1].delay());
                if x % 3 > 0 {
                    pair.into_iter().for_each(Reservation::cancel);
                }
            }
            14 if x % 4 == 0 => {
                let period = Duration::from_nanos((x >> 12) % period + 1);
                let quota = Quota::per(x % 20 + 1, period);
                let how =
                    [CarryOver::Proportional, CarryOver::AddDifference][(x >> 8) as usize % 2];
                swept.set_quota_with(quota, how).unwrap();
                for name in &names {
                    kept.set_quota_for_with(name, quota, how).unwrap();
                }
            }
            15 if x % 8 == 0 => {
                one.reset();
                other.reset();
            }
            _ => assert_eq!(one.usage(), other.usage()),
        }
    }
}

fn quota() -> impl Strategy<Value = Quota> {
    (1_u64..20, 64_u64..3_000_000_000)
        .prop_map(|(permits, nanos)| Quota::per(permits, Duration::from_nanos(nanos)))
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    prop::collection::vec(any::<Step>(), 1..200)
}

proptest! {
    #![proptest_config(crate::cases(60))]

    #[test]
    fn no_sweep_is_to_be_seen_in_a_token_bucket(quota in quota(), steps in steps()) {
        run::<GreedyRefill>(quota, &steps);
    }

    #[test]
    fn no_sweep_is_to_be_seen_in_an_interval_bucket(quota in quota(), steps in steps()) {
        run::<IntervalRefill>(quota, &steps);
    }

    #[test]
    fn no_sweep_is_to_be_seen_in_a_fixed_window(quota in quota(), steps in steps()) {
        run::<FixedWindow>(quota, &steps);
    }

    #[test]
    fn no_sweep_is_to_be_seen_in_a_sliding_window(quota in quota(), steps in steps()) {
        run::<SlidingWindow>(quota, &steps);
    }

    #[test]
    fn no_sweep_is_to_be_seen_in_a_strict_window(quota in quota(), steps in steps()) {
        run::<StrictWindow>(quota, &steps);
    }
}
