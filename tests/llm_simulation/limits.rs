//! Limits are obeyed and used up, whatever they count over and however they are told.

use crate::sim::{Outcome, SECOND};
use crate::{ours, scene, scenes};

/// No 429 once the limits are known, and the quota used up.
#[track_caller]
fn goes_well(name: &str) -> Outcome {
    let outcome = ours(name);
    let Outcome { refused_later, used, .. } = outcome;
    assert_eq!(refused_later, 0, "429s: {outcome:?}");
    // Much more than all would mean that the server does not enforce its limits.
    assert!((0.98..1.01).contains(&used), "{used} of the quota used");
    outcome
}

/// As [`goes_well`], and not even the first requests meet a 429.
#[track_caller]
fn goes_well_from_the_start(name: &str) {
    assert_eq!(goes_well(name).refused, 0, "429s");
}

#[test]
fn one_key_meets_no_429_and_wastes_nothing() {
    let outcome = goes_well("one key");
    // A line of 16 at one and a half times what passes is a matter of seconds.
    assert!(outcome.longest_wait < 60 * SECOND, "{outcome:?}");
}

#[test]
fn limits_are_learned_from_the_first_answers() {
    goes_well_from_the_start("limits learned");
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
fn a_pool_of_unequal_keys_meets_no_429_and_wastes_nothing() {
    goes_well("5 unequal keys");
}

#[test]
fn windows_are_followed() {
    goes_well_from_the_start("OpenRouter, windows");
    goes_well_from_the_start("IETF draft 6, windows");
    goes_well_from_the_start("IETF draft 8, windows");
}

#[test]
fn limits_per_ten_seconds_are_obeyed() {
    goes_well_from_the_start("Azure, per ten seconds");
    goes_well_from_the_start("Mistral");
}

#[test]
fn a_day_in_windows_is_obeyed() {
    goes_well_from_the_start("per day, windows");
}

/// 429s are counted before the client knows anything too: it sends one request first.
#[test]
fn of_many_requests_at_once_none_is_refused_by_keys_that_are_not_known() {
    let outcome = ours("150 at once, learned");
    assert_eq!((outcome.refused, outcome.answered), (0, 150));
}

#[test]
fn without_a_reset_nothing_is_refused() {
    assert_eq!(ours("xAI, no reset").refused, 0);
    assert_eq!(ours("Cerebras").refused, 0);
}

/// What comes back between answers shows that Cerebras refills its days evenly.
#[test]
fn without_a_reset_an_even_refill_is_used() {
    let outcome = ours("Cerebras");
    assert!(outcome.used > 0.85, "{outcome:?}");
}

/// Whoever sends a request again that needed more than was estimated estimates more.
#[test]
fn a_request_that_is_estimated_too_low_is_refused_a_few_times() {
    let outcome = ours("Cerebras, told");
    assert!(outcome.refused <= 5, "{outcome:?}");
    assert!(outcome.used > 0.98, "{outcome:?}");
}

/// No pace fits exactly into windows of a second: the first 429s show that it is a little too fast.
#[test]
fn windows_of_a_second_are_used() {
    let outcome = ours("per second, windows");
    assert!(outcome.used > 0.85, "{outcome:?}");
    assert!(outcome.refused_later * 100 < outcome.answered, "{outcome:?}");
}

/// What a server admitted before it refused is a limit, if it states none.
#[test]
fn servers_that_state_no_limit_refuse_little() {
    for name in [
        "nothing but 429",
        "nothing but 429, windows",
        "retry-after alone",
        "retry-after alone, windows",
    ] {
        let outcome = ours(name);
        assert!(outcome.used > 0.9, "{name}: {outcome:?}");
        assert!(outcome.refused < 40, "{name}: {outcome:?}");
    }
}

#[test]
fn retry_after_with_a_good_answer_is_no_pause() {
    goes_well_from_the_start("retry-after with 200");
}

#[test]
fn others_on_the_account_cost_next_to_no_429s_and_no_quota() {
    let outcome = ours("others use 30 %");
    assert!(outcome.refused_later * 200 < outcome.answered, "{outcome:?}");
    assert!(outcome.used > 0.98, "{outcome:?}");
}

#[test]
fn what_is_kept_back_is_enough_for_bursts_of_others() {
    for name in ["bursts, 20 % kept back", "windows, 6 % kept back"] {
        let outcome = ours(name);
        assert_eq!(outcome.refused, 0, "{name}: {outcome:?}");
        assert!(outcome.used > 0.97, "{name}: {outcome:?}");
    }
}

#[test]
fn a_state_that_is_kept_makes_a_restart_harmless() {
    goes_well("restart, told, kept");
    goes_well_from_the_start("restart, learned, kept");
    goes_well_from_the_start("restart, day, kept");
    // Those who do not keep it learn the hard way.
    assert!(ours("restart, day").refused > 0);
}

/// The scenes are hard: who obeys them in simpler ways is refused, or wastes quota.
#[test]
fn simpler_ways_are_refused_or_waste_quota() {
    let one_key = scene("one key");
    let naive = scenes::naive(&one_key);
    assert!(naive.used < 0.7, "{naive:?}");
    let backoff = scenes::backoff(&one_key);
    assert!(backoff.refused_later > backoff.answered, "{backoff:?}");
    for name in ["OpenRouter, windows", "IETF draft 8, windows", "per day, windows", "Groq"] {
        let naive = scenes::naive(&scene(name));
        assert!(naive.refused_later > 10, "{name}: {naive:?}");
    }
}
