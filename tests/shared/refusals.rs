//! Refusals that are answered without the store.

use std::time::Duration;

use tollgate::Quota;
use tollgate::shared::store::{
    Ask, Charge, LimitSpec, Namespace, OpenError, Outcome, Part, Rule, Verb,
};
use tollgate::shared::{Client, Limiter, Source};

use crate::unruly_store::{Manner, Unruly};

#[tokio::test(start_paused = true)]
async fn a_refused_subject_that_insists_costs_no_call() {
    let store = Unruly::new();
    let builder = Limiter::<str>::builder("api", Quota::per_second(2).burst(2));
    let limiter = builder.store(store.clone()).build().unwrap();
    limiter.try_acquire("alice", 2).await.unwrap();
    let refused = limiter.try_acquire("alice", 1).await.unwrap_err();
    assert_eq!(refused.source, Source::Shared);
    store.calls();
    tokio::time::advance(Duration::from_millis(200)).await;
    for permits in 1..=2 {
        let refused = limiter.try_acquire("alice", permits).await.unwrap_err();
        assert_eq!(refused.source, Source::Cached);
        assert_eq!(refused.retry_after(), Some(Duration::from_millis(300)));
    }
    assert_eq!(store.calls(), [0; 0]);
    // Others are not affected, and neither is a request for fewer permits.
    assert_eq!(limiter.allow("bob").await, Ok(true));
    assert_eq!(limiter.allow_n("alice", 0).await, Ok(true));
    assert_eq!(store.calls(), [1, 1]);
    tokio::time::advance(Duration::from_millis(300)).await;
    assert_eq!(limiter.allow("alice").await, Ok(true));
}

#[tokio::test(start_paused = true)]
async fn a_refusal_counts_from_the_time_at_which_the_store_was_asked() {
    let ms = Duration::from_millis;
    let store = Unruly::new();
    let builder = Limiter::<str>::builder("api", Quota::per_second(10).burst(1));
    let limiter = builder.store(store.clone()).build().unwrap();
    assert_eq!(limiter.allow("alice").await, Ok(true));
    // The permit is back after 100 ms by the store's clock. The answer is on its way for 40 ms.
    store.set(Manner::Answers(ms(40)));
    assert_eq!(limiter.allow("alice").await, Ok(false));
    store.set(Manner::Answers(ms(0)));
    tokio::time::advance(ms(59)).await;
    let refused = limiter.try_acquire("alice", 1).await.unwrap_err();
    assert_eq!((refused.source, refused.retry_after()), (Source::Cached, Some(ms(1))));
    tokio::time::advance(ms(1)).await;
    assert_eq!(limiter.allow("alice").await, Ok(true));
}

#[tokio::test(start_paused = true)]
async fn what_another_process_gives_back_is_seen_after_the_time_that_a_refusal_is_trusted() {
    let store = Unruly::new();
    let limiter = || {
        let builder = Limiter::<str>::builder("api", Quota::per_day(1)).store(store.clone());
        builder.trust_refusals_for(Duration::from_secs(2)).build().unwrap()
    };
    let (here, there) = (limiter(), limiter());
    assert_eq!(here.allow("alice").await, Ok(true));
    assert_eq!(here.allow("alice").await, Ok(false));
    there.credit("alice", 1).await.unwrap();
    tokio::time::advance(Duration::from_millis(1_999)).await;
    assert_eq!(here.allow("alice").await, Ok(false));
    tokio::time::advance(Duration::from_millis(1)).await;
    assert_eq!(here.allow("alice").await, Ok(true));
}

#[tokio::test(start_paused = true)]
async fn what_this_process_gives_back_is_seen_at_once() {
    let limiter = Limiter::<str>::builder("api", Quota::per_day(1)).store(Unruly::new());
    let limiter = limiter.build().unwrap();
    assert_eq!(limiter.allow("alice").await, Ok(true));
    assert_eq!(limiter.allow("alice").await, Ok(false));
    limiter.credit("alice", 1).await.unwrap();
    assert_eq!(limiter.allow("alice").await, Ok(true));
    assert_eq!(limiter.allow("alice").await, Ok(false));
    limiter.reset("alice").await.unwrap();
    assert_eq!(limiter.allow("alice").await, Ok(true));
    assert_eq!(limiter.allow("alice").await, Ok(false));
    limiter.set_quota(Quota::per_day(100)).unwrap();
    assert_eq!(limiter.allow("alice").await, Ok(false));
}

#[tokio::test(start_paused = true)]
async fn another_quota_ends_all_refusals() {
    let limiter = Limiter::<str>::builder("api", Quota::per_hour(10)).store(Unruly::new());
    let limiter = limiter.build().unwrap();
    limiter.try_acquire("alice", 8).await.unwrap();
    assert_eq!(limiter.allow_n("alice", 5).await, Ok(false));
    // 80 are used now.
    limiter.set_quota(Quota::per_hour(100)).unwrap();
    assert_eq!(limiter.allow_n("alice", 5).await, Ok(true));
}

#[tokio::test(start_paused = true)]
async fn namespaces_keep_their_places() {
    let limit = |quota| LimitSpec::new("requests", Rule::TokenBucket, quota);
    let namespace = |name: &str, n| Namespace::new(name, vec![limit(Quota::per_hour(n))]);
    let client = Client::builder(Unruly::new());
    let client = client.open(&[namespace("users", 1), namespace("addresses", 5)]).unwrap();
    let other_rule = LimitSpec::new("requests", Rule::FixedWindow, Quota::per_hour(1));
    for others in [
        vec![namespace("addresses", 5), namespace("users", 1)],
        vec![namespace("users", 1)],
        vec![Namespace::new("users", vec![other_rule]), namespace("addresses", 5)],
    ] {
        let error = client.set_namespaces(&others).unwrap_err();
        assert!(matches!(error, OpenError::Namespace { .. }), "{error}");
    }
    let more = [namespace("users", 2), namespace("addresses", 5), namespace("all", 9)];
    client.set_namespaces(&more).unwrap();
    let ask = Ask::new(Verb::Take, 2, Part::new(0, "alice", [Charge::new(1)]));
    let answer = client.ask(ask).await.unwrap().answer;
    assert!(matches!(answer.outcome, Outcome::Done { .. }));
}
