//! Real threads on the real clock: reservations that are cancelled late, waits that time out, and
//! all windows checked.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tollgate::{
    AtomicTokenBucket, Composite, KeyedLimiter, Quota, RateLimiter, StrictLimiter, TokenBucket,
};

const THREADS: u64 = 8;

/// A use: it was granted not before the first and not after the second time.
type Use = (u64, u64, u64);

/// Asks in all ways for a while, and says what was used and when.
fn hammer(limiter: &Arc<dyn RateLimiter>) -> Vec<Use> {
    let uses = Mutex::new(Vec::new());
    let start = Instant::now();
    let nanos = || u64::try_from(start.elapsed().as_nanos()).unwrap();
    std::thread::scope(|scope| {
        for thread in 0..THREADS {
            let (uses, nanos) = (&uses, &nanos);
            scope.spawn(move || {
                let mut mine = Vec::new();
                let mut random = thread.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
                let mut held = Vec::new();
                while nanos() < 300_000_000 {
                    random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695);
                    let (before, n) = (nanos(), 1 + (random >> 40) % 3);
                    match (random >> 33) % 8 {
                        0..=2 if limiter.allow_n(n) => mine.push((before, nanos(), n)),
                        3 => {
                            let wait = limiter.wait_timeout(n, Duration::from_micros(200));
                            if wait.is_ok() {
                                mine.push((before, nanos(), n));
                            }
                        }
                        4 | 5 => {
                            let within = Duration::from_micros(300);
                            held.extend(limiter.reserve_within(n, within));
                        }
                        // Cancelled, some long after they were due.
                        _ if held.len() > 4 => {
                            let at = usize::try_from(random >> 50).unwrap() % held.len();
                            held.swap_remove(at).cancel();
                        }
                        _ => {}
                    }
                }
                while let Some(reservation) = held.pop() {
                    reservation.cancel();
                }
                uses.lock().unwrap().extend(mine);
            });
        }
    });
    uses.into_inner().unwrap()
}

/// For all windows: what was surely total within them is at most `most` of their length. A wait
/// that is noticed late counts as of the time when it was due, up to `lag` before.
fn check(name: &str, mut uses: Vec<Use>, lag: u64, most: impl Fn(u64) -> f64) {
    assert!(!uses.is_empty(), "{name}: nothing was admitted");
    uses.sort_unstable();
    let from = uses.len().saturating_sub(3_000);
    for (i, (begin, ..)) in uses.iter().enumerate().skip(from) {
        // Uses whose whole span lies in the window were granted in it.
        let mut ends: Vec<(u64, u64)> = uses[i..].iter().map(|(_, end, n)| (*end, *n)).collect();
        ends.sort_unstable();
        let mut total = 0;
        for (end, n) in ends {
            total += n;
            let length = end - begin + lag;
            #[allow(clippy::cast_precision_loss, reason = "small numbers")]
            let sum = total as f64;
            assert!(sum <= most(length) + 1e-6, "{name}: {total} in {length} ns");
        }
    }
}

fn bucket(quota: Quota) -> impl Fn(u64) -> f64 {
    #[allow(clippy::cast_precision_loss, reason = "small numbers")]
    move |nanos| {
        let rate = quota.permits() as f64 / quota.period().as_nanos() as f64;
        quota.burst_size() as f64 + rate * nanos as f64
    }
}

fn lag(quota: Quota) -> u64 {
    let fill = u128::from(quota.burst_size()) * quota.period().as_nanos();
    u64::try_from(fill / u128::from(quota.permits())).unwrap().max(10_000_000)
}

#[test]
fn token_buckets_with_late_cancels() {
    for quota in [Quota::per_second(20_000).burst(7), Quota::per_second(999_983).burst(100)] {
        let limiter: Arc<dyn RateLimiter> = Arc::new(TokenBucket::new(quota).unwrap());
        check("token bucket", hammer(&limiter), lag(quota), bucket(quota));
        let limiter: Arc<dyn RateLimiter> = Arc::new(AtomicTokenBucket::new(quota).unwrap());
        check("atomic bucket", hammer(&limiter), lag(quota), bucket(quota));
    }
}

#[test]
fn a_key_below_a_limit_for_everybody() {
    let (own, all) = (Quota::per_second(5_000).burst(10), Quota::per_second(20_000).burst(8));
    let keyed = Arc::new(KeyedLimiter::<u8>::builder(own).global(all).build().unwrap());
    let key: Arc<dyn RateLimiter> = Arc::new(keyed.for_key_owned(7));
    let uses = hammer(&key);
    check("key", uses.clone(), lag(own), bucket(own));
    check("everybody", uses, lag(all), bucket(all));
}

#[test]
fn a_composite_with_late_cancels() {
    let (one, other) =
        (Quota::per_second(20_000).burst(10), Quota::per(300, Duration::from_millis(50)));
    let limiter = Composite::of([("one", one), ("other", other)]).unwrap();
    let limiter: Arc<dyn RateLimiter> = Arc::new(limiter);
    let uses = hammer(&limiter);
    check("one", uses.clone(), lag(one), bucket(one));
    check("other", uses, lag(other), bucket(other));
}

/// No lag here: a strict window counts the times of use.
#[test]
fn a_strict_window_with_late_cancels() {
    let quota = Quota::per(100, Duration::from_millis(20));
    let limiter: Arc<dyn RateLimiter> = Arc::new(StrictLimiter::new(quota).unwrap());
    check("strict window", hammer(&limiter), 0, |nanos| {
        if nanos < 20_000_000 { 100.0 } else { f64::INFINITY }
    });
}
