//! Connections over TLS, with an authority of our own.

use tollgate::Quota;
use tollgate::shared::store::{Rule, Store, Verb};
use tollgate_redis::{ConnectError, Redis};

use crate::support::certificates::Certificates;
use crate::support::sentinel::{NAME, Sentinel};
use crate::support::server::{Server, free_port, kinds};
use crate::support::{answer, ask, one_limit};

/// Enough for a busy machine.
const PATIENT: std::time::Duration = std::time::Duration::from_secs(10);

#[tokio::test(flavor = "multi_thread")]
async fn only_the_own_authority_is_trusted() {
    for kind in kinds() {
        let (own, other) = (Certificates::new(), Certificates::new());
        let port = free_port();
        let args = own.arguments(port);
        let server = Server::start_with(kind, &args.iter().map(String::as_str).collect::<Vec<_>>());
        let url = format!("rediss://127.0.0.1:{port}");
        let store = Redis::builder(&url).certificate_authority(&*own.authority).connect().await;
        let store = store.unwrap_or_else(|error| panic!("{kind}: {error}"));
        let buckets = store.open(&[one_limit(Rule::TokenBucket, Quota::per_hour(9))]).unwrap();
        assert!(answer(&buckets, ask(Verb::Take, "alice", 1)).await.is_ok(), "{kind}");
        let wrong = Redis::builder(&url).certificate_authority(&*other.authority).connect().await;
        assert!(matches!(wrong, Err(ConnectError::Unreachable(_))), "{kind}: {wrong:?}");
        let unknown = Redis::connect(&url).await;
        assert!(matches!(unknown, Err(ConnectError::Unreachable(_))), "{kind}: {unknown:?}");
        let plain = format!("redis://127.0.0.1:{port}");
        assert!(Redis::connect(&plain).await.is_err(), "{kind}");
        let no_tls = Redis::builder(&plain).certificate_authority("x").connect().await;
        assert!(matches!(no_tls, Err(ConnectError::Settings(_))), "{kind}: {no_tls:?}");
        let junk = Redis::builder(&url).certificate_authority("junk").connect().await;
        assert!(junk.is_err(), "{kind}: {junk:?}");
        drop(server);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn sentinels_and_their_master_are_reached_over_tls() {
    for kind in kinds() {
        let own = Certificates::new();
        let (port, sentinel_port) = (free_port(), free_port());
        let args = own.arguments(port);
        let _server =
            Server::start_with(kind, &args.iter().map(String::as_str).collect::<Vec<_>>());
        let settings = own.settings(sentinel_port).map(|setting| setting.join(" ")).join("\n");
        // Sentinels reach servers over TLS if replicas reach their masters so.
        let settings = format!("{settings}\ntls-replication yes\n");
        let _sentinel = Sentinel::start(kind, port, None, &settings);
        let url = format!("rediss://127.0.0.1:{sentinel_port}");
        let builder = Redis::sentinel(NAME, [&url]).connect_deadline(PATIENT).deadline(PATIENT);
        let unknown = builder.clone().connect().await;
        assert!(matches!(unknown, Err(ConnectError::Unreachable(_))), "{kind}: {unknown:?}");
        let store = builder.certificate_authority(&*own.authority).connect().await;
        let store = store.unwrap_or_else(|error| panic!("{kind}: {error}"));
        let buckets = store.open(&[one_limit(Rule::TokenBucket, Quota::per_hour(9))]).unwrap();
        assert!(answer(&buckets, ask(Verb::Take, "alice", 1)).await.is_ok(), "{kind}");
    }
}
