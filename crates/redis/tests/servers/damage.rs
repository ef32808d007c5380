//! Networks that damage what they pass on.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tollgate::shared::store::{Outcome, Rule, Store, StoreError, Verb};
use tollgate::shared::{Limiter, Source};
use tollgate::{Quota, Rejection};
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

#[tokio::test(flavor = "multi_thread")]
async fn callers_have_only_permits_that_were_taken() {
    for kind in kinds() {
        let server = Server::start(kind);
        let proxy = Proxy::start(server.port).await;
        let store = Redis::builder(&proxy.url()).connect_later().unwrap();
        let quota = Quota::per(1_000_000_000, Duration::from_secs(400 * 86_400));
        let limiter = Limiter::<str>::builder("callers", quota).rule(Rule::FixedWindow);
        let limiter = limiter.store(store).build().unwrap();
        let stop = Arc::new(AtomicBool::new(false));
        let (granted, refused) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
        let callers: Vec<_> = (0..20)
            .map(|_| {
                let (limiter, stop) = (limiter.clone(), Arc::clone(&stop));
                let (granted, refused) = (Arc::clone(&granted), Arc::clone(&refused));
                tokio::spawn(async move {
                    while !stop.load(Ordering::SeqCst) {
                        match limiter.try_acquire("alice", 1).await {
                            Ok(grant) => {
                                assert_eq!(grant.source, Source::Shared);
                                granted.fetch_add(1, Ordering::SeqCst);
                            }
                            Err(error) => {
                                let is_unavailable =
                                    matches!(error.rejection, Rejection::Unavailable { .. });
                                assert!(is_unavailable, "{error:?}");
                                refused.fetch_add(1, Ordering::SeqCst);
                            }
                        }
                        tokio::time::sleep(Duration::from_millis(2)).await;
                    }
                })
            })
            .collect();
        let is_shared_again = async || {
            let before = granted.load(Ordering::SeqCst);
            eventually(async || granted.load(Ordering::SeqCst) > before + 40).await;
        };
        is_shared_again().await;
        for damage in DAMAGES {
            proxy.set(damage);
            tokio::time::sleep(Duration::from_millis(150)).await;
            proxy.set(Damage::None);
            let began = Instant::now();
            is_shared_again().await;
            eprintln!("{kind} {damage:?}: shared again after {:?}", began.elapsed());
        }
        stop.store(true, Ordering::SeqCst);
        for caller in callers {
            caller.await.unwrap();
        }
        let direct = Redis::builder(&server.url()).connect_deadline(Duration::from_secs(10));
        let direct = direct.deadline(Duration::from_secs(10)).connect().await.unwrap();
        let observer = Limiter::<str>::builder("callers", quota).rule(Rule::FixedWindow);
        let observer = observer.store(direct).deadline(Duration::from_secs(10)).build().unwrap();
        let used = observer.usage("alice").await.unwrap().limits[0].used;
        let (granted, refused) = (granted.load(Ordering::SeqCst), refused.load(Ordering::SeqCst));
        eprintln!("{kind}: {granted} granted, {refused} refused, {used} charged");
        assert!((granted..=granted + refused).contains(&used), "{kind}: {used}, {granted}");
        assert!(refused > 0 && used - granted < refused / 2, "{kind}: few are lost: {refused}");
    }
}
