//! Every interleaving of small scenes with at most three preemptions with LLM limits and pools of
//! keys, by loom:
//! `RUSTFLAGS="--cfg tollgate_loom" cargo test --profile loom --features llm --test loom_llm`.
//!
//! Time stands still or is moved by the scene's own threads, so a wait that nobody ends is found
//! as a deadlock.
#![cfg(all(tollgate_loom, feature = "llm"))]
#![allow(clippy::unwrap_used, reason = "a scene that fails shall panic")]

use std::time::Duration;

use loom::sync::Arc;
use loom::thread;
use tollgate::ManualClock;
use tollgate::llm::{Error, KeyPool, LimitKind, Limiter, Limits, Period, Reply};

type OnManual = Limiter<ManualClock>;
type Pool = KeyPool<&'static str, ManualClock>;

fn model(scene: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(3);
    builder.check(scene);
}

fn limiter(limits: Limits) -> Arc<OnManual> {
    let builder = Limiter::builder().limits(limits).clock(ManualClock::new());
    Arc::new(builder.build().unwrap())
}

fn pool(clock: &ManualClock) -> Arc<Pool> {
    Arc::new(KeyPool::builder().clock(clock.clone()).build())
}

fn tpm(tokens: u64) -> Limits {
    Limits::new().tokens_per_minute(tokens)
}

/// A refusal that names a longer wait than the limiter's `max_pause`.
fn too_many() -> Reply {
    Reply::new(429).headers([("retry-after", "500")])
}

fn used(limiter: &OnManual) -> u64 {
    limiter.usage().of(LimitKind::Tokens(Period::MINUTE)).unwrap().used
}

/// Runs `act` beside the scene.
fn beside<S: Send + Sync + 'static, T: 'static>(
    subject: &Arc<S>,
    act: impl FnOnce(&S) -> T + 'static,
) -> thread::JoinHandle<T> {
    let subject = Arc::clone(subject);
    thread::spawn(move || act(&subject))
}

#[test]
fn settle_against_acquire() {
    model(|| {
        let limiter = limiter(tpm(100));
        let permit = limiter.try_acquire(60).unwrap();
        let other = beside(&limiter, |limiter| limiter.try_acquire(40).unwrap().settle(40));
        permit.settle(10);
        other.join().unwrap();
        assert_eq!(used(&limiter), 50);
        assert_eq!(limiter.usage().in_flight, 0);
    });
}

#[test]
fn settle_against_settle() {
    model(|| {
        let limiter = limiter(tpm(200));
        let other = beside(&limiter, |limiter| limiter.try_acquire(60).unwrap().settle(10));
        limiter.try_acquire(60).unwrap().settle(20);
        other.join().unwrap();
        assert_eq!(used(&limiter), 30);
        assert_eq!(limiter.usage().in_flight, 0);
    });
}

#[test]
fn a_refund_against_a_waiter() {
    model(|| {
        let limiter = limiter(tpm(100));
        let permit = limiter.try_acquire(100).unwrap();
        let waiting = beside(&limiter, |limiter| limiter.wait(50).map(|p| p.settle(50)));
        // Whether it queues before or after: time stands still, so only this can serve it.
        permit.settle(40);
        assert_eq!(waiting.join().unwrap(), Ok(()));
        assert_eq!(used(&limiter), 90);
    });
}

#[test]
fn a_debt_against_an_acquire() {
    model(|| {
        let limiter = limiter(tpm(100));
        let permit = limiter.try_acquire(40).unwrap();
        let other = beside(&limiter, |limiter| {
            limiter.try_acquire(60).map(|permit| permit.settle(60)).is_ok()
        });
        permit.settle(90);
        let theirs = other.join().unwrap();
        assert_eq!(used(&limiter), 90 + 60 * u64::from(theirs));
    });
}

#[test]
fn the_end_of_a_request_against_one_that_waits_for_it() {
    model(|| {
        let limiter = limiter(Limits::new().max_concurrent(1));
        let permit = limiter.try_acquire(0).unwrap();
        let waiting = beside(&limiter, |limiter| limiter.wait(0).map(drop));
        drop(permit);
        assert_eq!(waiting.join().unwrap(), Ok(()));
        assert_eq!(limiter.usage().in_flight, 0);
    });
}

#[test]
fn headers_against_an_acquire() {
    model(|| {
        let limiter = limiter(tpm(100));
        let other = beside(&limiter, |limiter| limiter.observe_reply(&too_many()));
        let mine = limiter.wait(10).map(|permit| permit.settle(10));
        other.join().unwrap();
        let too_long = Error::ServerWait { retry_after: Duration::from_secs(500) };
        assert!(mine == Ok(()) || mine == Err(too_long), "{mine:?}");
        assert_eq!(limiter.try_acquire(0).map(drop), Err(too_long));
        assert_eq!(used(&limiter), 10 * u64::from(mine.is_ok()));
    });
}

#[test]
fn a_wait_that_the_server_makes_too_long_ends_whenever_it_began() {
    model(|| {
        let limiter = limiter(Limits::new().max_concurrent(1));
        let _busy = limiter.try_acquire(0).unwrap();
        let waiting = beside(&limiter, |limiter| limiter.wait(0).map(drop));
        limiter.observe_reply(&too_many());
        let too_long = Error::ServerWait { retry_after: Duration::from_secs(500) };
        assert_eq!(waiting.join().unwrap(), Err(too_long));
    });
}

#[test]
fn a_key_set_free_against_a_waiter() {
    model(|| {
        let pool = pool(&ManualClock::new());
        pool.add("a", "secret", Limits::new().max_concurrent(1)).unwrap();
        let permit = pool.try_acquire(0).unwrap();
        let waiting = beside(&pool, |pool| pool.wait(0).map(|permit| *permit.secret()));
        permit.settle(0);
        assert_eq!(waiting.join().unwrap(), Ok("secret"));
        assert_eq!(pool.usage("a").unwrap().in_flight, 0);
    });
}

#[test]
fn a_key_added_against_a_waiter() {
    model(|| {
        let pool = pool(&ManualClock::new());
        pool.add("a", "first", Limits::new().max_concurrent(1)).unwrap();
        let _busy = pool.try_acquire(0).unwrap();
        let waiting = beside(&pool, |pool| pool.wait(0).map(|permit| *permit.secret()));
        // Whoever is granted the key must find its secret.
        pool.add("b", "second", Limits::new()).unwrap();
        assert_eq!(waiting.join().unwrap(), Ok("second"));
    });
}

#[test]
fn a_key_replaced_against_an_acquire() {
    model(|| {
        let pool = pool(&ManualClock::new());
        pool.add("old", "old", tpm(100)).unwrap();
        let taking = beside(&pool, |pool| {
            pool.try_acquire(60).map(|permit| {
                assert_eq!(permit.id(), *permit.secret());
                permit.settle(50);
            })
        });
        pool.remove("old");
        pool.add("new", "new", tpm(100)).unwrap();
        let taken = taking.join().unwrap();
        let used = pool.usage("new").unwrap().of(LimitKind::Tokens(Period::MINUTE)).unwrap().used;
        // With the old key, the new one, or with none between the two.
        assert!(used == 0 || (used == 50 && taken.is_ok()), "{used}, {taken:?}");
        assert!(taken.is_ok() || taken == Err(Error::NoKeys));
    });
}

#[test]
fn a_rest_that_ends_against_a_waiter() {
    model(|| {
        let clock = ManualClock::new();
        let pool = pool(&clock);
        pool.add("a", "secret", Limits::new()).unwrap();
        pool.try_acquire(0).unwrap().limited([("retry-after", "1")]);
        let waiting = beside(&pool, |pool| pool.wait(0).map(|permit| *permit.secret()));
        clock.advance(Duration::from_secs(1));
        assert_eq!(waiting.join().unwrap(), Ok("secret"));
    });
}
