//! Several limits in one decision: what the scripts of `charged.rs` do not come to.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use tollgate::algorithm::StrictWindow;
use tollgate::keyed::{Terms, Tier, WhenFull};
use tollgate::{
    Answer, Charge, Keyed, KeyedLimiter, ManualClock, Quota, RateLimiter, Rejection, TokenBucket,
    WhichLimit, take_all, take_each,
};

use crate::{Hasher, OnManual};

const SECOND: Duration = Duration::from_secs(1);

fn limiter(quota: Quota, clock: &ManualClock) -> OnManual {
    let builder = KeyedLimiter::<u64>::builder(quota).clock(clock.clone());
    builder.hasher(Hasher::default()).shards(4).build().unwrap()
}

fn bucket(quota: Quota, clock: &ManualClock) -> TokenBucket<ManualClock> {
    TokenBucket::builder(quota).clock(clock.clone()).build().unwrap()
}

fn is_send<T: Send>(_: &T) {}

#[test]
fn each_limit_says_its_own() {
    let clock = ManualClock::new();
    let (users, addresses) =
        (limiter(Quota::per_second(2), &clock), limiter(Quota::per_second(1).burst(9), &clock));
    let all = bucket(Quota::per_second(4), &clock);
    let mut user = users.charge(&1).cost(2);
    let mut address = addresses.charge(&7);
    let mut everybody = all.charge(3);
    is_send(&user);
    is_send(&everybody);
    assert_eq!(user.answer(), Answer::Undecided);
    let taken = take_all(&mut [&mut user, &mut address, &mut everybody]);
    assert!(taken && user.answer().grant().unwrap().remaining == 0);
    assert_eq!(address.answer().remaining(), Some(8));
    assert_eq!(everybody.answer().remaining(), Some(1));
    assert!(!take_all(&mut [&mut user, &mut address, &mut everybody]));
    assert_eq!(user.answer().rejection().unwrap().retry_after(), Some(SECOND));
    assert_eq!(everybody.answer().rejection().unwrap().retry_after(), Some(SECOND / 2));
    let Answer::Untouched(usage) = address.answer() else { panic!("{:?}", address.answer()) };
    assert_eq!((usage.used, usage.limit), (1, 9));
    assert_eq!((addresses.totals().denied, users.totals().denied, all.usage().denied), (0, 2, 3));
    assert!(take_all(&mut []) && take_each::<tollgate::LimiterCharge<'_, StrictWindow>>(&mut []));
}

#[test]
fn a_refused_decision_inserts_no_key_and_restarts_no_window() {
    let clock = ManualClock::new();
    let builder = Keyed::<u64, StrictWindow>::builder(Quota::per_second(5)).clock(clock.clone());
    let windows = builder.build().unwrap();
    let none = bucket(Quota::per_hour(1), &clock);
    none.drain();
    assert!(windows.allow(&1));
    clock.advance(2 * SECOND);
    for key in [1, 2] {
        let mut charge = windows.charge(&key);
        assert!(!take_all(&mut [&mut charge, &mut none.charge(1)]));
        assert_eq!(charge.answer().remaining(), Some(5));
        assert_eq!(windows.len(), 1);
    }
    assert_eq!(windows.totals().allowed, 1);
}

#[test]
fn the_same_limit_twice_counts_as_the_sum() {
    let clock = ManualClock::new();
    let (users, all) = (limiter(Quota::per_hour(5), &clock), bucket(Quota::per_hour(5), &clock));
    let ask = |a: u64, b: u64| take_each(&mut [users.charge(&1).cost(a), users.charge(&1).cost(b)]);
    assert!(!ask(3, 3) && users.is_empty());
    assert!(ask(3, 2) && !users.allow(&1));
    let ask = |a: u64, b: u64| take_each(&mut [all.charge(a), all.charge(b)]);
    assert!(!ask(3, 3) && ask(2, 3) && !all.allow());
    let (mut one, mut two) = (users.charge(&2).cost(3), users.charge(&2).cost(3));
    assert!(!take_all(&mut [&mut one, &mut two]));
    assert_eq!(one.answer().remaining(), Some(5));
    let never = Rejection::ExceedsBurst { requested: 6, burst: 5, limit: WhichLimit::Only };
    assert_eq!(two.answer(), Answer::Refused(never));
    // Keys of one shard, and many of them.
    let builder = KeyedLimiter::<u64>::builder(Quota::per_hour(2)).shards(1);
    let one_shard = builder.build().unwrap();
    let keys: Vec<u64> = (0..200).collect();
    for _ in 0..2 {
        let mut charges: Vec<_> = keys.iter().map(|key| one_shard.charge(key)).collect();
        assert!(take_each(&mut charges));
    }
    assert!(keys.iter().all(|key| !one_shard.allow(key)));
}

#[test]
fn waiters_and_a_close_are_respected() {
    let clock = ManualClock::new();
    let (users, all) =
        (limiter(Quota::per_second(2), &clock), bucket(Quota::per_second(2), &clock));
    let both = |key: u64| take_all(&mut [&mut users.charge(&key), &mut all.charge(1)]);
    assert!(users.allow_n(&1, 2));
    let held = users.reserve(&1, 2).unwrap();
    clock.advance(SECOND / 2);
    assert!(!both(1), "the permit that is there is for who waits");
    held.cancel();
    assert!(both(1));
    assert!(all.allow());
    let held = all.reserve(2).unwrap();
    clock.advance(SECOND / 2);
    assert!(!both(3) && users.usage(&3).used == 0);
    clock.advance(SECOND);
    assert!(both(3), "who waited is served, and the rest is there");
    held.wait().unwrap();
    RateLimiter::close(&all);
    let mut closed = all.charge(1);
    assert!(!take_all(&mut [&mut users.charge(&3), &mut closed]));
    assert_eq!(closed.answer(), Answer::Refused(Rejection::Closed));
    users.close();
    let mut closed = users.charge(&3);
    assert!(!take_all(&mut [&mut closed]));
    assert_eq!(closed.answer(), Answer::Refused(Rejection::Closed));
}

#[test]
fn a_key_waits_for_everybody_while_others_are_charged() {
    let clock = ManualClock::new();
    let builder = KeyedLimiter::<u64>::builder(Quota::per_second(9)).clock(clock.clone());
    let limiter = builder.global(Quota::per_second(1)).build().unwrap();
    assert!(take_each(&mut [limiter.charge(&1)]));
    let view = limiter.for_key(&1);
    let held = view.reserve(2).unwrap_err();
    assert!(matches!(held, tollgate::WaitError::ExceedsBurst { .. }));
    let held = view.reserve(1).unwrap();
    let mut again = limiter.charge(&1).cost(8);
    assert!(!take_all(&mut [&mut again]));
    assert!(!take_each(&mut [limiter.charge(&1), limiter.charge(&2)]));
    clock.advance(SECOND);
    assert!(!take_each(&mut [limiter.charge(&2)]), "the second's permit is for who waits");
    assert!(held.wait().is_ok());
    let all = limiter.global().unwrap();
    clock.advance(SECOND);
    assert!(!take_each(&mut [limiter.charge(&3), limiter.charge(&4)]), "two of one");
    assert!(all.allow() && limiter.usage(&3).used == 0);
}

#[test]
fn what_applies_to_a_key_is_asked_under_no_lock() {
    let asked = Arc::new(AtomicU64::new(0));
    let count = Arc::clone(&asked);
    let other = Arc::new(KeyedLimiter::<u64>::new(Quota::per_hour(100)).unwrap());
    let within = Arc::clone(&other);
    let terms = move |key: &u64| {
        count.fetch_add(1, Ordering::Relaxed);
        // It may use whatever is decided with it.
        assert!(within.allow(&0));
        if *key == 3 { Terms::blocked() } else { Terms::from(Quota::per_hour(2)).cost(2) }
    };
    let limiter = KeyedLimiter::<u64>::builder(Quota::per_hour(9))
        .terms_by(terms)
        .max_keys(2)
        .build()
        .unwrap();
    let both = |key: u64| take_all(&mut [&mut other.charge(&0), &mut limiter.charge(&key)]);
    assert!(both(1) && asked.load(Ordering::Relaxed) == 1);
    assert!(!both(1) && asked.load(Ordering::Relaxed) == 1, "a known key");
    let mut blocked = limiter.charge(&3);
    assert!(!take_all(&mut [&mut blocked]));
    assert_eq!(blocked.answer(), Answer::Refused(Rejection::Blocked));
    assert!(both(2));
    let mut crowded = limiter.charge(&4);
    assert!(!take_all(&mut [&mut crowded]));
    assert_eq!(crowded.answer(), Answer::Refused(Rejection::TooManyKeys { max_keys: 2 }));
    assert_eq!(limiter.len(), 2);
}

#[test]
fn one_place_is_enough_for_a_new_key_that_is_charged_twice() {
    let limiter = KeyedLimiter::<u64>::builder(Quota::per_hour(9)).max_keys(1).build().unwrap();
    assert!(take_each(&mut [limiter.charge(&1), limiter.charge(&1), limiter.charge(&1)]));
    assert_eq!((limiter.len(), limiter.usage(&1).used), (1, 3));
    limiter.remove(&1);
    assert!(!take_each(&mut [limiter.charge(&1), limiter.charge(&2)]));
    assert!(limiter.is_empty() && limiter.allow(&3), "the place is there still");
}

#[test]
fn keys_without_room_share_a_bucket_here_too() {
    let builder = KeyedLimiter::<u64>::builder(Quota::per_hour(5)).max_keys(1);
    let limiter = builder.when_full(WhenFull::Share).clock(ManualClock::new()).build().unwrap();
    assert!(limiter.allow(&0));
    assert!(take_each(&mut [limiter.charge(&1).cost(2), limiter.charge(&2).cost(2)]));
    let (mut one, mut other) = (limiter.charge(&3), limiter.charge(&4));
    assert!(!take_all(&mut [&mut one, &mut other]));
    assert_eq!(one.answer().remaining(), Some(1));
    assert!(matches!(other.answer(), Answer::Refused(Rejection::Denied { .. })));
    assert!(limiter.charge(&5).allow() && !limiter.allow(&6));
    assert_eq!((limiter.totals().allowed, limiter.totals().denied), (6, 2));
}

#[test]
fn a_key_that_was_set_by_hand_finds_a_place_or_is_forgotten() {
    let clock = ManualClock::new();
    let builder = KeyedLimiter::<u64>::builder(Quota::per_second(1).burst(9)).clock(clock.clone());
    let limiter = builder.max_keys(1).build().unwrap();
    assert!(limiter.allow_n(&0, 9));
    limiter.block_for(&1, SECOND).unwrap();
    clock.advance(SECOND);
    assert!(!take_each(&mut [limiter.charge(&1)]), "there is no room");
    assert!(take_each(&mut [limiter.charge(&0)]));
    assert_eq!(limiter.len(), 1);
}

/// The answer is worked out when it is asked for, from what the decision left.
#[test]
fn an_answer_is_that_of_its_decision_whenever_it_is_asked_for() {
    let clock = ManualClock::new();
    let users = limiter(Quota::per_hour(10), &clock);
    let gold = users.tier(Quota::per_hour(100)).unwrap();
    assert!(users.allow(&1) && users.charge(&2).under(&gold).allow());
    let (mut one, mut two) = (users.charge(&1), users.charge(&2).under(&gold));
    assert!(take_all(&mut [&mut one, &mut two]));
    users.set_quota(Quota::per_hour(20)).unwrap();
    assert!(users.allow_n(&1, 3) && users.charge(&2).under(&gold).cost(5).allow());
    clock.advance(SECOND);
    assert_eq!(one.answer().grant().map(|grant| (grant.remaining, grant.limit)), Some((8, 10)));
    assert!(take_all(&mut [&mut one, &mut two]), "unasked, it is forgotten");
    assert_eq!(one.answer().grant().map(|grant| (grant.remaining, grant.limit)), Some((12, 20)));
    assert_eq!(two.answer().remaining(), Some(92));
    let windows = Keyed::<u64, StrictWindow>::builder(Quota::per_second(5)).clock(clock);
    let windows = windows.build().unwrap();
    assert!(windows.allow(&1));
    let mut charge = windows.charge(&1).cost(2);
    assert!(take_all(&mut [&mut charge]));
    assert_eq!(charge.answer().remaining(), Some(2));
}

/// Eight threads charge two keys and everybody, in orders of their own, while others ask each
/// alone.
#[test]
fn every_permit_is_counted_on_real_threads() {
    const ROUNDS: u64 = 4_000;
    let clock = ManualClock::new();
    let (users, addresses) =
        (limiter(Quota::per_hour(3_000), &clock), limiter(Quota::per_hour(4_000), &clock));
    let all = bucket(Quota::per_hour(9_000), &clock);
    let tiers: Vec<Tier<_>> =
        [3_000, 6_000].iter().map(|n| users.tier(Quota::per_hour(*n)).unwrap()).collect();
    let counts: [AtomicU64; 9] = std::array::from_fn(|_| AtomicU64::new(0));
    let count = |at: u64| counts[at as usize].fetch_add(1, Ordering::Relaxed);
    thread::scope(|scope| {
        for thread in 0..8_u64 {
            let (users, addresses, all, tiers) = (&users, &addresses, &all, &tiers);
            scope.spawn(move || {
                for round in 0..ROUNDS {
                    let (user, address) = ((thread + round) % 4, 4 + (thread * round) % 4);
                    // Only key 0 is in tiers.
                    let tier = &tiers[(round % 2) as usize];
                    let mut user_charge = users.charge(&user);
                    if user == 0 && thread < 4 {
                        user_charge = user_charge.under(tier);
                    }
                    let (mut address_charge, mut all_charge) =
                        (addresses.charge(&address), all.charge(1));
                    let (one, two, three): (&mut dyn Charge, &mut dyn Charge, &mut dyn Charge) =
                        (&mut user_charge, &mut address_charge, &mut all_charge);
                    let taken = match (thread + round) % 3 {
                        0 => take_all(&mut [one, two, three]),
                        1 => take_all(&mut [three, one, two]),
                        _ => take_all(&mut [two, three, one]),
                    };
                    if taken {
                        count(user);
                        count(address);
                        count(8);
                    }
                    if round % 7 == 0 && users.allow(&user) {
                        count(user);
                    }
                    if round % 11 == 0 && all.allow() {
                        count(8);
                    }
                    if round % 64 == 0 {
                        users.sweep();
                    }
                }
            });
        }
    });
    let counts = counts.map(AtomicU64::into_inner);
    for user in 1..4 {
        assert_eq!(users.usage(&user).used, counts[user as usize], "{user}");
    }
    for address in 4..8 {
        assert_eq!(addresses.usage(&address).used, counts[address as usize]);
    }
    assert_eq!(all.usage().used, counts[8]);
    assert_eq!(counts[8], 9_000, "all are used up");
    assert_eq!(all.usage().allowed, counts[8]);
    assert_eq!(addresses.totals().allowed, counts[4..8].iter().sum::<u64>());
    assert_eq!(users.totals().allowed, counts[..4].iter().sum::<u64>());
}
