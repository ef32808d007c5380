//! The suite of all stores, as far as its asks have one subject. What compares thousands of random
//! asks with a model is left to single servers: the script is the same.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use tokio::runtime::Runtime;
use tollgate::shared::store::{Answer, Answers, Store, StoreError};
use tollgate::{Clock, ManualClock, Timestamp};

use crate::patient;
use crate::shared_store::{self, StoreUnderTest};
use crate::support::cluster::Cluster;
use crate::support::server::is_installed;

struct InCluster {
    cluster: Cluster,
    runtime: Runtime,
    stores: AtomicU32,
}

impl StoreUnderTest for InCluster {
    /// A store whose keys are its own.
    fn empty(&self, clock: &ManualClock) -> Arc<dyn Store> {
        let (clock, number) = (clock.clone(), self.stores.fetch_add(1, Ordering::SeqCst));
        let builder = patient(&self.cluster)
            .prefix(format!("{number}:"))
            .callers_clock(move || clock.now() - Timestamp::ZERO);
        Arc::new(self.runtime.block_on(builder.connect()).expect("the cluster is there"))
    }

    fn wait_for(&self, answers: Answers) -> Vec<Result<Answer, StoreError>> {
        self.runtime.block_on(answers)
    }

    fn tick(&self) -> Duration {
        Duration::from_micros(1)
    }

    fn random_decisions(&self) -> u32 {
        0
    }
}

/// Runs checks one after the other: they share a cluster, which takes a while to start.
macro_rules! run {
    ($store:expr; $($group:ident: $($check:ident,)*;)*) => {
        $($(
            eprintln!("{}::{}", stringify!($group), stringify!($check));
            shared_store::$group::$check($store);
        )*)*
    };
}

fn run(kind: &'static str) {
    if !is_installed(kind) {
        return;
    }
    let runtime = Runtime::new().expect("a runtime");
    let cluster = Cluster::start_with(kind, 3, 3, &[]);
    let store = InCluster { cluster, runtime, stores: AtomicU32::new(0) };
    run! { &store;
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
            ;
        shadows:
            a_shadow_alone,
            ;
        windows:
            a_fixed_window_begins_with_its_first_charge,
            a_fixed_window_repays_its_debt_window_by_window,
            a_sliding_window_fades,
            a_strict_window_keeps_its_limit,
            each_limit_restarts_by_itself,
            ;
        changed:
            who_opens_the_same_shares_the_buckets,
            the_used_share_is_carried_over,
            a_refusal_changes_no_quota,
            tiers_share_one_bucket,
            other_limits_have_other_buckets,
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
    // All masters have done their share.
    for node in &store.cluster.nodes {
        let calls = node.command(&["INFO", "commandstats"]);
        assert!(calls.contains("cmdstat_evalsha"), "{calls}");
    }
}

#[test]
fn a_cluster_of_redis_does_what_all_stores_do() {
    run("redis-server");
}

#[test]
fn a_cluster_of_valkey_does_what_all_stores_do() {
    run("valkey-server");
}
