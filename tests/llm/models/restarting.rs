//! A pool of models over a restart.

use std::time::{Duration, SystemTime};

use tollgate::ManualClock;
use tollgate::llm::{Limits, ModelPoolState, Reply};

use super::{Pool, pool};
use crate::support::{MINUTE, SECOND, rpm};

fn start() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000)
}

/// The state as a new process reads it: with `serde`, it was written and read again.
fn stored(state: &ModelPoolState) -> ModelPoolState {
    #[cfg(feature = "serde")]
    return serde_json::from_str(&serde_json::to_string(state).unwrap()).unwrap();
    #[cfg(not(feature = "serde"))]
    return state.clone();
}

/// A new pool with these keys, on a clock that begins anew, that goes on from this one after
/// `pause`.
fn restarted(before: &Pool, keys: &[&'static str], pause: Duration) -> (Pool, ManualClock) {
    let clock = ManualClock::new();
    let after = pool(&clock);
    for key in keys {
        after.add(*key, "sk", rpm(60)).unwrap();
    }
    after.restore_state_at(&stored(&before.state_at(start())), start() + pause).unwrap();
    (after, clock)
}

fn used(pool: &Pool, id: &str, model: &str) -> Option<u64> {
    Some(pool.usage(id, model)?.limits.first()?.used)
}

fn paused(pool: &Pool, id: &str, model: &str) -> Option<Duration> {
    pool.usage(id, model).unwrap().paused_for
}

#[test]
fn each_model_goes_on_where_it_was() {
    let before = pool(&ManualClock::new());
    before.add("a", "sk", rpm(60)).unwrap();
    for (model, requests) in [("x", 30), ("y", 5)] {
        for _ in 0..requests {
            before.try_acquire(model, 0).unwrap().settle(0);
        }
    }
    before.try_acquire("z", 0).unwrap().limited([("retry-after", "50")]);
    let (after, clock) = restarted(&before, &["a"], SECOND * 10);
    assert_eq!(
        ["x", "y", "z", "unused"].map(|model| used(&after, "a", model)),
        [Some(20), Some(0), Some(0), None]
    );
    assert_eq!(paused(&after, "a", "z"), Some(40 * SECOND));
    clock.advance(SECOND);
    assert_eq!(used(&after, "a", "x"), Some(19));
    // Restoring it again takes nothing.
    let again = before.state_at(start());
    after.restore_state_at(&again, start() + SECOND * 11).unwrap();
    assert_eq!(used(&after, "a", "x"), Some(19));
}

#[test]
fn what_was_learned_of_a_model_is_known() {
    let before = pool(&ManualClock::new());
    before.add("a", "sk", Limits::new()).unwrap();
    let headers = [("x-ratelimit-limit-requests", "500")];
    before.try_acquire("x", 0).unwrap().end(&Reply::new(200).headers(headers));
    let after = pool(&ManualClock::new());
    after.add("a", "sk", Limits::new()).unwrap();
    after.restore_state_at(&stored(&before.state_at(start())), start()).unwrap();
    assert_eq!(after.usage("a", "x").unwrap().limits[0].limit, 500);
    // It is past its first request, and another model is not.
    let _open = ["x", "x", "new"].map(|model| after.try_acquire(model, 0).unwrap());
    assert!(after.try_acquire("x", 0).is_ok() && after.try_acquire("new", 0).is_err());
}

#[test]
fn what_concerns_a_key_in_all_models_also_concerns_new_ones() {
    let before = pool(&ManualClock::new());
    for id in ["refused", "spent", "good", "gone"] {
        before.add(id, "sk", rpm(60)).unwrap();
    }
    before.observe_reply("refused", "x", &Reply::new(401));
    before.observe_reply("spent", "x", &Reply::new(402));
    let state = before.state_at(start());
    assert_eq!(state.ids().collect::<Vec<_>>(), ["refused", "spent", "good", "gone"]);
    assert_eq!((state.models().collect::<Vec<_>>(), state.taken_at()), (vec!["x"], start()));

    let keys = ["good", "spent", "refused"];
    let (after, clock) = restarted(&before, &keys, MINUTE);
    for model in ["x", "new"] {
        let ids = (0..6).map(|_| after.try_acquire(model, 0).unwrap().id().to_owned());
        assert!(ids.into_iter().all(|id| id == "good"), "{model}");
        assert_eq!(paused(&after, "spent", model), Some(MINUTE));
    }
    clock.advance(MINUTE);
    assert_eq!(paused(&after, "spent", "x"), None);
    // Others are preferred.
    assert!((0..61).any(|_| after.try_acquire("x", 0).unwrap().id() == "spent"));
    // The rest goes on growing.
    after.observe_reply("spent", "x", &Reply::new(402));
    assert_eq!(paused(&after, "spent", "new"), Some(4 * MINUTE));
    // And it is over, if enough time has passed.
    let (after, _) = restarted(&before, &keys, 2 * MINUTE);
    assert!(after.try_acquire("new", 0).is_ok());
    assert_eq!(paused(&after, "spent", "new"), None);
    let other = pool(&ManualClock::new());
    other.add("good", "sk", rpm(60)).unwrap();
    assert_eq!(other.restore_state_at(&state, start()).unwrap(), ["refused", "spent", "gone"]);
}

#[test]
fn keys_that_share_an_account_share_its_rest() {
    let before = pool(&ManualClock::new());
    before.add("a", "sk", rpm(60)).unwrap();
    before.add_sharing("a", "b", "sk").unwrap();
    before.observe_reply("b", "x", &Reply::new(402));
    let (after, _) = restarted(&before, &["a", "b"], Duration::ZERO);
    assert!(after.try_acquire("new", 0).is_err());
    assert_eq!(paused(&after, "a", "new"), paused(&after, "b", "new"));
}

/// The order in which models make room is the same after the restart.
#[test]
fn the_last_use_of_a_model_is_part_of_the_state() {
    let before = pool(&ManualClock::new());
    before.add("a", "sk", rpm(60)).unwrap();
    for model in 0..1_024 {
        before.try_acquire(&model.to_string(), 0).unwrap().cancel();
    }
    before.try_acquire("0", 0).unwrap().cancel();
    let (after, _) = restarted(&before, &["a"], Duration::ZERO);
    after.try_acquire("new", 0).unwrap().cancel();
    let models = after.models();
    let has_place = |model: &str| models.iter().any(|known| **known == *model);
    assert!(has_place("0") && !has_place("1") && has_place("new"));
    assert_eq!(models.len(), 1_024);
}

#[test]
fn the_time_of_day_is_the_systems() {
    let before = pool(&ManualClock::new());
    before.add("a", "sk", rpm(1)).unwrap();
    before.try_acquire("x", 0).unwrap().settle(0);
    let (earliest, state, latest) = (SystemTime::now(), before.state(), SystemTime::now());
    assert!(state.taken_at() >= earliest && state.taken_at() <= latest + SECOND / 1_000);
    let after = pool(&ManualClock::new());
    after.add("a", "sk", rpm(1)).unwrap();
    after.restore_state(&state).unwrap();
    assert!(after.try_acquire("x", 0).is_err() && after.try_acquire("y", 0).is_ok());
}

/// The stored form of a state.
#[cfg(feature = "serde")]
mod written {
    use serde_json::{from_value, json, to_value};
    use tollgate::llm::{KeyPool, ModelPool, StateError};

    use super::*;

    #[test]
    fn the_form_is_documented_and_stays_readable() {
        let before = pool(&ManualClock::new());
        before.add("a", "sk-secret", rpm(60)).unwrap();
        before.try_acquire("x", 0).unwrap().settle(0);
        before.observe_reply("a", "x", &Reply::new(402));
        let health = |pause: u32, spent: u32| {
            json!({
                "pause_ends_after_ms": pause, "pause_ended_ms_ago": 0, "on_trial": spent > 0,
                "trial_ends_after_ms": 0, "refusals": 0, "failures": 0, "spent": spent,
            })
        };
        let keys = json!([{ "id": "a", "disabled": false }]);
        let expected = json!({
            "version": 1,
            "taken_at_ms": 1_700_000_000_000_u64,
            "accounts": [{
                "keys": keys,
                "account": { "limits": [], "learned": [], "health": health(120_000, 1) },
            }],
            "models": [{
                "model": "x",
                "accounts": [{
                    "keys": keys,
                    "account": {
                        "limits": [{
                            "counted": "requests", "per_seconds": 60, "limit": 60,
                            "used": { "refilled_after_ms": 1_000 },
                            "window": null, "not_counted": null,
                        }],
                        "learned": [],
                        "health": health(120_000, 1),
                    },
                }],
            }],
        });
        assert_eq!(to_value(before.state_at(start())).unwrap(), expected);
        // Fields that this version does not know are ignored, and so is what is not there.
        let later: ModelPoolState = from_value(json!({ "version": 1, "new": [1] })).unwrap();
        let after = ModelPool::<()>::with_options(KeyPool::builder());
        assert!(after.restore_state_at(&later, start()).unwrap().is_empty());
        let other: ModelPoolState = from_value(json!({ "version": 9, "levels": 3 })).unwrap();
        let error = after.restore_state(&other).unwrap_err();
        assert_eq!(error, StateError::UnknownVersion { version: 9 });
    }

    #[test]
    fn a_damaged_state_rests_for_no_longer_than_a_response_can() {
        let state: ModelPoolState = from_value(json!({
            "version": 1,
            "accounts": [{
                "keys": [{ "id": "a", "disabled": false }, { "id": "b", "disabled": false }],
                "account": { "health": { "pause_ends_after_ms": u64::MAX, "spent": u32::MAX } },
            }],
            "models": (0..3_000).map(|model| json!({
                "model": model.to_string(),
                "accounts": [{ "keys": [], "account": {} }],
            })).collect::<Vec<_>>(),
        }))
        .unwrap();
        let after = pool(&ManualClock::new());
        after.add("a", "sk", rpm(60)).unwrap();
        assert_eq!(after.restore_state_at(&state, SystemTime::UNIX_EPOCH).unwrap(), ["b"]);
        after.try_acquire("x", 0).unwrap_err();
        assert_eq!(paused(&after, "a", "x"), Some(24 * 60 * MINUTE));
        assert!(after.models().len() <= 1_025);
    }
}
