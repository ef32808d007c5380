//! A quarter of an hour of traffic at 150 % of the limits; `benches/llm_simulation.rs` does a whole
//! day.
#![cfg(feature = "llm")]
#![allow(clippy::unwrap_used, reason = "a test that fails shall panic")]

mod model_tests;
mod scenes;
mod sim;

use sim::{MINUTE, Outcome, Scene};

fn scene(name: &str) -> Scene {
    let minutes = 15;
    let all = scenes::all(minutes * MINUTE);
    all.into_iter().find(|scene| scene.name == name).unwrap()
}

/// No 429 once the limits are known, and the quota used up.
#[track_caller]
fn goes_well(name: &str) {
    let Outcome { refused_later, used, .. } = scenes::ours(&scene(name));
    assert_eq!(refused_later, 0, "429s");
    // Much more than all would mean that the server does not enforce its limits.
    assert!((0.98..1.01).contains(&used), "{used} of the quota used");
}

#[test]
fn one_key_meets_no_429_and_wastes_nothing() {
    goes_well("one key");
}

#[test]
fn limits_are_learned_from_the_first_answers() {
    goes_well("limits learned");
}

#[test]
fn headers_may_be_old() {
    goes_well("headers as of arrival");
}

#[test]
fn requests_are_obeyed_like_tokens() {
    goes_well("few requests allowed");
}

#[test]
fn anthropic_counts_otherwise() {
    goes_well("Anthropic");
}

#[test]
fn others_on_the_account_cost_next_to_no_429s_and_no_quota() {
    let outcome = scenes::ours(&scene("others use 30 %"));
    assert!(outcome.refused_later * 200 < outcome.answered, "{outcome:?}");
    assert!(outcome.used > 0.98, "{outcome:?}");
}

#[test]
fn a_pool_of_unequal_keys_meets_no_429_and_wastes_nothing() {
    goes_well("5 unequal keys");
}

/// The scenes are hard: who obeys them in simpler ways is refused, or wastes quota.
#[test]
fn simpler_ways_are_refused_or_waste_quota() {
    let one_key = scene("one key");
    let naive = scenes::naive(&one_key);
    assert!(naive.used < 0.7, "{naive:?}");
    let backoff = scenes::backoff(&one_key);
    assert!(backoff.refused_later > backoff.answered, "{backoff:?}");
}
