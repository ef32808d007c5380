//! Bugs of limiters with a bucket for each key.

use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use tollgate::algorithm::{GreedyRefill, StrictWindow};
use tollgate::keyed::{Equivalent, Terms, ToKey};
use tollgate::{Keyed, KeyedLimiter, ManualClock, Quota, RateLimiter, Rejection};

const SECOND: Duration = Duration::from_secs(1);

type OnManual = Keyed<u64, GreedyRefill, ManualClock>;

/// With one shard, where all keys meet.
fn limiter(quota: Quota, clock: &ManualClock) -> OnManual {
    KeyedLimiter::<u64>::builder(quota).clock(clock.clone()).shards(1).build().unwrap()
}

/// Keys come that nobody has seen, so that all places of the tables are gone over.
fn churn(limiter: &OnManual, from: u64) {
    (from..from + 2_000).for_each(|key| assert!(limiter.allow(&key)));
    limiter.sweep();
}

/// throttlecrab, `axum_gcra`, flux-limiter: a key that was idle passed more than one that was new.
#[test]
fn bug_01_02_03_an_idle_key_passes_what_a_new_one_does() {
    for burst in [1, 2, 5, 10] {
        let quota = Quota::per_second(10).burst(burst);
        for idle in [0, 1, 99_999_999, 100_000_000, 500_000_000, 5_000_000_000] {
            let clock = ManualClock::new();
            let limiter = limiter(quota, &clock);
            assert_eq!(limiter.for_key(&1).drain(), burst);
            clock.advance(Duration::from_nanos(idle));
            let back = (idle / 100_000_000).min(burst);
            assert_eq!(limiter.for_key(&1).drain(), back, "burst {burst}, idle for {idle} ns");
            assert_eq!(limiter.for_key(&2).drain(), burst);
        }
    }
}

/// throttle-kit and redis-cell: an interval was rounded to milliseconds, or to nothing, and then no
/// key was kept: no limit at all.
#[test]
fn bug_04_13_fast_rates_are_kept_for_each_key() {
    for rate in [600, 5_000, 1_000_001, 700_000_000, 999_999_937] {
        let clock = ManualClock::new();
        let limiter = limiter(Quota::per_second(rate).burst(10), &clock);
        for key in 0..3 {
            assert_eq!(limiter.for_key(&key).drain(), 10);
        }
        let mut taken = 0;
        for _ in 0..1_000 {
            // So long that no more than the burst comes, and not a whole number of permits.
            clock.advance(Duration::from_nanos(7_654_321_000 / rate));
            assert!(limiter.allow(&99));
            limiter.sweep();
            taken += limiter.for_key(&1).drain();
        }
        let nanos = u128::from(7_654_321_000 / rate) * 1_000;
        assert_eq!(u128::from(taken), nanos * u128::from(rate) / 1_000_000_000, "{rate} a second");
    }
}

/// gcra: a request that could never pass removed its key, and the next one found a full bucket.
#[test]
fn bug_06_an_impossible_request_does_not_drop_its_key() {
    let clock = ManualClock::new();
    let limiter = limiter(Quota::per_hour(5), &clock);
    assert_eq!(limiter.for_key(&1).drain(), 5);
    for request in [6, 1_000, u64::MAX] {
        let refused = limiter.try_acquire(&1, request);
        assert!(matches!(refused, Err(Rejection::ExceedsBurst { burst: 5, .. })));
        assert!(limiter.reserve(&1, request).is_err());
        assert!(!limiter.allow(&1));
    }
    assert_eq!(limiter.len(), 1);
}

/// tokio-rate-limit: keys were evicted by idle time alone: an exhausted one came back full.
#[test]
fn bug_07_a_key_is_not_dropped_before_it_is_full() {
    let clock = ManualClock::new();
    let limiter = limiter(Quota::per_hour(10), &clock);
    assert_eq!(limiter.for_key(&1).drain(), 10);
    for hour in 0..9 {
        clock.advance(SECOND * 360);
        churn(&limiter, 1_000 + hour * 10_000);
        assert_eq!(limiter.usage(&1).used, 9 - hour, "it is not used, and fills up");
    }
    clock.advance(Duration::from_nanos(359_999_999_999));
    churn(&limiter, 200_000);
    assert_eq!(limiter.usage(&1).used, 1, "all but full");
    let is_held = || limiter.usages().any(|(key, _)| key == 1);
    assert!(is_held());
    clock.advance(Duration::from_nanos(1));
    limiter.sweep();
    assert!(!is_held(), "full, and gone");
    assert_eq!(limiter.for_key(&1).drain(), 10);
}

/// The same: who still held an evicted bucket spent from a ghost beside the new one.
#[test]
fn bug_07_a_view_holds_no_bucket_of_its_own() {
    let clock = ManualClock::new();
    let limiter = limiter(Quota::per_second(2), &clock);
    let (one, other) = (limiter.for_key(&1), limiter.for_key(&1));
    assert!(one.allow());
    clock.advance(SECOND);
    assert_eq!(limiter.sweep(), 1);
    assert!(one.allow() && other.allow());
    assert!(!one.allow() && !other.allow() && !limiter.allow(&1));
    limiter.remove(&1);
    assert!(other.allow_n(2));
    assert!(!one.allow());
}

/// The same under threads: evictions beside admissions let more pass than the limit.
#[test]
fn bug_07_evictions_beside_admissions_pass_no_more() {
    const PERIODS: u64 = 200;
    let clock = ManualClock::new();
    let limiter = limiter(Quota::per_second(3), &clock);
    let passed = AtomicU64::new(0);
    for _ in 0..PERIODS {
        thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| {
                    for _ in 0..6 {
                        passed.fetch_add(u64::from(limiter.allow(&1)), Ordering::Relaxed);
                    }
                });
            }
            limiter.sweep();
        });
        clock.advance(SECOND);
    }
    assert_eq!(passed.into_inner(), 3 * PERIODS);
}

/// tower-governor, actix-governor and others: the wait was cut to whole seconds.
#[test]
fn bug_24_a_key_is_told_whole_seconds_rounded_up() {
    let clock = ManualClock::new();
    let limiter = limiter(Quota::per_minute(50), &clock);
    assert_eq!(limiter.for_key(&1).drain(), 50);
    // 1.2 s for one, 2.4 s for two.
    for (permits, seconds) in [(1, 2), (2, 3), (5, 6)] {
        let refused = limiter.try_acquire(&1, permits).unwrap_err();
        assert_eq!(refused.retry_after_secs(), Some(seconds));
    }
    clock.advance(Duration::from_millis(1_199));
    assert_eq!(limiter.try_acquire(&1, 1).unwrap_err().retry_after_secs(), Some(1));
}

/// throttlecrab: above three quarters of its capacity, each request went over all keys;
/// tokio-rate-limit: one in a hundred did. How many a request goes over shows in how many full
/// buckets go with it, when all are full.
#[test]
fn bug_30_no_request_goes_over_all_keys() {
    let clock = ManualClock::new();
    let limiter = limiter(Quota::per_second(1), &clock);
    (0..50_000).for_each(|key| assert!(limiter.allow(&key)));
    clock.advance(SECOND);
    let mut before = limiter.len();
    for key in 50_000..50_500 {
        assert!(limiter.allow(&key));
        let now = limiter.len();
        // One came; of those that are full, no more than a few dozen went at once.
        assert!(before + 1 - now <= 64, "{} of {before} went in one request", before + 1 - now);
        before = now;
    }
    // Known keys sweep nothing at all.
    assert!((50_000..50_500).all(|key| !limiter.allow(&key)));
    assert_eq!(limiter.len(), before);
}

/// Limiters over a sharded map: a guard was held while another key of its shard was used.
#[test]
fn bug_31_what_goes_over_keys_holds_no_lock() {
    let clock = ManualClock::new();
    let limiter = limiter(Quota::per_hour(9), &clock);
    (0..100).for_each(|key| assert!(limiter.allow(&key)));
    for (key, usage) in limiter.usages() {
        assert_eq!(usage.used, 1);
        limiter.remove(&key);
        assert!(limiter.allow(&(1_000 + key)));
    }
    limiter.retain(|key, _| {
        limiter.remove(&(key + 1));
        limiter.allow(&5_000) && key % 2 == 0
    });
    assert!(limiter.usages().all(|(key, _)| key == 5_000 || key % 2 == 0));
}

/// `tower_governor`: a feature added a required method to a trait that users implement. A key by
/// which one looks up needs two, and those of the standard library.
#[test]
fn bug_32_a_look_up_form_needs_as_much_with_every_feature() {
    #[derive(Hash)]
    struct ByNumber(u64);
    impl Equivalent<u64> for ByNumber {
        fn equivalent(&self, key: &u64) -> bool {
            self.0 == *key
        }
    }
    impl ToKey<u64> for ByNumber {
        fn to_key(&self) -> u64 {
            self.0
        }
    }
    let limiter = limiter(Quota::per_hour(1), &ManualClock::new());
    assert!(limiter.allow(&ByNumber(7)) && !limiter.allow(&7));
}

/// litellm: a roll-back that failed half-way left counters charged. Here: the key's, when the limit
/// for all refuses; and a key's terms, when they can't be kept.
#[test]
fn bug_33_a_half_refused_request_is_charged_nowhere() {
    let clock = ManualClock::new();
    let builder = Keyed::<u64, StrictWindow>::builder(Quota::per_second(5)).clock(clock.clone());
    let limiter = builder.global(Quota::per_hour(5).burst(5)).build().unwrap();
    assert!(limiter.allow_n(&1, 2) && limiter.allow_n(&2, 3));
    let used = |key| limiter.usage(key).used;
    for _ in 0..5 {
        assert!(!limiter.allow(&1));
        assert!(limiter.reserve(&1, 1).map(tollgate::Reservation::cancel).is_ok());
        assert!(limiter.for_key(&1).wait_timeout(1, SECOND).is_err());
        assert!(limiter.consume(&1, u64::MAX).is_err());
        assert!(limiter.set_terms_for(&1, Terms::from(Quota::per_second(0))).is_err());
        assert!(limiter.set_quota(Quota::per_second(5).burst(9)).is_err());
        assert_eq!((used(&1), used(&2)), (2, 3));
    }
    assert_eq!(limiter.global().unwrap().usage().used, 5);
    assert_eq!(limiter.quota(), Quota::per_second(5));
}
