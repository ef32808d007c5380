//! Requests that let others go first.

use std::thread;
use std::time::Duration;

use tollgate::llm::{Error, KeyPool, Limiter, Limits, ModelPool, Permit};
use tollgate::{CancelToken, ManualClock};

use crate::support::{MINUTE, NoTimer, SECOND, Task, just_before, limiter, queued, rpm, tpm};

/// Runs tasks, and removes those that are done.
fn run<'a>(
    tasks: &mut Vec<Task<'a, Result<Permit<'a, ManualClock>, Error>>>,
    mut done: impl FnMut(),
) {
    tasks.retain_mut(|task| match task.run() {
        Some(permit) => {
            permit.unwrap().settle(0);
            done();
            false
        }
        None => true,
    });
}

#[test]
fn another_request_waits_for_at_most_one_of_them() {
    let clock = ManualClock::new();
    let model = limiter(&clock, rpm(60));
    (0..60).for_each(|_| assert!(model.allow()));
    let batch = model.low_priority();
    let mut batch: Vec<_> = (0..5).map(|_| Task::new(batch.acquire_on(0, &NoTimer))).collect();
    batch.iter_mut().for_each(Task::waits);
    let mut others: Vec<_> = (0..3).map(|_| queued(&model, 0)).collect();
    let mut order = Vec::new();
    for _ in 0..8 {
        clock.advance(SECOND);
        run(&mut others, || order.push("other"));
        run(&mut batch, || order.push("batch"));
        // The next one of the line stands in the queue now.
        for task in &mut batch {
            drop(task.run());
        }
    }
    assert_eq!(
        order,
        ["batch", "other", "other", "other", "batch", "batch", "batch", "batch"],
        "one of them was in the queue already"
    );
}

#[test]
fn they_are_not_starved() {
    let clock = ManualClock::new();
    let model = limiter(&clock, rpm(60));
    (0..60).for_each(|_| assert!(model.allow()));
    let mut batch = Task::new(model.low_priority().acquire_on(0, &NoTimer));
    batch.waits();
    // One more arrives for each one that leaves.
    let mut others: Vec<_> = (0..3).map(|_| queued(&model, 0)).collect();
    clock.advance(SECOND);
    assert!(batch.done().is_ok(), "it was the first");
    let mut second = Task::new(model.low_priority().acquire_on(0, &NoTimer));
    second.waits();
    for round in 0..4 {
        clock.advance(SECOND);
        let served = second.run().is_some();
        assert_eq!(served, round == 3, "behind the three that came before");
        if !served {
            assert!(others.remove(0).done().is_ok());
            others.push(queued(&model, 0));
        }
    }
}

#[test]
fn who_leaves_lets_the_next_one_go() {
    let clock = ManualClock::new();
    let model = limiter(&clock, tpm(600));
    model.consume_tokens(600);
    let batch = model.low_priority();
    let mut large = Task::new(batch.acquire_on(500, &NoTimer));
    large.waits();
    let mut small = Task::new(batch.acquire_on(10, &NoTimer));
    small.waits();
    drop(large);
    small.waits();
    clock.advance(SECOND);
    assert!(small.done().is_ok());
}

#[test]
fn a_pool_and_the_bound_of_the_line() {
    let clock = ManualClock::new();
    let pool = KeyPool::builder().max_waiters(1).clock(clock.clone()).build();
    pool.add("a", (), Limits::new().max_concurrent(1)).unwrap();
    let busy = pool.try_acquire(0).unwrap();
    let (batch, line) = (pool.low_priority(), pool.low_priority());
    let mut first = Task::new(batch.acquire_on(0, &NoTimer));
    let mut second = Task::new(line.acquire_on(0, &NoTimer));
    first.waits();
    second.waits();
    let full = Task::new(batch.acquire_on(0, &NoTimer)).done().map(drop);
    assert_eq!(full, Err(Error::QueueFull { max_waiters: 1 }));
    busy.settle(0);
    assert_eq!(first.done().unwrap().id(), "a");
    pool.close();
    assert_eq!(second.done().map(drop), Err(Error::Closed));
}

#[test]
fn an_idle_limiter_serves_them_at_once() {
    let model = Limiter::builder().clock(ManualClock::new()).build().unwrap();
    let batch = model.low_priority();
    for _ in 0..100 {
        assert!(Task::new(batch.acquire_on(5, &NoTimer)).done().is_ok());
    }
}

/// A limiter, a pool of keys and a pool of models, each with one request a minute, and the waits of
/// their low-priority requests.
fn three(clock: &ManualClock) -> (Limiter<ManualClock>, KeyPool<(), ManualClock>, Models) {
    let pool = KeyPool::builder().clock(clock.clone()).build();
    pool.add("a", (), rpm(1)).unwrap();
    let models = ModelPool::with_options(KeyPool::builder().clock(clock.clone()));
    models.add("a", (), rpm(1)).unwrap();
    (limiter(clock, rpm(1)), pool, models)
}

type Models = ModelPool<(), ManualClock>;
type Ended = Result<(), Error>;

#[test]
fn threads_wait_in_all_three() {
    let clock = ManualClock::new();
    let (one, pool, models) = three(&clock);
    let (one, pool, models) = (one.low_priority(), pool.low_priority(), models.low_priority());
    // The first request of each passes at once.
    one.wait(0).unwrap().settle(0);
    assert_eq!(pool.wait(0).unwrap().id(), "a");
    assert_eq!(models.wait("x", 0).unwrap().model(), "x");
    let late = Error::Timeout { retry_after: Some(MINUTE) };
    let short = just_before(MINUTE);
    assert_eq!(one.wait_timeout(0, short).map(drop), Err(late));
    assert_eq!(pool.wait_timeout(0, short).map(drop), Err(late));
    assert_eq!(models.wait_timeout("x", 0, short).map(drop), Err(late));
    thread::scope(|scope| {
        let waiting = [
            scope.spawn(move || -> Ended { one.wait_timeout(0, MINUTE).map(drop) }),
            scope.spawn(move || -> Ended { pool.wait_timeout(0, MINUTE).map(drop) }),
            scope.spawn(move || -> Ended { models.wait_timeout("x", 0, MINUTE).map(drop) }),
        ];
        while clock.sleepers() < 3 {
            thread::yield_now();
        }
        clock.advance(MINUTE);
        for thread in waiting {
            assert_eq!(thread.join().unwrap(), Ok(()));
        }
    });
}

#[test]
fn a_cancelled_thread_takes_nothing_in_all_three() {
    let clock = ManualClock::new();
    let (one, pool, models) = three(&clock);
    let cancel = CancelToken::new();
    cancel.cancel();
    let cancelled = Err(Error::Cancelled);
    assert_eq!(one.low_priority().wait_cancellable(0, &cancel).map(drop), cancelled);
    assert_eq!(pool.low_priority().wait_cancellable(0, &cancel).map(drop), cancelled);
    assert_eq!(models.low_priority().wait_cancellable("x", 0, &cancel).map(drop), cancelled);
    assert!(one.allow() && pool.try_acquire(0).is_ok() && models.try_acquire("x", 0).is_ok());
}

/// Threads and tasks stand in one line, and whoever leaves it lets the next one go.
#[test]
fn a_thread_that_leaves_the_line_or_the_queue_lets_the_next_one_go() {
    let clock = ManualClock::new();
    let model = limiter(&clock, rpm(60));
    (0..60).for_each(|_| assert!(model.allow()));
    let batch = model.low_priority();
    let cancel = CancelToken::new();
    thread::scope(|scope| {
        let first = scope.spawn(|| batch.wait_cancellable(0, &cancel).map(drop));
        while model.usage().waiting == 0 {
            thread::yield_now();
        }
        // Behind the thread, and not in the queue.
        let mut second = Task::new(batch.acquire_on(0, &NoTimer));
        second.waits();
        assert_eq!(model.usage().waiting, 1);
        // The time in the line is part of the timeout, and nobody knows when the line moves on.
        let no_time = batch.wait_timeout(0, Duration::ZERO).map(drop);
        assert_eq!(no_time, Err(Error::Timeout { retry_after: None }));
        cancel.cancel();
        assert_eq!(first.join().unwrap(), Err(Error::Cancelled));
        second.waits();
        assert_eq!(model.usage().waiting, 1);
        clock.advance(SECOND);
        second.done().unwrap().settle(0);
    });
    assert_eq!(model.usage().waiting, 0);
}

#[test]
fn closing_ends_the_waits_of_threads_in_the_line() {
    let clock = ManualClock::new();
    let (_, _, models) = three(&clock);
    models.try_acquire("x", 0).unwrap().settle(0);
    let low = models.low_priority();
    let mut first = Task::new(low.acquire_on("x", 0, &NoTimer));
    first.waits();
    thread::scope(|scope| {
        let second = scope.spawn(|| low.wait("x", 0).map(drop));
        models.close();
        assert_eq!(first.done().map(drop), Err(Error::Closed));
        assert_eq!(second.join().unwrap(), Err(Error::Closed));
    });
}

/// Wherever a low-priority wait is dropped, also if it is granted and nobody has looked.
#[test]
fn a_dropped_wait_leaves_nothing_behind() {
    for granted in [false, true] {
        for in_line in [false, true] {
            let clock = ManualClock::new();
            let model = limiter(&clock, rpm(60));
            (0..60).for_each(|_| assert!(model.allow()));
            let low = model.low_priority();
            let mut first = Task::new(low.acquire_on(0, &NoTimer));
            let mut second = Task::new(low.acquire_on(0, &NoTimer));
            first.waits();
            second.waits();
            let (mut stays, leaves) = if in_line { (first, second) } else { (second, first) };
            if granted {
                clock.advance(SECOND);
            }
            drop(leaves);
            // What was granted to the other one is there for it.
            let served = stays.run();
            assert_eq!(served.is_some(), granted);
            clock.advance(SECOND);
            served.unwrap_or_else(|| stays.done()).unwrap().settle(0);
            clock.advance(2 * MINUTE);
            let usage = model.usage();
            assert_eq!((usage.in_flight, usage.waiting, usage.limits[0].used), (0, 0, 0));
            assert!(Task::new(low.acquire_on(0, &NoTimer)).done().is_ok());
        }
    }
}
