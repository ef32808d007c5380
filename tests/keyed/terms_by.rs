//! The function that gives keys their terms: its newest answer counts, asking has an end, and what
//! it gives that can't be kept lets nothing through.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, mpsc};
use std::thread;
use std::time::Duration;

use tollgate::keyed::Terms;
use tollgate::{CarryOver, KeyedLimiter, ManualClock, Quota, RateLimiter, Rejection, WaitError};

use crate::reentrancy::without_deadlock;
use crate::{Hasher, OnManual};

type Builder =
    tollgate::keyed::KeyedBuilder<u64, tollgate::algorithm::GreedyRefill, ManualClock, Hasher>;

fn builder() -> Builder {
    let builder = KeyedLimiter::<u64>::builder(Quota::per_hour(5)).clock(ManualClock::new());
    builder.hasher(Hasher::default()).shards(1)
}

/// Has the function held up while it gives an old answer, runs `newer` meanwhile, and says what
/// limit the key has in the end.
fn held_up(older: impl FnOnce(&OnManual) + Send + 'static, newer: impl FnOnce(&OnManual)) -> u64 {
    let plan = Arc::new(AtomicU64::new(10));
    let hold_up = Arc::new(AtomicBool::new(false));
    let (reached, at_old_answer) = mpsc::channel();
    let (go_on, may_go_on) = mpsc::channel::<()>();
    let (known, holds, may_go_on) = (plan.clone(), hold_up.clone(), Mutex::new(may_go_on));
    let terms = move |_: &u64| {
        let answer = known.load(Ordering::SeqCst);
        if holds.swap(false, Ordering::SeqCst) {
            reached.send(()).unwrap();
            may_go_on.lock().unwrap().recv_timeout(Duration::from_secs(20)).unwrap();
        }
        Quota::per_hour(answer)
    };
    let limiter = Arc::new(builder().terms_by(terms).build().unwrap());
    limiter.consume(&7, 1).unwrap();
    hold_up.store(true, Ordering::SeqCst);
    let other = Arc::clone(&limiter);
    let older = thread::spawn(move || older(&other));
    at_old_answer.recv_timeout(Duration::from_secs(20)).expect("the function is asked");
    plan.store(300, Ordering::SeqCst);
    newer(&limiter);
    go_on.send(()).unwrap();
    older.join().unwrap();
    limiter.usage(&7).limit
}

#[test]
fn of_two_refreshes_the_newer_answer_counts() {
    type Act = fn(&OnManual);
    let all: Act = OnManual::refresh_terms;
    let one: Act = |limiter| limiter.refresh_terms_for(&7, CarryOver::AddDifference);
    let with: Act = |limiter| limiter.refresh_terms_with(CarryOver::Keep);
    for older in [all, one, with] {
        for newer in [all, one, with] {
            assert_eq!(held_up(older, newer), 300);
        }
    }
}

#[test]
fn what_else_asks_for_terms_does_not_undo_a_newer_answer() {
    let refresh = |limiter: &OnManual| limiter.refresh_terms_for(&7, CarryOver::Keep);
    let clear = |limiter: &OnManual| limiter.clear_terms_for(&7);
    assert_eq!(held_up(clear, refresh), 300);
    let remove = |limiter: &OnManual| limiter.remove(&7);
    assert_eq!(held_up(remove, refresh), 300);
    let price = |limiter: &OnManual| {
        // A new one: the terms that it has by the function are kept, but for the price.
        limiter.block(&9).unwrap();
        limiter.unblock(&9);
    };
    assert_eq!(held_up(price, refresh), 300);
}

#[test]
fn a_key_that_is_set_by_hand_while_its_plan_changes_has_the_newest_plan() {
    let cost = Arc::new(AtomicU64::new(1));
    let own: Arc<OnceLock<Arc<OnManual>>> = Arc::default();
    let (known, limiter_of, first) = (cost.clone(), own.clone(), AtomicBool::new(true));
    let terms = move |_: &u64| {
        let answer = Terms::default().cost(known.load(Ordering::SeqCst));
        if let Some(limiter) = limiter_of.get() {
            if first.swap(false, Ordering::SeqCst) {
                // What another thread does just now.
                known.store(2, Ordering::SeqCst);
                limiter.refresh_terms();
            }
        }
        answer
    };
    let limiter = Arc::new(builder().terms_by(terms).build().unwrap());
    own.set(Arc::clone(&limiter)).ok();
    limiter.set_quota_for(&1, Quota::per_hour(100)).unwrap();
    assert!(limiter.allow(&1));
    assert_eq!(limiter.usage(&1).used, 2, "the price of the newest answer");
}

/// A limiter whose function does `within` each time it is asked.
fn nested(
    within: impl Fn(&OnManual, u64) + Send + Sync + 'static,
) -> (Arc<OnManual>, Arc<AtomicU64>) {
    let (own, asked): (Arc<OnceLock<Arc<OnManual>>>, Arc<AtomicU64>) = Default::default();
    let (limiter_of, count) = (own.clone(), asked.clone());
    let terms = move |key: &u64| {
        count.fetch_add(1, Ordering::SeqCst);
        if let Some(limiter) = limiter_of.get() {
            within(limiter, *key);
        }
        Quota::per_hour(7)
    };
    let limiter = Arc::new(builder().max_keys(50).terms_by(terms).build().unwrap());
    own.set(Arc::clone(&limiter)).ok();
    (limiter, asked)
}

#[test]
fn a_function_that_refreshes_whenever_it_is_asked_comes_to_an_end() {
    let withins: [fn(&OnManual, u64); 4] = [
        |limiter, key| limiter.refresh_terms_for(&key, CarryOver::Keep),
        |limiter, key| limiter.refresh_terms_for(&(key + 1), CarryOver::Keep),
        |limiter, _| limiter.refresh_terms(),
        |limiter, key| {
            limiter.refresh_terms();
            limiter.clear_terms_for(&key);
        },
    ];
    for within in withins {
        without_deadlock(move || {
            let (limiter, asked) = nested(within);
            for key in 0..5 {
                assert!(limiter.allow(&key));
                assert_eq!(limiter.usage(&key).limit, 7);
            }
            limiter.refresh_terms();
            limiter.refresh_terms_for(&3, CarryOver::Keep);
            limiter.set_terms_for(&3, Terms::default().cost(2)).unwrap();
            limiter.clear_terms_for(&3);
            limiter.remove(&3);
            assert!(asked.load(Ordering::SeqCst) < 10_000, "{asked:?}");
        });
    }
}

#[test]
fn a_function_that_asks_itself_without_end_blocks_the_key() {
    without_deadlock(|| {
        let (limiter, asked) = nested(|limiter, key| {
            let _ = limiter.try_acquire(&(key + 1), 1);
        });
        // By its own answer each of these would go on to the next one for ever.
        let _ = limiter.allow(&0);
        assert!(asked.load(Ordering::SeqCst) < 10_000, "{asked:?}");
        let (limiter, _) = nested(|limiter, key| {
            let _ = limiter.try_acquire(&key, 1);
        });
        let _ = limiter.allow(&0);
        assert!(limiter.len() <= 50);
    });
}

#[test]
fn a_thread_that_refreshes_in_a_loop_keeps_no_new_key_out() {
    without_deadlock(|| {
        let limiter = Arc::new(builder().terms_by(|_: &u64| Quota::per_hour(7)).build().unwrap());
        let done = AtomicBool::new(false);
        thread::scope(|scope| {
            scope.spawn(|| {
                while !done.load(Ordering::Relaxed) {
                    limiter.refresh_terms_for(&1, CarryOver::Keep);
                    limiter.refresh_terms();
                }
            });
            for key in 0..2_000 {
                assert!(limiter.allow(&key));
                limiter.set_quota_for(&key, Quota::per_hour(8)).unwrap();
                limiter.remove(&key);
            }
            done.store(true, Ordering::Relaxed);
        });
    });
}

#[test]
fn a_quota_that_cannot_be_kept_blocks_its_key() {
    let bad = [
        Quota::per_hour(0),
        Quota::per_hour(9).burst(0),
        Quota::per(5, Duration::ZERO),
        Quota::per(5, Duration::MAX),
    ];
    for quota in bad {
        let terms = move |key: &u64| match key {
            1 => Terms::from(quota),
            _ => Terms::default(),
        };
        for max_keys in [1, 100] {
            let limiter = builder().terms_by(terms).max_keys(max_keys).build().unwrap();
            assert!(limiter.allow(&2), "{quota:?}: others have the quota of everybody");
            assert_eq!(limiter.try_acquire(&1, 1), Err(Rejection::Blocked), "{quota:?}");
            assert_eq!(limiter.wait(&1), Err(WaitError::Blocked));
            assert!(!limiter.allow(&1));
            assert_eq!(limiter.for_key(&1).try_acquire_up_to(3), 0);
        }
    }
}

#[test]
fn a_key_whose_plan_is_revoked_is_blocked_and_those_who_wait_for_it_end() {
    let plan = Arc::new(AtomicU64::new(1));
    let by = Arc::clone(&plan);
    let terms = move |_: &u64| Quota::per_hour(by.load(Ordering::SeqCst));
    let limiter = builder().terms_by(terms).build().unwrap();
    assert!(limiter.allow(&1));
    let waiting = limiter.reserve(&1, 1).unwrap();
    plan.store(0, Ordering::SeqCst);
    limiter.refresh_terms();
    assert_eq!(waiting.wait(), Err(WaitError::Blocked));
    assert_eq!(limiter.try_acquire(&1, 1), Err(Rejection::Blocked));
    plan.store(3, Ordering::SeqCst);
    limiter.refresh_terms();
    limiter.reset(&1);
    assert!(limiter.allow(&1));
}

#[test]
fn what_is_set_by_hand_takes_the_place_of_a_quota_that_cannot_be_kept() {
    let limiter = builder().terms_by(|_: &u64| Quota::per_hour(0)).build().unwrap();
    limiter.set_quota_for(&1, Quota::per_hour(3)).unwrap();
    assert_eq!(limiter.try_acquire(&1, 1).unwrap().remaining, 2);
    limiter.set_terms_for(&2, Terms::exempt()).unwrap();
    assert!(limiter.allow(&2));
    limiter.unblock(&3);
    assert!(limiter.allow(&3));
    limiter.clear_terms_for(&1);
    assert_eq!(limiter.try_acquire(&1, 1), Err(Rejection::Blocked));
    limiter.block(&1).unwrap();
    limiter.set_quota_for(&1, Quota::per_hour(3)).unwrap();
    assert!(!limiter.allow(&1), "who is blocked by hand stays blocked");
}

#[test]
fn as_many_different_terms_as_there_are_keys_are_kept_apart() {
    let terms = |key: &u64| Quota::per_hour(key / 2 + 1);
    let limiter = builder().terms_by(terms).build().unwrap();
    for round in 0..2 {
        for key in 0..3_000 {
            assert_eq!(limiter.usage(&key).limit, key / 2 + 1, "round {round}");
            if key > 1 {
                assert!(limiter.allow(&key));
            }
        }
    }
}
