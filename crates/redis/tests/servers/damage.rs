//! Networks that damage what they pass on.

use std::time::Duration;

use tollgate::Quota;
use tollgate::shared::store::{Outcome, Rule, Store, StoreError, Verb};
use tollgate_redis::Redis;

use crate::support::proxy::{DAMAGES, Damage, Proxy};
use crate::support::server::{Server, kinds};
use crate::support::{answer, ask, eventually, one_limit};

#[tokio::test]
async fn damage_is_a_typed_error_and_the_connection_is_replaced() {
    for kind in kinds() {
        let server = Server::start(kind);
        let proxy = Proxy::start(server.port).await;
        let store = Redis::builder(&proxy.url()).deadline(Duration::from_millis(30));
        let store = store.connect().await.unwrap();
        let quota = Quota::per_hour(1_000_000);
        let buckets = store.open(&[one_limit(Rule::FixedWindow, quota)]).unwrap();
        let granted = std::cell::Cell::new(0);
        for damage in DAMAGES {
            let connections = proxy.connections();
            proxy.set(damage);
            let mut errors = Vec::new();
            for _ in 0..20 {
                match answer(&buckets, ask(Verb::Take, "alice", 1)).await {
                    Ok(answer) => panic!("{damage:?}: {answer:?}"),
                    Err(StoreError::Refused(why)) => panic!("{damage:?}: {why}"),
                    Err(error) => errors.push(error),
                }
            }
            let first = &errors[0];
            let is_expected = match damage {
                Damage::Garble | Damage::Replace => matches!(first, StoreError::Unreadable(_)),
                Damage::Truncate => {
                    matches!(first, StoreError::Unreadable(_) | StoreError::Lost(_))
                }
                _ => matches!(first, StoreError::Lost(_)),
            };
            assert!(is_expected, "{kind} {damage:?}: {first:?}");
            proxy.set(Damage::None);
            eventually(|| async {
                let answer = answer(&buckets, ask(Verb::Take, "alice", 1)).await;
                granted.set(granted.get() + u64::from(answer.is_ok()));
                answer.is_ok_and(|answer| matches!(answer.outcome, Outcome::Done { .. }))
            })
            .await;
            assert!(proxy.connections() > connections, "{kind} {damage:?}: a new connection");
        }
        // What was answered was taken; what was not may have been.
        let granted = granted.get();
        let used = answer(&buckets, ask(Verb::Look, "alice", 0)).await.unwrap().levels[0].used;
        assert!((granted..=granted + 140).contains(&used), "{kind}: {used} and {granted}");
    }
}
