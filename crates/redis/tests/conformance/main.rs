//! The suite of all limiters, and the tests of other libraries, on stores: the one in memory, Redis
//! and Valkey, through the caller's clock.
//!
//! A store has no queue and isn't closed, so what the suite says of those who wait, of reservations
//! that move up, and of closing does not apply: `tests/processes/waiters.rs` and the tests of
//! `shared::Limiter` say what applies instead. A store carries the used share over to a new quota,
//! and has no other way; `shared_store::changed` checks that. It refuses an unlimited quota, so
//! the check of such a quota does not apply either.

#![allow(
    dead_code,
    unreachable_pub,
    clippy::cast_possible_truncation,
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::unchecked_time_subtraction,
    reason = "what fails here is a failed test, and tests share modules"
)]

#[path = "../../../../tests/support/checks/mod.rs"]
mod checks;
mod over_store;
mod place;
mod subject;
#[path = "../support/mod.rs"]
mod support;
#[path = "../../../../tests/support/threads.rs"]
mod threads;
mod vectors;

use checks::{asking, changing};
use place::Place;

macro_rules! suite {
    ($rule:ident: $($group:ident::$check:ident,)*) => {
        #[test]
        fn $rule() {
            for place in Place::all() {
                place.enter();
                $(
                    eprintln!("{}: {}", place::name(), stringify!($check));
                    $group::$check(subject::$rule);
                )*
            }
        }
    };
}

macro_rules! suites {
    ($($rule:ident,)*) => {
        $(
            suite! { $rule:
                asking::exactly_the_burst_at_start,
                asking::all_or_nothing,
                asking::more_than_the_burst_never_passes,
                asking::usage_is_pure_and_consistent,
                asking::a_grant_says_what_is_left,
                asking::a_refusal_says_what_is_there,
                asking::a_repeated_refusal_says_what_a_look_does,
                asking::retry_after_is_exact,
                asking::up_to_takes_what_there_is,
                asking::delay_for_takes_nothing,
                asking::nothing_is_always_there_but_not_in_debt,
                asking::consume_goes_into_debt_and_back,
                asking::credit_stops_at_the_burst,
                asking::a_step_back_mints_nothing,
                asking::counters_count_permits,
                changing::a_bad_quota_changes_nothing,
            }
        )*
    };
}

suites! {
    token_bucket,
    fixed_window,
    sliding_window,
    strict_window,
}
