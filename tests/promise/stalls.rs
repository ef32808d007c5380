//! Waiters who are held up: what acts at one instant after a stall is bounded.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Waker};
use std::time::Duration;

use proptest::prelude::*;
use tollgate::{
    Clock, ManualClock, Quota, RateLimiter, Sleep, StrictLimiter, Timer, Timestamp, TokenBucket,
};

/// A clock that wakes nobody, like the kernel's.
#[derive(Clone)]
struct Plain(ManualClock);

impl Clock for Plain {
    fn now(&self) -> Timestamp {
        self.0.now()
    }
}

struct Never;

impl Timer for Never {
    fn sleep(&self, _: Duration) -> Option<Sleep> {
        Some(Box::pin(std::future::pending()))
    }
}

fn clock() -> Plain {
    let clock = ManualClock::new();
    clock.set(Timestamp::from_nanos(1 << 50));
    Plain(clock)
}

type Wait<'a> = Pin<Box<dyn Future<Output = Result<tollgate::Grant, tollgate::WaitError>> + 'a>>;

fn waits(limiter: &dyn RateLimiter, count: usize) -> Vec<Wait<'_>> {
    (0..count)
        .map(|_| {
            let mut wait: Wait<'_> = Box::pin(limiter.acquire_on(1, &Never));
            let _ = wait.as_mut().poll(&mut Context::from_waker(Waker::noop()));
            wait
        })
        .collect()
}

/// Polls all that still wait, in order of arrival; how many have got their permit.
fn act(waits: &mut Vec<Wait<'_>>) -> u64 {
    let before = waits.len();
    waits.retain_mut(|wait| {
        wait.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending()
    });
    u64::try_from(before - waits.len()).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn at_one_instant_no_more_than_a_burst_or_ten_milliseconds_bring(
        rate in 1_u64..3_000,
        burst in 1_u64..40,
        stall in 1_u64..20_000,
        later in prop::collection::vec(0_u64..2_000, 1..6),
        first in prop::collection::vec(any::<prop::sample::Index>(), 0..6),
    ) {
        let clock = clock();
        let quota = Quota::per_second(rate).burst(burst);
        let limiter = TokenBucket::builder(quota).clock(clock.clone()).build().unwrap();
        limiter.drain();
        let mut waiting = waits(&limiter, 600);
        let most = burst.max(rate.div_ceil(100));
        let mut total = 0;
        let mut passed = 0;
        for millis in std::iter::once(stall).chain(later) {
            clock.0.advance(Duration::from_millis(millis));
            passed += millis;
            // Anybody may be the first to look.
            let mut acted = 0;
            for at in &first {
                if !waiting.is_empty() {
                    let at = at.index(waiting.len());
                    acted += act_one(&mut waiting, at);
                }
            }
            acted += act(&mut waiting) + limiter.drain();
            // Who has missed its turn because somebody behind it looked first gets one burst more,
            // all together.
            let most = if first.is_empty() { most } else { most + burst };
            prop_assert!(acted <= most, "{acted} acted at one instant, {most} may");
            total += acted;
        }
        prop_assert!(u128::from(total) * 1_000 <= u128::from(rate) * u128::from(passed) + 1_000 * u128::from(burst));
    }

    /// A strict window counts when permits are really granted.
    #[test]
    fn a_strict_window_holds_for_the_times_of_use(
        limit in 1_u64..20,
        jumps in prop::collection::vec(1_u64..3_000, 1..20),
    ) {
        let clock = clock();
        let limiter = StrictLimiter::builder(Quota::per_second(limit)).clock(clock.clone()).build();
        let limiter = limiter.unwrap();
        let mut waiting = waits(&limiter, 200);
        let mut acts = vec![(0, 200 - u64::try_from(waiting.len()).unwrap() + act(&mut waiting))];
        let mut now = 0;
        for millis in jumps {
            clock.0.advance(Duration::from_millis(millis));
            now += millis;
            acts.push((now, act(&mut waiting)));
        }
        for (start, _) in &acts {
            let within = acts.iter().filter(|(at, _)| (*start..*start + 1_000).contains(at));
            let used: u64 = within.map(|(_, acted)| acted).sum();
            prop_assert!(used <= limit, "{used} of {limit} in the second from {start} ms");
        }
    }
}

/// Late timers, within what is made up for, cost no rate.
#[test]
fn timers_that_are_a_little_late_cost_no_permit() {
    for (rate, burst) in [(100, 1), (1_000, 1), (20_000, 5), (10, 3)] {
        let clock = clock();
        let quota = Quota::per_second(rate).burst(burst);
        let limiter = TokenBucket::builder(quota).clock(clock.clone()).build().unwrap();
        limiter.drain();
        let mut waiting = waits(&limiter, 400);
        let mut acted = 0;
        let mut millis = 0;
        while !waiting.is_empty() {
            clock.0.advance(Duration::from_millis(7));
            millis += 7;
            acted += act(&mut waiting);
        }
        let exact = 400 * 1_000_u64.div_ceil(rate).max(1);
        let exact = if rate > 1_000 { 400 * 1_000 / rate } else { exact };
        assert_eq!(acted, 400);
        assert!(millis <= exact + 7 + 7, "{millis} ms instead of {exact} at {rate}/s");
    }
}

/// Who looks in time is served in time, although those before it never look.
#[test]
fn who_never_looks_holds_nobody_up() {
    let clock = clock();
    let limiter = TokenBucket::builder(Quota::per_second(10).burst(1)).clock(clock.clone()).build();
    let limiter = limiter.unwrap();
    limiter.drain();
    let mut waiting = waits(&limiter, 50);
    let mut last = waiting.pop().unwrap();
    for wait in waiting {
        std::mem::forget(wait);
    }
    clock.0.advance(Duration::from_millis(4_999));
    assert!(last.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
    clock.0.advance(Duration::from_millis(1));
    assert!(last.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_ready());
}

#[test]
fn a_strict_window_counts_a_grant_when_it_is_given_however_late_the_timer_is() {
    let clock = clock();
    let limiter =
        StrictLimiter::builder(Quota::per_second(100)).clock(clock.clone()).build().unwrap();
    assert!(limiter.allow_n(100));
    let mut wait = Box::pin(limiter.acquire_on(100, &Never));
    let mut poll = || wait.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_ready();
    assert!(!poll());
    clock.0.advance(Duration::from_millis(1_009));
    assert!(poll(), "9 ms after it was due");
    clock.0.advance(Duration::from_millis(991));
    assert!(!limiter.allow(), "only 991 ms have passed since the grant");
    clock.0.advance(Duration::from_millis(40));
    assert!(limiter.allow());
}
#[test]
fn after_a_stall_whoever_looks_first_does_not_let_all_through() {
    for catch_up in [None, Some(Duration::ZERO)] {
        for first in [0, 499, 998, 999] {
            let clock = clock();
            let builder = TokenBucket::builder(Quota::per_second(100).burst(1));
            let builder = match catch_up {
                Some(catch_up) => builder.catch_up(catch_up),
                None => builder,
            };
            let limiter = builder.clock(clock.clone()).build().unwrap();
            assert!(limiter.allow());
            let mut waits = waits(&limiter, 1_000);
            clock.0.advance(Duration::from_secs(10));
            let mut total = act_one(&mut waits, first) + act(&mut waits);
            // One of those that were missed is made up for.
            assert!((1..=2).contains(&total), "first to look: {first}");
            assert_eq!(limiter.usage().waiting + waits.len(), 2 * waits.len(), "all wait again");
            // Nobody is forgotten, and the rate is kept from then on.
            for centis in 1..=1_000 {
                clock.0.advance(Duration::from_millis(10));
                let acted = act(&mut waits);
                total += acted;
                assert!(acted <= 1);
                assert!(acted == 1 || waits.is_empty(), "{centis}, first to look: {first}");
            }
            assert_eq!((total, limiter.usage().waiting), (1_000, 0));
        }
    }
}

/// Polls one; how many have got their permit.
fn act_one(waits: &mut Vec<Wait<'_>>, at: usize) -> u64 {
    let mut wait = waits.split_off(at);
    let mut behind = wait.split_off(1);
    let acted = act(&mut wait);
    waits.append(&mut wait);
    waits.append(&mut behind);
    acted
}

/// Who has missed its turn is refused like everybody else by a limiter that is closed meanwhile, or
/// too small.
#[test]
fn who_has_missed_its_turn_is_told_of_what_has_happened_since() {
    let quota = Quota::per_second(10).burst(5);
    let missed = |change: fn(&TokenBucket<Plain>)| {
        let clock = clock();
        let limiter = TokenBucket::builder(quota).catch_up(Duration::from_millis(1));
        let limiter = limiter.clock(clock.clone()).build().unwrap();
        limiter.drain();
        let mut made_up: Wait<'_> = Box::pin(limiter.acquire_on(5, &Never));
        let mut first: Wait<'_> = Box::pin(limiter.acquire_on(5, &Never));
        assert_eq!((poll_wait(&mut made_up), poll_wait(&mut first)), (None, None));
        let mut last = waits(&limiter, 1);
        clock.0.advance(Duration::from_millis(1_100));
        assert_eq!(act(&mut last), 1);
        // One burst is made up for; it goes to the first who asks for it.
        assert_eq!(poll_wait(&mut made_up), Some(Ok(5)));
        assert_eq!(limiter.usage().allowed, 5 + 5 + 1);
        change(&limiter);
        (poll_wait(&mut first), limiter.usage().waiting)
    };
    assert_eq!(missed(|_| ()), (None, 1));
    assert_eq!(missed(RateLimiter::reset), (Some(Ok(5)), 0));
    let closed = missed(|limiter| {
        limiter.close();
    });
    assert_eq!(closed, (Some(Err(tollgate::WaitError::Closed)), 0));
    let shrunk = missed(|limiter| limiter.set_quota(Quota::per_second(10).burst(4)).unwrap());
    assert!(matches!(shrunk, (Some(Err(tollgate::WaitError::ExceedsBurst { .. })), 0)));
}

/// One that has missed its turn holds nothing: if it leaves, nothing comes back, and nobody waits
/// for it.
#[test]
fn who_has_missed_its_turn_leaves_without_a_trace() {
    let clock = clock();
    let limiter = TokenBucket::builder(Quota::per_second(10).burst(1)).clock(clock.clone()).build();
    let limiter = limiter.unwrap();
    limiter.drain();
    let mut waiting = waits(&limiter, 3);
    clock.0.advance(Duration::from_millis(300));
    assert_eq!(act_one(&mut waiting, 2), 1);
    assert_eq!(waiting.len(), 2);
    drop(waiting);
    assert!(!limiter.allow());
    clock.0.advance(Duration::from_millis(100));
    assert!(limiter.allow());
    assert_eq!(limiter.usage().allowed, 3);
}

/// Polls a wait once.
fn poll_wait(wait: &mut Wait<'_>) -> Option<Result<u64, tollgate::WaitError>> {
    match wait.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
        std::task::Poll::Ready(outcome) => Some(outcome.map(|grant| grant.permits)),
        std::task::Poll::Pending => None,
    }
}

/// Waiters that never look delay none, whatever the limiter's options.
#[test]
fn waiters_that_never_look_delay_none_with_jitter_or_without_catching_up() {
    type Options = fn(
        tollgate::LimiterBuilder<tollgate::algorithm::GreedyRefill, Plain>,
    ) -> tollgate::LimiterBuilder<tollgate::algorithm::GreedyRefill, Plain>;
    let options: [Options; 3] = [
        |builder| builder,
        |builder| builder.catch_up(Duration::ZERO),
        |builder| builder.jitter(tollgate::Jitter::up_to(Duration::from_nanos(2))),
    ];
    for (number, options) in options.into_iter().enumerate() {
        let clock = clock();
        let builder = TokenBucket::builder(Quota::per_second(10).burst(1)).clock(clock.clone());
        let limiter = options(builder).build().unwrap();
        limiter.drain();
        let mut waiting = waits(&limiter, 50);
        let mut last = waiting.pop().unwrap();
        waiting.into_iter().for_each(std::mem::forget);
        clock.0.advance(Duration::from_secs(5));
        // A jitter of at most 2 ns may hold the grant back for so long.
        let first = poll_wait(&mut last);
        clock.0.advance(Duration::from_nanos(2));
        assert!(first.or_else(|| poll_wait(&mut last)) == Some(Ok(1)), "options {number}");
    }
}

/// The permits that were spent for a waiter are of no use to it after its deadline.
#[test]
fn a_missed_turn_is_not_made_up_for_after_the_deadline() {
    let clock = clock();
    let limiter = TokenBucket::builder(Quota::per_second(10).burst(1)).clock(clock.clone()).build();
    let limiter = limiter.unwrap();
    limiter.drain();
    let deadline = Duration::from_millis(250);
    let mut first: Wait<'_> = Box::pin(limiter.acquire_timeout_on(1, deadline, &Never));
    assert_eq!(poll_wait(&mut first), None);
    let mut behind = waits(&limiter, 2);
    clock.0.advance(Duration::from_millis(300));
    assert_eq!(act_one(&mut behind, 1), 1);
    clock.0.advance(Duration::from_secs(5));
    assert!(matches!(poll_wait(&mut first), Some(Err(tollgate::WaitError::Timeout { .. }))));
}

/// What was spent for waiters that have left is forgotten: it makes up for no later one.
#[test]
fn what_was_spent_for_waiters_that_left_is_forgotten() {
    let clock = clock();
    let limiter = TokenBucket::builder(Quota::per_second(10).burst(5)).clock(clock.clone()).build();
    let limiter = limiter.unwrap();
    limiter.drain();
    let mut early = waits(&limiter, 20);
    clock.0.advance(Duration::from_secs(2));
    assert_eq!(act_one(&mut early, 19), 1);
    drop(early);
    clock.0.advance(Duration::from_secs(86_400));
    limiter.drain();
    let mut late = waits(&limiter, 20);
    clock.0.advance(Duration::from_secs(2));
    let acted = act_one(&mut late, 19) + act(&mut late);
    assert_eq!(acted, 5 + 5, "a burst in time, and a burst of those that missed their turns");
    assert_eq!(act(&mut late), 0);
}

/// A waiter of a key and of the global limit is charged once at its key, also if it missed its turn
/// there.
#[test]
fn a_missed_turn_is_charged_once_below_a_global_limit() {
    let clock = clock();
    let builder = tollgate::KeyedLimiter::<u8, _>::builder(Quota::per_second(10).burst(2));
    let keyed = builder.global(Quota::per_hour(8).burst(8)).clock(clock.clone()).build().unwrap();
    assert!(keyed.allow_n(&1, 2));
    let limiter = keyed.for_key(&1);
    let mut waiting = waits(&limiter, 6);
    clock.0.advance(Duration::from_millis(600));
    assert_eq!(act_one(&mut waiting, 5), 1);
    for _ in 0..3 {
        act(&mut waiting);
        assert!(keyed.usage(&1).used <= 2, "{} of 2 in use", keyed.usage(&1).used);
    }
    clock.0.advance(Duration::from_secs(7_200));
    while !waiting.is_empty() {
        clock.0.advance(Duration::from_secs(600));
        act(&mut waiting);
        assert!(keyed.usage(&1).used <= 2);
    }
}
