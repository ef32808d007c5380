//! What the status of a response means for the key, for its account, and for the other keys.

use std::cell::Cell;
use std::time::Duration;

use tollgate::ManualClock;
use tollgate::llm::{
    CallError, Error, KeyPool, LimitKind, Limits, Meaning, PoolKey, Reply, ServerLimits,
};

use crate::support::{MINUTE, NoTimer, Pool, SECOND, Task, ids, limiter, pool, refused_by};

const HOUR: Duration = Duration::from_secs(3_600);

fn keys(clock: &ManualClock, ids: &[&'static str]) -> Pool {
    let pool = pool(clock);
    for id in ids {
        pool.add(*id, *id, Limits::new()).unwrap();
    }
    pool
}

fn answer(pool: &Pool, reply: &Reply) {
    pool.try_acquire(0).unwrap().end(reply);
}

#[test]
fn each_status_has_its_meaning() {
    let headers = |headers: &[(&str, &str)]| {
        let now = std::time::SystemTime::now();
        ServerLimits::from_headers(headers.iter().copied(), now)
    };
    let nothing = headers(&[]);
    let wait = headers(&[("retry-after", "7")]);
    let used_up = headers(&[("x-ratelimit-limit", "20"), ("x-ratelimit-remaining", "0")]);
    let zero = headers(&[("x-ratelimit-limit", "0"), ("x-ratelimit-remaining", "0")]);
    for (statuses, reported, meaning) in [
        (vec![200, 201, 204], &wait, Meaning::Success),
        (vec![200], &zero, Meaning::Success),
        (vec![429], &nothing, Meaning::Limited),
        (vec![429], &used_up, Meaning::Limited),
        (vec![429, 403, 402], &zero, Meaning::KeySpent),
        (vec![402], &wait, Meaning::KeySpent),
        (vec![401], &wait, Meaning::KeyRefused),
        (vec![403], &nothing, Meaning::RequestRefused),
        (vec![403], &wait, Meaning::Limited),
        (vec![403], &used_up, Meaning::Limited),
        (vec![503, 529], &nothing, Meaning::Overloaded),
        (vec![408, 500, 502, 504, 520, 524, 525, 599], &wait, Meaning::Failed),
        (vec![0, 301, 400, 404, 413, 422, 501, 505, 600, 999], &wait, Meaning::RequestRefused),
    ] {
        for status in statuses {
            assert_eq!(Meaning::of(status, reported), meaning, "{status}");
        }
    }
}

#[test]
fn a_success_that_says_when_to_come_back_pauses_nothing() {
    let clock = ManualClock::new();
    let model = limiter(&clock, Limits::new());
    let reply = Reply::new(200).headers([("retry-after", "34")]);
    model.try_acquire(0).unwrap().end(&reply);
    model.observe_reply(&reply);
    model.observe([("retry-after", "34")]);
    assert_eq!(model.usage().paused_for, None);
    assert!(model.try_acquire(0).is_ok());
}

#[test]
fn one_moderated_prompt_empties_no_pool() {
    let pool = keys(&ManualClock::new(), &["a", "b", "c"]);
    let send = async |_: PoolKey<&'static str>| Ok::<u16, ()>(403);
    let read = |status: &u16| Reply::new(*status);
    let refused = Task::new(pool.call_on(&NoTimer, 0, 9, send, read)).done();
    assert_eq!(refused.unwrap(), 403, "it is returned without a retry");
    let mut served = ids(&pool, 0, 3);
    served.sort();
    assert_eq!(served, ["a", "b", "c"]);
}

#[test]
fn overload_pauses_for_as_long_as_it_says_and_a_failure_never() {
    let wait = [("retry-after", "20")];
    for (status, paused) in [(503, Some(20 * SECOND)), (529, Some(20 * SECOND)), (500, None)] {
        let pool = keys(&ManualClock::new(), &["a"]);
        answer(&pool, &Reply::new(status).headers(wait));
        assert_eq!(pool.usage("a").unwrap().paused_for, paused, "{status}");
    }
}

#[test]
fn a_wait_in_the_body_counts_like_one_in_the_headers() {
    let pool = keys(&ManualClock::new(), &["a", "b"]);
    answer(&pool, &Reply::new(429).limited_for(20 * SECOND));
    assert_eq!(pool.usage("a").unwrap().paused_for, Some(20 * SECOND));
    // Also if it arrives as an event of a stream that began with status 200.
    let permit = pool.try_acquire(0).unwrap();
    permit.observe_reply(&Reply::new(200));
    permit.limited_for(30 * SECOND);
    assert_eq!(pool.usage("b").unwrap().paused_for, Some(30 * SECOND));
}

#[test]
fn a_failing_key_is_never_preferred_and_comes_back() {
    let clock = ManualClock::new();
    let pool = keys(&clock, &["bad", "good"]);
    answer(&pool, &Reply::new(500));
    assert_eq!(ids(&pool, 0, 5), ["good"; 5]);
    // It is used once the other one can serve nobody.
    pool.set_limits("good", Limits::new().max_concurrent(1)).unwrap();
    let busy = pool.try_acquire(0).unwrap();
    let other = pool.try_acquire(0).unwrap();
    assert_eq!((busy.id(), other.id()), ("good", "bad"));
    other.end(&Reply::new(500));
    assert!(pool.usage("bad").unwrap().paused_for > None, "the second failure in a row");
    clock.advance(SECOND);
    let (kind, _) = refused_by({
        let trial = pool.try_acquire(0).unwrap();
        let beside = pool.try_acquire(0).map(drop);
        trial.settle(0);
        beside
    });
    assert_eq!(kind, LimitKind::Concurrency, "one request at a time until one succeeds");
    busy.settle(0);
    let mut both = ids(&pool, 0, 4);
    both.sort();
    both.dedup();
    assert_eq!(both, ["bad", "good"], "the success has restored it");
}

/// How often a key that answers with `reply` is tried in a day in which another key serves one
/// request a minute, and one request a minute finds that key busy.
fn tries_in_a_day(reply: &Reply) -> u32 {
    let clock = ManualClock::new();
    let pool = keys(&clock, &["spent"]);
    let mut tries = 0;
    for _ in 0..24 * 60 * 6 {
        while let Ok(permit) = pool.try_acquire(0) {
            permit.end(reply);
            tries += 1;
        }
        clock.advance(10 * SECOND);
    }
    tries
}

#[test]
fn a_spent_key_is_tried_at_most_30_times_a_day() {
    let zero = [("x-ratelimit-limit-requests", "0"), ("x-ratelimit-remaining-requests", "0")];
    for reply in [Reply::new(402), Reply::new(429).key_spent(), Reply::new(429).headers(zero)] {
        let tries = tries_in_a_day(&reply);
        assert!((20..=30).contains(&tries), "{tries}");
    }
}

#[test]
fn the_longest_rest_of_a_spent_key_is_the_builders() {
    let clock = ManualClock::new();
    let builder = KeyPool::builder().max_spent_rest(10 * MINUTE).max_server_wait(HOUR);
    let pool: Pool = builder.clock(clock.clone()).build();
    pool.add("a", "a", Limits::new()).unwrap();
    for rest in [2, 4, 8, 10, 10] {
        answer(&pool, &Reply::new(402));
        assert_eq!(pool.usage("a").unwrap().paused_for, Some(rest * MINUTE));
        clock.advance(rest * MINUTE);
    }
    pool.try_acquire(0).unwrap().settle(0);
    answer(&pool, &Reply::new(402));
    assert_eq!(pool.usage("a").unwrap().paused_for, Some(2 * MINUTE), "it was good in between");
}

#[test]
fn the_last_answer_is_not_lost_when_no_key_is_left() {
    let pool = keys(&ManualClock::new(), &["a", "b"]);
    let send = async |_: PoolKey<&'static str>| Ok::<u16, ()>(401);
    let read = |status: &u16| Reply::new(*status);
    match Task::new(pool.call_on(&NoTimer, 0, 9, send, read)).done() {
        Err(CallError::Refused { tries: 2, response: 401 }) => {}
        other => panic!("{other:?}"),
    }
    assert_eq!(pool.try_acquire(0).map(drop), Err(Error::NoKeys));
}

#[test]
fn a_reply_can_ask_for_a_retry_and_against_one() {
    for (first, tries) in [
        (Reply::new(400).retry(), 2),
        (Reply::new(400), 1),
        (Reply::new(500), 2),
        (Reply::new(500).give_up(), 1),
    ] {
        let pool = keys(&ManualClock::new(), &["a", "b"]);
        let count = Cell::new(0);
        let send = async |_: PoolKey<&'static str>| {
            count.set(count.get() + 1);
            Ok::<u32, ()>(count.get())
        };
        let read = |nth: &u32| if *nth == 1 { first.clone() } else { Reply::new(200) };
        assert!(Task::new(pool.call_on(&NoTimer, 0, 9, send, read)).done().is_ok());
        assert_eq!(count.get(), tries, "{first:?}");
    }
}

#[test]
fn a_pool_that_knows_nothing_sends_one_request_a_key_first() {
    let clock = ManualClock::new();
    let builder = KeyPool::builder().clock(clock.clone());
    let pool: Pool = builder.build();
    for id in ["a", "b", "c"] {
        pool.add(id, id, Limits::new()).unwrap();
    }
    pool.add("known", "known", Limits::new().requests_per_minute(2)).unwrap();
    let mut first: Vec<_> = (0..5).map(|_| pool.try_acquire(0).unwrap()).collect();
    assert!(pool.try_acquire(0).is_err());
    let mut waiting = Task::new(pool.acquire_on(0, &NoTimer));
    waiting.waits();
    // The first answer of a key lets the others through, and teaches its limits.
    let at = first.iter().position(|permit| permit.id() == "b").unwrap();
    let answered = first.swap_remove(at);
    let headers = [("x-ratelimit-limit-requests", "2"), ("x-ratelimit-remaining-requests", "1")];
    answered.end(&Reply::new(200).headers(headers));
    assert_eq!(waiting.done().unwrap().id(), "b");
    assert!(pool.try_acquire(0).is_err());
}

#[test]
fn a_first_request_that_is_never_answered_holds_the_others_up_for_10_seconds() {
    let clock = ManualClock::new();
    let pool: Pool = KeyPool::builder().clock(clock.clone()).build();
    pool.add("a", "a", Limits::new()).unwrap();
    let hung = pool.try_acquire(0).unwrap();
    let (kind, wait) = refused_by(pool.try_acquire(0));
    assert_eq!((kind, wait), (LimitKind::Concurrency, Some(10 * SECOND)));
    clock.advance(10 * SECOND);
    let second = pool.try_acquire(0).unwrap();
    // One that was not sent makes room at once.
    second.cancel();
    assert!(pool.try_acquire(0).is_ok());
    drop(hung);
}

/// With tokio's time stopped, so that waits take none of ours.
#[cfg(feature = "tokio")]
mod calls {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering};

    use tokio::time::{Instant, sleep};
    use tollgate::TokioClock;

    use super::*;

    type OnTokio = KeyPool<u16, TokioClock>;

    /// Two keys: one answers with `status` at once, the other with 200 after half a second. Ten
    /// callers make 30 calls each. Returns how many went well, and how many were sent.
    async fn with_a_failing_key(status: u16, tries: u32, limits: Limits) -> (u32, u32) {
        let pool: Arc<OnTokio> = Arc::new(KeyPool::builder().clock(TokioClock::new()).build());
        pool.add("bad", status, limits).unwrap();
        pool.add("good", 200, limits).unwrap();
        let (good, all) = (Arc::new(AtomicU32::new(0)), Arc::new(AtomicU32::new(0)));
        let callers = (0..10).map(|_| {
            let (pool, good, all) = (Arc::clone(&pool), Arc::clone(&good), Arc::clone(&all));
            tokio::spawn(async move {
                for _ in 0..30 {
                    let send = async |key: PoolKey<u16>| {
                        all.fetch_add(1, Ordering::Relaxed);
                        if *key.secret() == 200 {
                            sleep(Duration::from_millis(500)).await;
                        }
                        Ok::<u16, ()>(*key.secret())
                    };
                    let read = |status: &u16| Reply::new(*status).spent(0);
                    let answer = pool.call(0, tries, send, read).await;
                    good.fetch_add(u32::from(matches!(answer, Ok(200))), Ordering::Relaxed);
                }
            })
        });
        for caller in callers.collect::<Vec<_>>() {
            caller.await.unwrap();
        }
        (good.load(Ordering::Relaxed), all.load(Ordering::Relaxed))
    }

    #[tokio::test(start_paused = true)]
    async fn a_key_that_fails_fast_attracts_no_traffic() {
        for limits in [Limits::new(), Limits::new().requests_per_minute(100_000)] {
            for (status, least) in [(402, 290), (500, 290), (529, 290), (503, 290), (401, 290)] {
                let (good, _) = with_a_failing_key(status, 1, limits).await;
                assert!(good >= least, "{status}: {good} of 300");
                let (good, sent) = with_a_failing_key(status, 3, limits).await;
                assert_eq!(good, 300, "{status}, with retries");
                assert!(sent <= 320, "{status}: {sent} sent");
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn three_keys_of_one_account_wait_as_one() {
        let pool: OnTokio = KeyPool::builder().clock(TokioClock::new()).build();
        pool.add("a", 0, Limits::new()).unwrap();
        pool.add_sharing("a", "b", 1).unwrap();
        pool.add_sharing("a", "c", 2).unwrap();
        let start = Instant::now();
        let limited = |start: Instant| start.elapsed() < 20 * SECOND;
        let send = async |_: PoolKey<u16>| Ok::<bool, ()>(limited(start));
        let read = |limited: &bool| match limited {
            true => Reply::new(429).headers([("retry-after", "20")]),
            false => Reply::new(200).spent(0),
        };
        assert!(!pool.call(0, 3, send, read).await.unwrap());
        assert!(start.elapsed() < 21 * SECOND, "{:?}", start.elapsed());
    }

    #[tokio::test(start_paused = true)]
    async fn a_first_salvo_meets_no_limit() {
        // Three keys of 20 requests a minute, about which the client knows nothing.
        let pool: Arc<OnTokio> = Arc::new(KeyPool::builder().clock(TokioClock::new()).build());
        let left = Arc::new([const { AtomicU32::new(20) }; 3]);
        for key in 0..3 {
            pool.add(format!("key {key}"), key, Limits::new()).unwrap();
        }
        let refused = Arc::new(AtomicU32::new(0));
        let callers = (0..60).map(|_| {
            let (pool, left, refused) =
                (Arc::clone(&pool), Arc::clone(&left), Arc::clone(&refused));
            tokio::spawn(async move {
                let send = async |key: PoolKey<u16>| {
                    let left = &left[usize::from(*key.secret())];
                    let take = |left: u32| left.checked_sub(1);
                    let taken = left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take);
                    refused.fetch_add(u32::from(taken.is_err()), Ordering::Relaxed);
                    sleep(Duration::from_millis(300)).await;
                    Ok::<_, ()>((taken.is_ok(), left.load(Ordering::Relaxed)))
                };
                let read = |(ok, left): &(bool, u32)| {
                    Reply::new(if *ok { 200 } else { 429 }).spent(0).headers([
                        ("x-ratelimit-limit-requests", "20".to_owned()),
                        ("x-ratelimit-remaining-requests", left.to_string()),
                    ])
                };
                pool.call(0, 1, send, read).await.unwrap();
            })
        });
        for caller in callers.collect::<Vec<_>>() {
            caller.await.unwrap();
        }
        assert_eq!(refused.load(Ordering::Relaxed), 0, "429s");
    }
}
