//! A whole request in one call.

use std::cell::{Cell, RefCell};

use tollgate::ManualClock;
use tollgate::llm::{CallError, Error, LimitKind, Limits, Period, PoolKey, Reply, Tokens};

use crate::support::{NoTimer, SECOND, Task, limiter, pool, rpm, tpm, used};

type Answer = (u16, Option<&'static str>);

/// A status, and for how long the server said to wait.
fn read(answer: &Answer) -> Reply {
    let reply = Reply::new(answer.0).spent(Tokens::new(30, 10));
    match answer.1 {
        Some(wait) => reply.headers([("retry-after", wait)]),
        None => reply,
    }
}

#[test]
fn a_call_acquires_sends_learns_and_settles() {
    let limiter = limiter(&ManualClock::new(), tpm(600));
    let read = |tokens: &u64| {
        Reply::new(200).headers([("x-ratelimit-limit-requests", "7")]).spent(*tokens)
    };
    let sent = async || {
        assert_eq!(used(&limiter, LimitKind::Tokens(Period::MINUTE)), 100);
        Ok::<u64, ()>(40)
    };
    let answer = Task::new(limiter.call_on(&NoTimer, 100, 1, sent, read)).done();
    assert_eq!(answer.unwrap(), 40);
    assert_eq!(used(&limiter, LimitKind::Tokens(Period::MINUTE)), 40);
    assert_eq!(limiter.usage().of(LimitKind::Requests(Period::MINUTE)).unwrap().limit, 7);
    assert_eq!(
        used(&limiter, LimitKind::Requests(Period::MINUTE)),
        1,
        "the one it was learned from"
    );
}

#[test]
fn a_call_tries_again_after_the_wait_that_a_429_asks_for() {
    let clock = ManualClock::new();
    let limiter = limiter(&clock, tpm(600).requests_per_minute(10));
    let log = RefCell::new(Vec::new());
    let send = async || {
        log.borrow_mut().push(limiter.usage().in_flight);
        let tries = log.borrow().len();
        Ok::<Answer, ()>(if tries < 3 { (429, Some("5")) } else { (200, None) })
    };
    let mut call = Task::new(limiter.call_on(&NoTimer, 100, 3, send, read));
    call.waits();
    clock.advance(5 * SECOND);
    call.waits();
    clock.advance(5 * SECOND);
    assert_eq!(call.done().unwrap(), (200, None));
    assert_eq!(*log.borrow(), [1; 3]);
    assert_eq!(limiter.usage().in_flight, 0);
    assert_eq!(
        used(&limiter, LimitKind::Tokens(Period::MINUTE)),
        40,
        "refused tries took no tokens"
    );
    assert_eq!(
        used(&limiter, LimitKind::Requests(Period::MINUTE)),
        2,
        "but requests, one of which came back"
    );
}

#[test]
fn the_number_of_tries_is_bounded_and_the_last_answer_handed_out() {
    let clock = ManualClock::new();
    let limiter = limiter(&clock, Limits::new());
    let tries = Cell::new(0);
    let send = async || {
        tries.set(tries.get() + 1);
        Ok::<Answer, ()>((429, Some("1")))
    };
    let mut call = Task::new(limiter.call_on(&NoTimer, 0, 2, send, read));
    call.waits();
    clock.advance(SECOND);
    match call.done() {
        Err(CallError::Refused { tries: 2, response: (429, Some("1")) }) => {}
        other => panic!("{other:?}"),
    }
    assert_eq!(tries.get(), 2);
}

#[test]
fn a_server_that_says_to_wait_too_long_ends_the_call() {
    let limiter = limiter(&ManualClock::new(), Limits::new());
    let send = async || Ok::<Answer, ()>((429, Some("3600")));
    match Task::new(limiter.call_on(&NoTimer, 0, 5, send, read)).done() {
        Err(CallError::Limited(Error::ServerWait { retry_after })) => {
            assert_eq!(retry_after, 3_600 * SECOND);
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_request_that_fails_is_not_tried_again_and_counts() {
    let limiter = limiter(&ManualClock::new(), tpm(600));
    let send = async || Err::<Answer, _>("no route");
    match Task::new(limiter.call_on(&NoTimer, 100, 5, send, read)).done() {
        Err(CallError::Request("no route")) => {}
        other => panic!("{other:?}"),
    }
    assert_eq!(used(&limiter, LimitKind::Tokens(Period::MINUTE)), 100);
    assert_eq!(limiter.usage().in_flight, 0);
}

#[test]
fn an_answer_that_does_not_say_what_was_used_counts_as_estimated() {
    let limiter = limiter(&ManualClock::new(), tpm(600));
    let send = async || Ok::<_, ()>(400);
    let read = |status: &u16| Reply::new(*status);
    let answer = Task::new(limiter.call_on(&NoTimer, 100, 5, send, read)).done();
    assert_eq!(answer.unwrap(), 400);
    assert_eq!(used(&limiter, LimitKind::Tokens(Period::MINUTE)), 100);
}

#[test]
fn a_key_that_is_not_accepted_is_an_answer_for_one_limiter_and_no_use() {
    let limiter = limiter(&ManualClock::new(), tpm(600));
    let send = async || Ok::<Answer, ()>((401, None));
    let answer = Task::new(limiter.call_on(&NoTimer, 100, 5, send, read)).done();
    assert_eq!(answer.unwrap().0, 401);
    assert_eq!(used(&limiter, LimitKind::Tokens(Period::MINUTE)), 0);
}

#[test]
fn a_pool_tries_again_with_another_key() {
    let pool = pool(&ManualClock::new());
    for id in ["limited", "revoked", "good"] {
        pool.add(id, id, rpm(100)).unwrap();
    }
    let log = RefCell::new(Vec::new());
    let send = async |key: PoolKey<&'static str>| {
        log.borrow_mut().push(*key.secret());
        Ok::<Answer, ()>(match *key.secret() {
            "limited" => (429, Some("60")),
            "revoked" => (401, None),
            _ => (200, None),
        })
    };
    let answer = Task::new(pool.call_on(&NoTimer, 0, 3, send, read)).done();
    assert_eq!(answer.unwrap().0, 200);
    assert_eq!(*log.borrow(), ["limited", "revoked", "good"]);
    assert_eq!(pool.usage("limited").unwrap().paused_for, Some(60 * SECOND));
    let again = Task::new(pool.call_on(&NoTimer, 0, 1, send, read)).done();
    assert_eq!(again.unwrap().0, 200);
    assert_eq!(log.borrow().last(), Some(&"good"));
}

#[test]
fn a_call_that_is_dropped_while_it_waits_takes_nothing() {
    let clock = ManualClock::new();
    let limiter = limiter(&clock, tpm(600));
    limiter.consume_tokens(600);
    let send = async || -> Result<Answer, ()> { panic!("it never goes out") };
    let mut call = Task::new(limiter.call_on(&NoTimer, 100, 1, send, read));
    call.waits();
    drop(call);
    clock.advance(10 * SECOND);
    assert!(limiter.try_acquire(100).is_ok());
}

#[test]
fn a_call_that_is_dropped_while_it_is_out_counts_as_estimated() {
    let limiter = limiter(&ManualClock::new(), tpm(600));
    let send = async || std::future::pending::<Result<Answer, ()>>().await;
    let mut call = Task::new(limiter.call_on(&NoTimer, 100, 1, send, read));
    call.waits();
    assert_eq!(limiter.usage().in_flight, 1);
    drop(call);
    assert_eq!(limiter.usage().in_flight, 0);
    assert_eq!(used(&limiter, LimitKind::Tokens(Period::MINUTE)), 100);
}

/// The server refuses although it says that more than the estimate remains: a request that needs
/// more is not sent again and again with the same estimate.
#[test]
fn an_estimate_that_was_too_low_is_raised_for_the_next_try() {
    let limiter = limiter(&ManualClock::new(), tpm(10_000));
    let (tries, estimates) = (Cell::new(0), RefCell::new(Vec::new()));
    let send = async || {
        tries.set(tries.get() + 1);
        estimates.borrow_mut().push(used(&limiter, LimitKind::Tokens(Period::MINUTE)));
        Ok::<u32, ()>(tries.get())
    };
    let read = |tries: &u32| match tries {
        3 => Reply::new(200).spent(4_000),
        _ => Reply::new(429).limited_for(SECOND).headers([
            ("x-ratelimit-limit-tokens", "10000"),
            ("x-ratelimit-remaining-tokens", "9500"),
        ]),
    };
    let mut call = Task::new(limiter.call_on(&NoTimer, 2_000, 5, send, read));
    for _ in 0..2 {
        call.waits();
        limiter.clock().advance(60 * SECOND);
    }
    assert_eq!(call.done().unwrap(), 3);
    assert_eq!(*estimates.borrow(), [2_000, 3_000, 4_500]);
}
