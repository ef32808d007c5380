//! Every interleaving of small scenes, by loom:
//! `RUSTFLAGS="--cfg tollgate_loom" cargo test --test loom`.
//!
//! Time stands still or is moved by the scene's own threads, so a wait that nobody ends is found
//! as a deadlock.
#![cfg(tollgate_loom)]
#![allow(clippy::unwrap_used, reason = "a scene that fails shall panic")]

use std::time::Duration;

use loom::sync::Arc;
use loom::sync::atomic::{AtomicUsize, Ordering};
use loom::thread;
use tollgate::algorithm::GreedyRefill;
use tollgate::{
    Builder, CarryOver, ManualClock, Quota, RateLimiter, Timestamp, TokenBucket, WaitError,
};

/// A point at which loom shall try the other thread. It finds most of them by itself, but not where
/// a thread reads a value before it writes it: of several reads it remembers the last one only.
/// Relaxed, so that it orders nothing else.
#[derive(Clone)]
struct Steps(Arc<AtomicUsize>);

impl Steps {
    fn mark(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

/// A second thread, and the steps it shares with the first.
struct Beside<T> {
    thread: thread::JoinHandle<T>,
    steps: Steps,
}

/// Runs `act` beside the scene.
fn beside<L: RateLimiter + 'static, T: 'static>(
    limiter: &Arc<L>,
    act: impl FnOnce(&L, &Steps) -> T + 'static,
) -> Beside<T> {
    let steps = Steps(Arc::new(AtomicUsize::new(0)));
    let (limiter, theirs) = (Arc::clone(limiter), steps.clone());
    Beside { thread: thread::spawn(move || act(&limiter, &theirs)), steps }
}

fn model(scene: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(3);
    builder.check(scene);
}

type OnManual = Builder<GreedyRefill, ManualClock>;

fn builder(quota: Quota, clock: &ManualClock) -> OnManual {
    TokenBucket::builder(quota).clock(clock.clone())
}

/// The scene once with the locked bucket and once with the atomic one.
macro_rules! both {
    ($name:ident, $scene:ident) => {
        mod $name {
            #[test]
            fn locked() {
                super::model(|| super::$scene(|builder| builder.build().unwrap()));
            }
            #[test]
            fn atomic() {
                super::model(|| super::$scene(|builder| builder.build_atomic().unwrap()));
            }
        }
    };
}

both!(two_consumers_and_one_permit, two_consumers);
fn two_consumers<L: RateLimiter + 'static>(build: impl Fn(OnManual) -> L) {
    let limiter = Arc::new(build(builder(Quota::per_hour(1), &ManualClock::new())));
    let other = beside(&limiter, |limiter, _| limiter.allow());
    let mine = limiter.allow();
    let theirs = other.thread.join().unwrap();
    assert!(mine ^ theirs, "just one gets it: {mine} {theirs}");
    assert!(!limiter.allow());
}

both!(consumer_against_refill, refill);
fn refill<L: RateLimiter + 'static>(build: impl Fn(OnManual) -> L) {
    let clock = ManualClock::new();
    let limiter = Arc::new(build(builder(Quota::per_second(1), &clock)));
    assert!(limiter.allow());
    let ticking = beside(&limiter, move |_, steps| {
        steps.mark();
        clock.set(Timestamp::from_nanos(1_000_000_000));
        steps.mark();
    });
    let mut early = limiter.allow();
    ticking.steps.mark();
    early |= limiter.allow();
    ticking.thread.join().unwrap();
    // One second, one permit: had now or then, and not twice. A denial published before the
    // refill must not outlast it.
    assert_eq!(limiter.allow(), !early);
    assert!(!limiter.allow());
}

both!(set_quota_against_consumer, set_quota);
fn set_quota<L: RateLimiter + 'static>(build: impl Fn(OnManual) -> L) {
    let limiter = Arc::new(build(builder(Quota::per_hour(2), &ManualClock::new())));
    // A permit of the new quota costs more than the whole old burst: a mixture would refuse.
    let changing = beside(&limiter, |limiter, _| {
        limiter.set_quota_with(Quota::per_day(3), CarryOver::Keep).unwrap();
    });
    let taken = u64::from(limiter.allow()) + u64::from(limiter.allow());
    changing.thread.join().unwrap();
    assert_eq!(taken, 2, "two were there throughout");
    assert_eq!(limiter.usage().remaining, 0, "and none came by the change");
}

both!(consumer_charges_the_quota_it_saw, refilled);
fn refilled<L: RateLimiter + 'static>(build: impl Fn(OnManual) -> L) {
    let limiter = Arc::new(build(builder(Quota::per_day(3), &ManualClock::new())));
    // Full before, full after: the word's ticks are the same, only their meaning is not.
    let changing = beside(&limiter, |limiter, _| {
        limiter.set_quota_with(Quota::per_hour(2), CarryOver::Full).unwrap();
    });
    assert!(limiter.allow());
    changing.thread.join().unwrap();
    assert!((1..=2).contains(&limiter.usage().remaining), "one was taken, before or after");
}

both!(cancel_against_next_waiter, cancel);
fn cancel<L: RateLimiter + 'static>(build: impl Fn(OnManual) -> L) {
    let clock = ManualClock::new();
    let limiter = Arc::new(build(builder(Quota::per_second(1), &clock)));
    assert!(limiter.allow());
    let first = limiter.reserve(1).unwrap();
    let next = beside(&limiter, |limiter, _| limiter.wait_n(1).unwrap().permits);
    // Whether it queues before or after, the cancelled second is the next one's: at one second it
    // must end, or loom reports a deadlock.
    first.cancel();
    clock.advance(Duration::from_secs(1));
    assert_eq!(next.thread.join().unwrap(), 1);
    assert!(!limiter.allow(), "the second's only permit is spent");
}

both!(set_quota_against_waiter, retime);
fn retime<L: RateLimiter + 'static>(build: impl Fn(OnManual) -> L) {
    let clock = ManualClock::new();
    let limiter = Arc::new(build(builder(Quota::per_hour(1), &clock)));
    assert!(limiter.allow());
    let waiting = beside(&limiter, |limiter, _| limiter.wait_n(1).unwrap().permits);
    limiter.set_quota(Quota::per_second(1)).unwrap();
    // Told an hour, now due in a second: it must be woken to hear of it.
    clock.advance(Duration::from_secs(1));
    assert_eq!(waiting.thread.join().unwrap(), 1);
}

both!(close_against_wait, close);
fn close<L: RateLimiter + 'static>(build: impl Fn(OnManual) -> L) {
    let limiter = Arc::new(build(builder(Quota::per_hour(1), &ManualClock::new())));
    assert!(limiter.allow());
    let waiting = beside(&limiter, |limiter, _| limiter.wait());
    limiter.close();
    assert_eq!(waiting.thread.join().unwrap(), Err(WaitError::Closed));
    assert!(!limiter.allow());
}

both!(credit_against_hot_denial, credit);
fn credit<L: RateLimiter + 'static>(build: impl Fn(OnManual) -> L) {
    let limiter = Arc::new(build(builder(Quota::per_hour(1), &ManualClock::new())));
    assert!(limiter.allow());
    assert!(!limiter.allow(), "publishes when the next one comes");
    let giving = beside(&limiter, |limiter, steps| {
        steps.mark();
        limiter.credit(1);
        steps.mark();
        // Whoever gave it knows of it.
        limiter.allow()
    });
    let mut mine = limiter.allow();
    giving.steps.mark();
    mine |= limiter.allow();
    let theirs = giving.thread.join().unwrap();
    assert!(mine ^ theirs, "the credit is had just once: {mine} {theirs}");
}

#[test]
fn atomic_word_against_checked_out_state() {
    model(|| {
        let limiter = builder(Quota::per_hour(3), &ManualClock::new()).build_atomic().unwrap();
        let limiter = Arc::new(limiter);
        let taking = beside(&limiter, |limiter, _| limiter.allow());
        limiter.consume(1).unwrap();
        assert!(taking.thread.join().unwrap());
        assert_eq!(limiter.usage().remaining, 1);
    });
}

#[test]
fn a_recalled_lease_stays_within_the_burst() {
    const BURST: u64 = 14;
    model(|| {
        let clock = ManualClock::new();
        // Under loom there are three slots: 12 of the 14 are held back, 2 are to be had at once.
        let quota = Quota::per_hour(BURST);
        let limiter = Arc::new(builder(quota, &clock).build_leased(2).unwrap());
        let drawn = u64::from(limiter.allow());
        // The lease's second permit lies idle, and is recalled while its owner uses it.
        let other = beside(&limiter, move |limiter, steps| {
            let mut used = u64::from(limiter.allow());
            for _ in 0..2 {
                clock.advance(Duration::from_millis(1));
                steps.mark();
                used += u64::from(limiter.allow());
                steps.mark();
            }
            used
        });
        let mut used = drawn;
        for _ in 0..2 {
            other.steps.mark();
            used += u64::from(limiter.allow());
        }
        used += other.thread.join().unwrap();
        // Two are to be had at once; one more may be spent twice, and is owed then.
        assert!((2..=3).contains(&used), "{used} used");
        assert!(!limiter.allow(), "nothing more");
        limiter.credit(used - 2);
        assert_eq!(limiter.usage().remaining, 0, "what was spent twice was charged");
    });
}
