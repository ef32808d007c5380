//! Requests that let others go first.

use tollgate::ManualClock;
use tollgate::llm::{Error, KeyPool, Limiter, Limits, Permit};

use crate::support::{NoTimer, SECOND, Task, limiter, queued, rpm, tpm};

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
