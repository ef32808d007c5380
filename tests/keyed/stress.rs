//! Eight threads over 100,000 keys, with every permit counted, while the limiter is swept, listed,
//! and changed for other keys.

use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use tollgate::keyed::Terms;
use tollgate::{KeyedLimiter, ManualClock, Quota, RateLimiter};

use crate::OnManual;

const THREADS: u64 = 8;
const KEYS: u64 = 100_000;
const BURST: u64 = 3;

fn limiter(quota: Quota, clock: &ManualClock) -> OnManual {
    let builder = KeyedLimiter::<u64>::builder(quota).clock(clock.clone());
    builder.hasher(crate::Hasher::default()).build().unwrap()
}

/// Runs `ask` on each thread for so many of the keys, and `beside` on one more until they end.
fn hammer(asks: u64, ask: impl Fn(u64, u64) + Sync, beside: impl Fn(u64) + Sync) {
    let (done, start) = (AtomicBool::new(false), Barrier::new(THREADS as usize + 1));
    thread::scope(|scope| {
        let asking: Vec<_> = (0..THREADS)
            .map(|thread| {
                let (start, ask) = (&start, &ask);
                scope.spawn(move || {
                    start.wait();
                    // Each in an order of its own, all over the same keys.
                    let step = [1, 3, 7, 9, 11, 13, 17, 19][thread as usize];
                    (0..asks).for_each(|i| ask(thread, i * step % KEYS));
                })
            })
            .collect();
        let disturbing = scope.spawn(|| {
            start.wait();
            for round in 0.. {
                beside(round);
                if done.load(Ordering::Relaxed) {
                    break;
                }
            }
        });
        for thread in asking {
            thread.join().unwrap();
        }
        done.store(true, Ordering::Relaxed);
        disturbing.join().unwrap();
    });
}

/// Counts per key.
fn counters() -> Vec<AtomicU64> {
    std::iter::repeat_with(AtomicU64::default).take(KEYS as usize).collect()
}

fn count(counters: &[AtomicU64], key: u64, permits: u64) {
    counters[key as usize].fetch_add(permits, Ordering::Relaxed);
}

#[test]
fn with_the_clock_stopped_each_key_admits_exactly_its_burst() {
    let clock = ManualClock::new();
    let limiter = limiter(Quota::per_hour(BURST), &clock);
    let granted = counters();
    // Beyond these, keys come and go that are nobody else's.
    let other = |round: u64| KEYS + round % 64;
    hammer(
        KEYS,
        |thread, key| {
            let admitted = match (thread + key) % 4 {
                0 => u64::from(limiter.try_acquire(&key, 1).is_ok()),
                1 => u64::from(limiter.wait_timeout(&key, 1, Duration::ZERO).is_ok()),
                2 => limiter.for_key(&key).try_acquire_up_to(1),
                _ => u64::from(limiter.allow(&key)),
            };
            count(&granted, key, admitted);
        },
        |round| {
            match round % 6 {
                0 => assert_eq!(limiter.sweep(), 0, "nobody is full as long as no time passes"),
                1 => limiter.remove(&other(round / 6)),
                2 => {
                    limiter.set_terms_for(&other(round / 6), Terms::exempt()).unwrap();
                    limiter.clear_terms_for(&other(round / 6 + 1));
                }
                3 => {
                    let usages = limiter.usages().filter(|(key, _)| *key < KEYS);
                    assert!(usages.take(3_000).all(|(_, usage)| (1..=BURST).contains(&usage.used)));
                }
                _ => assert!(limiter.len() <= (KEYS + 64) as usize),
            }
            let _ = limiter.allow(&other(round));
        },
    );
    for (key, granted) in granted.iter().enumerate() {
        let granted = granted.load(Ordering::Relaxed);
        assert_eq!(granted, BURST, "key {key}: 8 have asked for its {BURST} permits");
    }
    assert_eq!(limiter.usages().filter(|(key, _)| *key < KEYS).count() as u64, KEYS);
}

#[test]
fn with_time_going_on_no_key_admits_more_than_flowed_in() {
    let clock = ManualClock::new();
    // A permit a millisecond: buckets are full, and swept, all the time.
    let limiter = limiter(Quota::per_second(1_000).burst(BURST), &clock);
    let granted = counters();
    hammer(
        KEYS / 4,
        |thread, key| {
            // Four of ten ask for a few keys, so that those are short of permits.
            let key = if key % 10 < 4 { key % 16 } else { key };
            count(&granted, key, u64::from(limiter.allow(&key)));
            if thread == 0 && key % 16 == 0 {
                clock.advance(Duration::from_micros(250));
            }
        },
        |round| {
            if round % 2 == 0 {
                limiter.sweep();
            } else {
                let usages = limiter.usages().take(2_000);
                assert!(usages.fold(true, |fine, (_, usage)| fine && usage.used <= BURST));
            }
        },
    );
    let inflow = clock.now_in_millis();
    let mut most_granted = 0;
    for (key, granted) in granted.iter().enumerate() {
        let granted = granted.load(Ordering::Relaxed);
        assert!(granted <= BURST + inflow, "key {key}: {granted} of {BURST} + {inflow}");
        most_granted = most_granted.max(granted);
    }
    assert!(most_granted > BURST, "permits did flow in");
    let total: u64 = granted.iter().map(|granted| granted.load(Ordering::Relaxed)).sum();
    assert_eq!(limiter.totals().allowed, total);
    clock.advance(Duration::from_secs(1));
    limiter.sweep();
    assert!(limiter.is_empty(), "all are full in the end");
}

#[test]
fn a_bound_is_never_passed_and_its_places_are_all_given_back() {
    const MAX: usize = 500;
    let clock = ManualClock::new();
    let builder = KeyedLimiter::<u64>::builder(Quota::per_second(1)).clock(clock.clone());
    let limiter = builder.hasher(crate::Hasher::default()).max_keys(MAX).build().unwrap();
    let granted = AtomicU64::new(0);
    hammer(
        KEYS / 20,
        |_, key| {
            granted.fetch_add(u64::from(limiter.allow(&key)), Ordering::Relaxed);
            if key % 5 == 0 {
                limiter.remove(&key);
            }
        },
        |_| assert!(limiter.len() <= MAX),
    );
    assert!(granted.into_inner() >= MAX as u64);
    // Once all are idle, there is room for as many as ever: no place was lost or had twice.
    clock.advance(Duration::from_secs(1));
    limiter.sweep();
    assert_eq!((KEYS..KEYS + 3_000).filter(|key| limiter.allow(key)).count(), MAX);
}

/// Milliseconds on the clock.
trait Millis {
    fn now_in_millis(&self) -> u64;
}

impl Millis for ManualClock {
    fn now_in_millis(&self) -> u64 {
        tollgate::Clock::now(self).as_nanos() / 1_000_000
    }
}
