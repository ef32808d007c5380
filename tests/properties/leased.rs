//! Leases of several threads, driven in lock-step: one acts at a time, so each run is repeatable.

use std::sync::mpsc::{Sender, channel};
use std::thread;
use std::time::Duration;

use num_bigint::BigInt;
use num_rational::BigRational;
use proptest::prelude::*;
use tollgate::{Clock, LeasedTokenBucket, ManualClock, Quota, RateLimiter, TokenBucket};

type Limiter = LeasedTokenBucket<ManualClock>;

/// What a thread is told: how many permits to ask for, and where to say whether it got them.
type Told = (u64, Sender<bool>);

/// Threads that ask for permits when told. They come and go.
struct Threads<'scope> {
    start: Box<dyn Fn() -> Thread<'scope> + 'scope>,
    threads: Vec<Thread<'scope>>,
}

type Thread<'scope> = (Sender<Told>, thread::ScopedJoinHandle<'scope, ()>);

impl Threads<'_> {
    /// Lets a thread ask; returns whether it got all of `permits`.
    fn ask(&self, thread: usize, permits: u64) -> bool {
        let (answer, answered) = channel();
        self.threads[thread].0.send((permits, answer)).expect("the thread listens");
        answered.recv_timeout(Duration::from_secs(60)).expect("the thread answers")
    }

    /// Ends a thread, and starts another one in its place.
    fn replace(&mut self, thread: usize) {
        let new = (self.start)();
        let (asks, ending) = std::mem::replace(&mut self.threads[thread], new);
        drop(asks);
        ending.join().expect("no panic");
    }
}

/// Runs `act` with threads that ask `limiter` in lock-step.
fn in_lock_step(limiter: &Limiter, threads: usize, act: impl FnOnce(&mut Threads<'_>)) {
    thread::scope(|scope| {
        let start = move || {
            let (asks, asked) = channel::<Told>();
            let thread = scope.spawn(move || {
                for (permits, answer) in asked {
                    answer.send(limiter.allow_n(permits)).expect("the driver listens");
                }
            });
            (asks, thread)
        };
        let all = (0..threads).map(|_| start()).collect();
        act(&mut Threads { start: Box::new(start), threads: all });
        // The channels close here, and the threads end.
    });
}

fn leased(quota: Quota, batch: u32, clock: &ManualClock) -> Limiter {
    TokenBucket::builder(quota).clock(clock.clone()).build_leased(batch).expect("burst is left")
}

/// The most that was used in a window, beyond `burst` and what came at `rate` permits a second.
fn most_over(grants: &[(u64, u64)], rate: u64, burst: u64) -> Option<(u64, u64)> {
    let rate = BigRational::new(rate.into(), 1_000_000_000.into());
    for (i, (start, _)) in grants.iter().enumerate() {
        let mut admitted = 0;
        for (end, permits) in &grants[i..] {
            admitted += permits;
            let most = &rate * BigInt::from(end - start) + BigInt::from(burst);
            if BigRational::from_integer(admitted.into()) > most {
                return Some((*start, *end));
            }
        }
    }
    None
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn no_window_admits_too_much(
        threads in 2_usize..=24,
        batch in 1_u32..9,
        (rate, more) in (1_u64..5_000, 1_u64..60),
        steps in prop::collection::vec((0_usize..24, 0_u64..10, 0_u64..3_000_000, 0_u8..24), 1..200),
    ) {
        let clock = ManualClock::new();
        let burst = 16 * u64::from(batch) + more;
        let limiter = leased(Quota::per_second(rate).burst(burst), batch, &clock);
        let mut grants: Vec<(u64, u64)> = Vec::new();
        in_lock_step(&limiter, threads, |all| {
            for (thread, permits, nanos, verb) in steps {
                let got = match verb {
                    0 => { clock.advance(Duration::from_nanos(nanos * 50)); 0 }
                    1..=5 => { clock.advance(Duration::from_nanos(nanos)); 0 }
                    6 => { all.replace(thread % threads); 0 }
                    // All others ask the bucket itself.
                    7 => limiter.try_acquire_up_to(permits),
                    8 => limiter.try_acquire(permits).map_or(0, |grant| grant.permits),
                    9 => limiter.wait_timeout(permits, Duration::ZERO).map_or(0, |grant| grant.permits),
                    // Several at a time, so that leases grow.
                    10..=12 => (0..permits).map(|_| u64::from(all.ask(thread % threads, 1))).sum(),
                    _ if all.ask(thread % threads, permits) => permits,
                    _ => 0,
                };
                if got != 0 {
                    grants.push((clock.now().as_nanos(), got));
                }
            }
        });
        prop_assert_eq!(most_over(&grants, rate, burst), None);
        let used: u64 = grants.iter().map(|(_, permits)| permits).sum();
        prop_assert_eq!(limiter.usage().allowed, used);
    }

    #[test]
    fn idle_leases_come_back(
        threads in 2_usize..=24,
        batch in 2_u32..9,
        more in 1_u64..160,
        asks in 1_u64..9,
        ends in any::<bool>(),
    ) {
        let clock = ManualClock::new();
        // Nothing is refilled within the test.
        let quota = Quota::per_day(1).burst(16 * u64::from(batch) + more);
        let limiter = leased(quota, batch, &clock);
        in_lock_step(&limiter, threads, |all| {
            let mut admitted = 0;
            for thread in 1..threads {
                admitted += (0..asks).map(|_| u64::from(all.ask(thread, 1))).sum::<u64>();
                if ends {
                    all.replace(thread);
                }
            }
            // The first thread takes what the bucket has, then what the others hold.
            for _ in 0..2 {
                while all.ask(0, 1) {
                    admitted += 1;
                }
                clock.advance(Duration::from_millis(1));
            }
            assert_eq!(admitted, more, "all that was there was used");
            assert!((0..threads).all(|thread| !all.ask(thread, 1)));
        });
        prop_assert_eq!(limiter.usage().remaining, 0);
    }
}
