//! The hot paths allocate nothing.

use std::time::Duration;

use tollgate::algorithm::{Algorithm, GreedyRefill, StrictWindow};
use tollgate::keyed::{self, ByParts, Key, KeyRef, Terms};
use tollgate::{
    AtomicTokenBucket, Clock, Composite, FixedWindowLimiter, IntervalTokenBucket, Keyed,
    KeyedLimiter, LeasedTokenBucket, ManualClock, Quota, QuotaError, RateLimiter,
    SlidingWindowLimiter, StrictLimiter, TokenBucket, take_all, take_each,
};

const ROUNDS: u64 = 200;

/// Enough for whatever a test takes in the rounds it shall be granted.
const AMPLE: Quota = Quota::per_second(1_000_000);

/// Used up by the first few permits.
const SCARCE: Quota = Quota::per_hour(3);

/// Runs `act` and asserts that it allocated nothing. Only this thread's allocations count.
#[track_caller]
fn assert_allocates_nothing(what: &str, mut act: impl FnMut()) {
    let info = allocation_counter::measure(|| {
        for _ in 0..ROUNDS {
            act();
        }
    });
    assert_eq!(info.count_total, 0, "{what} allocates: {info:?}");
}

/// Every hot verb on a limiter that has plenty.
#[track_caller]
fn assert_granting_allocates_nothing(limiter: &dyn RateLimiter) {
    assert_allocates_nothing("allow", || assert!(limiter.allow()));
    assert_allocates_nothing("allow_n", || assert!(limiter.allow_n(3)));
    assert_allocates_nothing("try_acquire", || assert!(limiter.try_acquire(1).is_ok()));
    assert_allocates_nothing("try_acquire_up_to", || assert_eq!(limiter.try_acquire_up_to(2), 2));
    assert_allocates_nothing("usage", || assert!(limiter.usage().remaining > 0));
    assert_allocates_nothing("consume", || assert!(limiter.consume(1).is_ok()));
    assert_allocates_nothing("credit", || limiter.credit(1));
    assert_allocates_nothing("delay_for", || assert!(limiter.delay_for(1).is_ok()));
    assert_allocates_nothing("is_closed", || assert!(!limiter.is_closed()));
}

/// Every hot verb on a limiter that has nothing left.
#[track_caller]
fn assert_refusing_allocates_nothing(limiter: &dyn RateLimiter) {
    while limiter.allow() {}
    assert_allocates_nothing("allow, refused", || assert!(!limiter.allow()));
    assert_allocates_nothing("allow_n, refused", || assert!(!limiter.allow_n(2)));
    assert_allocates_nothing("try_acquire, refused", || assert!(limiter.try_acquire(1).is_err()));
    assert_allocates_nothing("beyond the burst", || {
        assert!(limiter.try_acquire(u64::MAX).is_err());
    });
    assert_allocates_nothing("try_acquire_up_to", || assert_eq!(limiter.try_acquire_up_to(2), 0));
    assert_allocates_nothing("usage", || assert_eq!(limiter.usage().remaining, 0));
    assert_allocates_nothing("delay_for", || assert!(limiter.delay_for(1).is_ok()));
}

#[test]
fn the_counter_counts() {
    let info = allocation_counter::measure(|| drop(std::hint::black_box(Box::new(1_u8))));
    assert_eq!(info.count_total, 1);
}

#[test]
fn token_bucket() -> Result<(), QuotaError> {
    assert_granting_allocates_nothing(&TokenBucket::new(AMPLE)?);
    assert_refusing_allocates_nothing(&TokenBucket::new(SCARCE)?);
    Ok(())
}

#[test]
fn interval_token_bucket() -> Result<(), QuotaError> {
    assert_granting_allocates_nothing(&IntervalTokenBucket::new(AMPLE)?);
    assert_refusing_allocates_nothing(&IntervalTokenBucket::new(SCARCE)?);
    Ok(())
}

#[test]
fn atomic_token_bucket() -> Result<(), QuotaError> {
    assert_granting_allocates_nothing(&AtomicTokenBucket::new(AMPLE)?);
    assert_refusing_allocates_nothing(&AtomicTokenBucket::new(SCARCE)?);
    Ok(())
}

#[test]
fn leased_token_bucket() -> Result<(), QuotaError> {
    let ample = LeasedTokenBucket::new(AMPLE, 64)?;
    // A thread's first use of any leased bucket gives it its number.
    assert!(ample.allow());
    assert_granting_allocates_nothing(&ample);
    let scarce = Quota::per_hour(1).burst(16 * 4 + 3);
    assert_refusing_allocates_nothing(&LeasedTokenBucket::new(scarce, 4)?);
    Ok(())
}

#[test]
fn windows() -> Result<(), QuotaError> {
    assert_granting_allocates_nothing(&FixedWindowLimiter::new(AMPLE)?);
    assert_refusing_allocates_nothing(&FixedWindowLimiter::new(SCARCE)?);
    assert_granting_allocates_nothing(&SlidingWindowLimiter::new(AMPLE)?);
    assert_refusing_allocates_nothing(&SlidingWindowLimiter::new(SCARCE)?);
    Ok(())
}

#[test]
fn strict_window_after_it_has_warmed_up() -> Result<(), QuotaError> {
    let clock = ManualClock::new();
    let limiter = StrictLimiter::builder(Quota::per_second(1000)).clock(clock.clone()).build()?;
    // It remembers the times of grants: as many as ever fall into one period.
    let step = || {
        clock.advance(Duration::from_millis(2));
        assert!(limiter.allow());
    };
    (0..3000).for_each(|_| step());
    assert_allocates_nothing("allow", step);
    assert_refusing_allocates_nothing(&StrictLimiter::new(SCARCE)?);
    Ok(())
}

#[test]
fn composite() -> Result<(), QuotaError> {
    let limiter = Composite::of([("second", AMPLE), ("hour", Quota::per_hour(50_000))])?;
    assert_allocates_nothing("allow", || assert!(limiter.allow()));
    assert_allocates_nothing("allow_n", || assert!(limiter.allow_n(3)));
    assert_allocates_nothing("try_acquire", || assert!(limiter.try_acquire(1).is_ok()));
    let scarce = Composite::of([("second", AMPLE), ("hour", SCARCE)])?;
    while scarce.allow() {}
    assert_allocates_nothing("allow, refused", || assert!(!scarce.allow()));
    assert_allocates_nothing("allow_n, refused", || assert!(!scarce.allow_n(2)));
    Ok(())
}

/// A keyed limiter whose clock stands still: a key that has become full is known no more.
fn by_key<K: Key>(quota: Quota) -> keyed::KeyedBuilder<K, GreedyRefill, ManualClock> {
    KeyedLimiter::builder(quota).clock(ManualClock::new())
}

/// Every hot verb on a known key that has plenty.
#[track_caller]
fn assert_granting_a_key_allocates_nothing<K: Key, A: Algorithm, Q: KeyRef<K> + ?Sized>(
    limiter: &Keyed<K, A, ManualClock>,
    key: &Q,
) {
    // The first sight of a key makes its entry; the first look makes room to work in.
    assert!(limiter.allow(key) && limiter.usage(key).used > 0);
    assert_allocates_nothing("allow", || assert!(limiter.allow(key)));
    assert_allocates_nothing("allow_n", || assert!(limiter.allow_n(key, 3)));
    assert_allocates_nothing("try_acquire", || assert!(limiter.try_acquire(key, 1).is_ok()));
    assert_allocates_nothing("usage", || assert!(limiter.usage(key).remaining > 0));
    assert_allocates_nothing("credit", || limiter.credit(key, 1));
    assert_allocates_nothing("delay_for", || assert!(limiter.delay_for(key, 1).is_ok()));
    assert_allocates_nothing("for_key", || assert!(limiter.for_key(key).allow()));
}

/// Every hot verb on a known key that has nothing left.
#[track_caller]
fn assert_refusing_a_key_allocates_nothing<K: Key, A: Algorithm, Q: KeyRef<K> + ?Sized>(
    limiter: &Keyed<K, A, ManualClock>,
    key: &Q,
) {
    // The first refusal begins its count; the first look makes room to work in.
    while limiter.allow(key) {}
    assert!(limiter.usage(key).used > 0);
    assert_allocates_nothing("allow, refused", || assert!(!limiter.allow(key)));
    assert_allocates_nothing("allow_n, refused", || assert!(!limiter.allow_n(key, 2)));
    assert_allocates_nothing("try_acquire, refused", || {
        assert!(limiter.try_acquire(key, 1).is_err());
    });
    assert_allocates_nothing("usage", || assert!(limiter.usage(key).used > 0));
    assert_allocates_nothing("delay_for", || assert!(limiter.delay_for(key, 1).is_ok()));
}

#[test]
fn a_known_key_by_whatever_it_is_looked_up() -> Result<(), QuotaError> {
    fn check<K: Key, Q: KeyRef<K> + ?Sized>(key: &Q) -> Result<(), QuotaError> {
        let ample = by_key::<K>(AMPLE).build()?;
        assert_granting_a_key_allocates_nothing(&ample, key);
        assert_allocates_nothing("consume", || assert!(ample.consume(key, 1).is_ok()));
        let scarce = by_key::<K>(SCARCE).build()?;
        assert_refusing_a_key_allocates_nothing(&scarce, key);
        // In debt, too, and with more of it than fits beside the key.
        assert_allocates_nothing("consume", || assert!(scarce.consume(key, 1).is_ok()));
        assert!(scarce.consume(key, 10_000_000).is_ok());
        assert_allocates_nothing("allow, in debt", || assert!(!scarce.allow(key)));
        Ok(())
    }
    check::<u64, _>(&7)?;
    check::<String, _>("alice")?;
    check::<(String, u16), _>(&ByParts(("acme", &443)))
}

#[test]
fn a_key_with_terms_of_its_own_and_one_that_a_limit_for_all_stands_above() -> Result<(), QuotaError>
{
    let limiter = by_key::<String>(SCARCE).build()?;
    assert!(limiter.set_terms_for("alice", Terms::from(AMPLE)).is_ok());
    assert_granting_a_key_allocates_nothing(&limiter, "alice");
    let limiter = by_key::<String>(AMPLE).global(AMPLE).max_keys(9).build()?;
    assert_granting_a_key_allocates_nothing(&limiter, "alice");
    let limiter = by_key::<String>(AMPLE).global(SCARCE).build()?;
    assert!(limiter.allow("alice"));
    assert_refusing_a_key_allocates_nothing(&limiter, "alice");
    Ok(())
}

#[test]
fn a_decision_over_several_known_keys() -> Result<(), QuotaError> {
    let (users, addresses) = (by_key::<String>(AMPLE).build()?, by_key::<u64>(AMPLE).build()?);
    let (routes, all) =
        (by_key::<u32>(SCARCE).global(AMPLE).max_keys(9).build()?, TokenBucket::new(AMPLE)?);
    let gold = users.tier(Quota::per_second(2_000_000))?;
    assert!(routes.set_terms_for(&1, Terms::from(AMPLE).cost(2)).is_ok());
    let granting = || {
        let (mut user, mut address) = (users.charge("alice").under(&gold), addresses.charge(&7));
        let (mut route, mut all) = (routes.charge(&1), all.charge(1));
        assert!(take_all(&mut [&mut user, &mut address, &mut all]));
        assert!(user.answer().grant().is_some());
        assert!(take_all(&mut [&mut user, &mut address, &mut route, &mut all]));
        assert!(take_each(&mut [addresses.charge(&7), addresses.charge(&7)]));
    };
    // The first sight of a key makes its entry, and room to work in.
    granting();
    assert_allocates_nothing("take_all", granting);
    let refusing = || {
        let (mut user, mut address) = (users.charge("alice").under(&gold), addresses.charge(&7));
        let mut route = routes.charge(&2).cost(9);
        assert!(!take_all(&mut [&mut user, &mut address, &mut route]));
        assert!(route.answer().rejection().is_some());
    };
    refusing();
    assert_allocates_nothing("take_all, refused", refusing);
    Ok(())
}

/// Beside this, `consume` copies the window's entries: it must be able to take nothing after all.
#[test]
fn a_known_key_of_a_strict_window() -> Result<(), QuotaError> {
    let build = |quota| Keyed::<String, StrictWindow>::builder(quota).clock(ManualClock::new());
    let ample = build(AMPLE).build()?;
    assert_granting_a_key_allocates_nothing(&ample, "alice");
    let scarce = build(SCARCE).build()?;
    assert_refusing_a_key_allocates_nothing(&scarce, "alice");
    Ok(())
}

#[test]
fn manual_clock() {
    let clock = ManualClock::new();
    assert_allocates_nothing("ManualClock", || {
        clock.advance(Duration::from_nanos(1));
        assert!(clock.now().as_nanos() > 0);
    });
}

#[test]
fn kernel_clock() -> Result<(), QuotaError> {
    let clock = tollgate::MonotonicClock::new();
    assert_granting_allocates_nothing(&TokenBucket::builder(AMPLE).clock(clock).build()?);
    Ok(())
}

#[cfg(feature = "tokio")]
#[test]
fn tokio_clock() -> Result<(), QuotaError> {
    let clock = tollgate::TokioClock::new();
    assert_granting_allocates_nothing(&TokenBucket::builder(AMPLE).clock(clock).build()?);
    Ok(())
}
