//! A limiter whose levels are in a cluster.

use std::time::Duration;

use tollgate::Quota;
use tollgate::shared::{Limiter, Outage, Source};

use crate::patient;
use crate::support::cluster::Cluster;
use crate::support::eventually;
use crate::support::server::kinds;

const SUBJECTS: usize = 30;

/// Where the answer about each subject comes from.
async fn sources(limiter: &Limiter) -> Vec<Source> {
    let mut sources = Vec::with_capacity(SUBJECTS);
    for at in 0..SUBJECTS {
        let grant = limiter.try_acquire(&format!("user {at}"), 1).await;
        sources.push(grant.expect("there is enough").source);
    }
    sources
}

#[tokio::test(flavor = "multi_thread")]
async fn a_master_that_dies_takes_only_its_subjects_into_the_outage() {
    for kind in kinds() {
        let mut cluster = Cluster::start_with(kind, 3, 3, &[]);
        let store = patient(&cluster).connect().await.unwrap();
        let limiter: Limiter = Limiter::builder("api", Quota::per_hour(1_000_000))
            .store(store)
            .on_outage(Outage::Open)
            .deadline(Duration::from_secs(10))
            .build()
            .unwrap();
        assert_eq!(sources(&limiter).await, [Source::Shared; SUBJECTS], "{kind}");
        cluster.nodes[1].kill();
        let first = sources(&limiter).await;
        let is_dead = |at: usize| first[at] == Source::Open;
        let dead = (0..SUBJECTS).filter(|at| is_dead(*at)).count();
        assert!((1..SUBJECTS).contains(&dead), "{kind}: {first:?}");
        assert!(first.iter().all(|it| matches!(it, Source::Open | Source::Shared)), "{first:?}");
        for _ in 0..20 {
            assert_eq!(sources(&limiter).await, first, "{kind}: nobody else is concerned");
        }
        assert_eq!(limiter.stats().outages, 1, "{kind}");
        cluster.nodes[1].restart();
        eventually(|| async { sources(&limiter).await == [Source::Shared; SUBJECTS] }).await;
    }
}
