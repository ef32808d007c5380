//! Foreign code that looks at the pool or limiter that calls it: wakers, secrets and listeners.
//! Each test runs in a thread of its own, so that a lock that is taken twice fails the test instead
//! of holding it up for ever.

use std::sync::mpsc::channel;
use std::sync::{Arc, OnceLock, Weak};
use std::task::{Context, Wake, Waker};
use std::time::Duration;

use tollgate::llm::{KeyPool, Limits};
use tollgate::{Clock, ManualClock, Sleep, Timer, Timestamp};

use crate::support::{NoTimer, SECOND, rpm};

#[track_caller]
fn ends(act: impl FnOnce() + Send + 'static) {
    let (tell, told) = channel();
    std::thread::spawn(move || {
        act();
        // Nobody listens any more if it took too long.
        let _ = tell.send(());
    });
    told.recv_timeout(Duration::from_secs(30))
        .expect("it panicked, or waits for a lock of its own");
}

type Looked = KeyPool<Secret, ManualClock>;

/// Looks at its pool when it is dropped.
#[derive(Default)]
struct Secret(Weak<Looked>);

fn look(pool: &Looked) {
    let _ = (pool.ids(), pool.usage("a"), pool.restore("nobody"), format!("{pool:?}"));
    drop(pool.try_acquire(0));
}

impl Drop for Secret {
    fn drop(&mut self) {
        if let Some(pool) = self.0.upgrade() {
            look(&pool);
        }
    }
}

struct Looks(OnceLock<Arc<Looked>>);

impl Wake for Looks {
    fn wake(self: Arc<Self>) {
        if let Some(pool) = self.0.get() {
            look(pool);
        }
    }
}

fn looked(clock: &ManualClock) -> Arc<Looked> {
    Arc::new(KeyPool::builder().clock(clock.clone()).build())
}

#[test]
fn a_secret_that_is_dropped_looks_at_its_pool() {
    ends(|| {
        let pool = looked(&ManualClock::new());
        let secret = || Secret(Arc::downgrade(&pool));
        pool.add("a", secret(), Limits::new()).unwrap();
        assert!(pool.add("a", secret(), Limits::new()).is_err());
        assert!(pool.add_sharing("nobody", "b", secret()).is_err());
        assert!(pool.remove("a"));
        pool.add("b", secret(), Limits::new()).unwrap();
        let permit = pool.try_acquire(0).unwrap();
        assert!(pool.remove("b"));
        permit.unauthorized();
        pool.add("c", secret(), Limits::new()).unwrap();
    });
}

#[test]
fn a_waker_looks_at_its_pool() {
    for wake in 0..6 {
        ends(move || {
            let clock = ManualClock::new();
            let pool = looked(&clock);
            pool.add("a", Secret::default(), rpm(60)).unwrap();
            for _ in 0..60 {
                pool.try_acquire(0).unwrap().settle(0);
            }
            let looks = Arc::new(Looks(OnceLock::from(Arc::clone(&pool))));
            let waker = Waker::from(looks);
            let mut waiting = Box::pin(pool.acquire_on(0, &NoTimer));
            assert!(waiting.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
            match wake {
                0 => pool.close(),
                1 => pool.set_limits("a", Limits::new()).unwrap(),
                2 => pool.add("b", Secret::default(), Limits::new()).unwrap(),
                3 => assert!(pool.remove("a")),
                4 => assert!(pool.forget_learned("a")),
                _ => {
                    clock.advance(SECOND);
                    assert!(pool.usage("a").is_some());
                }
            }
        });
    }
}

/// A clock without alarms: nobody but a call notices that a waiter is due.
#[derive(Clone, Debug)]
struct Silent(ManualClock);

impl Clock for Silent {
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

struct LooksWhenDropped(Weak<KeyPool<(), Silent>>);

impl Wake for LooksWhenDropped {
    fn wake(self: Arc<Self>) {}
}

impl Drop for LooksWhenDropped {
    fn drop(&mut self) {
        if let Some(pool) = self.0.upgrade() {
            let _ = (pool.ids(), pool.usage("a"));
        }
    }
}

#[test]
fn a_waker_that_a_look_drops_looks_at_its_pool() {
    ends(|| {
        let clock = ManualClock::new();
        let pool: Arc<KeyPool<(), Silent>> =
            Arc::new(KeyPool::builder().clock(Silent(clock.clone())).build());
        pool.add("a", (), rpm(1)).unwrap();
        pool.try_acquire(0).unwrap().settle(0);
        let mut waiting = Box::pin(pool.acquire_on(0, &Never));
        let waker = Waker::from(Arc::new(LooksWhenDropped(Arc::downgrade(&pool))));
        assert!(waiting.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
        drop(waker);
        clock.advance(60 * SECOND);
        assert_eq!(pool.usage("a").unwrap().in_flight, 1);
    });
}
