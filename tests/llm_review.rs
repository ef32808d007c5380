//! Findings of a review of the LLM limits: each test says what a caller may expect.
#![cfg(all(feature = "llm", feature = "tokio"))]
#![allow(clippy::unwrap_used, reason = "a test that fails shall panic")]

use std::pin::pin;
use std::sync::Weak;
use std::sync::mpsc::channel;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use tollgate::ManualClock;
use tollgate::llm::{
    Error, KeyPool, LimitKind, Limiter, Limits, Meaning, ModelPool, Period, Reply, ServerLimits,
    Tokens,
};

const SECOND: Duration = Duration::from_secs(1);

/// Polls a future once, and returns whether it goes on waiting.
fn waits<T: std::fmt::Debug>(future: impl Future<Output = T>) -> Result<(), T> {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Pending => Ok(()),
        Poll::Ready(done) => Err(done),
    }
}

/// The first request of a new key is usually answered within a second, so nobody knows that a
/// second request cannot be sent within its timeout.
#[test]
fn a_timeout_shorter_than_a_trial_is_not_hopeless() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let _in_runtime = runtime.enter();
    let pool = KeyPool::builder().clock(ManualClock::new()).build();
    pool.add("a", "sk-1", Limits::new()).unwrap();
    let _first = pool.try_acquire(0).unwrap();
    assert_eq!(waits(pool.acquire_timeout(0, 5 * SECOND)).map_err(|it| it.map(|_| ())), Ok(()));
}

/// 150 at once on a new pool, each with the usual timeout of a client.
#[test]
fn many_with_a_timeout_wait_for_the_first_answer() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let _in_runtime = runtime.enter();
    let pool = KeyPool::builder().clock(ManualClock::new()).build();
    pool.add("a", "sk-1", Limits::new()).unwrap();
    let _first = pool.try_acquire(0).unwrap();
    let mut waiting: Vec<_> =
        (0..150).map(|_| Box::pin(pool.acquire_timeout(0, 60 * SECOND))).collect();
    let mut context = Context::from_waker(Waker::noop());
    let answers = waiting.iter_mut().map(|it| it.as_mut().poll(&mut context).is_ready());
    assert_eq!(answers.filter(|it| *it).count(), 0);
}

/// Once the first request is answered, all others are served; who is too late by then is told.
#[test]
fn who_waits_for_the_first_answer_is_served_or_told() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let _in_runtime = runtime.enter();
    let clock = ManualClock::new();
    let pool = KeyPool::builder().clock(clock.clone()).build();
    pool.add("a", "sk-1", Limits::new()).unwrap();
    let first = pool.try_acquire(0).unwrap();
    let mut short: Vec<_> =
        (0..40).map(|_| Box::pin(pool.acquire_timeout(0, 2 * SECOND))).collect();
    let mut long: Vec<_> =
        (0..40).map(|_| Box::pin(pool.acquire_timeout(0, 60 * SECOND))).collect();
    let mut context = Context::from_waker(Waker::noop());
    for waiting in short.iter_mut().chain(&mut long) {
        assert!(waiting.as_mut().poll(&mut context).is_pending());
    }
    clock.advance(3 * SECOND);
    for waiting in &mut short {
        let Poll::Ready(told) = waiting.as_mut().poll(&mut context) else { panic!("it waits on") };
        assert!(matches!(told, Err(Error::Timeout { .. })), "{told:?}");
    }
    first.end(&Reply::new(200).headers([
        ("x-ratelimit-limit-requests-minute", "30"),
        ("x-ratelimit-remaining-requests-minute", "29"),
    ]));
    let answers: Vec<_> = long.iter_mut().map(|it| it.as_mut().poll(&mut context)).collect();
    let served = answers.iter().filter(|it| matches!(it, Poll::Ready(Ok(_)))).count();
    // A minute after the statement is later than their deadline.
    let told = answers.iter().filter(|it| matches!(it, Poll::Ready(Err(_)))).count();
    assert_eq!((served, told), (29, 11));
}

/// The server has counted the request when it says what remains; its estimate is not given back
/// on top of that.
#[test]
fn settling_adds_nothing_to_what_the_server_says_remains() {
    let model = Limiter::builder().clock(ManualClock::new()).build().unwrap();
    let permit = model.try_acquire(1_000).unwrap();
    permit.observe([
        ("x-ratelimit-limit-tokens-day", "10000"),
        ("x-ratelimit-remaining-tokens-day", "10"),
        ("x-ratelimit-reset-tokens-day", "40000"),
    ]);
    permit.settle(100);
    let tokens = model.usage().of(LimitKind::Tokens(Period::DAY)).unwrap();
    assert_eq!(tokens.remaining, 10);
    assert!(model.try_acquire(500).is_err());
}

/// A request that was not sent is given back: the server's number did not contain it.
#[test]
fn a_request_after_the_statement_is_given_back() {
    let model = Limiter::builder().clock(ManualClock::new()).build().unwrap();
    model.observe([
        ("x-ratelimit-limit-tokens-day", "10000"),
        ("x-ratelimit-remaining-tokens-day", "1000"),
        ("x-ratelimit-reset-tokens-day", "40000"),
    ]);
    model.try_acquire(1_000).unwrap().settle(100);
    let tokens = model.usage().of(LimitKind::Tokens(Period::DAY)).unwrap();
    assert_eq!(tokens.remaining, 900);
}

/// `max_pause` bounds pauses. It must not raise the rate that the server has stated.
#[test]
fn a_short_longest_pause_does_not_raise_a_learned_limit() {
    let clock = ManualClock::new();
    let model = Limiter::builder().max_pause(10 * SECOND).clock(clock.clone()).build().unwrap();
    model.observe([
        ("x-ratelimit-limit-requests-minute", "60"),
        ("x-ratelimit-remaining-requests-minute", "60"),
    ]);
    let mut passed = 0;
    for _ in 0..60 {
        while model.allow() {
            passed += 1;
        }
        clock.advance(SECOND);
    }
    assert!(passed <= 60, "{passed} in a minute");
}

/// Resets in whole seconds of a bucket that is hardly used say nothing about its period.
#[test]
fn rounded_resets_of_a_hardly_used_limit_do_not_make_it_a_limit_per_second() {
    let clock = ManualClock::new();
    let model = Limiter::builder().clock(clock.clone()).build().unwrap();
    for _ in 0..10 {
        clock.advance(4 * SECOND);
        model.observe([
            ("x-ratelimit-limit-requests", "1000"),
            ("x-ratelimit-remaining-requests", "999"),
            ("x-ratelimit-reset-requests", "1"),
        ]);
    }
    assert!(model.usage().of(LimitKind::Requests(Period::SECOND)).is_none(), "{:?}", model.usage());
}

/// RFC 9110, section 15: an unknown status of 5xx means what 500 means.
#[test]
fn a_gateway_that_fails_in_an_unusual_way_fails() {
    for status in [507, 508, 525, 526, 530, 598, 599] {
        assert_eq!(Meaning::of(status, &ServerLimits::default()), Meaning::Failed, "{status}");
    }
}

#[test]
fn the_order_in_which_a_reply_is_built_does_not_matter() {
    let wait = Duration::from_secs(20);
    let headers = [("x-request-id", "1")];
    let reply = Reply::new(429).limited_for(wait).headers(headers);
    assert_eq!(reply.reported().retry_after, Some(wait));
}

/// A stream that ends with the event "overloaded" after it has used tokens.
#[test]
fn what_a_failed_stream_has_used_counts() {
    for meaning in [Meaning::Limited, Meaning::Overloaded, Meaning::KeySpent, Meaning::Failed] {
        let model =
            Limiter::builder().tokens_per_minute(10_000).clock(ManualClock::new()).build().unwrap();
        let permit = model.try_acquire(3_000).unwrap();
        permit.end(&Reply::new(200).means(meaning).spent(Tokens::new(1_000, 200)));
        let tokens = model.usage().of(LimitKind::Tokens(Period::MINUTE)).unwrap();
        assert_eq!(tokens.used, 1_200, "{meaning:?}");
    }
}

/// "The longest pause that one response can cause".
#[test]
fn no_response_causes_a_longer_pause_than_the_longest() {
    for status in [402, 429, 500, 503] {
        let model = Limiter::builder()
            .max_pause(10 * SECOND)
            .max_spent_rest(10 * SECOND)
            .clock(ManualClock::new())
            .build()
            .unwrap();
        for _ in 0..20 {
            model.observe_reply(&Reply::new(status));
            model.try_acquire(0).map(|it| it.end(&Reply::new(status))).ok();
        }
        let paused = model.usage().paused_for.unwrap_or_default();
        assert!(paused <= 10 * SECOND, "{status}: {paused:?}");
    }
}

/// Looks at its pool when it is dropped.
struct Secret(Weak<ModelPool<Secret>>);

impl Drop for Secret {
    fn drop(&mut self) {
        if let Some(pool) = self.0.upgrade() {
            assert!(pool.ids().len() < 10);
        }
    }
}

#[test]
fn a_secret_that_is_dropped_looks_at_its_pool_of_models() {
    let (tell, told) = channel();
    std::thread::spawn(move || {
        let pool = std::sync::Arc::new(ModelPool::new());
        let secret = || Secret(std::sync::Arc::downgrade(&pool));
        pool.add("a", secret(), Limits::new()).unwrap();
        assert!(pool.add("a", secret(), Limits::new()).is_err());
        assert!(pool.add_sharing("nobody", "b", secret()).is_err());
        assert!(pool.add_sharing("a", "a", secret()).is_err());
        drop(pool.try_acquire("m", 0));
        assert!(pool.remove("a"));
        tell.send(()).unwrap();
    });
    told.recv_timeout(Duration::from_secs(20)).expect("it waits for a lock of its own");
}

/// Requests that were sent before the trial say nothing about the request on trial.
#[test]
fn an_old_request_that_is_dropped_does_not_end_the_wait_for_the_one_on_trial() {
    let clock = ManualClock::new();
    let model = Limiter::builder().clock(clock.clone()).build().unwrap();
    let old: Vec<_> = (0..20).map(|_| model.try_acquire(0).unwrap()).collect();
    model.observe_reply(&Reply::new(500));
    clock.advance(SECOND);
    model.observe_reply(&Reply::new(500));
    clock.advance(SECOND);
    let _on_trial = model.try_acquire(0).unwrap();
    let mut sent = 0;
    let mut open = Vec::new();
    for permit in old {
        drop(permit);
        if let Ok(permit) = model.try_acquire(0) {
            sent += 1;
            open.push(permit);
        }
    }
    assert_eq!(sent, 0);
}

/// A caller that observes each response and drops its permits: what is known ends the trial.
#[test]
fn a_key_whose_limits_are_learned_is_not_on_its_first_trial() {
    let pool = KeyPool::builder().clock(ManualClock::new()).build();
    pool.add("a", "sk-1", Limits::new()).unwrap();
    let permit = pool.try_acquire(0).unwrap();
    permit.observe([
        ("x-ratelimit-limit-requests-minute", "60"),
        ("x-ratelimit-remaining-requests-minute", "59"),
    ]);
    assert!(pool.try_acquire(0).is_ok());
    drop(permit);
}

/// The timeouts of low-priority requests and of models count from the call, as all others do.
#[test]
fn timeouts_start_with_the_call() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let _in_runtime = runtime.enter();
    let clock = ManualClock::new();
    let limits = Limits::new().requests_per_minute(1);
    let model = Limiter::builder().limits(limits).clock(clock.clone()).build().unwrap();
    let models = ModelPool::with_options(KeyPool::builder().clock(clock.clone()));
    models.add("a", (), limits).unwrap();
    drop(model.try_acquire(0).unwrap());
    drop(models.try_acquire("m", 0).unwrap());
    let low = model.low_priority().acquire_timeout(0, 40 * SECOND);
    let of_model = models.acquire_timeout("m", 0, 40 * SECOND);
    clock.advance(30 * SECOND);
    // 10 s are left, and the wait is 30 s.
    assert!(waits(low).is_err());
    assert!(waits(of_model).is_err());
}

/// A window whose end moves with the time is not one window: what is said last counts.
#[test]
fn a_server_that_always_says_a_minute_does_not_close_a_client_that_uses_half() {
    let clock = ManualClock::new();
    let model = Limiter::builder().clock(clock.clone()).build().unwrap();
    let mut refused = 0;
    for n in 0..300_u32 {
        clock.advance(2 * SECOND);
        match model.try_acquire(0) {
            Ok(permit) => {
                // A sliding window of 60 a minute, with 1 request each 2 s.
                let remaining = 60 - (n + 1).min(30);
                permit.observe([
                    ("x-ratelimit-limit-requests-minute", "60"),
                    ("x-ratelimit-remaining-requests-minute", &remaining.to_string()),
                    ("x-ratelimit-reset-requests-minute", "60"),
                ]);
                permit.settle(0);
            }
            Err(_) => refused += 1,
        }
    }
    assert_eq!(refused, 0);
}

/// "Nothing passes beyond what was said": a stated limit per month is no limit per day.
#[test]
fn a_learned_limit_per_month_is_kept_for_a_month() {
    let clock = ManualClock::new();
    let model = Limiter::builder().clock(clock.clone()).build().unwrap();
    model.observe([("x-ratelimit-limit-requests-month", "1000")]);
    let mut passed = 0;
    for _ in 0..29 * 24 {
        while model.allow() {
            passed += 1;
        }
        clock.advance(3_600 * SECOND);
    }
    assert!(passed <= 2_000, "{passed} in a month");
}

/// Usage comes from the server, too: an absurd one must not close a client for longer than a
/// response may pause it.
#[test]
fn absurd_usage_in_many_responses_closes_nothing_for_hours() {
    let clock = ManualClock::new();
    let model = Limiter::builder()
        .tokens_per_minute(1_000)
        .max_pause(3_600 * SECOND)
        .clock(clock.clone())
        .build()
        .unwrap();
    let open: Vec<_> = (0..100).map(|_| model.try_acquire(1).unwrap()).collect();
    for permit in open {
        permit.end(&Reply::new(200).spent(u64::MAX));
    }
    clock.advance(3_600 * SECOND);
    assert!(model.try_acquire(1).is_ok(), "{:?}", model.usage());
}

/// Waits are exact: `reserve` says when the request is served, if nothing happens meanwhile.
#[test]
fn plans_are_kept_with_windows_and_trials() {
    let mut random = 1_u64;
    let mut next = |below: u64| {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963);
        (random >> 33) % below
    };
    for round in 0..300 {
        let clock = ManualClock::new();
        let pool = KeyPool::builder().clock(clock.clone()).build();
        for id in ["a", "b", "c"] {
            let limits = match next(3) {
                0 => Limits::new(),
                1 => Limits::new().tokens_per_minute(100 + next(100)),
                _ => Limits::new().requests_per_minute(3 + next(5)),
            };
            pool.add(id, (), limits).unwrap();
        }
        let mut open = Vec::new();
        for _ in 0..next(12) {
            clock.advance(Duration::from_millis(next(3_000)));
            open.extend(pool.try_acquire(next(60)).ok());
            let (limit, left) = (5 + next(100), next(8));
            let (limit, left, reset) =
                (limit.to_string(), left.min(limit).to_string(), next(50).to_string());
            let headers = [
                ("x-ratelimit-limit-tokens-minute", &*limit),
                ("x-ratelimit-remaining-tokens-minute", &*left),
                ("x-ratelimit-reset-tokens-minute", &*reset),
            ];
            let id = ["a", "b", "c"][usize::try_from(next(3)).unwrap()];
            match next(4) {
                0 => drop(pool.observe_reply(id, &Reply::new(500))),
                1 => drop(pool.observe_reply(id, &Reply::new(429).headers(headers))),
                2 => drop(pool.observe(id, headers)),
                _ => drop(open.pop()),
            }
        }
        let mut waiting: Vec<_> = (0..=next(10))
            .filter_map(|_| {
                let reserved = pool.reserve(next(40)).ok()?;
                let delay = reserved.delay();
                Some((reserved, delay))
            })
            .collect();
        let mut past = Duration::ZERO;
        // Adding a reservation delays none that was made before.
        waiting.sort_by_key(|(_, delay)| delay.unwrap_or(Duration::MAX));
        for (reserved, delay) in waiting {
            let Some(delay) = delay else { continue };
            let left = delay.saturating_sub(past);
            clock.advance(left);
            past = delay;
            assert_eq!(reserved.delay(), Some(Duration::ZERO), "round {round}: due at {delay:?}");
            let Ok(permit) = reserved.wait() else { panic!("round {round}: not served") };
            open.push(permit);
        }
    }
}

/// "Discards what responses have taught": also what is left of a window.
#[test]
fn what_is_forgotten_closes_nothing() {
    let build = || {
        let model =
            Limiter::builder().requests_per_day(1_000).clock(ManualClock::new()).build().unwrap();
        model.observe([
            ("x-ratelimit-limit-requests-day", "1000"),
            ("x-ratelimit-remaining-requests-day", "0"),
            ("x-ratelimit-reset-requests-day", "72000"),
        ]);
        assert!(!model.allow());
        model
    };
    let model = build();
    model.forget_learned();
    assert!(model.allow(), "{:?}", model.usage());
    let model = build();
    model.set_limits(Limits::new().requests_per_day(1_000)).unwrap();
    assert!(model.allow(), "{:?}", model.usage());
}
