//! What every store of shared limits must do, whatever it is made of.
//!
//! A store takes part by a [`StoreUnderTest`] and [`shared_store_suite!`], in a crate whose root
//! has this module as `shared_store`. The clock is the suite's, and moves in whole microseconds.

pub(crate) mod bound;
pub(crate) mod changed;
pub(crate) mod clock;
pub(crate) mod debt;
pub(crate) mod dice;
pub(crate) mod giving_back;
pub(crate) mod misfits;
pub(crate) mod model;
pub(crate) mod parts;
pub(crate) mod patience;
pub(crate) mod raising;
pub(crate) mod random;
pub(crate) mod scene;
pub(crate) mod shadows;
pub(crate) mod taking;
pub(crate) mod windows;
pub(crate) mod world;

use std::sync::Arc;
use std::time::Duration;

use tollgate::ManualClock;
use tollgate::shared::store::{Answer, Answers, Rule, Store, StoreError};

/// A store that is to be tested.
pub(crate) trait StoreUnderTest {
    /// A store without any subject, whose time is that of `clock`.
    fn empty(&self, clock: &ManualClock) -> Arc<dyn Store>;

    /// Waits for answers.
    fn wait_for(&self, answers: Answers) -> Vec<Result<Answer, StoreError>>;

    /// The span that times are rounded to where the store may round: waits, receipts, and the level
    /// after a change of the quota. At most a microsecond.
    fn tick(&self) -> Duration;

    /// The rules that the store has.
    fn rules(&self) -> Vec<Rule> {
        vec![Rule::TokenBucket, Rule::FixedWindow, Rule::SlidingWindow, Rule::StrictWindow]
    }

    /// How many random decisions are compared with a model, for each rule.
    fn random_decisions(&self) -> u32;
}

/// Passes the checks whose asks have one subject each on to a macro.
macro_rules! checks_of_one_subject {
    ($run:ident, $store:expr) => {
        $run! { $store;
            taking:
                a_take_says_what_is_left,
                a_refusal_takes_nothing_and_says_when,
                more_than_the_burst_is_never_there,
                all_limits_of_a_subject_or_none,
                a_look_answers_as_a_take_and_takes_nothing,
                as_many_times_as_there_are_permits,
                not_even_once,
                a_cost_of_zero_leaves_the_limit_alone,
                nothing_is_there_unless_in_debt,
                subjects_and_namespaces_are_told_apart,
                subjects_can_be_any_text,
                a_batch_is_answered_in_order,
                enormous_numbers_are_refused,
                ;
            patience:
                permits_are_taken_for_later,
                who_comes_later_waits_behind,
                too_long_a_wait_takes_nothing,
                all_limits_wait_together,
                windows_are_not_taken_from_for_later,
                ;
            debt:
                what_is_missing_becomes_debt,
                a_debt_delays_everybody,
                a_debt_without_end_is_refused,
                a_charge_before_a_debt_is_handed_back,
                who_waits_in_a_debt_is_not_overtaken,
                who_has_waited_holds_nobody_up,
                ;
            raising:
                what_is_reported_twice_is_counted_once,
                a_level_is_never_lowered,
                more_than_the_burst_is_debt,
                a_quota_of_another_process_is_carried_over,
                what_was_taken_before_is_still_handed_back,
                a_raise_without_end_is_refused,
                ;
            giving_back:
                a_credit_stops_at_the_burst,
                a_reset_makes_all_limits_full,
                a_charge_is_handed_back,
                what_refill_has_brought_back_is_not_handed_back,
                what_others_have_given_back_is_not_handed_back_twice,
                nothing_is_handed_back_before_permits_for_later,
                the_rest_of_a_charge_can_be_handed_back_later,
                a_charge_for_later_is_cancelled,
                what_others_have_taken_behind_is_not_cancelled,
                a_window_hands_back_while_the_charge_counts,
                nothing_is_handed_back_to_an_unknown_subject,
                charges_close_to_each_other_are_handed_back,
                who_waits_is_not_forgotten_when_another_cancels,
                who_has_cancelled_holds_nobody_up,
                a_receipt_from_before_a_reset_grows_no_worth,
                ;
            windows:
                a_fixed_window_begins_with_its_first_charge,
                a_fixed_window_repays_its_debt_window_by_window,
                a_sliding_window_fades,
                a_strict_window_keeps_its_limit,
                each_limit_restarts_by_itself,
                ;
            misfits:
                bad_namespaces_are_refused,
                bad_quotas_are_refused,
                an_ask_that_does_not_fit_takes_nothing,
                ;
            clock:
                a_step_back_brings_nothing,
                a_step_back_does_not_lengthen_a_wait,
                ;
        }
    };
}

/// A test for each check.
macro_rules! shared_store_suite {
    ($store:expr; $($group:ident: $($check:ident,)*;)*) => {
        $(
            mod $group {
                $(
                    #[test]
                    fn $check() {
                        $crate::shared_store::$group::$check(&$store);
                    }
                )*
            }
        )*
    };
    ($store:expr) => {
        checks_of_one_subject! { shared_store_suite, $store }
        shared_store_suite! { $store;
            parts:
                all_parts_or_none,
                a_part_that_refuses_is_told_by_its_levels,
                one_subject_in_two_parts,
                up_to_so_many_over_parts,
                up_to_so_many_of_one_subject_in_two_parts,
                every_verb_reaches_all_parts,
                a_look_over_parts_takes_nothing,
                ;
            shadows:
                a_shadow_does_not_refuse,
                a_shadow_takes_for_itself,
                a_shadow_takes_nothing_if_others_refuse,
                a_shadow_alone,
                ;
            changed:
                who_opens_the_same_shares_the_buckets,
                the_used_share_is_carried_over,
                to_and_fro_gains_nothing,
                a_refusal_changes_no_quota,
                tiers_share_one_bucket,
                other_limits_have_other_buckets,
                ;
            bound:
                never_more_than_burst_and_rate,
                never_more_with_tiers_to_and_fro,
                never_more_with_hand_back_and_cancel,
                never_more_with_debts,
                never_more_than_a_window_promises,
                ;
            random:
                token_buckets_are_exact,
                fixed_windows_are_exact,
                sliding_windows_are_exact,
                strict_windows_are_exact,
                several_limits_are_exact,
                ;
        }
    };
}
