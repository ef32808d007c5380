//! Foreign code that a keyed limiter runs (functions, closures, wakers, subscribers) may call it.

use std::pin::pin;
use std::sync::{Arc, OnceLock, mpsc};
use std::task::{Context, Poll, Wake, Waker};
use std::thread;
use std::time::Duration;

use tollgate::keyed::Terms;
use tollgate::{CarryOver, KeyedLimiter, ManualClock, Quota, RateLimiter, Sleep, Timer};

use crate::OnManual;

/// A timer that never rings; the clock wakes by itself.
struct Never;

impl Timer for Never {
    fn sleep(&self, _: Duration) -> Option<Sleep> {
        Some(Box::pin(std::future::pending()))
    }
}

/// Calls the limiter when it is woken.
struct OnWake<F: Fn() + Send + Sync>(F);

impl<F: Fn() + Send + Sync> Wake for OnWake<F> {
    fn wake(self: Arc<Self>) {
        (self.0)();
    }
}

/// Runs `act`, and fails if it hangs.
pub(crate) fn without_deadlock(act: impl FnOnce() + Send + 'static) {
    let (done, ended) = mpsc::channel();
    thread::spawn(move || {
        act();
        done.send(()).unwrap();
    });
    ended.recv_timeout(Duration::from_secs(20)).expect("neither hangs nor panics");
}

/// One shard, so that each key has the lock that any other one needs, and a limit for all.
fn limiter(clock: &ManualClock) -> Arc<OnManual> {
    let builder = KeyedLimiter::<u64>::builder(Quota::per_second(1)).clock(clock.clone());
    let builder = builder.hasher(crate::Hasher::default()).shards(1);
    Arc::new(builder.global(Quota::per_second(100)).build().unwrap())
}

/// Everything that takes a lock.
fn use_all_of(limiter: &OnManual) {
    let _ = limiter.allow(&1);
    let _ = limiter.allow(&2);
    limiter.usages().for_each(drop);
    limiter.set_quota(Quota::per_second(1)).unwrap();
    limiter.set_terms_for(&3, Terms::blocked()).unwrap();
    limiter.refresh_terms();
    limiter.most_limited(3);
    limiter.sweep();
    assert_eq!(limiter.quota(), Quota::per_second(1));
}

/// Has a task wait for key 1, one that uses the limiter when it is woken; then runs `change`.
fn wake_by(change: impl Fn(&OnManual, &ManualClock) + Send + 'static) {
    without_deadlock(move || {
        let clock = ManualClock::new();
        let limiter = limiter(&clock);
        assert!(limiter.allow(&1));
        let (again, woken) = (Arc::clone(&limiter), Arc::new(OnceLock::new()));
        let tell = Arc::clone(&woken);
        let waker = Waker::from(Arc::new(OnWake(move || {
            tell.set(()).ok();
            use_all_of(&again);
        })));
        let mut waiting = pin!(limiter.acquire_on(&1, 1, &Never));
        let polled = waiting.as_mut().poll(&mut Context::from_waker(&waker));
        assert!(polled.is_pending());
        change(&limiter, &clock);
        assert!(woken.get().is_some(), "the waker was called");
        let polled = waiting.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        assert!(matches!(polled, Poll::Ready(_)), "and not in vain");
    });
}

#[test]
fn whoever_is_woken_may_use_the_limiter() {
    wake_by(|_, clock| clock.advance(Duration::from_secs(1)));
    wake_by(|limiter, _| limiter.reset(&1));
    wake_by(|limiter, _| limiter.credit(&1, 1));
    wake_by(|limiter, _| limiter.remove(&1));
    wake_by(|limiter, _| limiter.clear());
    wake_by(|limiter, _| limiter.retain(|_, _| false));
    wake_by(|limiter, _| limiter.set_terms_for(&1, Terms::blocked()).unwrap());
    wake_by(|limiter, _| limiter.set_terms_for(&1, Terms::exempt()).unwrap());
}

#[test]
fn whoever_is_woken_by_a_change_for_all_keys_may_change_it_again() {
    wake_by(|limiter, _| {
        limiter.set_quota_with(Quota::per_second(100), CarryOver::AddDifference).unwrap();
    });
    wake_by(|limiter, _| limiter.close());
}

#[test]
fn the_function_that_knows_the_terms_may_use_the_limiter() {
    without_deadlock(|| {
        let own: Arc<OnceLock<Arc<OnManual>>> = Arc::default();
        let known = Arc::clone(&own);
        let terms = move |key: &u64| {
            // Its own answer depends on another key.
            let busy =
                key % 2 == 0 && known.get().is_some_and(|limiter| !limiter.allow(&(key + 1)));
            Quota::per_hour(if busy { 1 } else { 5 })
        };
        let builder = KeyedLimiter::<u64>::builder(Quota::per_second(1)).terms_by(terms);
        let builder = builder.clock(ManualClock::new()).hasher(crate::Hasher::default());
        let limiter = Arc::new(builder.shards(1).max_keys(4).build().unwrap());
        own.set(Arc::clone(&limiter)).ok();
        assert!(limiter.allow(&0));
        assert_eq!(limiter.usage(&0).limit, 5);
        assert!(limiter.allow_n(&1, 4), "one of 5 was taken by the function");
        limiter.refresh_terms();
        assert_eq!((limiter.usage(&0).limit, limiter.usage(&1).limit), (1, 5));
        limiter.set_quota_for(&2, Quota::per_hour(7)).unwrap();
        limiter.clear_terms_for(&2);
        limiter.remove(&0);
    });
}

#[test]
fn a_closure_that_chooses_keys_may_use_the_limiter() {
    without_deadlock(|| {
        let limiter = limiter(&ManualClock::new());
        (0..10).for_each(|key| assert!(limiter.allow(&key)));
        limiter.retain(|key, _| {
            use_all_of(&limiter);
            limiter.remove(&(key + 1));
            key % 3 == 0
        });
        for (key, _) in limiter.usages() {
            limiter.reset(&key);
            limiter.set_quota_for(&key, Quota::per_second(3)).unwrap();
        }
        assert_eq!(limiter.usage(&0).limit, 3);
    });
}

/// Uses its limiter whenever it hears an event, as a rate-limited log does.
struct Asking(Arc<OnManual>);

impl tracing::Subscriber for Asking {
    fn enabled(&self, _: &tracing::Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, _: &tracing::span::Attributes<'_>) -> tracing::span::Id {
        tracing::span::Id::from_u64(1)
    }

    fn record(&self, _: &tracing::span::Id, _: &tracing::span::Record<'_>) {}

    fn record_follows_from(&self, _: &tracing::span::Id, _: &tracing::span::Id) {}

    fn event(&self, _: &tracing::Event<'_>) {
        // What it does is told to nobody: tracing sees to that.
        use_all_of(&self.0);
    }

    fn enter(&self, _: &tracing::span::Id) {}

    fn exit(&self, _: &tracing::span::Id) {}
}

#[test]
fn a_subscriber_may_use_the_limiter_it_hears() {
    without_deadlock(|| {
        let limiter = limiter(&ManualClock::new());
        tracing::subscriber::with_default(Asking(Arc::clone(&limiter)), || {
            assert!(limiter.allow(&9) && !limiter.allow(&9));
            assert!(limiter.wait_timeout(&9, 1, Duration::ZERO).is_err());
            limiter.set_quota(Quota::per_second(1)).unwrap();
            limiter.reset(&9);
            limiter.for_key(&9).close();
            limiter.close();
        });
        assert!(limiter.is_closed());
    });
}
