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
    checks_of_one_subject! { run, &store }
    run! { &store;
        shadows:
            a_shadow_alone,
            ;
        changed:
            who_opens_the_same_shares_the_buckets,
            the_used_share_is_carried_over,
            a_refusal_changes_no_quota,
            tiers_share_one_bucket,
            other_limits_have_other_buckets,
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
