//! The stored form of a state.

use std::time::SystemTime;

use proptest::prelude::*;
use serde_json::{Value, from_value, json, to_value};
use tollgate::ManualClock;
use tollgate::llm::{
    Burst, Counted, KeyPool, Limiter, LimiterState, Limits, Period, PoolState, Reply, StateError,
};

use super::{REQUESTS, groq, start, take};
use crate::support::{MINUTE, limiter, rpm, tpm, used};

fn read(state: Value) -> LimiterState {
    from_value(state).unwrap()
}

#[test]
fn the_form_is_documented_and_stays_readable() {
    let before = limiter(&ManualClock::new(), rpm(60));
    take(&before, 3, 0);
    let expected = json!({
        "version": 1,
        "taken_at_ms": 1_700_000_000_000_u64,
        "account": {
            "limits": [{
                "counted": "requests", "per_seconds": 60, "limit": 60,
                "used": { "refilled_after_ms": 3_000 }, "window": null, "not_counted": null,
            }],
            "learned": [],
            "health": {
                "pause_ends_after_ms": 0, "pause_ended_ms_ago": 0, "on_trial": false,
                "trial_ends_after_ms": 0, "refusals": 0, "failures": 0, "spent": 0,
            },
        },
    });
    assert_eq!(to_value(before.state_at(start())).unwrap(), expected);
    // Fields that this version does not know are ignored, and so is what is not there.
    let later = json!({ "version": 1, "taken_at_ms": 5, "account": { "new": [1] } });
    let after = limiter(&ManualClock::new(), rpm(60));
    after.restore_state_at(&read(later), start()).unwrap();
    assert_eq!(used(&after, REQUESTS), 0);
}

#[test]
fn another_version_is_an_error() {
    let model = Limiter::builder().build().unwrap();
    for state in [json!({ "version": 2 }), json!({ "version": 0, "account": {} })] {
        let version = u32::try_from(state["version"].as_u64().unwrap()).unwrap();
        let error = model.restore_state(&read(state)).unwrap_err();
        assert_eq!(error, StateError::UnknownVersion { version });
        assert!(error.to_string().contains(&version.to_string()));
    }
    let pool_state: PoolState = from_value(json!({ "version": 9, "levels": 3 })).unwrap();
    let error = KeyPool::<()>::new().restore_state(&pool_state).unwrap_err();
    assert_eq!(error, StateError::UnknownVersion { version: 9 });
    assert!(from_value::<LimiterState>(json!({})).is_err());
}

/// Values at the borders.
fn numbers() -> impl Strategy<Value = u64> {
    prop_oneof![
        prop::sample::select(vec![0, 1, 59, 60, 3_600, 86_400, 315_360_000, u64::MAX]),
        0_u64..100_000,
        any::<u64>(),
    ]
}

/// Seconds, as they fit into a state.
fn seconds() -> impl Strategy<Value = u32> {
    numbers().prop_map(|number| u32::try_from(number).unwrap_or(u32::MAX))
}

fn hostile_limit() -> impl Strategy<Value = Value> {
    let counted = prop::sample::select(vec!["requests", "tokens", "output-tokens"]);
    let used = prop_oneof![
        numbers().prop_map(|millis| json!({ "refilled_after_ms": millis })),
        prop::collection::vec((numbers(), numbers()), 0..5).prop_map(|grants| {
            let grant = |(age, count): &(u64, u64)| json!({ "ms_ago": age, "count": count });
            json!({ "grants": grants.iter().map(grant).collect::<Vec<_>>() })
        }),
    ];
    (counted, seconds(), numbers(), used, numbers(), numbers()).prop_map(
        |(counted, period, limit, used, a, b)| {
            json!({
                "counted": counted, "per_seconds": period, "limit": limit, "used": used,
                "window": { "left": a, "ends_after_ms": b, "end_is_stated": a % 2 == 0 },
                "not_counted": { "ms_ago": a, "count": b },
            })
        },
    )
}

/// What was learned of a limit.
fn hostile_evidence(limit: &Value, numbers: (u64, u64, u32, u8)) -> Value {
    let (a, b, period, count) = numbers;
    json!({
        "counted": limit["counted"], "per_seconds": limit["per_seconds"],
        "stated_seconds": (count % 3 > 0).then_some(period), "documented_even": count % 2 == 0,
        "responses": count,
        "evidence": {
            "even_seconds": period, "agreeing": count, "contradicting": count / 2,
            "longest_reset_ns": a, "implied_ns": b, "window_gap_ns": a.wrapping_add(b),
        },
    })
}

fn hostile_state() -> impl Strategy<Value = Value> {
    let evidence = (numbers(), numbers(), seconds(), any::<u8>());
    let limits = prop::collection::vec((hostile_limit(), evidence), 0..20);
    (limits, prop::array::uniform3(numbers()), prop::array::uniform4(seconds())).prop_map(
        |(limits, [taken_at, pause, trial], [refusals, failures, spent, trials])| {
            let learned: Vec<Value> =
                limits.iter().map(|(limit, more)| hostile_evidence(limit, *more)).collect();
            let limits: Vec<Value> = limits.into_iter().map(|(limit, _)| limit).collect();
            let health = json!({
                "pause_ends_after_ms": pause, "pause_ended_ms_ago": trial,
                "on_trial": trials % 2 == 0, "trial_ends_after_ms": trial, "refusals": refusals,
                "failures": failures, "spent": spent,
            });
            let provisional = json!({
                "limit": trial, "least": pause, "hold_ms": taken_at, "grows_after_ms": pause,
                "ends_after_ms": trial,
            });
            let provisional = Some(provisional).filter(|_| trials % 3 == 0);
            let account = json!({
                "limits": limits, "learned": learned, "provisional": provisional, "health": health,
            });
            json!({ "version": 1, "taken_at_ms": taken_at, "account": account })
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn a_state_that_no_limiter_has_written_does_no_harm(state in hostile_state()) {
        let (state, day) = (read(state), MINUTE * 60 * 24);
        for configured in [Limits::new(), rpm(60).burst(Burst::Strict), tpm(9)] {
            let clock = ManualClock::new();
            let model = limiter(&clock, configured);
            model.restore_state_at(&state, start()).unwrap();
            for (kind, count) in configured.iter() {
                prop_assert!(model.usage().of(kind).unwrap().limit <= count);
            }
            prop_assert!(model.usage().paused_for.is_none_or(|pause| pause <= day));
            let again = read(to_value(model.state_at(start())).unwrap());
            model.restore_state_at(&again, start()).unwrap();
            model.observe_reply(&groq("0", "5s"));
            model.observe_reply(&Reply::new(500));
            let requests = model.usage().of(Counted::Requests.per(Period::MINUTE));
            prop_assert!(model.usage().limits.len() <= 12 && requests.is_none_or(|it| it.limit > 0));
            // What a server can't do, a state can't do: close the limiter for good.
            clock.advance(day * 2);
            model.forget_learned();
            prop_assert!(model.try_acquire(1).is_ok());
        }
    }
}

#[test]
fn a_state_of_any_size_takes_bounded_room() {
    let grants = vec![json!({ "ms_ago": 0, "count": u64::MAX }); 10_000];
    let limit = |period: usize, grants: &[Value]| {
        json!({
            "counted": "requests", "per_seconds": period, "limit": 5, "used": { "grants": grants },
            "window": null, "not_counted": null,
        })
    };
    let mut limits = vec![limit(60, &grants)];
    limits.extend((1..10_000).map(|period| limit(period, &grants[..1])));
    let learned: Vec<Value> = limits.iter().map(|it| hostile_evidence(it, (0, 0, 60, 0))).collect();
    let account = json!({ "limits": limits, "learned": learned });
    let state = read(json!({ "version": 1, "taken_at_ms": 0, "account": account }));
    let clock = ManualClock::new();
    let model = limiter(&clock, rpm(10).burst(Burst::Strict));
    model.restore_state_at(&state, SystemTime::UNIX_EPOCH).unwrap();
    assert!(model.usage().limits.len() <= 12);
    let size = to_value(model.state_at(start())).unwrap().to_string().len();
    assert!(size < 20_000, "{size}");
    clock.advance(MINUTE);
    assert!(model.try_acquire(0).is_ok());
}

#[test]
fn periods_out_of_range_are_ignored() {
    let state = json!({ "version": 1, "taken_at_ms": 0, "account": { "limits": [{
        "counted": "requests", "per_seconds": 0, "limit": 5,
        "used": { "refilled_after_ms": 5 }, "window": null, "not_counted": null,
    }] } });
    let model = limiter(&ManualClock::new(), Limits::new());
    model.restore_state_at(&read(state), start()).unwrap();
    assert_eq!(model.usage().limits, []);
    let counted = Counted::Requests.per(Period::SECOND);
    assert_eq!(model.usage().of(counted), None);
}
