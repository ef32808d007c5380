//! The verbs of a pool of models are those of a pool of keys, for one model.

use std::thread;
use std::time::Duration;

use tollgate::llm::{Error, KeyPool, LimitKind, Limits, Period, Reply, ServerLimits};
use tollgate::{CancelToken, ManualClock};

use super::{Pool, pool};
use crate::support::{MINUTE, NANO, NoTimer, SECOND, Task, just_before, rpm};

/// A request a minute, which is used up in the model `x`.
fn used_up(clock: &ManualClock) -> Pool {
    let pool = pool(clock);
    pool.add("a", "sk", rpm(1)).unwrap();
    pool.try_acquire("x", 0).unwrap().settle(0);
    pool
}

fn sleeps(clock: &ManualClock) {
    while clock.sleepers() == 0 {
        thread::yield_now();
    }
}

#[test]
fn threads_wait_for_a_key() {
    let clock = ManualClock::new();
    let pool = used_up(&clock);
    // Other models are not in the way.
    assert_eq!(pool.wait("y", 0).unwrap().model(), "y");
    let late = Error::Timeout { retry_after: Some(MINUTE) };
    assert_eq!(pool.wait_timeout("x", 0, just_before(MINUTE)).map(drop), Err(late));
    thread::scope(|scope| {
        let waiting = scope.spawn(|| pool.wait_timeout("x", 0, MINUTE));
        sleeps(&clock);
        assert_eq!(pool.usage("a", "x").unwrap().waiting, 1);
        clock.advance(MINUTE);
        let permit = waiting.join().unwrap().unwrap();
        assert_eq!((permit.model(), permit.id(), *permit.secret()), ("x", "a", "sk"));
        permit.settle(0);
    });
}

#[test]
fn a_cancelled_thread_takes_nothing() {
    let clock = ManualClock::new();
    let pool = used_up(&clock);
    let cancel = CancelToken::new();
    thread::scope(|scope| {
        let waiting = scope.spawn(|| pool.wait_cancellable("x", 0, &cancel).map(drop));
        while pool.usage("a", "x").unwrap().waiting == 0 {
            thread::yield_now();
        }
        cancel.cancel();
        assert_eq!(waiting.join().unwrap(), Err(Error::Cancelled));
    });
    clock.advance(MINUTE);
    assert!(pool.try_acquire("x", 0).is_ok());
}

#[test]
fn a_reservation_says_when_it_is_due_and_becomes_a_permit_then() {
    let clock = ManualClock::new();
    let pool = used_up(&clock);
    let (first, second) = (pool.reserve("x", 0).unwrap(), pool.reserve("x", 0).unwrap());
    assert_eq!(
        (first.model(), first.delay(), second.delay()),
        ("x", Some(MINUTE), Some(2 * MINUTE))
    );
    assert_eq!(pool.delay_for("x", 0), Ok(3 * MINUTE));
    assert_eq!(pool.delay_for("y", 0), Ok(Duration::ZERO));
    drop(first);
    assert_eq!((second.delay(), pool.delay_for("x", 0)), (Some(MINUTE), Ok(2 * MINUTE)));
    clock.advance(MINUTE);
    let permit = second.wait().unwrap();
    assert_eq!((permit.model(), permit.id()), ("x", "a"));
    // Neither borrows the pool.
    let third = pool.reserve("x", 0).unwrap();
    drop(pool);
    permit.settle(0);
    clock.advance(MINUTE);
    assert_eq!(Task::new(third.wait_on(&NoTimer)).done().unwrap().id(), "a");
}

/// Wherever a future is dropped: it takes nothing, and those behind it are served.
#[test]
fn a_wait_that_is_dropped_takes_nothing() {
    type Wait = for<'a> fn(&'a Pool) -> Task<'a, Result<(), Error>>;
    let ways: [Wait; 3] = [
        |pool| Task::new(async { pool.acquire_on("x", 0, &NoTimer).await.map(drop) }),
        |pool| {
            Task::new(async { pool.low_priority().acquire_on("x", 0, &NoTimer).await.map(drop) })
        },
        |pool| {
            let reserved = pool.reserve("x", 0).unwrap();
            Task::new(async { reserved.wait_on(&NoTimer).await.map(drop) })
        },
    ];
    for (way, wait) in ways.into_iter().enumerate() {
        for granted in [false, true] {
            let clock = ManualClock::new();
            let pool = used_up(&clock);
            let mut task = wait(&pool);
            task.waits();
            if granted {
                clock.advance(MINUTE);
                // Whoever looks: it has its turn, and nobody has polled it.
                assert_eq!(pool.usage("a", "x").unwrap().in_flight, 1, "way {way}");
            }
            let mut behind = Task::new(pool.acquire_on("x", 0, &NoTimer));
            behind.waits();
            drop(task);
            if !granted {
                behind.waits();
                clock.advance(MINUTE);
            }
            behind.done().unwrap().settle(0);
            let usage = pool.usage("a", "x").unwrap();
            assert_eq!(
                (usage.in_flight, usage.waiting, usage.limits[0].used),
                (0, 0, 1),
                "way {way}"
            );
        }
    }
}

#[test]
fn a_model_in_use_is_closed_with_the_pool() {
    let clock = ManualClock::new();
    let pool = used_up(&clock);
    let mut waiting = Task::new(pool.acquire_on("x", 0, &NoTimer));
    let low = pool.low_priority();
    let mut first = Task::new(low.acquire_on("x", 0, &NoTimer));
    let mut second = Task::new(low.acquire_on("x", 0, &NoTimer));
    waiting.waits();
    first.waits();
    second.waits();
    let reserved = pool.reserve("x", 0).unwrap();
    pool.close();
    for task in [&mut waiting, &mut first, &mut second] {
        assert_eq!(task.done().map(drop), Err(Error::Closed));
    }
    assert_eq!(reserved.delay(), None);
    assert_eq!(reserved.wait().map(drop), Err(Error::Closed));
    assert_eq!(pool.wait("y", 0).map(drop), Err(Error::Closed));
    assert_eq!(pool.delay_for("y", 0), Err(Error::Closed));
    assert!(pool.reserve("y", 0).is_err());
}

#[test]
fn what_is_observed_without_a_permit_concerns_one_model() {
    let clock = ManualClock::new();
    let pool = pool(&clock);
    pool.add("a", "sk", Limits::new().tokens_per_minute(600)).unwrap();
    let tokens = |model: &str| {
        let usage = pool.usage("a", model)?;
        usage.of(LimitKind::Tokens(Period::MINUTE)).map(|it| (it.limit, it.used))
    };
    assert!(pool.consume_tokens("a", "x", 100));
    assert!(pool.observe("a", "y", [("x-ratelimit-limit-tokens", "300")]));
    let lower = ServerLimits::from_headers(
        [("x-ratelimit-limit-tokens", "200")],
        std::time::SystemTime::UNIX_EPOCH,
    );
    assert!(pool.observe_limits("a", "z", &lower));
    assert_eq!(
        ["x", "y", "z", "unused"].map(tokens),
        [Some((600, 100)), Some((300, 0)), Some((200, 0)), None]
    );
    let wait = Reply::new(429).headers([("retry-after", "20")]);
    assert!(pool.observe_reply("a", "x", &wait) && pool.observe_reply("a", "y", &wait));
    let paused = |model: &str| pool.usage("a", model).unwrap().paused_for;
    assert_eq!(["x", "y", "z"].map(paused), [Some(20 * SECOND), Some(20 * SECOND), None]);
    assert!(pool.resume("a", "x") && pool.forget_learned("a", "y"));
    assert_eq!((paused("x"), paused("y")), (None, None));
    assert_eq!([tokens("x"), tokens("y")], [Some((600, 100)), Some((600, 0))]);
    // A key that is refused is so in all models.
    assert!(pool.observe_reply("a", "x", &Reply::new(401)));
    assert!(["x", "z", "new"].iter().all(|model| pool.try_acquire(model, 0).is_err()));
    assert!(pool.resume("a", "x"));
    assert!(pool.try_acquire("x", 0).is_err(), "no pause is ended by that");
    // Nobody has that key.
    assert!(!pool.observe("b", "x", [("retry-after", "1")]) && !pool.consume_tokens("b", "x", 1));
    assert!(!pool.observe_limits("b", "x", &lower) && !pool.observe_reply("b", "x", &wait));
    assert!(!pool.resume("b", "x") && !pool.forget_learned("b", "unused"));
    assert!(pool.resume("a", "unused") && pool.forget_learned("a", "unused"));
    assert_eq!((pool.usage("b", "x"), pool.usage("a", "unused")), (None, None));
}

/// The verbs that pools of keys have gained with those of pools of models.
#[test]
fn a_pool_of_keys_resumes_and_observes_limits() {
    let pool = KeyPool::builder().clock(ManualClock::new()).build();
    pool.add("a", "sk", rpm(60)).unwrap();
    pool.observe_reply("a", &Reply::new(429).headers([("retry-after", "20")]));
    assert!(pool.try_acquire(0).is_err());
    assert!(pool.resume("a") && !pool.resume("b"));
    assert!(pool.try_acquire(0).is_ok());
    let headers = [("x-ratelimit-limit-requests", "7")];
    let lower = ServerLimits::from_headers(headers, std::time::SystemTime::UNIX_EPOCH);
    assert!(pool.observe_limits("a", &lower) && !pool.observe_limits("b", &lower));
    assert_eq!(pool.usage("a").unwrap().limits[0].limit, 7);
    pool.observe_reply("a", &Reply::new(401));
    assert!(pool.resume("a") && pool.try_acquire(0).is_err());
}

#[test]
fn low_priority_has_a_line_in_each_model() {
    let clock = ManualClock::new();
    let pool = pool(&clock);
    pool.add("a", "sk", rpm(60).max_concurrent(1)).unwrap();
    let (x, y) = (pool.try_acquire("x", 0).unwrap(), pool.try_acquire("y", 0).unwrap());
    let low = pool.low_priority();
    let mut of_x: Vec<_> = (0..2).map(|_| Task::new(low.acquire_on("x", 0, &NoTimer))).collect();
    of_x.iter_mut().for_each(Task::waits);
    let mut of_y = Task::new(low.acquire_on("y", 0, &NoTimer));
    of_y.waits();
    // Only the first of them stands in the queue.
    assert_eq!(pool.usage("a", "x").unwrap().waiting, 1);
    y.settle(0);
    assert_eq!(of_y.done().unwrap().model(), "y");
    let mut other = Task::new(pool.acquire_on("x", 0, &NoTimer));
    other.waits();
    x.settle(0);
    let first = of_x[0].done().unwrap();
    of_x[1].waits();
    first.settle(0);
    other.done().unwrap().settle(0);
    assert_eq!(of_x[1].done().unwrap().id(), "a");
    clock.advance(NANO);
}
