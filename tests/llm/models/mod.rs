//! One pool for several models: limits are each model's own, keys are not.

mod places;
mod restarting;
mod verbs;

use std::cell::RefCell;
use std::sync::Arc;

use tollgate::ManualClock;
use tollgate::llm::{AddKeyError, Error, KeyPool, Limits, ModelPool, PoolKey, Reply};

use crate::support::{MINUTE, NoTimer, SECOND, Task, rpm};

type Pool = ModelPool<&'static str, ManualClock>;

fn pool(clock: &ManualClock) -> Pool {
    ModelPool::with_options(KeyPool::builder().clock(clock.clone()))
}

#[test]
fn each_model_has_limits_of_its_own() {
    let clock = ManualClock::new();
    let pool = pool(&clock);
    pool.add("a", "sk", rpm(2)).unwrap();
    pool.set_limits("a", "large", rpm(1)).unwrap();
    for (model, requests) in [("small", 2), ("large", 1), ("other", 2)] {
        for _ in 0..requests {
            pool.try_acquire(model, 0).unwrap().settle(0);
        }
        assert!(pool.try_acquire(model, 0).is_err(), "{model}");
    }
    // Also where the model is in use already.
    pool.set_limits("a", "small", rpm(3)).unwrap();
    assert!(pool.try_acquire("small", 0).is_ok());
    assert_eq!(*pool.models(), ["large", "other", "small"].map(Arc::from));
    assert_eq!(pool.usages("large").len(), 1);
    assert!(pool.usages("unknown").is_empty());
}

#[test]
fn headers_teach_the_limits_of_their_model() {
    let pool = pool(&ManualClock::new());
    pool.add("a", "sk", Limits::new()).unwrap();
    for (model, requests) in [("nano", 5_000), ("audio", 400)] {
        let headers = [("x-ratelimit-limit-requests", requests.to_string())];
        pool.try_acquire(model, 0).unwrap().end(&Reply::new(200).headers(headers));
        assert_eq!(pool.usages(model)[0].1.limits[0].limit, requests);
    }
}

#[test]
fn a_key_that_is_refused_in_one_model_is_refused_in_all() {
    let pool = pool(&ManualClock::new());
    pool.add("a", "sk-a", Limits::new().requests_per_minute(100)).unwrap();
    pool.add("b", "sk-b", Limits::new().requests_per_minute(100)).unwrap();
    pool.try_acquire("used before", 0).unwrap().settle(0);
    let permit = pool.try_acquire("x", 0).unwrap();
    assert_eq!((permit.id(), *permit.secret(), permit.model()), ("a", "sk-a", "x"));
    permit.unauthorized();
    for model in ["x", "used before", "new"] {
        for _ in 0..3 {
            assert_eq!(pool.try_acquire(model, 0).unwrap().id(), "b", "{model}");
        }
    }
    assert!(pool.restore("a"));
    assert!((0..2).any(|_| pool.try_acquire("x", 0).unwrap().id() == "a"));
    assert!(!pool.restore("c"));
}

#[test]
fn what_is_spent_rests_in_all_models_and_what_is_limited_in_one() {
    let pool = pool(&ManualClock::new());
    pool.add("a", "sk", rpm(100)).unwrap();
    let paused = |model: &str| pool.usages(model)[0].1.paused_for;
    pool.try_acquire("y", 0).unwrap().settle(0);
    pool.try_acquire("x", 0).unwrap().limited([("retry-after", "20")]);
    assert_eq!((paused("x"), paused("y")), (Some(20 * SECOND), None));
    // Not part of the plan: that is about the model.
    let zero = [("x-ratelimit-limit-requests", "0"), ("x-ratelimit-remaining-requests", "0")];
    pool.try_acquire("z", 0).unwrap().end(&Reply::new(429).headers(zero));
    assert_eq!((paused("z"), paused("y")), (Some(2 * MINUTE), None));
    pool.try_acquire("y", 0).unwrap().end(&Reply::new(402));
    assert_eq!((paused("x"), paused("y")), (Some(2 * MINUTE), Some(2 * MINUTE)));
}

#[test]
fn keys_that_share_an_account_share_it_in_each_model() {
    let pool = pool(&ManualClock::new());
    pool.add("a", "sk-a", rpm(2)).unwrap();
    pool.add_sharing("a", "b", "sk-b").unwrap();
    pool.set_limits("b", "small", rpm(1)).unwrap();
    for (model, requests) in [("x", 2), ("small", 1)] {
        for _ in 0..requests {
            pool.try_acquire(model, 0).unwrap().settle(0);
        }
        assert!(pool.try_acquire(model, 0).is_err(), "{model}");
    }
    // The account is still theirs when its first key is gone.
    assert!(pool.remove("a"));
    pool.add_sharing("b", "c", "sk-c").unwrap();
    assert_eq!(*pool.ids(), ["b", "c"].map(Arc::from));
    for model in ["x", "small"] {
        assert!(pool.try_acquire(model, 0).is_err(), "{model}");
    }
    pool.try_acquire("new", 0).unwrap().settle(0);
    pool.try_acquire("new", 0).unwrap().settle(0);
    assert!(pool.try_acquire("new", 0).is_err());
}

#[test]
fn mistakes_are_errors() {
    let pool = pool(&ManualClock::new());
    assert_eq!(pool.try_acquire("x", 0).map(drop), Err(Error::NoKeys));
    pool.add("a", "sk", Limits::new()).unwrap();
    let again = pool.add("a", "sk", Limits::new());
    assert!(matches!(again, Err(AddKeyError::Duplicate(_))));
    let unknown =
        [pool.add_sharing("nobody", "b", "sk"), pool.set_limits("nobody", "x", Limits::new())];
    assert!(unknown.into_iter().all(|error| matches!(error, Err(AddKeyError::Unknown(_)))));
    let too_much = Limits::new().keep_back(91);
    assert!(matches!(pool.add("c", "sk", too_much), Err(AddKeyError::Limits(_))));
    assert!(matches!(pool.set_limits("a", "x", too_much), Err(AddKeyError::Limits(_))));
    pool.close();
    assert_eq!(pool.try_acquire("x", 0).map(drop), Err(Error::Closed));
    assert_eq!(pool.try_acquire("new", 0).map(drop), Err(Error::Closed));
}

/// Responses that were in flight together met the same trouble: no model rests for longer than the
/// one that they came from.
#[test]
fn what_is_spent_rests_as_long_in_all_models_as_in_the_first() {
    let pool = pool(&ManualClock::new());
    pool.add("a", "sk", rpm(100)).unwrap();
    pool.try_acquire("y", 0).unwrap().settle(0);
    let open: Vec<_> = (0..10).map(|_| pool.try_acquire("x", 0).unwrap()).collect();
    for permit in open {
        permit.end(&Reply::new(402));
    }
    let paused = |model: &str| pool.usage("a", model).unwrap().paused_for;
    assert_eq!((paused("x"), paused("y")), (Some(2 * MINUTE), Some(2 * MINUTE)));
}

#[test]
fn a_pause_in_one_model_does_not_spread_with_a_rest() {
    let pool = pool(&ManualClock::new());
    pool.add("a", "sk", rpm(100)).unwrap();
    pool.try_acquire("y", 0).unwrap().settle(0);
    let spent = pool.try_acquire("x", 0).unwrap();
    pool.try_acquire("x", 0).unwrap().limited([("retry-after", "3600")]);
    spent.end(&Reply::new(402));
    let paused = |model: &str| pool.usage("a", model).unwrap().paused_for;
    assert_eq!((paused("x"), paused("y")), (Some(60 * MINUTE), Some(2 * MINUTE)));
}

#[test]
fn a_call_is_sent_again_with_another_key() {
    let pool = pool(&ManualClock::new());
    pool.add("revoked", "sk-1", rpm(100)).unwrap();
    pool.add("good", "sk-2", rpm(100)).unwrap();
    let log = RefCell::new(Vec::new());
    let send = async |key: PoolKey<Arc<&'static str>>| {
        log.borrow_mut().push(key.id().to_owned());
        Ok::<u16, ()>(if key.id() == "good" { 200 } else { 401 })
    };
    let read = |status: &u16| Reply::new(*status).spent(0);
    let answer = Task::new(pool.call_on(&NoTimer, "x", 0, 3, send, read)).done();
    assert_eq!(answer.unwrap(), 200);
    assert_eq!(*log.borrow(), ["revoked", "good"]);
}

#[test]
fn who_waits_for_one_model_is_not_in_the_way_of_others() {
    let clock = ManualClock::new();
    let pool = pool(&clock);
    pool.add("a", "sk", rpm(1)).unwrap();
    pool.try_acquire("x", 0).unwrap().settle(0);
    let mut waiting = Task::new(pool.acquire_on("x", 0, &NoTimer));
    waiting.waits();
    assert!(pool.try_acquire("y", 0).is_ok());
    clock.advance(MINUTE);
    assert_eq!(waiting.done().unwrap().model(), "x");
}
