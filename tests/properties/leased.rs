//! Leases of several threads, driven in lock-step: one acts at a time, so each run is repeatable.

use std::sync::mpsc::{Sender, channel};
use std::thread;
use std::time::Duration;

use num_bigint::BigInt;
use num_rational::BigRational;
use proptest::prelude::*;
use tollgate::{Clock, LeasedTokenBucket, ManualClock, Quota, RateLimiter, TokenBucket};

type Limiter = LeasedTokenBucket<ManualClock>;

/// Runs `act` with `threads` threads that ask for permits when told, and say whether they got them.
fn in_lock_step(limiter: &Limiter, threads: usize, act: impl FnOnce(&dyn Fn(usize, u64) -> bool)) {
    thread::scope(|scope| {
        let workers: Vec<Sender<(u64, Sender<bool>)>> = (0..threads)
            .map(|_| {
                let (asks, asked) = channel::<(u64, Sender<bool>)>();
                scope.spawn(move || {
                    for (permits, answer) in asked {
                        answer.send(limiter.allow_n(permits)).expect("the driver listens");
                    }
                });
                asks
            })
            .collect();
        act(&|thread, permits| {
            let (answer, answered) = channel();
            workers[thread].send((permits, answer)).expect("the thread listens");
            answered.recv().expect("the thread answers")
        });
        // The channels close here, and the threads end.
    });
}

fn leased(quota: Quota, batch: u32, clock: &ManualClock) -> Limiter {
    TokenBucket::builder(quota).clock(clock.clone()).build_leased(batch).expect("burst is left")
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn no_window_admits_too_much(
        threads in 2_usize..=4,
        batch in 1_u32..9,
        (rate, more) in (1_u64..5_000, 1_u64..60),
        steps in prop::collection::vec((0_usize..4, 0_u64..10, 0_u64..3_000_000, 0_u8..20), 1..150),
    ) {
        let clock = ManualClock::new();
        let burst = 16 * u64::from(batch) + more;
        let limiter = leased(Quota::per_second(rate).burst(burst), batch, &clock);
        let mut grants: Vec<(u64, u64)> = Vec::new();
        in_lock_step(&limiter, threads, |ask| {
            for (thread, permits, nanos, verb) in steps {
                match verb {
                    0 => clock.advance(Duration::from_nanos(nanos * 50)),
                    1..=5 => clock.advance(Duration::from_nanos(nanos)),
                    // The bucket itself, past the leases.
                    6 => grants.push((clock.now().as_nanos(), limiter.try_acquire_up_to(permits))),
                    _ if ask(thread % threads, permits) => {
                        grants.push((clock.now().as_nanos(), permits));
                    }
                    _ => {}
                }
            }
        });
        let rate = BigRational::new(rate.into(), 1_000_000_000.into());
        for (i, (start, _)) in grants.iter().enumerate() {
            let mut admitted = 0;
            for (end, permits) in &grants[i..] {
                admitted += permits;
                let inflow = &rate * BigInt::from(end - start);
                let most = inflow + BigInt::from(burst);
                prop_assert!(BigRational::from_integer(admitted.into()) <= most, "{start}..={end}");
            }
        }
    }

    #[test]
    fn idle_leases_come_back(threads in 2_usize..=4, batch in 2_u32..9, more in 1_u64..60) {
        let clock = ManualClock::new();
        // Nothing is refilled within the test.
        let quota = Quota::per_day(1).burst(16 * u64::from(batch) + more);
        let limiter = leased(quota, batch, &clock);
        in_lock_step(&limiter, threads, |ask| {
            let mut admitted = 0;
            for thread in 1..threads {
                admitted += u64::from(ask(thread, 1));
            }
            // The first thread takes what the bucket has, then what the idle ones hold: it sees
            // them once, and once more after a while.
            for _ in 0..3 {
                while ask(0, 1) {
                    admitted += 1;
                }
                clock.advance(Duration::from_millis(2));
            }
            assert_eq!(admitted, more, "all that was there was used");
            assert!((0..threads).all(|thread| !ask(thread, 1)));
        });
        prop_assert_eq!(limiter.usage().remaining, 0);
    }
}
