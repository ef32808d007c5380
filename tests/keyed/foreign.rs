//! Foreign code (a key's `Hash`, a rule and its `Clone`) that panics: the state of keys and the
//! counts stay as they were.

use std::cell::Cell;
use std::hash::Hash;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use tollgate::algorithm::{Algorithm, GreedyRefill, GreedyState, Receipt, Whole};
use tollgate::keyed::{Equivalent, Terms, ToKey};
use tollgate::{
    CarryOver, Keyed, KeyedLimiter, ManualClock, Quota, QuotaError, RateLimiter, Timestamp,
};

use crate::Hasher;

const SECOND: Duration = Duration::from_secs(1);

thread_local! {
    /// How many more calls go well; then one panics.
    static GOOD: Cell<u64> = const { Cell::new(u64::MAX) };
}

fn ignore<T>(_: T) {}

/// Counts a call of foreign code, and panics if its time has come.
fn foreign() {
    let good = GOOD.get();
    GOOD.set(good.wrapping_sub(1));
    assert!(good != 0, "as intended");
}

/// Runs `act` and has its `good + 1`th call of foreign code panic; whether it did.
fn panics_after(good: u64, act: impl FnOnce()) -> bool {
    GOOD.set(good);
    let panicked = catch_unwind(AssertUnwindSafe(act)).is_err();
    GOOD.set(u64::MAX);
    panicked
}

/// A key whose `Hash` may panic.
#[derive(Clone, PartialEq, Eq)]
struct Name(u64);

impl Hash for Name {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        foreign();
        state.write_u64(self.0);
    }
}

/// A greedy bucket whose every method may panic.
#[derive(Debug)]
struct Touchy(GreedyRefill);

impl Clone for Touchy {
    fn clone(&self) -> Self {
        foreign();
        Self(self.0)
    }
}

impl Algorithm for Touchy {
    type State = GreedyState;
    type Packed = Whole<GreedyState>;

    fn quota(&self) -> Quota {
        self.0.quota()
    }

    fn with_quota(&self, quota: Quota) -> Result<Self, QuotaError> {
        foreign();
        Ok(Self(quota.try_into()?))
    }

    fn limit(&self) -> u64 {
        self.0.limit()
    }

    fn start(&self, now: Timestamp, used: u128) -> GreedyState {
        foreign();
        self.0.start(now, used)
    }

    fn ready_at(&self, state: &GreedyState, now: Timestamp, permits: u64) -> Timestamp {
        foreign();
        self.0.ready_at(state, now, permits)
    }

    fn take(&self, state: &mut GreedyState, now: Timestamp, permits: u64) {
        foreign();
        self.0.take(state, now, permits);
    }

    fn hold(&self, state: &mut GreedyState, now: Timestamp, permits: u64, receipt: Receipt) {
        foreign();
        self.0.hold(state, now, permits, receipt);
    }

    fn release(&self, state: &mut GreedyState, permits: u64, receipt: Receipt) {
        foreign();
        self.0.release(state, permits, receipt);
    }

    fn undo(&self, state: &mut GreedyState, now: Timestamp, permits: u64, receipt: Receipt) {
        foreign();
        self.0.undo(state, now, permits, receipt);
    }

    fn give_back(&self, state: &mut GreedyState, now: Timestamp, permits: u64) {
        foreign();
        self.0.give_back(state, now, permits);
    }

    fn used(&self, state: &GreedyState, now: Timestamp) -> u128 {
        foreign();
        self.0.used(state, now)
    }

    fn full_at(&self, state: &GreedyState, now: Timestamp) -> Timestamp {
        foreign();
        self.0.full_at(state, now)
    }
}

type OfTouchy = Keyed<u64, Touchy, ManualClock, Hasher>;

fn touchy(clock: &ManualClock) -> OfTouchy {
    let rule = Touchy(Quota::per_hour(10).try_into().unwrap());
    let builder = Keyed::<u64, _>::builder_from_algorithm(rule).clock(clock.clone());
    builder.hasher(Hasher::default()).shards(1).max_keys(50).build().unwrap()
}

/// Wherever in a verb the rule panics, no key has more permits after that than before.
#[test]
fn a_rule_that_panics_gives_nobody_permits() {
    type Act = fn(&OfTouchy);
    let acts: [(&str, Act); 14] = [
        ("allow", |limiter| ignore(limiter.allow(&1))),
        ("try_acquire", |limiter| ignore(limiter.try_acquire(&1, 3).is_ok())),
        ("refused", |limiter| ignore(limiter.try_acquire(&1, 9).is_ok())),
        ("usage", |limiter| ignore(limiter.usage(&1))),
        ("delay", |limiter| ignore(limiter.delay_for(&1, 9).is_ok())),
        ("consume", |limiter| ignore(limiter.consume(&1, 2).is_ok())),
        ("up to", |limiter| ignore(limiter.for_key(&1).try_acquire_up_to(3))),
        ("wait", |limiter| ignore(limiter.wait_timeout(&1, 9, SECOND).is_ok())),
        ("reserve", |limiter| {
            let held = limiter.reserve(&1, 9);
            ignore(held);
        }),
        ("set_quota_for", |limiter| {
            limiter.set_quota_for_with(&1, Quota::per_hour(9), CarryOver::Keep).unwrap();
        }),
        ("set_quota", |limiter| {
            limiter.set_quota_with(Quota::per_hour(12), CarryOver::Keep).unwrap();
            limiter.set_quota_with(Quota::per_hour(10), CarryOver::Keep).unwrap();
        }),
        ("block_for", |limiter| limiter.block_for(&1, SECOND).unwrap()),
        ("usages", |limiter| limiter.usages().for_each(ignore)),
        ("sweep", |limiter| ignore(limiter.sweep())),
    ];
    for special in [false, true] {
        for (what, act) in acts {
            let mut panicked = 0;
            for good in 0.. {
                let clock = ManualClock::new();
                let limiter = touchy(&clock);
                assert!(limiter.allow_n(&1, 7) && limiter.allow_n(&2, 7));
                if special {
                    limiter.set_terms_for(&1, Terms::default().cost(1)).unwrap();
                    limiter.set_quota_for(&1, Quota::per_hour(10)).unwrap();
                }
                if !panics_after(good, || act(&limiter)) {
                    break;
                }
                panicked += 1;
                limiter.unblock(&1);
                let used = limiter.usage(&1).used;
                assert!(used >= 7, "{what} {good} {special}: {used} of 7 are left used");
                assert!(limiter.usage(&2).used >= 7, "{what} {good}");
                // All goes on as before.
                assert!(limiter.allow(&3));
                limiter.remove(&1);
                // A place in the queue that could not be given up, because the rule panicked then,
                // is served like any other.
                assert!(what == "reserve" || limiter.allow_n(&1, 10), "{what} {good}");
            }
            assert!(panicked > 0, "{what} calls the rule");
        }
    }
}

/// Those who wait are not lost either.
#[test]
fn a_rule_that_panics_loses_nobody_who_waits() {
    for good in 0..200 {
        let clock = ManualClock::new();
        let limiter = touchy(&clock);
        assert!(limiter.allow_n(&1, 10));
        let held = limiter.reserve(&1, 1).unwrap();
        let before = held.delay().expect("it comes");
        let panicked = panics_after(good, || {
            limiter.usage(&1);
            let _ = limiter.try_acquire(&1, 1);
        });
        assert_eq!(held.delay().expect("it comes"), before, "{good}");
        clock.advance(before);
        assert_eq!(held.wait().unwrap().permits, 1);
        if !panicked {
            break;
        }
    }
}

#[test]
fn a_hash_that_panics_leaves_the_bound_as_it_was() {
    const MAX: usize = 60;
    let clock = ManualClock::new();
    let builder = KeyedLimiter::<Name>::builder(Quota::per_hour(5)).clock(clock.clone());
    let limiter = builder.hasher(Hasher::default()).shards(1).max_keys(MAX).build().unwrap();
    let mut panics = 0;
    for round in 0..4_000 {
        let key = Name(round * 7 % 100);
        panics += u64::from(panics_after(round % 13, || match round % 9 {
            0 => ignore(limiter.set_quota_for(&key, Quota::per_hour(3))),
            1 => limiter.clear_terms_for(&key),
            2 => ignore(limiter.block_for(&key, SECOND)),
            3 => limiter.remove(&key),
            4 => ignore(limiter.reserve(&key, 4)),
            5 => ignore(limiter.consume(&key, 2)),
            6 => ignore(limiter.sweep()),
            7 => ignore(limiter.block(&key)),
            _ => ignore(limiter.allow(&key)),
        }));
        if round % 100 == 0 {
            clock.advance(SECOND);
        }
    }
    assert!(panics > 300, "{panics}");
    for key in 0..100 {
        limiter.remove(&Name(key));
    }
    assert_eq!(limiter.len(), 0);
    let fit = (1_000..2_000).filter(|key| limiter.allow(&Name(*key))).count();
    assert_eq!(fit, MAX, "no place was lost, and none is there twice");
    assert_eq!(limiter.len(), MAX);
}

#[test]
fn a_hash_that_panics_gives_no_key_more_than_its_burst_twice() {
    // A key in use moves to the other table when somebody waits for it, and back: if its hash
    // panics just then, it must not be forgotten.
    for (good, waits) in (0..60).flat_map(|good| [(good, true), (good, false)]) {
        let clock = ManualClock::new();
        let builder = KeyedLimiter::<Name>::builder(Quota::per_hour(5)).clock(clock.clone());
        let limiter = builder.hasher(Hasher::default()).shards(1).build().unwrap();
        for key in 0..7 {
            assert!(limiter.allow_n(&Name(key), 5));
            limiter.set_quota_for(&Name(100 + key), Quota::per_hour(5)).unwrap();
        }
        let key = Name(1);
        panics_after(good, || {
            let held = waits.then(|| limiter.reserve(&key, 1));
            limiter.block(&key).unwrap();
            limiter.unblock(&key);
            ignore(held);
        });
        limiter.unblock(&key);
        assert!(!limiter.allow(&key), "{good}, {waits}: it has used all of its permits");
    }
}

/// A key and its look-up form, whose copying panics.
struct Uncopied(u64);

impl Hash for Uncopied {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        state.write_u64(self.0);
    }
}

impl Equivalent<Name> for Uncopied {
    fn equivalent(&self, key: &Name) -> bool {
        self.0 == key.0
    }
}

impl ToKey<Name> for Uncopied {
    fn to_key(&self) -> Name {
        panic!("as intended")
    }
}

#[test]
fn a_key_that_cannot_be_copied_is_not_held_and_takes_no_place() {
    let builder = KeyedLimiter::<Name>::builder(Quota::per_hour(5)).clock(ManualClock::new());
    let limiter = builder.hasher(Hasher::default()).max_keys(2).build().unwrap();
    for _ in 0..5 {
        assert!(panics_after(u64::MAX - 1, || ignore(limiter.allow(&Uncopied(1)))));
        assert!(panics_after(u64::MAX - 1, || ignore(limiter.block(&Uncopied(1)))));
        assert!(panics_after(u64::MAX - 1, || {
            limiter.block_for(&Uncopied(1), SECOND).unwrap();
        }));
    }
    assert_eq!(limiter.len(), 0);
    assert!(limiter.allow(&Name(1)) && limiter.allow(&Name(2)) && !limiter.allow(&Name(3)));
}

/// Limits by a rule that may panic, and limits by ours.
struct Limits {
    touchy: [OfTouchy; 2],
    plain: tollgate::Limiter<Touchy, ManualClock>,
    ours: crate::OnManual,
    bucket: tollgate::TokenBucket<ManualClock>,
    gold: tollgate::keyed::Tier<Touchy>,
}

impl Limits {
    fn new() -> Self {
        let clock = ManualClock::new();
        let touchy = [self::touchy(&clock), self::touchy(&clock)];
        let rule = Touchy(Quota::per_hour(10).try_into().unwrap());
        let plain =
            tollgate::Limiter::builder_from_algorithm(rule).clock(clock.clone()).build().unwrap();
        let builder = KeyedLimiter::<u64>::builder(Quota::per_hour(10)).clock(clock.clone());
        let ours = builder.hasher(Hasher::default()).build().unwrap();
        let bucket = tollgate::TokenBucket::builder(Quota::per_hour(10)).clock(clock);
        let gold = touchy[1].tier(Quota::per_hour(100)).unwrap();
        let bucket = bucket.build().unwrap();
        assert!(touchy[0].allow_n(&1, 5) && touchy[1].allow_n(&1, 5));
        touchy[0].set_quota_for(&2, Quota::per_hour(20)).unwrap();
        assert!(touchy[0].allow_n(&2, 5) && touchy[1].charge(&3).cost(50).under(&gold).allow());
        assert!(plain.allow_n(5) && ours.allow_n(&1, 5) && bucket.allow_n(5));
        Self { touchy, plain, ours, bucket, gold }
    }

    /// All levels and counts.
    fn state(&self) -> impl PartialEq + std::fmt::Debug + use<> {
        let mut usages: Vec<_> = self
            .touchy
            .iter()
            .map(|limiter| {
                let mut usages: Vec<_> = limiter.usages().collect();
                usages.sort_by_key(|(key, _)| *key);
                (usages, limiter.totals().keys, limiter.totals().allowed)
            })
            .collect();
        usages.push((self.ours.usages().collect(), self.ours.len(), self.ours.totals().allowed));
        let limits = [self.plain.usage(), self.bucket.usage()];
        (usages, limits.map(|usage| (usage.used, usage.allowed)))
    }

    /// Keys that are plain, new, in a tier, in another one than before, with terms of their own.
    fn take(&self, n: u64) -> bool {
        let [one, two] = &self.touchy;
        let (mut bucket, mut ours) = (self.bucket.charge(1), self.ours.charge(&1));
        let (mut plain, mut known) = (self.plain.charge(1), one.charge(&1));
        let (mut special, mut new) = (one.charge(&2), two.charge(&9));
        let mut moving = two.charge(&1).under(&self.gold).cost(n);
        let (mut in_tier, mut leaving) = (two.charge(&3).under(&self.gold), two.charge(&4));
        tollgate::take_all(&mut [
            &mut bucket,
            &mut ours,
            &mut plain,
            &mut known,
            &mut special,
            &mut new,
            &mut moving,
            &mut in_tier,
            &mut leaving,
        ])
    }
}

#[test]
fn a_rule_that_panics_in_a_decision_leaves_all_limits_as_they_were() {
    let mut panicked = 0;
    for good in 0.. {
        let limits = Limits::new();
        let before = limits.state();
        if !panics_after(good, || assert!(limits.take(1))) {
            assert_ne!(limits.state(), before);
            break;
        }
        panicked += 1;
        assert_eq!(limits.state(), before, "{good}");
        assert!(limits.take(1), "all goes on as before");
    }
    assert!(panicked > 20, "{panicked}");
}

#[test]
fn a_rule_that_panics_while_it_refuses_leaves_the_others_as_they_were() {
    for good in 0.. {
        let limits = Limits::new();
        let (others, before) =
            ([&limits.bucket.usage(), &limits.plain.usage()], limits.ours.usage(&1));
        let others = others.map(|usage| usage.used);
        let panicked = panics_after(good, || assert!(!limits.take(51)));
        assert_eq!([limits.bucket.usage().used, limits.plain.usage().used], others, "{good}");
        assert_eq!((limits.ours.usage(&1), limits.touchy[0].usage(&1).used), (before, 5), "{good}");
        assert!(limits.touchy[1].charge(&1).cost(50).under(&limits.gold).allow(), "{good}");
        if !panicked {
            break;
        }
    }
}

#[test]
fn a_hash_that_panics_in_a_decision_takes_from_nobody() {
    const EIGHT: Name = Name(8);
    const NINE: Name = Name(9);
    for good in 0..100 {
        let build = || {
            let builder = KeyedLimiter::<Name>::builder(Quota::per_hour(5));
            builder.clock(ManualClock::new()).hasher(Hasher::default()).shards(1).build().unwrap()
        };
        let (one, two) = (build(), build());
        // Full to the brim: the next key makes the table grow.
        for key in 0..7 {
            assert!(one.allow(&Name(key)) && two.allow(&Name(key)));
        }
        let bucket = tollgate::TokenBucket::builder(Quota::per_hour(5)).clock(ManualClock::new());
        let bucket = bucket.build().unwrap();
        let panicked = panics_after(good, || {
            let mut charges = (one.charge(&EIGHT), two.charge(&NINE), bucket.charge(1));
            let (first, second, third) = &mut charges;
            assert!(tollgate::take_all(&mut [first, second, third]));
        });
        let used = [one.usage(&Name(8)).used, two.usage(&Name(9)).used, bucket.usage().used];
        assert_eq!(used, if panicked { [0; 3] } else { [1; 3] }, "{good}");
        if !panicked {
            break;
        }
    }
}
