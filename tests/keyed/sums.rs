//! A key under a limit for everybody never has more than its own limit says, and both together
//! never more than everybody's: whatever ends waits, and however long they take.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Barrier, Mutex};
use std::task::{Context, Poll, Waker};
use std::thread;
use std::time::Duration;

use tollgate::algorithm::{
    Algorithm, FixedWindow, GreedyRefill, IntervalRefill, SlidingWindow, StrictWindow,
};
use tollgate::keyed::WhenFull;
use tollgate::{
    Grant, Keyed, KeyedLimiter, ManualClock, Quota, QuotaError, RateLimiter, Sleep, Timer,
    Timestamp, WaitError,
};

use crate::reentrancy::without_deadlock;
use crate::{Hasher, OnManual};

const SECOND: Duration = Duration::from_secs(1);

/// A timer that never rings; whoever waits is asked again and again.
struct Never;

impl Timer for Never {
    fn sleep(&self, _: Duration) -> Option<Sleep> {
        Some(Box::pin(std::future::pending()))
    }
}

type Wait<'a> = Pin<Box<dyn Future<Output = Result<Grant, WaitError>> + Send + 'a>>;

fn poll(wait: &mut Wait<'_>) -> Poll<Result<Grant, WaitError>> {
    wait.as_mut().poll(&mut Context::from_waker(Waker::noop()))
}

fn limiter<A>(each: Quota, all: Quota, clock: &ManualClock) -> OnManual<A>
where
    A: Algorithm + TryFrom<Quota, Error = QuotaError>,
{
    let builder = Keyed::<u64, A>::builder(each).clock(clock.clone()).hasher(Hasher::default());
    builder.global(all).build().unwrap()
}

fn used_at_once<A: Algorithm>(limiter: &OnManual<A>, key: u64) -> u64 {
    (0..1_000).take_while(|_| limiter.allow(&key)).count() as u64
}

fn check_all(check: impl Fn(&dyn Fn(&ManualClock) -> Box<dyn Scene>)) {
    fn of<A>(clock: &ManualClock) -> Box<dyn Scene>
    where
        A: Algorithm + TryFrom<Quota, Error = QuotaError>,
    {
        Box::new(limiter::<A>(Quota::per_second(5), Quota::per_second(10), clock))
    }
    check(&of::<GreedyRefill>);
    check(&of::<IntervalRefill>);
    check(&of::<FixedWindow>);
    check(&of::<SlidingWindow>);
    check(&of::<StrictWindow>);
}

/// A keyed limiter of 5 a second with 10 a second for everybody, whatever its rule.
trait Scene: Send + Sync {
    fn all(&self) -> &dyn RateLimiter;
    fn view<'a>(&'a self, key: &'a u64) -> Box<dyn RateLimiter + 'a>;
    fn used_at_once(&self, key: u64) -> u64;
}

impl<A: Algorithm> Scene for OnManual<A> {
    fn all(&self) -> &dyn RateLimiter {
        self.global().unwrap()
    }

    fn view<'a>(&'a self, key: &'a u64) -> Box<dyn RateLimiter + 'a> {
        Box::new(self.for_key(key))
    }

    fn used_at_once(&self, key: u64) -> u64 {
        used_at_once(self, key)
    }
}

/// Has as many wait for everybody's limit as the key's burst allows, and ends their waits in some
/// way after a minute: what the key then has at one instant.
fn after_a_minute(
    scene: &dyn Scene,
    clock: &ManualClock,
    end: impl Fn(&dyn Scene, Vec<Wait<'_>>) -> u64,
) -> u64 {
    scene.all().drain();
    let view = scene.view(&7);
    let mut waits: Vec<Wait<'_>> =
        (0..5).map(|_| Box::pin(view.acquire_on(1, &Never)) as Wait<'_>).collect();
    for wait in &mut waits {
        assert!(poll(wait).is_pending());
    }
    scene.all().consume(2_000).unwrap();
    clock.advance(60 * SECOND);
    end(scene, waits)
}

#[test]
fn waits_that_fail_at_everybodys_limit_give_back_nothing_that_has_come_back() {
    check_all(|scene| {
        let clock = ManualClock::new();
        clock.set(Timestamp::from_nanos(1 << 50));
        let limiter = scene(&clock);
        limiter.all().drain();
        let view = limiter.view(&7);
        let mut waits: Vec<Wait<'_>> = (0..5)
            .map(|_| Box::pin(view.acquire_timeout_on(1, SECOND, &Never)) as Wait<'_>)
            .collect();
        for wait in &mut waits {
            assert!(poll(wait).is_pending());
        }
        // Others use what they had waited for.
        limiter.all().consume(100).unwrap();
        clock.advance(60 * SECOND);
        limiter.all().reset();
        let mut used = limiter.used_at_once(7);
        for wait in &mut waits {
            let ended = poll(wait);
            let expected = WaitError::Timeout { retry_after: Duration::ZERO };
            let Poll::Ready(Err(WaitError::Timeout { retry_after })) = ended else {
                panic!("{ended:?}, not {expected:?}")
            };
            assert!(retry_after <= 2 * SECOND, "{retry_after:?}: it is said as of now");
        }
        used += limiter.used_at_once(7);
        assert_eq!(used, 5, "of a burst of 5 at one instant");
    });
}

#[test]
fn waits_that_are_dropped_give_back_nothing_that_has_come_back() {
    check_all(|scene| {
        let clock = ManualClock::new();
        clock.set(Timestamp::from_nanos(1 << 50));
        let limiter = scene(&clock);
        let used = after_a_minute(&*limiter, &clock, |limiter, waits| {
            limiter.all().reset();
            let before = limiter.used_at_once(7);
            drop(waits);
            limiter.all().reset();
            before + limiter.used_at_once(7)
        });
        assert_eq!(used, 5);
    });
}

#[test]
fn waits_that_are_served_late_have_used_their_keys_permits_then() {
    check_all(|scene| {
        let clock = ManualClock::new();
        clock.set(Timestamp::from_nanos(1 << 50));
        let limiter = scene(&clock);
        let used = after_a_minute(&*limiter, &clock, |limiter, mut waits| {
            limiter.all().reset();
            let served = waits.iter_mut().map(poll);
            let served = served.filter(|ended| matches!(ended, Poll::Ready(Ok(_)))).count();
            assert_eq!(served, 5);
            limiter.all().reset();
            served as u64 + limiter.used_at_once(7)
        });
        assert_eq!(used, 5);
    });
}

/// A wait that nobody looks after keeps nothing of the key once everybody's limit has served it.
#[test]
fn a_wait_that_is_forgotten_keeps_its_key_from_nobody() {
    check_all(|scene| {
        let clock = ManualClock::new();
        clock.set(Timestamp::from_nanos(1 << 50));
        let limiter = scene(&clock);
        let used = after_a_minute(&*limiter, &clock, |limiter, waits| {
            assert_eq!(limiter.used_at_once(7), 0, "everybody's has a debt");
            limiter.all().reset();
            assert_eq!(limiter.used_at_once(7), 0, "the five have been served now");
            clock.advance(2 * SECOND);
            let used = limiter.used_at_once(7);
            drop(waits);
            used
        });
        assert_eq!(used, 5);
    });
}

#[test]
fn what_a_key_without_room_reserved_goes_back_to_the_bucket_it_came_from() {
    for global in [false, true] {
        let clock = ManualClock::new();
        let builder = KeyedLimiter::<u64>::builder(Quota::per_hour(5)).clock(clock.clone());
        let builder = builder.max_keys(1).when_full(WhenFull::Share).hasher(Hasher::default());
        let builder = if global { builder.global(Quota::per_hour(1_000)) } else { builder };
        let limiter = builder.build().unwrap();
        assert!(limiter.allow(&1));
        let shared = limiter.reserve(&2, 5).unwrap();
        assert!(!limiter.allow(&3), "2 has all of the shared bucket");
        limiter.remove(&1);
        assert!(limiter.allow_n(&2, 5), "2 has a bucket of its own by now");
        assert!(limiter.reserve(&2, 1).unwrap().delay().expect("it comes") > Duration::ZERO);
        shared.cancel();
        assert!(!limiter.allow(&2), "its own bucket has got nothing back");
        assert!(limiter.allow_n(&3, 5), "the shared one has");
    }
}

#[test]
fn after_remove_and_clear_a_reservation_gives_nothing_back() {
    let forget: [fn(&OnManual); 3] =
        [|limiter| limiter.remove(&1), |limiter| limiter.reset(&1), |limiter| limiter.clear()];
    for forget in forget {
        let clock = ManualClock::new();
        let limiter: OnManual = limiter(Quota::per_hour(5), Quota::per_hour(1_000), &clock);
        let held: Vec<_> = (0..5).map(|_| limiter.reserve(&1, 1).unwrap()).collect();
        forget(&limiter);
        assert!(limiter.allow_n(&1, 5));
        held.into_iter().for_each(tollgate::Reservation::cancel);
        assert!(!limiter.allow(&1));
    }
}

/// A little generator, the same in each run.
struct Random(u64);

impl Random {
    fn below(&mut self, n: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (self.0 >> 33) % n
    }
}

const THREADS: u64 = 8;
const KEYS: u64 = 3;
const GREEDY: u64 = 2;
const STEP: Duration = Duration::from_millis(20);

/// Eight threads ask, wait with and without patience, and give up; the clock goes on when all are
/// done.
fn run(each: Quota, all: Quota, seed: u64, jolts: bool) -> (Vec<(u64, u64)>, Duration) {
    const ROUNDS: u64 = 200;
    let clock = ManualClock::new();
    clock.set(Timestamp::from_nanos(1 << 50));
    let limiter: OnManual = limiter(each, all, &clock);
    // One key has so many permits that the others wait for everybody's behind it.
    limiter.set_quota_for(&GREEDY, Quota::per_second(10_000)).unwrap();
    let granted = Mutex::new(Vec::new());
    let barrier = Barrier::new(THREADS as usize);
    thread::scope(|scope| {
        for thread in 0..THREADS {
            let (limiter, granted, barrier, clock) = (&limiter, &granted, &barrier, &clock);
            scope.spawn(move || {
                const NAMES: [u64; KEYS as usize] = [0, 1, 2];
                let mut random = Random(seed * 1_000 + thread);
                let mut waits: Vec<(u64, Wait<'_>)> = Vec::new();
                for round in 0..ROUNDS {
                    barrier.wait();
                    let mut mine = Vec::new();
                    for _ in 0..3 {
                        let key = &NAMES[random.below(KEYS) as usize];
                        match random.below(6) {
                            0 => mine.extend(limiter.allow(key).then_some(*key)),
                            1 => mine.extend(limiter.try_acquire(key, 1).is_ok().then_some(*key)),
                            2 | 3 if waits.len() < 20 => {
                                let patience = STEP * random.below(400) as u32;
                                waits.push((*key, wait_for(limiter, key, patience)));
                            }
                            4 if !waits.is_empty() => {
                                let index = random.below(waits.len() as u64) as usize;
                                drop(waits.swap_remove(index));
                            }
                            _ => {}
                        }
                    }
                    waits.retain_mut(|(key, wait)| match poll(wait) {
                        Poll::Pending => true,
                        Poll::Ready(outcome) => {
                            mine.extend(outcome.is_ok().then_some(*key));
                            false
                        }
                    });
                    granted.lock().unwrap().extend(mine.into_iter().map(|key| (round, key)));
                    if barrier.wait().is_leader() {
                        if jolts && round % 60 == 0 {
                            // Many who wait for everybody's limit are served at one instant.
                            limiter.global().unwrap().credit(100);
                            limiter.global().unwrap().reset();
                        }
                        clock.advance(STEP);
                    }
                }
            });
        }
    });
    let mut granted = granted.into_inner().unwrap();
    granted.sort_unstable();
    (granted, STEP)
}

fn wait_for<'a>(limiter: &'a OnManual, key: &'a u64, patience: Duration) -> Wait<'a> {
    Box::pin(async move {
        let view = limiter.for_key(key);
        view.acquire_timeout_on(1, patience, &Never).await
    })
}

/// No window of whole rounds has more than burst and refill. Waiters are noticed up to a round
/// late, so what comes in one more round is allowed for.
fn check_windows(rounds: &[u64], quota: Quota, step: Duration, what: &str) {
    let per_step = quota.permits() as f64 * step.as_secs_f64() / quota.period().as_secs_f64();
    let burst = quota.burst_size() as f64;
    for (i, first) in rounds.iter().enumerate() {
        for (j, last) in rounds.iter().enumerate().skip(i) {
            let (count, steps) = ((j - i + 1) as f64, (last - first + 1) as f64);
            let most = burst + per_step * steps + 1e-6;
            assert!(count <= most, "{what}: {count} in {steps} rounds, {most} at most");
        }
    }
}

#[test]
fn no_key_and_not_all_keys_exceed_their_limit_under_eight_threads() {
    without_deadlock(|| {
        let quotas = [
            (Quota::per_second(8).burst(10), Quota::per_second(50).burst(50)),
            (Quota::per_second(10).burst(5), Quota::per_second(200).burst(1)),
        ];
        let scenes = quotas.into_iter().flat_map(|quotas| [(quotas, false), (quotas, true)]);
        for (seed, ((each, all), jolts)) in (1..).zip(scenes) {
            let (granted, step) = run(each, all, seed, jolts);
            for key in (0..KEYS).filter(|key| *key != GREEDY) {
                let rounds: Vec<u64> =
                    granted.iter().filter(|(_, of)| *of == key).map(|(round, _)| *round).collect();
                assert!(rounds.len() > 10, "{} grants", rounds.len());
                check_windows(&rounds, each, step, &format!("key {key} of {each}"));
            }
            if jolts {
                continue;
            }
            let rounds: Vec<u64> = granted.iter().map(|(round, _)| *round).collect();
            check_windows(&rounds, all, step, &format!("everybody of {all}"));
        }
    });
}

/// Nobody is kept waiting for ever by what is set aside for another one.
#[test]
fn all_who_wait_are_served_in_the_end() {
    without_deadlock(|| {
        let clock = ManualClock::new();
        clock.set(Timestamp::from_nanos(1 << 50));
        let each = Quota::per_second(100).burst(3);
        let limiter: Arc<OnManual> =
            Arc::new(limiter(each, Quota::per_second(50).burst(1), &clock));
        let mut waits: Vec<(usize, Wait<'_>)> =
            (0..60).map(|i| (i, wait_for(&limiter, &1, Duration::MAX))).collect();
        let mut order = Vec::new();
        for _ in 0..2_000 {
            if waits.is_empty() {
                break;
            }
            waits.retain_mut(|(i, wait)| match poll(wait) {
                Poll::Pending => true,
                Poll::Ready(outcome) => {
                    outcome.unwrap();
                    order.push(*i);
                    false
                }
            });
            clock.advance(Duration::from_millis(5));
        }
        assert!(waits.is_empty(), "{} still wait", waits.len());
        assert!(order.is_sorted(), "in the order in which they came: {order:?}");
    });
}
