//! Those who wait: in order, woken when it is their turn, and gone without a trace.

use std::thread;
#[cfg(feature = "tokio")]
use std::time::Duration;

#[cfg(feature = "tokio")]
use tollgate::Jitter;
#[cfg(feature = "tokio")]
use tollgate::llm::KeyPool;
use tollgate::llm::{Error, LimitKind, Limiter, Limits, Period, Tokens};
use tollgate::{CancelToken, ManualClock};

#[cfg(feature = "tokio")]
use crate::support::Pool;
use crate::support::{
    MINUTE, NANO, NoTimer, OnManual, SECOND, Task, just_before, left, limiter, queued, rpm, tpm,
    used,
};

/// Ten tokens a second, and none left.
fn used_up(clock: &ManualClock) -> OnManual {
    let limiter = limiter(clock, tpm(600));
    limiter.consume_tokens(600);
    limiter
}

#[test]
fn estimates_of_different_size_are_served_in_order_at_exact_times() {
    let clock = ManualClock::new();
    let limiter = used_up(&clock);
    let mut large = queued(&limiter, 300);
    let mut small = queued(&limiter, 10);
    let mut middle = queued(&limiter, 90);
    assert!(limiter.try_acquire(1).is_err());
    clock.advance(just_before(30 * SECOND));
    large.waits();
    small.waits();
    assert!(limiter.try_acquire(1).is_err(), "nobody passes those who wait");
    clock.advance(NANO);
    assert_eq!(large.done().unwrap().estimate().total(), 300);
    small.waits();
    clock.advance(SECOND);
    assert!(small.done().is_ok());
    clock.advance(just_before(9 * SECOND));
    middle.waits();
    clock.advance(NANO);
    assert!(middle.done().is_ok());
}

#[test]
fn a_refund_serves_the_next_in_line_at_once() {
    let clock = ManualClock::new();
    let limiter = limiter(&clock, tpm(600));
    let permit = limiter.try_acquire(600).unwrap();
    let (mut first, mut second) = (queued(&limiter, 100), queued(&limiter, 100));
    permit.settle(450);
    assert!(first.done().is_ok(), "woken, and served");
    second.waits();
    clock.advance(5 * SECOND);
    assert!(second.done().is_ok(), "50 were left, 50 came");
}

#[test]
fn a_debt_puts_those_who_wait_off() {
    let clock = ManualClock::new();
    let limiter = limiter(&clock, tpm(600));
    let permit = limiter.try_acquire(600).unwrap();
    let mut waiting = queued(&limiter, 100);
    permit.settle(700);
    clock.advance(just_before(20 * SECOND));
    waiting.waits();
    clock.advance(NANO);
    assert!(waiting.done().is_ok());
}

#[cfg(feature = "tokio")]
#[test]
fn a_debt_ends_a_wait_that_can_not_be_in_time_any_more() {
    let clock = ManualClock::new();
    let limiter = limiter(&clock, tpm(600));
    let permit = limiter.try_acquire(600).unwrap();
    let mut waiting = Task::new(limiter.acquire_timeout(100, 15 * SECOND));
    waiting.waits();
    permit.settle(700);
    let late = Error::Timeout { retry_after: Some(20 * SECOND) };
    assert_eq!(waiting.done().map(drop), Err(late), "woken, and told at once");
}

#[test]
fn who_waits_for_a_request_in_flight_is_woken_at_its_end() {
    let clock = ManualClock::new();
    let limiter = limiter(&clock, Limits::new().max_concurrent(2));
    let (one, two) = (limiter.try_acquire(1).unwrap(), limiter.try_acquire(1).unwrap());
    let (mut first, mut second) = (queued(&limiter, 1), queued(&limiter, 1));
    let mut third = queued(&limiter, 1);
    assert_eq!(limiter.usage().waiting, 3);
    two.settle(1);
    let first = first.done().unwrap();
    second.waits();
    one.cancel();
    let second = second.done().unwrap();
    third.waits();
    drop(first);
    assert!(third.done().is_ok());
    drop(second);
    assert_eq!(limiter.usage().in_flight, 0);
}

#[test]
fn a_wait_for_a_request_in_flight_ends_at_its_deadline() {
    let clock = ManualClock::new();
    let limiter = limiter(&clock, Limits::new().max_concurrent(1));
    let _busy = limiter.try_acquire(1).unwrap();
    let late = Err(Error::Timeout { retry_after: None });
    assert_eq!(limiter.wait_timeout(1, std::time::Duration::ZERO).map(drop), late);
    thread::scope(|scope| {
        let waiting = scope.spawn(|| limiter.wait_timeout(1, SECOND).map(drop));
        while clock.sleepers() == 0 {
            thread::yield_now();
        }
        clock.advance(SECOND);
        assert_eq!(waiting.join().unwrap(), late);
    });
    assert_eq!(limiter.usage().waiting, 0);
}

#[test]
fn a_wait_that_would_outlast_its_timeout_fails_at_once_with_the_time() {
    let clock = ManualClock::new();
    let limiter = used_up(&clock);
    let waiting = queued(&limiter, 100);
    let late = limiter.wait_timeout(50, just_before(15 * SECOND)).map(drop);
    assert_eq!(late, Err(Error::Timeout { retry_after: Some(15 * SECOND) }));
    assert_eq!(limiter.usage().waiting, 1, "only the one before it");
    drop(waiting);
    let late = limiter.wait_timeout(50, just_before(5 * SECOND)).map(drop);
    assert_eq!(late, Err(Error::Timeout { retry_after: Some(5 * SECOND) }));
}

#[test]
fn a_dropped_wait_takes_nothing_and_lets_those_behind_move_up() {
    let clock = ManualClock::new();
    let limiter = used_up(&clock);
    let large = queued(&limiter, 500);
    let mut small = queued(&limiter, 10);
    drop(large);
    clock.advance(just_before(SECOND));
    small.waits();
    clock.advance(NANO);
    assert!(small.done().is_ok());
}

#[test]
fn a_wait_that_is_dropped_after_its_turn_came_gives_everything_back() {
    let clock = ManualClock::new();
    let limits = tpm(600).requests_per_minute(600).max_concurrent(1);
    let limiter = limiter(&clock, limits);
    limiter.consume_tokens(600);
    let waiting = queued(&limiter, Tokens::new(50, 50));
    clock.advance(10 * SECOND);
    assert_eq!(limiter.usage().in_flight, 1, "this look has granted it");
    drop(waiting);
    assert_eq!(limiter.usage().in_flight, 0);
    assert_eq!(left(&limiter, LimitKind::Tokens(Period::MINUTE)), 100);
    assert_eq!(used(&limiter, LimitKind::Requests(Period::MINUTE)), 0);
    assert!(limiter.try_acquire(100).is_ok());
}

#[test]
fn a_cancelled_wait_takes_nothing() {
    let clock = ManualClock::new();
    let limiter = used_up(&clock);
    let cancel = CancelToken::new();
    thread::scope(|scope| {
        let waiting = scope.spawn(|| limiter.wait_cancellable(600, &cancel).map(drop));
        while limiter.usage().waiting == 0 {
            thread::yield_now();
        }
        cancel.cancel();
        assert_eq!(waiting.join().unwrap(), Err(Error::Cancelled));
    });
    clock.advance(SECOND);
    assert!(limiter.try_acquire(10).is_ok());
}

#[test]
fn a_blocked_thread_wakes_when_the_clock_says_so() {
    let clock = ManualClock::new();
    let limiter = used_up(&clock);
    thread::scope(|scope| {
        let waiting = scope.spawn(|| limiter.wait(10).map(drop));
        while clock.sleepers() == 0 {
            thread::yield_now();
        }
        clock.advance(SECOND);
        assert_eq!(waiting.join().unwrap(), Ok(()));
    });
}

#[test]
fn higher_limits_serve_those_who_wait_earlier() {
    let clock = ManualClock::new();
    let limiter = used_up(&clock);
    let (mut first, mut second) = (queued(&limiter, 300), queued(&limiter, 300));
    limiter.set_limits(tpm(1_000)).unwrap();
    assert!(first.done().is_ok(), "600 of 1,000 are used");
    second.waits();
    clock.advance(just_before(12 * SECOND));
    second.waits();
    clock.advance(NANO);
    assert!(second.done().is_ok(), "200 came at 1,000 a minute");
}

#[test]
fn no_limits_at_all_serve_everybody_who_waits() {
    let clock = ManualClock::new();
    let limiter = used_up(&clock);
    let mut waiting: Vec<_> = (0..5).map(|_| queued(&limiter, 600)).collect();
    limiter.set_limits(Limits::new()).unwrap();
    assert!(waiting.iter_mut().all(|task| task.done().is_ok()));
}

#[test]
fn lower_limits_end_a_wait_that_can_not_be_in_time_any_more() {
    let clock = ManualClock::new();
    let limiter = used_up(&clock);
    thread::scope(|scope| {
        let waiting = scope.spawn(|| limiter.wait_timeout(100, 15 * SECOND).map(drop));
        while limiter.usage().waiting == 0 {
            thread::yield_now();
        }
        limiter.set_limits(tpm(300)).unwrap();
        // All 300 are used: 100 at 5 a second.
        let late = Error::Timeout { retry_after: Some(20 * SECOND) };
        assert_eq!(waiting.join().unwrap(), Err(late));
    });
}

#[test]
fn lower_limits_end_a_wait_for_more_than_they_ever_give() {
    let clock = ManualClock::new();
    let limiter = used_up(&clock);
    let mut too_large = queued(&limiter, 500);
    let mut small = queued(&limiter, 10);
    limiter.set_limits(tpm(300)).unwrap();
    let never =
        Error::Never { limit: LimitKind::Tokens(Period::MINUTE), requested: 500, most: 300 };
    assert_eq!(too_large.done().map(drop), Err(never));
    clock.advance(just_before(2 * SECOND));
    small.waits();
    clock.advance(NANO);
    assert!(small.done().is_ok(), "and those behind it do not wait for ever");
}

#[test]
fn a_full_queue_takes_nobody_more() {
    let clock = ManualClock::new();
    let builder = Limiter::builder().limits(rpm(1)).max_waiters(1);
    let limiter = builder.clock(clock.clone()).build().unwrap();
    assert!(limiter.allow());
    let first = queued(&limiter, 0);
    let full = Err(Error::QueueFull { max_waiters: 1 });
    assert_eq!(limiter.wait(0).map(drop), full);
    drop(first);
    let mut next = Task::new(limiter.acquire_on(0, &NoTimer));
    next.waits();
    clock.advance(MINUTE);
    assert!(next.done().is_ok());
}

#[test]
fn closing_ends_every_wait() {
    let clock = ManualClock::new();
    let limiter = used_up(&clock);
    let mut waiting = [queued(&limiter, 10), queued(&limiter, 20)];
    limiter.close();
    for task in &mut waiting {
        assert_eq!(task.done().map(drop), Err(Error::Closed));
    }
}

#[cfg(feature = "tokio")]
#[test]
fn jitter_holds_who_waited_back_but_not_beyond_its_deadline() {
    // By chance it is below five seconds once in thousands of millions of times.
    let centuries = Jitter::up_to(Duration::from_secs(500 * 365 * 24 * 3_600));
    let clock = ManualClock::new();
    let builder = Limiter::builder().limits(rpm(60)).jitter(centuries);
    let limiter = builder.clock(clock.clone()).build().unwrap();
    let pool: Pool = KeyPool::builder().jitter(centuries).clock(clock.clone()).build();
    pool.add("only", "", rpm(60)).unwrap();
    for _ in 0..60 {
        assert!(limiter.allow());
        pool.try_acquire(0).unwrap().settle(0);
    }
    let mut waiting = Task::new(limiter.acquire_timeout(0, 5 * SECOND));
    let mut for_key = Task::new(pool.acquire_timeout(0, 5 * SECOND));
    waiting.waits();
    for_key.waits();
    clock.advance(SECOND);
    waiting.waits();
    for_key.waits();
    assert_eq!(limiter.usage().waiting, 0, "its turn has come all the same");
    clock.advance(just_before(4 * SECOND));
    waiting.waits();
    for_key.waits();
    clock.advance(NANO);
    assert!(waiting.done().is_ok() && for_key.done().is_ok());
}

#[cfg(feature = "tokio")]
#[test]
fn a_timeout_counts_from_the_call_and_not_from_the_first_poll() {
    let clock = ManualClock::new();
    let limiter = limiter(&clock, rpm(1));
    assert!(limiter.allow());
    let mut too_late = Task::new(limiter.acquire_timeout(0, MINUTE));
    clock.advance(MINUTE + SECOND);
    assert!(limiter.allow());
    assert!(matches!(too_late.done(), Err(Error::Timeout { .. })));
}
