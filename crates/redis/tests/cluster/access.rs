//! How to get into a cluster, and what does not go with one.

use tollgate::Quota;
use tollgate::shared::store::{Ask, Charge, Part, Rule, Store, StoreError, Verb};
use tollgate_redis::{ConnectError, Redis};

use crate::support::cluster::Cluster;
use crate::support::server::{Server, free_port, kinds};
use crate::support::{answer, ask, eventually, one_limit};
use crate::{PATIENT, patient};

/// The rights that the documentation names: those for one server, and those for a cluster.
fn documented_rights() -> Vec<String> {
    let docs = include_str!("../../docs/promises.md");
    let line = docs.lines().find(|line| line.starts_with("ACL SETUSER")).expect("a line");
    let more = docs.lines().find(|line| line.starts_with("* in a cluster")).expect("a line");
    let more = more.split('`').nth(1).expect("the rights");
    line.split_whitespace().chain(more.split_whitespace()).map(str::to_string).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_documented_rights_are_enough_and_needed() {
    for kind in kinds() {
        let cluster = Cluster::start_with(kind, 2, 2, &[]);
        let rights = documented_rights();
        let set = |without: &str| {
            let words: Vec<_> =
                rights.iter().map(String::as_str).filter(|word| *word != without).collect();
            assert_eq!(words.len() == rights.len(), without.is_empty(), "{without}");
            for node in &cluster.nodes {
                node.command(&["ACL", "DELUSER", "limiter"]);
                assert_eq!(node.command(&words), "+OK\r\n");
            }
        };
        set("+cluster|slots");
        let refused = patient(&cluster).user("limiter", "password").connect().await;
        assert!(matches!(refused, Err(ConnectError::Refused(_))), "{kind}: {refused:?}");
        set("");
        let wrong = patient(&cluster).user("limiter", "wrong-secret");
        let told = format!("{wrong:?}");
        let wrong = wrong.connect().await;
        assert!(matches!(wrong, Err(ConnectError::Refused(_))), "{kind}: {wrong:?}");
        assert!(!format!("{told} {wrong:?}").contains("-secret"), "{kind}: {told} {wrong:?}");
        let store = patient(&cluster).user("limiter", "password").connect().await.unwrap();
        let told = format!("{store:?}");
        assert!(!told.contains("password\""), "{kind}: {told}");
        let buckets = store.open(&[one_limit(Rule::TokenBucket, Quota::per_hour(9))]).unwrap();
        // A slot that is on its way is asked ahead.
        let (slot, half) = (cluster.slot("{hot}"), 8_192);
        let (from, to) = if slot < half { (0, 1) } else { (1, 0) };
        assert!(answer(&buckets, ask(Verb::Take, "{hot}0", 1)).await.is_ok(), "{kind}");
        let ids = [from, to].map(|at| crate::support::cluster::id(&cluster.nodes[at]));
        let slot = slot.to_string();
        let importing = ["CLUSTER", "SETSLOT", &slot, "IMPORTING", &ids[0]];
        assert_eq!(cluster.nodes[to].command(&importing), "+OK\r\n");
        let migrating = ["CLUSTER", "SETSLOT", &slot, "MIGRATING", &ids[1]];
        assert_eq!(cluster.nodes[from].command(&migrating), "+OK\r\n");
        let asked = answer(&buckets, ask(Verb::Take, "{hot}1", 1)).await;
        assert!(asked.is_ok(), "{kind}: {asked:?}");
        set("+asking");
        let store = patient(&cluster).user("limiter", "password").connect().await.unwrap();
        let buckets = store.open(&[one_limit(Rule::TokenBucket, Quota::per_hour(9))]).unwrap();
        let refused = answer(&buckets, ask(Verb::Take, "{hot}1", 1)).await;
        assert!(matches!(refused, Err(StoreError::Refused(_))), "{kind}: {refused:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_server_that_is_there_is_enough_and_a_server_alone_is_no_cluster() {
    for kind in kinds() {
        let cluster = Cluster::start_with(kind, 1, 1, &[]);
        let nobody = format!("redis://127.0.0.1:{}", free_port());
        let namespaces = [one_limit(Rule::TokenBucket, Quota::per_hour(9))];
        for urls in
            [[nobody.clone(), cluster.nodes[0].url()], [cluster.nodes[0].url(), nobody.clone()]]
        {
            let store = Redis::cluster(urls).deadline(PATIENT).connect_deadline(PATIENT);
            let buckets = store.connect().await.unwrap().open(&namespaces).unwrap();
            assert!(answer(&buckets, ask(Verb::Take, "alice", 1)).await.is_ok(), "{kind}");
            assert!(!buckets.spans_subjects(), "{kind}");
            // Several subjects may be on several servers.
            let part = |subject: &str| Part::new(0, subject, [Charge::new(1)]);
            let both = Ask::over(Verb::Take, 1, [part("alice"), part("bob")]);
            let misfit = answer(&buckets, both).await;
            assert!(matches!(misfit, Err(StoreError::Misfit(_))), "{kind}: {misfit:?}");
            let used = answer(&buckets, ask(Verb::Look, "bob", 0)).await.unwrap().levels[0].used;
            assert_eq!(used, 0, "{kind}: nothing was taken");
            answer(&buckets, ask(Verb::Reset, "alice", 1)).await.unwrap();
        }
        let unreachable = Redis::cluster([&nobody]).connect().await;
        assert!(matches!(unreachable, Err(ConnectError::Unreachable(_))), "{unreachable:?}");
        let alone = Server::start(kind);
        let refused = Redis::cluster([alone.url()]).connect_deadline(PATIENT).connect().await;
        assert!(matches!(refused, Err(ConnectError::Refused(_))), "{kind}: {refused:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_can_be_there_before_its_cluster() {
    for kind in kinds() {
        let mut cluster = Cluster::start_with(kind, 1, 1, &[]);
        cluster.nodes[0].kill();
        let store = patient(&cluster).connect_later().unwrap();
        let buckets = store.open(&[one_limit(Rule::TokenBucket, Quota::per_hour(9))]).unwrap();
        let early = answer(&buckets, ask(Verb::Take, "alice", 1)).await;
        assert!(matches!(early, Err(StoreError::Unreachable(_))), "{kind}: {early:?}");
        // The server has kept the list of its slots.
        cluster.nodes[0].restart();
        eventually(|| async { answer(&buckets, ask(Verb::Take, "alice", 1)).await.is_ok() }).await;
    }
}

#[tokio::test]
async fn what_does_not_go_with_a_cluster_is_said() {
    let settings = |error: Option<ConnectError>| match error {
        Some(ConnectError::Settings(why)) => why,
        other => panic!("{other:?}"),
    };
    let none: [&str; 0] = [];
    let cluster = |builder: tollgate_redis::Builder| settings(builder.connect_later().err());
    for (builder, expected) in [
        (Redis::cluster(none), "at least one server of the cluster"),
        (Redis::cluster(["redis://h/3"]), "only the database 0"),
        (Redis::cluster(["redis://h"]).database(1), "only the database 0"),
        (Redis::cluster(["redis+unix:///socket"]), "a host and a port"),
        (Redis::cluster(["redis://h", "http://h"]), "not one of a server"),
        (Redis::cluster(["redis://h"]).sentinel_user("a", "b"), "needs sentinels"),
        (Redis::builder("redis://h").sentinel_user("a", "b"), "needs sentinels"),
        (Redis::sentinel("m", none), "at least one sentinel"),
        (Redis::sentinel("m", ["redis+unix:///socket"]), "a host and a port"),
    ] {
        let why = cluster(builder);
        assert!(why.contains(expected), "{why}");
    }
}

#[test]
fn a_cluster_needs_a_runtime() {
    let later = Redis::cluster(["redis://127.0.0.1"]).connect_later();
    assert_eq!(later.err(), Some(ConnectError::NoRuntime));
}
