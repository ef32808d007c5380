//! Every interleaving of small scenes with at most three preemptions on keyed limiters, by loom:
//! `RUSTFLAGS="--cfg tollgate_loom" cargo test --profile loom --test loom_keyed`.
//!
//! As in `loom.rs`, time stands still or is moved by the scene's own threads, so a wait that nobody
//! ends is found as a deadlock.
#![cfg(tollgate_loom)]
#![allow(clippy::unwrap_used, reason = "a scene that fails shall panic")]

use std::hash::{BuildHasherDefault, DefaultHasher};
use std::time::Duration;

use loom::sync::Arc;
use loom::thread::{self, JoinHandle};
use tollgate::algorithm::GreedyRefill;
use tollgate::keyed::{KeyedBuilder, Terms, WhenFull};
use tollgate::{
    CarryOver, Keyed, KeyedLimiter, ManualClock, Quota, RateLimiter, Rejection, WaitError, take_all,
};

const SECOND: Duration = Duration::from_secs(1);

/// Not seeded: each run must be like the last one.
type Hasher = BuildHasherDefault<DefaultHasher>;
type OnManual = Keyed<u64, GreedyRefill, ManualClock, Hasher>;
type OnManualBuilder = KeyedBuilder<u64, GreedyRefill, ManualClock, Hasher>;

/// Runs `act` beside the scene.
fn beside<T: 'static>(
    limiter: &Arc<OnManual>,
    act: impl FnOnce(&OnManual) -> T + 'static,
) -> JoinHandle<T> {
    let limiter = Arc::clone(limiter);
    thread::spawn(move || act(&limiter))
}

fn model(scene: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(3);
    builder.check(scene);
}

/// One shard, so that all keys meet in it.
fn builder(quota: Quota, clock: &ManualClock) -> OnManualBuilder {
    let builder = KeyedLimiter::<u64>::builder(quota).clock(clock.clone());
    builder.hasher(Hasher::default()).shards(1)
}

fn build(builder: OnManualBuilder) -> Arc<OnManual> {
    Arc::new(builder.build().unwrap())
}

#[test]
fn two_that_insert_one_key_share_its_bucket() {
    model(|| {
        let limiter = build(builder(Quota::per_hour(2), &ManualClock::new()));
        let other = beside(&limiter, |limiter| limiter.allow_n(&7, 2));
        let mine = limiter.allow(&7);
        let theirs = other.join().unwrap();
        assert!(mine ^ theirs, "three permits of two, or none: {mine} {theirs}");
        assert_eq!(limiter.len(), 1);
    });
}

/// With terms from a function, a new key is looked for twice, with the lock free in between.
#[test]
fn two_that_insert_one_key_whose_terms_are_asked_for_share_its_bucket() {
    model(|| {
        let terms = |_: &u64| Terms::from(Quota::per_hour(2));
        let limiter = build(builder(Quota::per_hour(9), &ManualClock::new()).terms_by(terms));
        let other = beside(&limiter, |limiter| limiter.allow_n(&7, 2));
        let mine = limiter.allow(&7);
        let theirs = other.join().unwrap();
        assert!(mine ^ theirs, "three permits of two, or none: {mine} {theirs}");
        assert_eq!(limiter.len(), 1);
    });
}

#[test]
fn a_sweep_drops_no_permit_taken_beside_it() {
    model(|| {
        let clock = ManualClock::new();
        let limiter = build(builder(Quota::per_second(2), &clock));
        assert!(limiter.allow_n(&7, 2));
        // Full again, and not used: to be swept.
        clock.advance(SECOND);
        let sweeping = beside(&limiter, OnManual::sweep);
        assert!(limiter.allow_n(&7, 2));
        assert!(sweeping.join().unwrap() <= 1);
        assert!(!limiter.allow(&7), "a bucket in use was swept");
        assert_eq!(limiter.len(), 1);
    });
}

#[test]
fn a_sweep_drops_no_debt_recorded_beside_it() {
    model(|| {
        let clock = ManualClock::new();
        let limiter = build(builder(Quota::per_second(1), &clock));
        assert!(limiter.allow(&7));
        clock.advance(SECOND);
        let sweeping = beside(&limiter, OnManual::sweep);
        limiter.consume(&7, 3).unwrap();
        sweeping.join().unwrap();
        assert_eq!(limiter.usage(&7).used, 3);
    });
}

/// The clock reaches the time at which the key is full, while it is swept and used.
#[test]
fn a_sweep_at_the_moment_of_refill_admits_once() {
    model(|| {
        let clock = ManualClock::new();
        let limiter = build(builder(Quota::per_second(1), &clock));
        assert!(limiter.allow(&7));
        let ticking = beside(&limiter, move |limiter| {
            clock.advance(SECOND);
            limiter.sweep();
        });
        let early = limiter.allow(&7);
        ticking.join().unwrap();
        assert_eq!(limiter.allow(&7), !early);
        assert!(!limiter.allow(&7));
    });
}

#[test]
fn a_sweep_drops_nobody_who_waits() {
    model(|| {
        let clock = ManualClock::new();
        let limiter = build(builder(Quota::per_second(1), &clock));
        assert!(limiter.allow(&7));
        let waiting = beside(&limiter, |limiter| limiter.wait(&7).unwrap().permits);
        limiter.sweep();
        clock.advance(SECOND);
        limiter.sweep();
        assert_eq!(waiting.join().unwrap(), 1);
        assert!(!limiter.allow(&7), "the second's only permit is the waiter's");
    });
}

#[test]
fn a_removal_comes_before_or_after_a_debt() {
    model(|| {
        let limiter = build(builder(Quota::per_hour(2), &ManualClock::new()));
        assert!(limiter.allow(&7));
        let removing = beside(&limiter, |limiter| limiter.remove(&7));
        limiter.consume(&7, 4).unwrap();
        removing.join().unwrap();
        let used = limiter.usage(&7).used;
        assert!([0, 4].contains(&used), "{used} used: neither before nor after");
    });
}

#[test]
fn a_removal_serves_who_waits() {
    model(|| {
        let limiter = build(builder(Quota::per_hour(1), &ManualClock::new()));
        assert!(limiter.allow(&7));
        // Whether it waits yet or not: the hour is over for it.
        let waiting = beside(&limiter, |limiter| limiter.wait(&7).unwrap().permits);
        limiter.remove(&7);
        assert_eq!(waiting.join().unwrap(), 1);
        assert!(!limiter.allow(&7), "what it was given, it has used");
    });
}

#[test]
fn of_two_new_keys_only_one_finds_the_last_place() {
    model(|| {
        let limiter = build(builder(Quota::per_hour(1), &ManualClock::new()).max_keys(1));
        let other = beside(&limiter, |limiter| limiter.try_acquire(&1, 1).map(|_| ()));
        let mine = limiter.try_acquire(&2, 1).map(|_| ());
        let theirs = other.join().unwrap();
        let refused = Err(Rejection::TooManyKeys { max_keys: 1 });
        assert!(
            (mine.is_ok() && theirs == refused) || (theirs.is_ok() && mine == refused),
            "{mine:?} {theirs:?}"
        );
        assert_eq!(limiter.len(), 1);
    });
}

#[test]
fn a_place_reserved_twice_for_one_key_is_given_back() {
    model(|| {
        let limiter = build(builder(Quota::per_hour(2), &ManualClock::new()).max_keys(2));
        let other = beside(&limiter, |limiter| limiter.allow(&1));
        assert!(limiter.allow(&1));
        assert!(other.join().unwrap());
        assert!(limiter.allow(&2), "one key holds two places");
        assert!(!limiter.allow(&3));
    });
}

#[test]
fn who_shares_the_overflow_bucket_gets_no_more_than_it_has() {
    model(|| {
        let builder = builder(Quota::per_hour(1), &ManualClock::new()).max_keys(1);
        let limiter = build(builder.when_full(WhenFull::Share));
        assert!(limiter.allow(&0));
        let other = beside(&limiter, |limiter| limiter.allow(&1));
        let mine = limiter.allow(&2);
        assert!(mine ^ other.join().unwrap());
    });
}

#[test]
fn a_new_quota_for_all_comes_before_or_after_a_permit() {
    model(|| {
        let limiter = build(builder(Quota::per_day(3), &ManualClock::new()));
        assert!(limiter.allow(&7));
        let changing = beside(&limiter, |limiter| {
            limiter.set_quota_with(Quota::per_hour(2), CarryOver::Keep).unwrap();
        });
        assert!(limiter.allow(&7));
        changing.join().unwrap();
        // Two are left of three, or of two. A permit of a day's three costs 16 of an hour's two: a
        // mixture shows.
        assert_eq!(limiter.usage(&7).remaining, 1);
    });
}

#[test]
fn a_new_quota_for_one_key_comes_before_or_after_its_first_permit() {
    model(|| {
        let limiter = build(builder(Quota::per_hour(2), &ManualClock::new()));
        let changing = beside(&limiter, |limiter| {
            limiter.set_quota_for(&7, Quota::per_hour(4)).unwrap();
        });
        assert!(limiter.allow(&7));
        changing.join().unwrap();
        // One of 2 is carried over as 2 of 4.
        assert!([2, 3].contains(&limiter.usage(&7).remaining));
        assert_eq!(limiter.len(), 1);
    });
}

#[test]
fn blocking_a_key_ends_who_waits() {
    model(|| {
        let limiter = build(builder(Quota::per_hour(1), &ManualClock::new()));
        assert!(limiter.allow(&7));
        let waiting = beside(&limiter, |limiter| limiter.wait(&7));
        limiter.set_terms_for(&7, Terms::blocked()).unwrap();
        assert_eq!(waiting.join().unwrap(), Err(WaitError::Blocked));
        assert!(!limiter.allow(&7));
    });
}

#[test]
fn the_limit_for_all_refuses_without_a_trace_on_the_key() {
    model(|| {
        let clock = ManualClock::new();
        let limiter = build(builder(Quota::per_hour(1), &clock).global(Quota::per_hour(1)));
        let other = beside(&limiter, |limiter| limiter.allow(&1));
        let mine = limiter.allow(&2);
        let theirs = other.join().unwrap();
        assert!(mine ^ theirs, "everybody's one permit is had once: {mine} {theirs}");
        let used = [1, 2].map(|key| limiter.usage(&key).used);
        assert_eq!(used, [u64::from(theirs), u64::from(mine)]);
    });
}

#[test]
fn who_waits_for_both_limits_is_served_whichever_moves_first() {
    model(|| {
        let clock = ManualClock::new();
        let limiter = build(builder(Quota::per_second(1), &clock).global(Quota::per_second(1)));
        assert!(limiter.allow(&1));
        let waiting = beside(&limiter, |limiter| limiter.wait(&1).unwrap().permits);
        clock.advance(SECOND);
        assert_eq!(waiting.join().unwrap(), 1);
        assert_eq!(limiter.global().unwrap().usage().remaining, 0);
        assert!(!limiter.allow(&2));
    });
}

/// A debt ends a wait, which leaves the line. Until it does, the place that was its own may have
/// become another's: a key without waiters is kept without a line, so places are numbered anew.
fn who_leaves_the_line_leaves_its_own_place(is_timeout: fn(&OnManual) -> bool) {
    model(move || {
        let limiter = builder(Quota::per_second(1), &ManualClock::new());
        let limiter = build(limiter.global(Quota::per_second(100)));
        assert!(limiter.allow(&7));
        let ended = beside(&limiter, is_timeout);
        limiter.consume(&7, 5).unwrap();
        let promised = limiter.reserve(&7, 1).unwrap();
        assert!(ended.join().unwrap(), "six seconds are more than it waits");
        assert_eq!(promised.delay(), Some(6 * SECOND));
    });
}

#[test]
fn a_wait_that_fails_takes_no_other_out_of_the_line() {
    who_leaves_the_line_leaves_its_own_place(|limiter| {
        matches!(limiter.wait_timeout(&7, 1, 2 * SECOND), Err(WaitError::Timeout { .. }))
    });
}

#[test]
fn a_reservation_that_fails_takes_no_other_out_of_the_line() {
    who_leaves_the_line_leaves_its_own_place(|limiter| {
        let key = limiter.for_key(&7);
        let reserved = key.reserve_within(1, 2 * SECOND);
        matches!(reserved.and_then(tollgate::Reservation::wait), Err(WaitError::Timeout { .. }))
    });
}

/// Each changes its part of what applies to the key, and neither undoes the other.
#[test]
fn a_block_and_a_new_quota_beside_it_both_hold() {
    model(|| {
        let limiter = build(builder(Quota::per_hour(2), &ManualClock::new()));
        let blocking = beside(&limiter, |limiter| limiter.block(&7).unwrap());
        limiter.set_quota_for(&7, Quota::per_hour(9)).unwrap();
        blocking.join().unwrap();
        assert_eq!(limiter.try_acquire(&7, 1), Err(Rejection::Blocked));
        assert_eq!(limiter.usage(&7).limit, 9);
    });
}

/// The newer answer of the function counts, whichever refresh comes first.
#[test]
fn two_refreshes_leave_the_newest_answer() {
    model(|| {
        let plan = Arc::new(loom::sync::atomic::AtomicU64::new(1));
        let by = Arc::clone(&plan);
        let terms = move |_: &u64| Quota::per_hour(by.load(loom::sync::atomic::Ordering::SeqCst));
        let limiter = build(builder(Quota::per_hour(9), &ManualClock::new()).terms_by(terms));
        limiter.consume(&7, 1).unwrap();
        let older = beside(&limiter, |limiter| limiter.refresh_terms_for(&7, CarryOver::Keep));
        plan.store(5, loom::sync::atomic::Ordering::SeqCst);
        limiter.refresh_terms_for(&7, CarryOver::Keep);
        older.join().unwrap();
        assert_eq!(limiter.usage(&7).limit, 5);
    });
}

/// Runs `act` on two limiters beside the scene.
fn beside_both<T: 'static>(
    (one, other): (&Arc<OnManual>, &Arc<OnManual>),
    act: impl FnOnce(&OnManual, &OnManual) -> T + 'static,
) -> JoinHandle<T> {
    let (one, other) = (Arc::clone(one), Arc::clone(other));
    thread::spawn(move || act(&one, &other))
}

#[test]
fn two_decisions_over_two_limiters_in_opposite_order_take_both_or_none() {
    model(|| {
        let clock = ManualClock::new();
        let [one, other] = [1, 1].map(|n| build(builder(Quota::per_hour(n), &clock)));
        let theirs = beside_both((&one, &other), |one, other| {
            take_all(&mut [&mut one.charge(&7), &mut other.charge(&7)])
        });
        let mine = take_all(&mut [&mut other.charge(&7), &mut one.charge(&7)]);
        let theirs = theirs.join().unwrap();
        assert!(mine ^ theirs, "one of each is there: {mine} {theirs}");
        assert_eq!((one.usage(&7).used, other.usage(&7).used), (1, 1));
    });
}

/// By the quick way, for keys that are known.
#[test]
fn two_decisions_over_known_keys_in_opposite_order_take_both_or_none() {
    model(|| {
        let clock = ManualClock::new();
        let [one, other] = [2, 2].map(|n| build(builder(Quota::per_hour(n), &clock)));
        assert!(one.allow(&7) && other.allow(&7));
        let theirs = beside_both((&one, &other), |one, other| {
            take_all(&mut [&mut one.charge(&7), &mut other.charge(&7)])
        });
        let mine = take_all(&mut [&mut other.charge(&7), &mut one.charge(&7)]);
        let theirs = theirs.join().unwrap();
        assert!(mine ^ theirs, "one of each is left: {mine} {theirs}");
    });
}

#[test]
fn nobody_sees_a_permit_taken_and_given_back() {
    model(|| {
        let clock = ManualClock::new();
        let [one, other] = [2, 1].map(|n| build(builder(Quota::per_hour(n), &clock)));
        assert!(one.allow(&7) && other.allow(&7));
        // The other limit refuses: the first one's permit is there for whoever asks for it.
        let refused = beside_both((&one, &other), |one, other| {
            take_all(&mut [&mut one.charge(&7), &mut other.charge(&7)])
        });
        assert!(one.allow(&7), "it was taken for a while");
        assert!(!refused.join().unwrap());
    });
}

/// What is taken of both is seen of both.
#[test]
fn whoever_sees_one_limit_after_a_decision_sees_the_other_so_too() {
    model(|| {
        let clock = ManualClock::new();
        let [one, other] = [9, 9].map(|n| build(builder(Quota::per_hour(n), &clock)));
        assert!(one.allow(&7) && other.allow(&7));
        let taking = beside_both((&one, &other), |one, other| {
            take_all(&mut [&mut one.charge(&7), &mut other.charge(&7)])
        });
        // Whichever of them is locked first, once one is seen as it is after the decision, the
        // other is.
        if one.usage(&7).used == 2 {
            assert_eq!(other.usage(&7).used, 2);
        } else if other.usage(&7).used == 2 {
            assert_eq!(one.usage(&7).used, 2);
        }
        assert!(taking.join().unwrap());
    });
}

#[test]
fn a_decision_does_not_overtake_who_waits_and_loses_nobody() {
    model(|| {
        let clock = ManualClock::new();
        let [one, other] =
            [Quota::per_second(1), Quota::per_hour(9)].map(|quota| build(builder(quota, &clock)));
        assert!(one.allow(&7));
        let waiting = beside(&one, |one| one.wait(&7).unwrap().permits);
        clock.advance(SECOND);
        // Either who waits was first, and the second's permit is for it, or it has another second
        // to wait.
        let taken = take_all(&mut [&mut other.charge(&7), &mut one.charge(&7)]);
        if taken {
            clock.advance(SECOND);
        }
        assert_eq!(waiting.join().unwrap(), 1);
        assert_eq!(other.usage(&7).used, u64::from(taken));
        assert!(!one.allow(&7));
    });
}

/// The key's permits are set aside while its waiter waits for everybody's limit, which serves it
/// beside somebody who asks for the same key.
#[test]
fn who_is_served_by_everybodys_limit_has_used_its_keys_permits() {
    model(|| {
        let clock = ManualClock::new();
        let builder = builder(Quota::per_hour(1), &clock).global(Quota::per_hour(2));
        let limiter = build(builder);
        assert!(limiter.allow_n(&8, 1) && limiter.allow_n(&9, 1));
        let waiting = beside(&limiter, |limiter| limiter.wait(&7).unwrap().permits);
        limiter.global().unwrap().reset();
        let beside_it = limiter.allow(&7);
        if beside_it {
            // Then the waiter is to wait for an hour.
            limiter.reset(&7);
        }
        assert_eq!(waiting.join().unwrap(), 1);
        assert!(!limiter.allow(&7), "one permit an hour, and one after the reset");
    });
}
