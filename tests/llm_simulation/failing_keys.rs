//! Keys that fail do not draw traffic, and are not forgotten.

use crate::ours;
use crate::sim::SECOND;

/// 300 calls by ten callers, of which each can meet the failing key once.
#[test]
fn a_key_that_fails_at_once_draws_no_traffic() {
    for (name, least) in [
        ("402 at once, callers", 290),
        ("401 at once, callers", 290),
        ("500 at once, callers", 150),
        ("529 at once, callers", 150),
    ] {
        let outcome = ours(name);
        assert_eq!(outcome.answered + outcome.given_up, 300, "{name}: {outcome:?}");
        assert!(outcome.answered >= least, "{name}: {outcome:?}");
    }
}

#[test]
fn with_retries_all_calls_are_answered() {
    for name in ["500 at once, retried", "529 at once, retried"] {
        assert_eq!(ours(name).answered, 300, "{name}");
    }
}

#[test]
fn a_key_that_fails_all_day_is_hardly_tried_while_another_one_does() {
    for name in ["402 all day", "401 all day", "500 all day"] {
        let outcome = ours(name);
        assert_eq!(outcome.given_up, 0, "{name}: {outcome:?}");
        assert!(outcome.sent_in_vain <= 30, "{name}: {outcome:?}");
    }
}

/// Requests wait for the other key, and a spent one is tried now and then all the same.
#[test]
fn a_spent_key_that_is_needed_is_tried_30_times_a_day() {
    let outcome = ours("402 all day, needed");
    assert!((20..=30).contains(&outcome.sent_in_vain), "{outcome:?}");
}

/// 40 minutes later, both keys have served what was asked for.
#[test]
fn a_key_that_fails_for_ten_minutes_comes_back() {
    let outcome = ours("500 for ten minutes");
    assert_eq!((outcome.refused, outcome.given_up), (0, 0), "{outcome:?}");
    assert!(outcome.sent_in_vain < 40, "{outcome:?}");
    assert!(outcome.used > 0.6, "{outcome:?}");
}

/// Only what is on its way when the pause begins is sent in vain, four times in 45 minutes.
#[test]
fn keys_of_one_account_rest_as_one() {
    let outcome = ours("3 keys of one account");
    assert!(outcome.sent_in_vain <= 2 * 4, "{outcome:?}");
    assert!(outcome.longest_wait < 60 * SECOND, "{outcome:?}");
}
