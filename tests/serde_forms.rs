//! Settings that people write and answers that a status page shows, in JSON.
#![cfg(all(feature = "serde", feature = "llm"))]
#![allow(clippy::unwrap_used, reason = "a test that fails shall panic")]

use serde_json::{from_value, json, to_value};
use tollgate::keyed::Terms;
use tollgate::llm::{self, Burst, LimitKind, Limits, Period};
use tollgate::{KeyedLimiter, ManualClock, Quota, RateLimiter, TokenBucket};

#[test]
fn limits_are_written_by_the_names_of_the_builder() {
    let settings = json!({ "requests_per_minute": 500, "max_concurrent": 8, "burst": "10%" });
    let limits: Limits = from_value(settings).unwrap();
    let by_hand = Limits::new().requests_per_minute(500).max_concurrent(8);
    assert_eq!(limits, by_hand.burst(Burst::Percent(10)));
    let back: Limits = from_value(to_value(limits).unwrap()).unwrap();
    assert_eq!(back, limits);
    assert_eq!(from_value::<Limits>(json!({})).unwrap(), Limits::new());
    for burst in ["full", "strict", "0%", "100%"] {
        let read: Burst = from_value(json!(burst)).unwrap();
        assert_eq!(to_value(read).unwrap(), json!(burst));
    }
}

#[test]
fn what_is_wrong_in_settings_is_named() {
    let error = |settings| from_value::<Limits>(settings).unwrap_err().to_string();
    assert!(error(json!({ "requests_per_min": 5 })).contains("`requests_per_minute`"));
    assert!(error(json!({ "burst": "101%" })).contains("\"100%\""));
    assert!(error(json!({ "burst": "half" })).contains("\"strict\""));
    let error = |settings| from_value::<Terms>(settings).unwrap_err().to_string();
    assert!(error(json!({ "exempt": true, "cost": 2 })).contains("remove the other fields"));
    assert!(error(json!({ "exempt": true, "blocked": true })).contains("remove"));
    assert!(error(json!({ "quota": "5" })).contains("`600/min burst 100`"));
}

#[test]
fn terms_are_what_the_builder_makes() {
    let terms = |settings| from_value::<Terms>(settings).unwrap();
    let quota = Quota::per_minute(600).burst(100);
    assert_eq!(terms(json!({})), Terms::default());
    assert_eq!(terms(json!({ "exempt": true })), Terms::exempt());
    assert_eq!(terms(json!({ "blocked": true })), Terms::blocked());
    let limited = json!({ "quota": "600/min burst 100", "cost": 2 });
    assert_eq!(terms(limited), Terms::from(quota).cost(2));
}

#[test]
fn answers_show_seconds_and_leave_out_what_is_unlimited() {
    let clock = ManualClock::new();
    let limiter = TokenBucket::builder(Quota::per_second(2)).clock(clock.clone()).build().unwrap();
    limiter.drain();
    let usage = to_value(limiter.usage()).unwrap();
    let expected = json!({
        "quota": "2/s", "limit": 2, "used": 2, "remaining": 0, "reset_after": 1.0,
        "allowed": 2, "denied": 0, "waiting": 0,
    });
    assert_eq!(usage, expected);
    let unlimited = TokenBucket::new(Quota::unlimited()).unwrap();
    assert_eq!(to_value(unlimited.usage()).unwrap()["limit"], json!(null));

    let keyed = KeyedLimiter::<String, _>::builder(Quota::per_second(1)).clock(clock.clone());
    let keyed = keyed.build().unwrap();
    assert!(keyed.allow("a") && !keyed.allow("a"));
    let totals = json!({ "keys": 1, "allowed": 1, "denied": 1 });
    assert_eq!(to_value(keyed.totals()).unwrap(), totals);
    let offenders = json!([{ "key": "a", "denied": 1, "overcount": 0 }]);
    assert_eq!(to_value(keyed.most_limited(3)).unwrap(), offenders);

    let model = llm::Limiter::builder().requests_per_minute(60).clock(clock).build().unwrap();
    assert!(model.allow());
    let usage = to_value(model.usage()).unwrap();
    let kind = LimitKind::Requests(Period::MINUTE).to_string();
    let limit = json!({
        "kind": kind, "limit": 60, "used": 1, "remaining": 59, "reset_after": 1.0,
    });
    let expected = json!({
        "limits": [limit], "in_flight": 0, "max_in_flight": null, "paused_for": null, "waiting": 0,
    });
    assert_eq!(usage, expected);
}

#[test]
fn a_quota_is_text_or_parts() {
    let quota = |settings| from_value::<Quota>(settings);
    let parts = json!({ "permits": 600, "period": "1min", "burst": 100 });
    assert_eq!(quota(parts).unwrap(), quota(json!("600/min burst 100")).unwrap());
    let parts = json!({ "permits": 7, "period": "3s" });
    assert_eq!(quota(parts).unwrap(), "7/3s".parse().unwrap());
    let error = |settings| quota(settings).unwrap_err().to_string();
    assert!(error(json!({ "permits": 7 })).contains("`period`"));
    assert!(error(json!({ "permits": 7, "per": "1s" })).contains("`period`"));
    assert!(error(json!({ "permits": 7, "period": "fortnight" })).contains("fortnight"));
    assert!(error(json!({ "permits": 7, "period": "1s burst 9", "burst": 9 })).contains("burst"));
    assert!(error(json!(7)).contains("600/min burst 100"));
}
