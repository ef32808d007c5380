//! What every store of buckets must do.

use tollgate::ManualClock;
use tollgate_http::engine::store::Store;

use crate::scene::Make;
use crate::{levels, quotas, reload, room, together};

/// Checks a store. `make` makes an empty one on a clock.
pub(crate) fn suite<S: Store>(make: impl Fn(ManualClock) -> S) {
    let make = |clock| Box::new(make(clock)) as Box<dyn Store>;
    let make: Make<'_> = &make;
    levels_and_decisions(make);
    levels::extreme_costs(make);
    levels::strange_clocks(make);
    reload::a_limit_that_comes_back_begins_full(make);
    reload::a_limit_that_was_left_out_begins_full(make);
    room::share(make);
    room::deny(make);
    room::most_limited(make);
}

/// What also holds for a store that other processes use. It does not know how many keys it has, or
/// whom it has refused, keeps the levels of limits that this process has left out, and refuses
/// debts that last longer than its clock.
pub(crate) fn levels_and_decisions(make: Make<'_>) {
    together::all_or_nothing(make);
    together::each_refusal_has_its_own_wait(make);
    together::algorithms_together(make);
    together::shadow_charges(make);
    together::no_charges(make);
    together::threads_conserve_permits(make);
    together::threads_give_back(make);
    levels::waits_are_exact(make);
    levels::nothing_left(make);
    levels::look_takes_nothing(make);
    levels::credit_is_never_above_full(make);
    levels::consume_makes_debt(make);
    levels::unlimited_quotas(make);
    quotas::the_used_share_carries_over(make);
    quotas::to_and_fro(make);
    quotas::every_verb_is_under_its_quota(make);
    quotas::full_again(make);
    reload::the_same_limit_keeps_its_levels(make);
    reload::a_new_quota_carries_over(make);
    reload::another_limit_begins_full(make);
    reload::both_policies_share_levels(make);
    reload::a_failed_opening_changes_nothing(make);
}
