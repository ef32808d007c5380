//! One suite of checks for every limiter: a failure names both, as `strict::retry_after_is_exact`.
#![allow(
    clippy::unwrap_used,
    clippy::unchecked_time_subtraction,
    reason = "what fails here is a failed test"
)]

#[path = "support/checks/mod.rs"]
mod checks;
#[path = "support/subject.rs"]
mod subject;
#[path = "support/threads.rs"]
mod threads;

use checks::{asking, changing, closing, reserving, waiting};

/// A test for each check of one kind of limiter.
macro_rules! tests {
    ($kind:ident: $($group:ident::$check:ident,)*) => {
        $(
            #[test]
            fn $check() {
                $group::$check(subject::$kind);
            }
        )*
    };
}

macro_rules! suite {
    ($($kind:ident,)*) => {
        $(
            mod $kind {
                use super::*;

                tests! { $kind:
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
                    asking::unlimited_admits_everything,
                    changing::to_and_fro_mints_nothing,
                    changing::no_change_mints_but_as_it_says,
                    changing::the_same_quota_changes_nothing,
                    changing::a_bad_quota_changes_nothing,
                    changing::who_waits_is_retimed,
                    changing::reset_makes_it_full,
                    closing::close_refuses_everything_after,
                    closing::close_wakes_who_waits,
                    waiting::a_wait_ends_when_it_is_due,
                    waiting::first_come_first_served,
                    waiting::nobody_overtakes_who_waits,
                    waiting::a_wait_too_long_fails_at_once,
                    waiting::a_cancelled_wait_takes_nothing,
                    waiting::the_queue_can_be_bounded,
                    waiting::a_future_waits_alike,
                    waiting::a_dropped_future_takes_nothing,
                    reserving::what_is_there_is_reserved_at_once,
                    reserving::a_delay_is_exact,
                    reserving::who_is_behind_moves_up,
                    reserving::a_cancel_after_it_was_due_gives_back,
                    reserving::a_drop_before_it_is_due_takes_nothing,
                    reserving::a_drop_after_it_was_due_counts_as_used,
                    reserving::a_debt_moves_everybody_back,
                }
            }
        )*
    };
}

suite! {
    token_bucket,
    interval,
    fixed_window,
    sliding_window,
    strict,
    atomic,
    leased,
    composite,
    composite_of_one,
    key,
    key_by_strict_window,
    key_by_custom_rule,
    key_with_own_quota,
    key_below_a_wide_limit,
    custom,
    in_an_arc,
    in_a_box,
    by_reference,
}

/// The one check for a composite alone: a wide limit that refills slowly takes nothing from what
/// the narrow one has left, until it is the narrower of the two.
#[test]
fn a_composite_has_what_the_least_of_its_limits_has() {
    use tollgate::{Composite, ManualClock, Quota, RateLimiter};

    let clock = ManualClock::new();
    let limits = [("narrow", Quota::per_second(10)), ("wide", Quota::per_day(25))];
    let builder = Composite::builder_of(limits).clock(clock.clone());
    let limiter = builder.build().unwrap();
    for left in [10, 10, 5, 0] {
        assert_eq!((limiter.usage().used, limiter.usage().remaining), (10 - left, left));
        assert_eq!(limiter.drain(), left);
        clock.advance(std::time::Duration::from_secs(1));
    }
}
