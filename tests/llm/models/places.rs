//! A bounded number of models has limits of its own, and idle ones make room.

use std::time::Duration;

use tollgate::ManualClock;
use tollgate::llm::{KeyPool, Limits, Reply};

use super::{Pool, pool};
use crate::support::{MINUTE, NoTimer, SECOND, Task, just_before, rpm};

const PLACES: usize = 1_024;

fn used_up(clock: &ManualClock) -> Pool {
    let pool = pool(clock);
    pool.add("a", "sk", rpm(1)).unwrap();
    pool
}

/// As many requests for invented models, none of which is sent.
fn flood(pool: &Pool, models: usize) {
    for model in 0..models {
        pool.try_acquire(&format!("invented-{model}"), 0).unwrap().cancel();
    }
}

fn has_place(pool: &Pool, model: &str) -> bool {
    pool.models().iter().any(|known| **known == *model)
}

#[test]
fn a_flood_of_names_that_are_all_in_use_shares_the_limits_of_one_model() {
    let pool = used_up(&ManualClock::new());
    let allowed = |model: usize| pool.try_acquire(&model.to_string(), 0).is_ok();
    assert_eq!((0..3_000).filter(|model| allowed(*model)).count(), PLACES + 1);
    assert_eq!(pool.models().len(), PLACES + 1);
}

#[test]
fn a_flood_of_names_locks_no_model_out() {
    let pool = used_up(&ManualClock::new());
    flood(&pool, 3_000);
    assert_eq!(pool.models().len(), PLACES);
    pool.try_acquire("real", 0).unwrap().settle(0);
    assert!(has_place(&pool, "real"));
    // The limits are its own, and are not those of the others.
    assert!(pool.try_acquire("real", 0).is_err());
    assert!(pool.try_acquire("invented-0", 0).is_ok());
}

/// Whatever holds a model: nothing of it is lost, and it is served.
#[test]
fn a_model_in_use_makes_no_room() {
    let clock = ManualClock::new();
    let pool = used_up(&clock);
    pool.set_limits("a", "waiting", Limits::new().max_concurrent(1)).unwrap();
    pool.set_limits("a", "open", Limits::new().max_concurrent(1)).unwrap();
    pool.set_limits("a", "reserved", Limits::new().max_concurrent(1)).unwrap();
    let open = pool.try_acquire("open", 0).unwrap();
    let busy = pool.try_acquire("waiting", 0).unwrap();
    let mut waiting = Task::new(pool.acquire_on("waiting", 0, &NoTimer));
    waiting.waits();
    let reserved = pool.reserve("reserved", 0).unwrap();
    flood(&pool, 3_000);
    assert!(pool.try_acquire("open", 0).is_err());
    busy.settle(0);
    let served = waiting.done().unwrap();
    flood(&pool, 3_000);
    assert!(pool.try_acquire("waiting", 0).is_err());
    assert!(pool.try_acquire("reserved", 0).is_err());
    let reserved = reserved.wait().unwrap();
    assert_eq!(pool.usage("a", "reserved").unwrap().in_flight, 1);
    // Once they are done, they are idle.
    drop((open, served, reserved));
    clock.advance(MINUTE);
    flood(&pool, 3_000);
    assert!(["open", "waiting", "reserved"].iter().all(|model| !has_place(&pool, model)));
}

#[test]
fn a_model_of_which_something_is_held_back_makes_no_room_before_that_is_over() {
    let clock = ManualClock::new();
    let pool = pool(&clock);
    pool.add("a", "sk", rpm(60)).unwrap();
    pool.try_acquire("used", 0).unwrap().settle(0);
    pool.try_acquire("paused", 0).unwrap().limited([("retry-after", "100")]);
    pool.try_acquire("windows", 0).unwrap().end(&Reply::new(200).headers([
        ("x-ratelimit-limit-requests-hour", "50"),
        ("x-ratelimit-remaining-requests-hour", "40"),
        ("x-ratelimit-reset-requests-hour", "1800"),
    ]));
    let left = |expected: &[&str]| {
        flood(&pool, 2 * PLACES);
        let real = ["used", "paused", "windows"];
        let left: Vec<_> = real.into_iter().filter(|model| has_place(&pool, model)).collect();
        assert_eq!(left, expected);
    };
    clock.advance(just_before(SECOND));
    left(&["used", "paused", "windows"]);
    clock.advance(SECOND);
    left(&["paused", "windows"]);
    clock.advance(just_before(98 * SECOND));
    left(&["paused", "windows"]);
    clock.advance(SECOND);
    left(&["windows"]);
    clock.advance(61 * MINUTE);
    left(&[]);
}

#[test]
fn the_model_that_was_not_used_for_longest_makes_room_first() {
    let pool = used_up(&ManualClock::new());
    pool.try_acquire("first", 0).unwrap().cancel();
    pool.try_acquire("second", 0).unwrap().cancel();
    flood(&pool, PLACES - 2);
    // A look is no use, and a request is.
    assert!(pool.usage("a", "second").is_some());
    assert_eq!(pool.delay_for("first", 0), Ok(Duration::ZERO));
    assert!(has_place(&pool, "second"));
    pool.try_acquire("new", 0).unwrap().cancel();
    assert!(!has_place(&pool, "second") && has_place(&pool, "first"));
}

#[test]
fn who_found_no_place_gets_one_as_soon_as_a_model_is_idle() {
    let clock = ManualClock::new();
    let pool = used_up(&clock);
    let open: Vec<_> = (0..PLACES).map(|model| pool.try_acquire(&model.to_string(), 0)).collect();
    // Both share one request a minute.
    let shared = pool.try_acquire("real", 0).unwrap();
    assert_eq!(shared.model(), "real");
    assert!(pool.try_acquire("another", 0).is_err());
    assert_eq!(pool.usages("").len(), 1);
    drop(open);
    assert!(pool.try_acquire("real", 0).is_err(), "what they took is in use");
    clock.advance(MINUTE);
    assert!(pool.try_acquire("real", 0).is_ok() && has_place(&pool, "real"));
    shared.settle(0);
}

/// Each model is held back for as long as its own pause lasts.
#[test]
fn a_pause_that_is_ended_by_hand_makes_room() {
    let clock = ManualClock::new();
    let pool = used_up(&clock);
    for model in 0..PLACES {
        let wait = [("retry-after", "100")];
        assert!(pool.observe_reply("a", &model.to_string(), &Reply::new(429).headers(wait)));
    }
    pool.try_acquire("real", 0).unwrap().cancel();
    assert!(!has_place(&pool, "real"));
    assert!(pool.resume("a", "5"));
    pool.try_acquire("real", 0).unwrap().cancel();
    assert!(has_place(&pool, "real") && !has_place(&pool, "5"));
    assert!(pool.set_limits("a", "7", rpm(1)).is_ok());
    pool.try_acquire("another", 0).unwrap().cancel();
    assert!(has_place(&pool, "another"));
    assert_eq!(["real", "7"].map(|model| has_place(&pool, model)), [true, false]);
    assert!(pool.restore("a"));
    flood(&pool, PLACES);
    assert!(!has_place(&pool, "real") && !has_place(&pool, "100"));
}

/// A request that names no model needs no place.
#[test]
fn the_model_without_a_name_is_always_there() {
    let pool = used_up(&ManualClock::new());
    pool.try_acquire("", 0).unwrap().settle(0);
    flood(&pool, 2 * PLACES);
    assert_eq!(pool.models().len(), PLACES + 1);
    assert!(pool.try_acquire("", 0).is_err());
}

#[test]
fn what_concerns_a_key_in_all_models_is_not_lost() {
    let clock = ManualClock::new();
    let pool = pool(&clock);
    for id in ["refused", "spent", "good"] {
        pool.add(id, id, rpm(60)).unwrap();
    }
    pool.add_sharing("spent", "shares", "sk").unwrap();
    pool.set_limits("good", "x", rpm(2)).unwrap();
    assert!(pool.observe_reply("refused", "x", &Reply::new(401)));
    clock.advance(MINUTE);
    flood(&pool, 2 * PLACES);
    assert!(!has_place(&pool, "x"), "a key that is refused holds no place");
    assert!(pool.observe_reply("spent", "x", &Reply::new(402)));
    // The model that was told of it is still there; others are made anew, and know it too.
    for model in ["x", "y", "invented-2047"] {
        let ids: Vec<_> =
            (0..2).map(|_| pool.try_acquire(model, 0).unwrap().id().to_owned()).collect();
        assert_eq!(ids, ["good", "good"], "{model}");
        for id in ["spent", "shares"] {
            assert_eq!(pool.usage(id, model).unwrap().paused_for, Some(2 * MINUTE), "{model}");
        }
    }
    assert!(pool.try_acquire("x", 0).is_err(), "2 requests a minute");
    // The rest is over, and one request tries the account, in models old and new.
    clock.advance(2 * MINUTE);
    flood(&pool, 2 * PLACES);
    for model in ["x", "new"] {
        assert_eq!(pool.usage("spent", model).map(|it| it.paused_for), None, "{model}");
        let id = |_| pool.try_acquire(model, 0).ok().map(|permit| permit.id().to_owned());
        let ids: Vec<_> = (0..200).map_while(id).collect();
        let is_there = |expected: &str| ids.iter().any(|id| id == expected);
        assert!(!is_there("refused") && (is_there("spent") || is_there("shares")), "{ids:?}");
    }
    // Their owner says so.
    assert!(pool.restore("refused"));
    let ids = (0..9).map(|_| pool.try_acquire("newer", 0).unwrap().id().to_owned());
    assert!(ids.collect::<Vec<_>>().contains(&"refused".to_owned()));
}

#[test]
fn a_rest_that_was_ended_is_not_told_to_new_models() {
    let pool = pool(&ManualClock::new());
    pool.add("a", "sk", rpm(60)).unwrap();
    pool.try_acquire("x", 0).unwrap().end(&Reply::new(402));
    assert!(pool.try_acquire("y", 0).is_err());
    assert!(pool.restore("a"));
    assert!(["x", "y", "z"].iter().all(|model| pool.try_acquire(model, 0).is_ok()));
}

/// What is lost with a place: what responses have taught. The first request is sent alone again.
#[test]
fn a_model_that_comes_back_learns_its_limits_anew() {
    let clock = ManualClock::new();
    let pool = pool(&clock);
    pool.add("a", "sk", Limits::new()).unwrap();
    let headers = [("x-ratelimit-limit-requests", "500")];
    pool.try_acquire("x", 0).unwrap().end(&Reply::new(200).headers(headers));
    assert_eq!(pool.usage("a", "x").unwrap().limits[0].limit, 500);
    clock.advance(2 * MINUTE);
    flood(&pool, 2 * PLACES);
    let first = pool.try_acquire("x", 0).unwrap();
    assert!(pool.usage("a", "x").unwrap().limits.is_empty());
    assert!(pool.try_acquire("x", 0).is_err());
    first.end(&Reply::new(200).headers(headers));
    assert!(pool.try_acquire("x", 0).is_ok());
}

/// Places are made and lost while others use them: each model lets its limit pass, and no more.
#[test]
fn threads_that_use_and_flood_a_pool_agree() {
    let pool = tollgate::llm::ModelPool::with_options(KeyPool::builder().clock(ManualClock::new()));
    pool.add("a", "sk", rpm(20)).unwrap();
    let passed = std::sync::atomic::AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let (pool, passed) = (&pool, &passed);
            scope.spawn(move || {
                for round in 0..600 {
                    let invented = format!("{thread}-{round}");
                    pool.try_acquire(&invented, 0).unwrap().cancel();
                    if let Ok(permit) = pool.try_acquire("real", 0) {
                        passed.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                        permit.settle(0);
                    }
                }
            });
        }
    });
    assert_eq!(passed.into_inner(), 20);
    assert_eq!(pool.models().len(), PLACES);
}
