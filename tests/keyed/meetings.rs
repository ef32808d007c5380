//! Where features meet: what a review of the whole found.

use std::future::Future;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use tollgate::keyed::{Terms, WhenFull};
use tollgate::*;

use crate::OnManual;
const SECOND: Duration = Duration::from_secs(1);

fn b(
    q: Quota,
    clock: &ManualClock,
) -> tollgate::keyed::KeyedBuilder<u64, tollgate::algorithm::GreedyRefill, ManualClock, crate::Hasher>
{
    KeyedLimiter::<u64>::builder(q).clock(clock.clone()).hasher(crate::Hasher::default()).shards(1)
}
struct Never;
impl Timer for Never {
    fn sleep(&self, _: Duration) -> Option<Sleep> {
        Some(Box::pin(std::future::pending()))
    }
}

#[test]
fn cost_in_shared_bucket() {
    let clock = ManualClock::new();
    let l = b(Quota::per_hour(10), &clock)
        .global(Quota::per_hour(100))
        .max_keys(1)
        .when_full(WhenFull::Share)
        .terms_by(|_: &u64| Terms::default().cost(5))
        .build()
        .unwrap();
    assert!(l.allow(&1));
    assert_eq!(l.global().unwrap().usage().used, 5);
    assert!(l.allow(&2));
    assert_eq!(l.global().unwrap().usage().used, 10, "a request costs 5 there too");
}
#[test]
fn exempt_blocked_unblocked() {
    let clock = ManualClock::new();
    let l = b(Quota::per_hour(10), &clock).global(Quota::per_hour(1)).build().unwrap();
    l.set_terms_for(&1, Terms::exempt()).unwrap();
    l.block(&1).unwrap();
    l.unblock(&1);
    assert_eq!(l.terms_for(&1), Terms::exempt());
}
#[test]
fn closed_unblock() {
    let clock = ManualClock::new();
    let l = b(Quota::per_hour(10), &clock).build().unwrap();
    l.for_key(&1).close();
    l.unblock(&1);
    assert!(l.for_key(&1).is_closed());
}
#[test]
fn closed_block_unblock() {
    let clock = ManualClock::new();
    let l = b(Quota::per_hour(10), &clock).build().unwrap();
    l.for_key(&1).close();
    l.block(&1).unwrap();
    assert_eq!(l.try_acquire(&1, 1), Err(Rejection::Closed));
}
#[test]
fn block_while_in_global_line() {
    let clock = ManualClock::new();
    let l = b(Quota::per_second(10), &clock).global(Quota::per_second(1)).build().unwrap();
    assert!(l.allow(&2));
    let mut w = pin!(l.acquire_on(&1, 1, &Never));
    assert!(w.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
    l.block(&1).unwrap();
    clock.advance(SECOND);
    let p = w.as_mut().poll(&mut Context::from_waker(Waker::noop()));
    assert!(matches!(p, Poll::Ready(Err(WaitError::Blocked))), "{p:?}");
}
#[test]
fn failed_consume_hurts_nobody() {
    let clock = ManualClock::new();
    let l =
        b(Quota::per_second(10), &clock).global(Quota::per_second(1)).max_keys(2).build().unwrap();
    assert!(l.allow(&2));
    let v = l.for_key(&1);
    let mut w = pin!(v.acquire_timeout_on(1, SECOND * 2, &Never));
    assert!(w.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
    assert!(l.consume(&3, 100).is_err());
    clock.advance(SECOND);
    let p = w.as_mut().poll(&mut Context::from_waker(Waker::noop()));
    assert!(matches!(p, Poll::Ready(Ok(_))), "{p:?}");
}
#[test]
fn end_of_time() {
    let clock = ManualClock::new();
    clock.set(Timestamp::from_nanos(u64::MAX));
    let t = TokenBucket::builder(Quota::per_hour(1)).clock(clock.clone()).build().unwrap();
    let l = b(Quota::per_hour(1), &clock).build().unwrap();
    let one = (0..5).filter(|_| t.allow()).count();
    let key = (0..5).filter(|_| l.allow(&1)).count();
    assert!(one <= 1 && key <= 1, "{one} {key}");
}
#[test]
fn reset_of_unknown_resets_shared() {
    let clock = ManualClock::new();
    let l = b(Quota::per_hour(2), &clock).max_keys(1).when_full(WhenFull::Share).build().unwrap();
    assert!(l.allow(&1));
    assert!(l.allow_n(&2, 2) && !l.allow(&3));
    l.reset(&77);
    assert!(!l.allow(&3), "a reset of one key made everybody's bucket full");
}
#[test]
fn refund_minted_in_shared() {
    let clock = ManualClock::new();
    let l = b(Quota::per_second(1).burst(5), &clock)
        .max_keys(1)
        .when_full(WhenFull::Share)
        .build()
        .unwrap();
    let r = l.reserve(&1, 5).unwrap(); // from its own
    clock.advance(SECOND * 5); // full again
    l.consume(&2, 100).unwrap(); // takes the place
    assert!(l.allow_n(&3, 5)); // shared one
    assert!(!l.allow(&4));
    r.cancel();
    assert!(!l.allow(&4), "minted");
}
#[test]
fn unblock_eviction_visible() {
    let got = [false, true].map(|used| {
        let clock = ManualClock::new();
        let l =
            b(Quota::per_hour(10), &clock).terms_by(|_: &u64| Terms::blocked()).build().unwrap();
        if used {
            l.consume(&1, 1).unwrap();
        }
        l.unblock(&1);
        l.allow(&1)
    });
    assert_eq!(got[0], got[1]);
}
#[test]
fn terms_for_without_room() {
    let clock = ManualClock::new();
    for w in [WhenFull::Deny, WhenFull::Share] {
        let l = b(Quota::per_hour(10), &clock)
            .max_keys(1)
            .when_full(w)
            .terms_by(|_: &u64| Quota::per_hour(99))
            .build()
            .unwrap();
        assert!(l.allow(&1));
        assert_eq!(l.terms_for(&2), Terms::from(Quota::per_hour(99)), "{w:?}");
    }
}
#[test]
fn look_takes_no_place() {
    let clock = ManualClock::new();
    let l = b(Quota::per_hour(10), &clock).max_keys(1).build().unwrap();
    let done = AtomicBool::new(false);
    let refused = std::thread::scope(|s| {
        s.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                l.usage(&9);
            }
        });
        let mut refused = 0;
        for _ in 0..300_000 {
            if !l.allow(&1) {
                refused += 1;
            }
            l.remove(&1);
        }
        done.store(true, Ordering::Relaxed);
        refused
    });
    assert_eq!(refused, 0);
}
#[test]
fn refresh_race() {
    let own: Arc<OnceLock<Arc<OnManual>>> = Arc::default();
    let (known, tier) = (own.clone(), Arc::new(AtomicU64::new(10)));
    let t2 = tier.clone();
    let first = AtomicBool::new(true);
    let clock = ManualClock::new();
    let l = Arc::new(
        b(Quota::per_hour(1), &clock)
            .terms_by(move |_: &u64| {
                let q = t2.load(Ordering::SeqCst);
                if let Some(l) = known.get() {
                    if first.swap(false, Ordering::SeqCst) {
                        // what another thread does just now
                        t2.store(100, Ordering::SeqCst);
                        l.refresh_terms();
                    }
                }
                Quota::per_hour(q)
            })
            .build()
            .unwrap(),
    );
    own.set(l.clone()).ok();
    assert!(l.allow(&1));
    assert_eq!(l.usage(&1).limit, 100);
}
#[test]
fn unlimited_base_takes_no_place() {
    let clock = ManualClock::new();
    let l = b(Quota::unlimited(), &clock).max_keys(1).build().unwrap();
    l.set_quota_for(&1, Quota::per_hour(1)).unwrap();
    assert_eq!(l.try_acquire(&2, 1).map(|_| ()), Ok(()));
}
#[test]
fn debt_of_one_in_shared() {
    // What the old bucket's delay says for a key that finds no room
    let clock = ManualClock::new();
    let l = b(Quota::per_second(1).burst(5), &clock)
        .max_keys(1)
        .when_full(WhenFull::Share)
        .build()
        .unwrap();
    assert!(l.allow(&1));
    l.for_key(&2).close();
    assert!(l.for_key(&2).is_closed(), "close is not kept");
}
#[derive(Clone, PartialEq, Eq)]
struct Bad(u64);
impl std::hash::Hash for Bad {
    fn hash<H: std::hash::Hasher>(&self, h: &mut H) {
        self.0.hash(h);
    }
}
struct BadRef(u64);
impl std::hash::Hash for BadRef {
    fn hash<H: std::hash::Hasher>(&self, h: &mut H) {
        self.0.hash(h);
    }
}
impl tollgate::keyed::Equivalent<Bad> for BadRef {
    fn equivalent(&self, k: &Bad) -> bool {
        self.0 == k.0
    }
}
impl tollgate::keyed::ToKey<Bad> for BadRef {
    fn to_key(&self) -> Bad {
        panic!("no key")
    }
}
#[test]
fn panic_in_to_key_leaks_no_place() {
    let l = KeyedLimiter::<Bad>::builder(Quota::per_hour(5)).max_keys(2).build().unwrap();
    for _ in 0..2 {
        let _ = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| l.allow(&BadRef(1))));
    }
    assert!(l.allow(&Bad(7)), "places leaked");
}
#[test]
fn panic_in_to_key_loses_no_waiter() {
    let l = KeyedLimiter::<Bad>::builder(Quota::per_hour(1)).shards(1).build().unwrap();
    assert!(l.allow(&Bad(1)));
    let r = l.reserve(&Bad(1), 1).unwrap();
    for i in 0..20 {
        let _ = l.allow(&Bad(100 + i));
        let _ = l.allow(&Bad(100 + i));
    }
    let before = r.delay().expect("it comes");
    for _ in 0..3 {
        let _ =
            std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| l.try_acquire(&BadRef(1), 1)));
    }
    assert!(
        r.delay().expect("it comes") <= before,
        "{:?} {before:?}",
        r.delay().expect("it comes")
    );
}
#[test]
fn unlimited_rules_take_no_place() {
    use tollgate::algorithm::*;
    fn check<A: Algorithm + TryFrom<Quota, Error = QuotaError>>(what: &str) {
        let clock = ManualClock::new();
        let l = Keyed::<u64, A>::builder(Quota::per_second(2))
            .clock(clock.clone())
            .hasher(crate::Hasher::default())
            .shards(1)
            .max_keys(2)
            .terms_by(|k: &u64| if *k > 100 { Terms::exempt() } else { Terms::default() })
            .build()
            .unwrap();
        for k in 101..120 {
            assert!(l.allow_n(&k, 50));
            l.consume(&k, 1_000_000).unwrap();
            l.reserve(&k, 3).unwrap().cancel();
            l.credit(&k, 3);
            let r = l.for_key(&k).wait_n(7);
            assert!(r.is_ok(), "{what}");
        }
        assert_eq!(l.len(), 0, "{what}");
    }
    check::<GreedyRefill>("greedy");
    check::<IntervalRefill>("interval");
    check::<FixedWindow>("fixed");
    check::<SlidingWindow>("sliding");
    check::<StrictWindow>("strict");
}
#[test]
fn key_waits_when_it_became_exempt_midway() {
    let clock = ManualClock::new();
    let l = b(Quota::per_second(1), &clock).global(Quota::per_second(1)).build().unwrap();
    assert!(l.allow(&1));
    let mut w = pin!(l.acquire_on(&1, 1, &Never));
    assert!(w.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
    l.set_terms_for(&1, Terms::exempt()).unwrap();
    let p = w.as_mut().poll(&mut Context::from_waker(Waker::noop()));
    assert!(p.is_ready(), "{p:?}: exempt, and waits for everybody");
}

#[test]
fn refund_after_exempt_gives_everybody_nothing() {
    let clock = ManualClock::new();
    let l = b(Quota::per_hour(10), &clock).global(Quota::per_hour(10)).build().unwrap();
    assert!(l.allow_n(&2, 10));
    l.set_terms_for(&1, Terms::exempt()).unwrap();
    let reservation = l.reserve(&1, 10).unwrap();
    l.clear_terms_for(&1);
    reservation.cancel();
    assert_eq!(l.global().unwrap().usage().used, 10, "minted for everybody");
}
