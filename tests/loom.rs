//! Every interleaving of small scenes with at most three preemptions, by loom:
//! `RUSTFLAGS="--cfg tollgate_loom" cargo test --profile loom --test loom`.
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
    CarryOver, LeasedTokenBucket, LimiterBuilder, ManualClock, Quota, RateLimiter, Rejection,
    Timestamp, TokenBucket, WaitError,
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

type OnManual = LimiterBuilder<GreedyRefill, ManualClock>;

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
fn refusals_of_threads_that_share_a_counter_are_all_counted() {
    model(|| {
        let limiter = builder(Quota::per_hour(1), &ManualClock::new()).build().unwrap();
        let limiter = Arc::new(limiter);
        assert!(limiter.allow());
        // The first is counted under the lock; it publishes that nothing comes for an hour. The
        // next is counted beside the lock, in a cell of this thread's own.
        assert!(!limiter.allow() && !limiter.allow());
        let other = beside(&limiter, |limiter, _| limiter.allow());
        let third = beside(&limiter, |limiter, _| limiter.allow());
        assert!(!other.thread.join().unwrap() && !third.thread.join().unwrap());
        assert_eq!(limiter.usage().denied, 4);
    });
}

both!(a_repeated_refusal_against_a_change, repeated);
fn repeated<L: RateLimiter + 'static>(build: impl Fn(OnManual) -> L) {
    let seconds = |limiter: &L| match limiter.try_acquire(1) {
        Err(Rejection::Denied { retry_after, reset_after, .. }) => {
            (retry_after.as_secs(), reset_after.as_secs())
        }
        other => panic!("{other:?}"),
    };
    let limiter = Arc::new(build(builder(Quota::per_second(1).burst(2), &ManualClock::new())));
    limiter.consume(2).unwrap();
    assert_eq!(seconds(&limiter), (1, 2), "and this is published");
    let taking = beside(&limiter, move |limiter, _| {
        limiter.consume(1).unwrap();
        // Whoever took it knows of it, and publishes another answer.
        assert_eq!(seconds(limiter), (2, 3));
    });
    let said = seconds(&limiter);
    assert!([(1, 2), (2, 3)].contains(&said), "not parts of two answers: {said:?}");
    taking.thread.join().unwrap();
    assert_eq!(seconds(&limiter), (2, 3));
}

both!(a_late_cancel_against_refill, late_cancel);
fn late_cancel<L: RateLimiter + 'static>(build: impl Fn(OnManual) -> L) {
    let clock = ManualClock::new();
    let limiter = Arc::new(build(builder(Quota::per_second(1), &clock)));
    let granted = limiter.reserve(1).unwrap();
    let taking = beside(&limiter, move |limiter, steps| {
        clock.set(Timestamp::from_nanos(1_000_000_000));
        steps.mark();
        limiter.allow()
    });
    granted.cancel();
    assert!(taking.thread.join().unwrap(), "one is there, given back or refilled");
    assert!(!limiter.allow(), "and not both");
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

/// A bucket with leases of up to `batch` permits, of which `most` are to be had at one instant.
/// Under loom, two threads have room for a lease, and six batches are held back.
fn leased(most: u64, batch: u32) -> Arc<LeasedTokenBucket<ManualClock>> {
    let quota = Quota::per_hour(6 * u64::from(batch) + most);
    Arc::new(builder(quota, &ManualClock::new()).build_leased(batch).unwrap())
}

/// Asks `times` times for a permit.
fn allowed<L: RateLimiter>(limiter: &L, times: usize) -> u64 {
    (0..times).map(|_| u64::from(limiter.allow())).sum()
}

/// Nothing is left, and all that was used is counted, also what was spent twice.
fn assert_all_is_counted<L: RateLimiter>(limiter: &L, used: u64) {
    assert!(!limiter.allow(), "nothing more");
    let usage = limiter.usage();
    assert_eq!((usage.allowed, usage.used, usage.remaining), (used, used, 0));
}

#[test]
fn a_lease_is_called_back_while_its_owner_spends() {
    model(|| {
        let limiter = leased(3, 2);
        assert_eq!(allowed(&*limiter, 2), 2, "one permit is left in the lease");
        let other = beside(&limiter, |limiter, steps| {
            steps.mark();
            let got = u64::from(limiter.try_acquire(1).is_ok());
            steps.mark();
            got
        });
        let mut used = 2;
        for _ in 0..2 {
            other.steps.mark();
            used += u64::from(limiter.allow());
        }
        used += other.thread.join().unwrap();
        // One more may be spent twice, and is owed then.
        assert!((3..=4).contains(&used), "{used} used");
        assert_all_is_counted(&*limiter, used);
    });
}

#[test]
fn a_lease_is_called_back_while_its_owner_ends() {
    model(|| {
        let limiter = leased(3, 2);
        let ending = beside(&limiter, |limiter, steps| {
            // Leases two by the second, and spends the rest beside the ledger.
            let mut used = allowed(limiter, 2);
            steps.mark();
            used += allowed(limiter, 1);
            steps.mark();
            // It ends here.
            used
        });
        ending.steps.mark();
        let mut used = u64::from(limiter.try_acquire(1).is_ok());
        ending.steps.mark();
        used += ending.thread.join().unwrap();
        used += limiter.drain();
        assert!((3..=4).contains(&used), "{used} used");
        assert_all_is_counted(&*limiter, used);
    });
}

#[test]
fn two_call_a_lease_back_and_one_gets_it() {
    model(|| {
        let limiter = leased(3, 2);
        assert_eq!(allowed(&*limiter, 2), 2, "one permit is left in the lease");
        let other = beside(&limiter, |limiter, _| limiter.try_acquire(1).is_ok());
        let third = beside(&limiter, |limiter, _| limiter.try_acquire_up_to(1));
        let got = u64::from(other.thread.join().unwrap()) + third.thread.join().unwrap();
        assert_eq!(got, 1);
        assert_all_is_counted(&*limiter, 3);
    });
}

/// A slot changes hands while its old owner asks again: the old owner must not spend what the new
/// one has drawn. Nobody calls leases back here, so nothing can be spent twice.
#[test]
fn a_slot_belongs_to_one_thread() {
    model(|| {
        let limiter = leased(8, 4);
        // Draws one and uses it: from then on, the slot can be given to another thread.
        let mut used = allowed(&*limiter, 1);
        // So does this one, so that no slot is without an owner.
        let second = beside(&limiter, |limiter, _| allowed(limiter, 1));
        used += second.thread.join().unwrap();
        // Draws two in the slot of the first, then leases four, and spends all of them.
        let third = beside(&limiter, |limiter, steps| {
            let mut used = if limiter.allow_n(2) { 2 } else { 0 };
            used += allowed(limiter, 2);
            steps.mark();
            used += allowed(limiter, 2);
            steps.mark();
            used
        });
        third.steps.mark();
        used += allowed(&*limiter, 1);
        third.steps.mark();
        used += third.thread.join().unwrap();
        assert!(used <= 8, "{used} of 8 used");
        used += limiter.drain();
        assert_eq!(used, 8);
        assert_all_is_counted(&*limiter, used);
    });
}

/// A waiter that comes while another thread draws gets what that thread leases.
#[test]
fn a_wait_against_a_draw() {
    model(|| {
        let limiter = leased(3, 2);
        assert!(limiter.allow());
        let waiting = beside(&limiter, |limiter, _| limiter.wait_n(1).unwrap().permits);
        // Leases two and uses one of them, or finds one.
        let used = 1 + allowed(&*limiter, 1);
        // The clock stands still: a waiter that nobody serves is a deadlock.
        assert_eq!(waiting.thread.join().unwrap(), 1);
        assert_eq!(limiter.usage().used, used + 1);
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
