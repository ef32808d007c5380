//! A cluster whose servers are reached over TLS.

use tollgate::Quota;
use tollgate::shared::store::{Rule, Store, Verb};
use tollgate_redis::{ConnectError, Redis};

use crate::PATIENT;
use crate::support::certificates::Certificates;
use crate::support::cluster::Cluster;
use crate::support::server::{free_port, kinds};
use crate::support::{ask, one_limit};

#[tokio::test(flavor = "multi_thread")]
async fn all_servers_are_reached_over_tls_if_the_first_is() {
    for kind in kinds() {
        let certificates = Certificates::new();
        let ports = [free_port(), free_port()];
        let arguments = |number: usize| {
            let mut arguments = certificates.arguments(ports[number]);
            arguments.extend(["--tls-cluster", "yes"].map(str::to_string));
            arguments
        };
        let cluster = Cluster::start_each(kind, 2, &[arguments(0), arguments(1)]);
        let url = format!("rediss://127.0.0.1:{}", ports[0]);
        let store = Redis::cluster([&url]).deadline(PATIENT).connect_deadline(PATIENT);
        let unknown = store.clone().connect().await;
        assert!(matches!(unknown, Err(ConnectError::Unreachable(_))), "{kind}: {unknown:?}");
        let store = store.certificate_authority(&*certificates.authority).connect().await;
        let store = store.unwrap_or_else(|error| panic!("{kind}: {error}"));
        let buckets = store.open(&[one_limit(Rule::TokenBucket, Quota::per_hour(9))]).unwrap();
        let asks = (0..40).map(|at| ask(Verb::Take, &format!("user {at}"), 1)).collect();
        for answer in buckets.ask(asks).await {
            assert!(answer.is_ok(), "{kind}: {answer:?}");
        }
        for node in &cluster.nodes {
            assert!(node.number(&["DBSIZE"]) > 0, "{kind}: each server has some of the keys");
        }
    }
}
