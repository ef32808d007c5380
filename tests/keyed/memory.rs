//! What a key costs in memory, that it comes back, and that an attack can't raise it.
//!
//! Bytes are counted as the limiter asks the allocator for them, on the test's own thread.

use std::time::Duration;

use allocation_counter::{AllocationInfo, measure};
use tollgate::keyed::WhenFull;
use tollgate::{KeyedLimiter, ManualClock, Quota, Rejection};

use crate::Hasher;

/// Bytes that are held after `act` beyond those held before.
fn grown(act: impl FnOnce()) -> i64 {
    let AllocationInfo { bytes_current, .. } = measure(act);
    bytes_current
}

/// The most bytes that were held at once during `act`.
fn peak(act: impl FnOnce()) -> u64 {
    measure(act).bytes_max
}

/// With many keys in an attack when optimised; debug builds are slow.
const DISTINCT: u64 = if cfg!(debug_assertions) { 30_000 } else { 1_000_000 };

/// As many as fill hash tables to their brim: 7/8 of a power of two for each of 128 shards, less
/// what keys scatter.
const BRIM: u64 = 104_000;
/// As many as hash tables that have just doubled hold.
const AFTER_DOUBLING: u64 = 128_000;

/// Sixteen bytes, as an address or a token.
fn name(i: u64) -> String {
    format!("{i:016x}")
}

fn bytes_per_u64(keys: u64) -> f64 {
    let builder = KeyedLimiter::<u64>::builder(Quota::per_hour(10));
    // One that is the same in each run: by chance, numbers in a row may fill shards unevenly.
    let limiter = builder.hasher(Hasher::default()).build().unwrap();
    let bytes = grown(|| (0..keys).for_each(|key| assert!(limiter.allow(&key))));
    bytes as f64 / keys as f64
}

#[test]
fn a_u64_key_takes_22_bytes_where_tables_are_full_and_35_where_they_have_just_grown() {
    // A key of 8 bytes, a state of 8, and one of the table's own: 17 in each place.
    let (full, grown) = (bytes_per_u64(BRIM), bytes_per_u64(AFTER_DOUBLING));
    assert!((19.0..=23.0).contains(&full), "{full} bytes a key");
    assert!((30.0..=37.0).contains(&grown), "{grown} bytes a key");
}

#[test]
fn a_u64_key_in_a_tier_takes_30_bytes_where_tables_are_full_and_51_where_they_have_just_grown() {
    let bytes = |keys: u64| {
        let builder = KeyedLimiter::<u64>::builder(Quota::per_hour(10));
        let limiter = builder.hasher(Hasher::default()).build().unwrap();
        let tiers = [50, 500].map(|n| limiter.tier(Quota::per_hour(n)).unwrap());
        let ask = |key: u64| limiter.charge(&key).under(&tiers[key as usize % 2]).allow();
        let bytes = grown(|| (0..keys).for_each(|key| assert!(ask(key))));
        // To and fro, it is still one entry.
        assert_eq!(limiter.len(), keys as usize);
        bytes as f64 / keys as f64
    };
    // A key of 8 bytes, a state of 8, a pointer, and one of the table's own: 25 in each place.
    let (full, grown) = (bytes(BRIM), bytes(AFTER_DOUBLING));
    assert!((27.0..=33.0).contains(&full), "{full} bytes a key");
    assert!((42.0..=54.0).contains(&grown), "{grown} bytes a key");
}

#[test]
fn a_string_key_of_16_bytes_takes_58_where_tables_are_full_and_84_where_they_have_just_grown() {
    // 24 bytes of String, a state of 8, one of the table's own; and 16 on the heap.
    let bytes = |keys: u64| {
        let builder = KeyedLimiter::<String>::builder(Quota::per_hour(10));
        let limiter = builder.hasher(Hasher::default()).build().unwrap();
        let names: Vec<String> = (0..keys).map(name).collect();
        let grown = grown(|| names.iter().for_each(|key| assert!(limiter.allow(key.as_str()))));
        grown as f64 / keys as f64
    };
    let (full, grown) = (bytes(BRIM), bytes(AFTER_DOUBLING));
    assert!((53.0..=60.0).contains(&full), "{full} bytes a key");
    assert!((72.0..=86.0).contains(&grown), "{grown} bytes a key");
}

#[test]
fn memory_falls_back_by_itself_when_keys_go_idle_and_new_ones_come() {
    let clock = ManualClock::new();
    let builder = KeyedLimiter::<u64>::builder(Quota::per_second(10)).clock(clock.clone());
    let limiter = builder.build().unwrap();
    let crowd = grown(|| (0..BRIM).for_each(|key| assert!(limiter.allow(&key))));
    // Since then, a few keys at a time are active.
    let later = grown(|| {
        for key in 0..BRIM {
            if key % 100 == 0 {
                clock.advance(Duration::from_secs(2));
            }
            assert!(limiter.allow(&(BRIM + key)));
        }
    });
    assert!(crowd + later < crowd / 10, "{} of {crowd} bytes are left", crowd + later);
    // The last hundred, and who became idle when no one came any more.
    assert!(limiter.len() < 3_000, "{} keys", limiter.len());
}

#[test]
fn a_sweep_frees_what_idle_keys_took() {
    let clock = ManualClock::new();
    let builder = KeyedLimiter::<String>::builder(Quota::per_second(10)).clock(clock.clone());
    let limiter = builder.build().unwrap();
    let names: Vec<String> = (0..10_000).map(name).collect();
    let before = grown(|| names.iter().for_each(|key| assert!(limiter.allow(key.as_str()))));
    clock.advance(Duration::from_secs(1));
    let freed = grown(|| assert_eq!(limiter.sweep(), 10_000));
    assert_eq!(before + freed, 0, "bytes are left of {before}");
}

/// What a key's bucket takes is relative to a time that has to follow the clock, at fast rates
/// every few seconds.
#[test]
fn a_key_takes_no_more_after_an_hour_at_a_fast_rate() {
    const KEYS: u64 = 5_000;
    let bytes_after = |age| {
        let clock = ManualClock::new();
        let builder = KeyedLimiter::<u64>::builder(Quota::per_second(999_999_937));
        let builder = builder.clock(clock.clone()).hasher(Hasher::default()).shards(1);
        let limiter = builder.build().unwrap();
        clock.advance(age);
        let bytes = grown(|| (0..KEYS).for_each(|key| assert!(limiter.allow_n(&key, 1_000_000))));
        assert_eq!(limiter.len(), KEYS as usize);
        bytes
    };
    let (fresh, later) = (bytes_after(Duration::ZERO), bytes_after(Duration::from_secs(3_600)));
    assert!(later < fresh * 11 / 10, "{later} bytes, and {fresh} at first");
}

/// Keys that nobody has seen come without end; those that are known go on as if nothing were.
#[test]
fn an_attack_with_distinct_keys_meets_a_bound_and_moves_nothing() {
    const MAX: u64 = 10_000;
    let clock = ManualClock::new();
    let builder = KeyedLimiter::<u64>::builder(Quota::per_hour(5)).clock(clock.clone());
    let limiter = builder.max_keys(MAX as usize).build().unwrap();
    (0..MAX).for_each(|key| assert!(limiter.allow(&key)));
    let mut taken = vec![1_u64; MAX as usize];
    let mut attack = || {
        for key in MAX..MAX + DISTINCT {
            let refused = limiter.try_acquire(&key, 1).unwrap_err();
            assert_eq!(refused, Rejection::TooManyKeys { max_keys: MAX as usize });
            if key % 16 == 0 {
                let known = key / 16 % MAX;
                let taken = &mut taken[known as usize];
                assert_eq!(limiter.usage(&known).used, *taken);
                assert_eq!(limiter.allow(&known), *taken < 5);
                *taken = 5.min(*taken + 1);
            }
        }
    };
    // What tells the most refused from the rest fills up at first; then nothing moves.
    attack();
    let moved = measure(attack);
    assert_eq!((moved.bytes_current, moved.bytes_max), (0, 0), "at the end, and at the worst");
    assert_eq!(limiter.len(), MAX as usize);
}

#[test]
fn who_finds_no_room_may_share_one_bucket_and_takes_no_memory() {
    const MAX: u64 = 1_000;
    let clock = ManualClock::new();
    let builder = KeyedLimiter::<u64>::builder(Quota::per_hour(5)).clock(clock.clone());
    let builder = builder.max_keys(MAX as usize).when_full(WhenFull::Share);
    let limiter = builder.build().unwrap();
    (0..MAX).for_each(|key| assert!(limiter.allow(&key)));
    let mut shared = 0;
    let attack = |shared: &mut u64| {
        for key in MAX..MAX + 10_000 {
            *shared += u64::from(limiter.allow(&key));
        }
    };
    attack(&mut shared);
    assert_eq!(peak(|| attack(&mut shared)), 0);
    assert_eq!(shared, 5, "all of them have one bucket together");
    (0..MAX).for_each(|key| assert!(limiter.allow_n(&key, 4), "{key} is known, and has its own"));
    assert_eq!(limiter.len(), MAX as usize);
}
