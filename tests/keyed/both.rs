//! A limit for everybody beside each key's own: all or nothing, whatever way it ends.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use tollgate::algorithm::{Algorithm, FixedWindow, SlidingWindow, StrictWindow};
use tollgate::keyed::{Terms, WhenFull};
use tollgate::{
    Grant, Jitter, Keyed, KeyedLimiter, ManualClock, Quota, QuotaError, RateLimiter, Rejection,
    Sleep, Timer, Usage, WaitError, WhichLimit,
};

use crate::{Hasher, OnManual};

const SECOND: Duration = Duration::from_secs(1);

/// `each` for every key, `all` for all keys together.
fn limiter<A>(each: Quota, all: Quota, clock: &ManualClock) -> OnManual<A>
where
    A: Algorithm + TryFrom<Quota, Error = QuotaError>,
{
    let builder = Keyed::<u64, A>::builder(each).clock(clock.clone()).hasher(Hasher::default());
    builder.shards(1).global(all).build().unwrap()
}

fn greedy(each: Quota, all: Quota, clock: &ManualClock) -> OnManual {
    limiter(each, all, clock)
}

fn all_of<A: Algorithm>(limiter: &OnManual<A>) -> Usage {
    limiter.global().unwrap().usage()
}

#[test]
fn who_is_refused_by_the_limit_for_all_is_not_charged() {
    let clock = ManualClock::new();
    let limiter = greedy(Quota::per_hour(10), Quota::per_hour(4), &clock);
    assert!(limiter.allow_n(&1, 3));
    let before = limiter.usage(&2);
    for _ in 0..5 {
        let refused = limiter.try_acquire(&2, 2).unwrap_err();
        let Rejection::Denied { available, limit, retry_after, .. } = refused else { panic!() };
        assert_eq!((available, limit), (1, WhichLimit::Global));
        assert_eq!(retry_after, Quota::per_hour(4).interval());
        assert!(!limiter.allow_n(&2, 2));
        assert!(limiter.wait_timeout(&2, 2, SECOND).is_err());
    }
    // What could be taken now is one less than the least of both.
    assert_eq!((limiter.usage(&2).used, before.used), (0, 0));
    assert_eq!(limiter.len(), 1, "nothing is held for the one that was refused");
    assert_eq!(limiter.totals().allowed, 3);
    assert_eq!(all_of(&limiter).used, 3);
}

#[test]
fn who_is_refused_by_its_own_limit_takes_nothing_from_all() {
    let clock = ManualClock::new();
    let limiter = greedy(Quota::per_hour(2), Quota::per_hour(10), &clock);
    assert!(limiter.allow_n(&1, 2));
    for _ in 0..5 {
        let refused = limiter.try_acquire(&1, 1).unwrap_err();
        assert!(
            matches!(refused, Rejection::Denied { limit: WhichLimit::Only, .. }),
            "{refused:?}"
        );
        let refused = limiter.try_acquire(&2, 3).unwrap_err();
        assert!(matches!(
            refused,
            Rejection::ExceedsBurst { burst: 2, limit: WhichLimit::Only, .. }
        ));
    }
    assert_eq!(all_of(&limiter).used, 2);
}

/// A refusal must not so much as make what was used before look newer.
#[test]
fn a_refusal_by_the_limit_for_all_does_not_renew_what_was_used() {
    fn check<A: Algorithm + TryFrom<Quota, Error = QuotaError>>() {
        let clock = ManualClock::new();
        let each = Quota::per_second(10);
        let asked = limiter::<A>(each, Quota::per_hour(10), &clock);
        let twin = limiter::<A>(each, Quota::per_hour(10), &clock);
        for limiter in [&asked, &twin] {
            assert!(limiter.allow_n(&1, 5));
            assert!(limiter.allow_n(&2, 5), "all is used up now");
        }
        clock.advance(SECOND * 2 / 3);
        for _ in 0..5 {
            assert!(!asked.allow_n(&1, 1));
            assert_eq!(asked.for_key(&1).try_acquire_up_to(3), 0);
            assert!(asked.for_key(&1).wait_timeout(1, SECOND).is_err());
        }
        for _ in 0..8 {
            assert_eq!(asked.usage(&1).used, twin.usage(&1).used);
            clock.advance(SECOND / 4);
        }
    }
    check::<StrictWindow>();
    check::<SlidingWindow>();
    check::<FixedWindow>();
}

#[test]
fn up_to_takes_what_both_have() {
    let clock = ManualClock::new();
    let limiter = greedy(Quota::per_hour(5), Quota::per_hour(7), &clock);
    assert_eq!(limiter.for_key(&1).try_acquire_up_to(9), 5);
    assert_eq!(limiter.for_key(&2).try_acquire_up_to(9), 2);
    assert_eq!((limiter.usage(&2).used, all_of(&limiter).used), (2, 7));
    assert_eq!(limiter.for_key(&3).try_acquire_up_to(9), 0);
    assert_eq!(limiter.len(), 2);
}

#[test]
fn consume_and_credit_count_for_both() {
    let clock = ManualClock::new();
    let limiter = greedy(Quota::per_hour(5), Quota::per_hour(7), &clock);
    limiter.consume(&1, 9).unwrap();
    assert_eq!((limiter.usage(&1).used, all_of(&limiter).used), (9, 9));
    limiter.credit(&1, 4);
    assert_eq!((limiter.usage(&1).used, all_of(&limiter).used), (5, 5));
    // One debt that only the limit for all can't hold is recorded nowhere.
    let limiter = greedy(Quota::unlimited(), Quota::per_day(1), &clock);
    assert!(limiter.consume(&1, u64::MAX).is_err());
    assert_eq!((limiter.totals().allowed, all_of(&limiter).allowed), (0, 0));
}

#[test]
fn an_exempt_key_passes_a_limit_for_all_that_is_used_up() {
    let clock = ManualClock::new();
    let limiter = greedy(Quota::per_hour(5), Quota::per_hour(5), &clock);
    limiter.set_terms_for(&9, Terms::exempt()).unwrap();
    assert!(limiter.allow_n(&1, 5) && !limiter.allow(&2));
    assert!(limiter.allow_n(&9, 1_000));
    assert!(limiter.wait_timeout(&9, 1_000, Duration::ZERO).is_ok());
    limiter.reserve(&9, 7).unwrap().cancel();
    limiter.consume(&9, 1_000).unwrap();
    limiter.credit(&9, 1_000);
    assert_eq!(all_of(&limiter).used, 5, "neither taken nor given back");
}

#[test]
fn a_blocked_key_takes_nothing_from_all() {
    let clock = ManualClock::new();
    let limiter = greedy(Quota::per_hour(5), Quota::per_hour(5), &clock);
    limiter.set_terms_for(&9, Terms::blocked()).unwrap();
    assert_eq!(limiter.try_acquire(&9, 1), Err(Rejection::Blocked));
    assert_eq!(limiter.wait(&9), Err(WaitError::Blocked));
    assert_eq!(limiter.reserve(&9, 1).err(), Some(WaitError::Blocked));
    assert_eq!(limiter.for_key(&9).try_acquire_up_to(3), 0);
    assert_eq!(all_of(&limiter).used, 0);
}

#[test]
fn close_ends_those_who_wait_in_either_line() {
    let clock = ManualClock::new();
    let limiter = greedy(Quota::per_hour(1), Quota::per_hour(2), &clock);
    assert!(limiter.allow(&1) && limiter.allow(&2));
    let in_own_line = limiter.reserve(&1, 1).unwrap();
    let in_line_for_all = limiter.reserve(&3, 1).unwrap();
    limiter.close();
    assert_eq!(in_own_line.wait(), Err(WaitError::Closed));
    assert_eq!(in_line_for_all.wait(), Err(WaitError::Closed));
    assert_eq!(limiter.try_acquire(&4, 1), Err(Rejection::Closed));
    assert_eq!(limiter.usage(&3).used, 0, "its key's permit was given back");
}

#[test]
fn a_cancelled_reservation_gives_back_to_both_wherever_it_stood() {
    // Granted by both; waiting for its key; waiting for all; waiting for both.
    let cases = [(9, 9, 0, 0), (1, 9, 1, 0), (9, 1, 0, 1), (1, 1, 1, 1)];
    for (each, all, own, other) in cases {
        for due_before in [false, true] {
            let clock = ManualClock::new();
            let (each, all) = (Quota::per_second(each), Quota::per_second(all));
            let limiter = greedy(each, all, &clock);
            limiter.consume(&1, own).unwrap();
            if own < other || (own == 0 && other == 1) {
                limiter.consume(&2, other).unwrap();
            }
            let used = |key| (limiter.usage(key).used, all_of(&limiter).used);
            let before = used(&1);
            let reservation = limiter.reserve(&1, 1).unwrap();
            let delay = SECOND * u32::from(own + other > 0);
            assert_eq!(reservation.delay().expect("it comes"), delay);
            if due_before {
                clock.advance(SECOND);
                reservation.cancel();
                assert_eq!(used(&1), (0, 0));
            } else {
                reservation.cancel();
                assert_eq!(used(&1), before);
            }
            assert_eq!(limiter.usage(&1).waiting + all_of(&limiter).waiting, 0);
        }
    }
}

#[test]
fn a_wait_for_both_lasts_as_long_as_the_longer_one() {
    for (each, all) in [(1, 4), (4, 1), (2, 2)] {
        let clock = ManualClock::new();
        let limiter = greedy(Quota::per_second(each), Quota::per_second(all), &clock);
        limiter.consume(&1, each.max(all)).unwrap();
        let expected = limiter.delay_for(&1, 1).unwrap();
        let reservation = limiter.reserve(&1, 1).unwrap();
        assert_eq!(reservation.delay().expect("it comes"), expected);
        clock.advance(expected - Duration::from_nanos(1));
        assert!(!limiter.allow(&1));
        clock.advance(Duration::from_nanos(1));
        assert_eq!(reservation.delay().expect("it comes"), Duration::ZERO);
        assert_eq!(reservation.wait().unwrap().permits, 1);
    }
}

/// A key's line is joined before the line for all, so a busy key keeps nobody else waiting.
#[test]
fn a_long_line_of_one_key_does_not_hold_up_the_others() {
    let clock = ManualClock::new();
    let limiter = greedy(Quota::per_second(1), Quota::per_second(5), &clock);
    assert!(limiter.allow(&1));
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| limiter.for_key(&1).wait_n(1));
        while limiter.usage(&1).waiting == 0 {
            std::thread::yield_now();
        }
        assert!(limiter.allow(&2) && limiter.allow(&3));
        assert_eq!(all_of(&limiter).waiting, 0);
        while clock.sleepers() == 0 {
            std::thread::yield_now();
        }
        clock.advance(SECOND);
        assert_eq!(waiting.join().unwrap().unwrap().permits, 1);
    });
}

#[test]
fn jobs_of_one_view_keep_their_places_when_the_key_becomes_exempt() {
    let clock = ManualClock::new();
    let limiter = std::sync::Arc::new(greedy(Quota::per_second(9), Quota::per_second(1), &clock));
    assert!(limiter.allow(&2));
    let view = limiter.for_key_owned(1);
    // It has its key's permit, and waits for everybody's.
    let first = view.reserve(1).unwrap();
    limiter.set_terms_for(&1, Terms::exempt().quota(Quota::per_second(1))).unwrap();
    limiter.consume(&1, 1).unwrap();
    let expected = limiter.delay_for(&1, 1).unwrap();
    let second = view.reserve(1).unwrap();
    assert_eq!(second.delay().expect("it comes"), expected);
    second.cancel();
    assert_eq!(all_of(&limiter).waiting, 1, "the first one still stands in line");
    clock.advance(SECOND);
    assert_eq!(first.wait().unwrap().permits, 1);
}

/// A timer that never rings; whoever waits is asked again and again.
struct Never;

impl Timer for Never {
    fn sleep(&self, _: Duration) -> Option<Sleep> {
        Some(Box::pin(std::future::pending()))
    }
}

fn is_pending(wait: &mut (impl Future + Unpin)) -> bool {
    Pin::new(wait).poll(&mut Context::from_waker(Waker::noop())).is_pending()
}

/// Their keys' permits are set aside while they wait for everybody's.
#[test]
fn who_leaves_the_line_for_all_gives_its_key_its_own_permits_back_and_no_others() {
    for first_leaves in [true, false] {
        let limiter = greedy(Quota::per_hour(10), Quota::per_hour(5), &ManualClock::new());
        assert!(limiter.allow_n(&2, 5));
        let (mut two, mut three) = (
            Box::pin(limiter.acquire_on(&1, 2, &Never)),
            Box::pin(limiter.acquire_on(&1, 3, &Never)),
        );
        assert!(is_pending(&mut two) && is_pending(&mut three));
        assert_eq!((limiter.usage(&1).used, all_of(&limiter).waiting), (5, 2));
        if first_leaves {
            drop(two);
            assert_eq!((limiter.usage(&1).used, all_of(&limiter).waiting), (3, 1));
            drop(three);
        } else {
            drop(three);
            assert_eq!((limiter.usage(&1).used, all_of(&limiter).waiting), (2, 1));
            drop(two);
        }
        assert_eq!((limiter.usage(&1).used, all_of(&limiter).waiting), (0, 0));
    }
}

/// The bucket of those who find no room has no waiters of its own, and must look at the clock all
/// the same.
#[test]
fn what_is_set_aside_in_the_shared_bucket_is_in_use_whenever_now_is() {
    let clock = ManualClock::new();
    let builder = KeyedLimiter::<u64>::builder(Quota::per_second(1).burst(5)).clock(clock.clone());
    let builder = builder.hasher(Hasher::default()).max_keys(1).when_full(WhenFull::Share);
    let limiter = builder.global(Quota::per_hour(5)).build().unwrap();
    limiter.consume(&1, 10_000).unwrap();
    let mut waiting = Box::pin(limiter.acquire_on(&9, 4, &Never));
    assert!(is_pending(&mut waiting));
    for _ in 0..10 {
        assert_eq!(limiter.usage(&8).used, 4);
        clock.advance(SECOND);
    }
}

/// It is held back once both limits have served it, not before.
#[test]
fn jitter_keeps_nobody_from_hearing_that_its_wait_for_all_has_failed() {
    let clock = ManualClock::new();
    let builder = KeyedLimiter::<u64>::builder(Quota::per_second(5)).hasher(Hasher::default());
    let builder = builder.clock(clock);
    let centuries = Jitter::up_to(Duration::from_secs(500 * 365 * 24 * 3_600));
    let limiter = builder.global(Quota::per_second(1)).jitter(centuries).build().unwrap();
    assert!(limiter.allow(&2));
    let view = limiter.for_key(&1);
    let mut waiting = view.acquire_timeout_on(1, 5 * SECOND, &Never);
    assert!(is_pending(&mut waiting) && is_pending(&mut waiting));
    assert_eq!(all_of(&limiter).waiting, 1, "with its key's permit");
    limiter.block(&1).unwrap();
    let ended = Pin::new(&mut waiting).poll(&mut Context::from_waker(Waker::noop()));
    assert_eq!(ended.map(Result::err), Poll::Ready(Some(WaitError::Blocked)));
}

#[test]
fn the_limit_for_all_is_kept_by_any_rule_of_the_keys() {
    let clock = ManualClock::new();
    let builder = KeyedLimiter::<u64>::builder(Quota::per_second(3)).clock(clock.clone());
    let limiter = builder.global(Quota::per_second(10)).build().unwrap();
    let mut admitted = 0;
    for _ in 0..50 {
        for key in 0..7 {
            admitted += u64::from(limiter.allow(&key));
        }
        clock.advance(SECOND / 10);
    }
    // 10 at once and 10 a second for 4.9 s; the keys would let 21 a second pass.
    assert_eq!(admitted, 10 + 49);
}

/// Waits for permits of key 1 that are there, and then for everybody's, which are not.
fn waits_for_all(limiter: &OnManual, permits: u64) -> Wait<'_> {
    let mut wait: Wait<'_> = Box::pin(limiter.acquire_on(&1, permits, &Never));
    assert!(poll(&mut wait).is_pending());
    wait
}

type Wait<'a> = Pin<Box<dyn Future<Output = Result<Grant, WaitError>> + 'a>>;

fn poll(wait: &mut Wait<'_>) -> Poll<Result<Grant, WaitError>> {
    wait.as_mut().poll(&mut Context::from_waker(Waker::noop()))
}

/// What is done to keys.
type Change = fn(&OnManual);

/// The same with its name, by itself harmless.
type Act = (&'static str, Change);

#[test]
fn whatever_is_done_to_the_keys_a_key_whose_waiters_wait_for_all_keeps_its_limit() {
    let quota = Quota::per(10, SECOND * 10).burst(10);
    let acts: [Act; 7] = [
        ("nothing", |_| {}),
        ("usages", |limiter| assert_eq!(limiter.usages().count(), 1)),
        ("retain", |limiter| limiter.retain(|_, _| true)),
        ("set_quota_for", |limiter| {
            limiter.set_quota_for(&1, Quota::per(10, SECOND * 10).burst(10)).unwrap();
        }),
        ("set_quota", |limiter| {
            limiter.set_quota(Quota::per(10, SECOND * 10).burst(10)).unwrap();
        }),
        ("refresh_terms", |limiter| limiter.refresh_terms()),
        ("sweep", |limiter| {
            limiter.sweep();
        }),
    ];
    for (name, act) in acts {
        let clock = ManualClock::new();
        let limiter = greedy(quota, Quota::per_second(1_000).burst(1_000), &clock);
        limiter.global().unwrap().consume(1_001_000).unwrap();
        let mut waits = Vec::new();
        for round in 1..10 {
            let mut wait: Wait<'_> = Box::pin(limiter.acquire_on(&1, 10, &Never));
            assert!(poll(&mut wait).is_pending(), "{name}");
            waits.push(wait);
            clock.advance(SECOND * 10 * round);
            act(&limiter);
            assert!(waits.iter_mut().all(|wait| poll(wait).is_pending()), "{name}");
        }
        // Everybody's debt is paid.
        clock.set(tollgate::Timestamp::ZERO + SECOND * 1_001);
        let served = waits.iter_mut().map(|wait| poll(wait).is_ready()).filter(|served| *served);
        assert_eq!(served.count(), 1, "{name}: ten permits are the key's burst");
    }
}

#[test]
fn what_is_set_aside_is_counted_once_however_often_the_quota_changes() {
    let clock = ManualClock::new();
    let limiter = greedy(Quota::per_hour(10), Quota::per_second(1).burst(1), &clock);
    limiter.global().unwrap().consume(3_601).unwrap();
    let wait = waits_for_all(&limiter, 1);
    for more in [1, 0, 1, 0, 5, 0] {
        limiter.set_quota_for(&1, Quota::per_hour(10 + more)).unwrap();
        assert_eq!(limiter.usage(&1).used, 1);
    }
    drop(wait);
    assert_eq!(limiter.usage(&1).used, 0, "nobody waits any more");
}

#[test]
fn a_change_of_a_key_ends_its_waits_for_all_at_once() {
    let ends: [(WaitError, Change); 4] = [
        (WaitError::Blocked, |limiter| limiter.block(&1).unwrap()),
        (WaitError::Closed, |limiter| limiter.for_key(&1).close()),
        (WaitError::ExceedsBurst { requested: 5, burst: 1, limit: WhichLimit::Only }, |limiter| {
            limiter.set_quota_for(&1, Quota::per_hour(1)).unwrap();
        }),
        (WaitError::ExceedsBurst { requested: 5, burst: 1, limit: WhichLimit::Only }, |limiter| {
            limiter.set_quota(Quota::per_hour(1)).unwrap();
        }),
    ];
    for (expected, change) in ends {
        let clock = ManualClock::new();
        let limiter = greedy(Quota::per_hour(10), Quota::per_second(1).burst(10), &clock);
        limiter.global().unwrap().consume(3_610).unwrap();
        let woken = Arc::new(Woken::default());
        let waker = Waker::from(Arc::clone(&woken));
        let mut wait: Wait<'_> = Box::pin(limiter.acquire_on(&1, 5, &Never));
        assert!(wait.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
        change(&limiter);
        assert!(woken.0.load(Ordering::Relaxed), "{expected}: its waiter was woken");
        assert_eq!(poll(&mut wait), Poll::Ready(Err(expected)));
        assert_eq!(all_of(&limiter).waiting, 0, "{expected}: it holds no place any more");
    }
}

#[derive(Default)]
struct Woken(AtomicBool);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }
}
