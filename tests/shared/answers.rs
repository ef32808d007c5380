//! What a limiter answers while the store answers.

use std::time::Duration;

use tollgate::shared::store::{Memory, OpenError, Rule};
use tollgate::shared::{Limiter, Source};
use tollgate::{Quota, QuotaError, Rejection, WhichLimit};

use crate::unruly_store::Unruly;

#[tokio::test(start_paused = true)]
async fn limiters_of_one_name_on_one_store_share_their_permits() {
    let store = Unruly::new();
    let limiter = |name: &str, quota| {
        let builder = Limiter::<str>::builder(name, quota);
        builder.store(store.clone()).build().unwrap()
    };
    let (here, there) = (limiter("api", Quota::per_hour(5)), limiter("api", Quota::per_hour(5)));
    let other = limiter("other", Quota::per_hour(5));
    assert_eq!(here.try_acquire("alice", 3).await.unwrap().remaining, 2);
    let grant = there.try_acquire("alice", 1).await.unwrap();
    assert_eq!((grant.remaining, grant.limit, grant.source), (1, 5, Source::Shared));
    assert_eq!(grant.to_string(), "1 granted, 1 of 5 left (shared)");
    assert_eq!(there.try_acquire("bob", 1).await.unwrap().remaining, 4);
    assert_eq!(other.try_acquire("alice", 1).await.unwrap().remaining, 4);
    assert_eq!(here.try_acquire_up_to("alice", 9).await, Ok(1));
    assert_eq!(here.try_acquire_up_to("alice", 9).await, Ok(0));
}

#[tokio::test(start_paused = true)]
async fn a_refusal_says_when_to_come_back_and_which_limit_it_was() {
    let builder = Limiter::<u32>::builder("model", Quota::per_minute(60));
    let limiter = builder.limit("tokens", Quota::per_second(10)).store(Unruly::new());
    let limiter = limiter.build().unwrap();
    limiter.try_acquire(&7, [1, 8]).await.unwrap();
    let refused = limiter.try_acquire(&7, [1, 8]).await.unwrap_err();
    let Rejection::Denied { retry_after, available, burst, limit, .. } = refused.rejection else {
        panic!("{refused:?}")
    };
    assert_eq!(retry_after, Duration::from_millis(600));
    assert_eq!((available, burst, limit), (2, 10, WhichLimit::Nth(1)));
    assert_eq!(refused.retry_after(), Some(retry_after));
    let refused = limiter.try_acquire(&7, [61, 11]).await.unwrap_err().rejection;
    assert!(matches!(refused, Rejection::ExceedsBurst { .. }), "{refused:?}");
    let refused = limiter.try_acquire(&7, [1, 1, 1]).await.unwrap_err().rejection;
    let limit = WhichLimit::Nth(2);
    assert_eq!(refused, Rejection::ExceedsBurst { requested: 1, burst: 0, limit });
    // A limit without a number costs nothing.
    assert!(limiter.allow_n(&7, [59]).await.unwrap());
    assert!(!limiter.allow_n(&7, [1]).await.unwrap());
}

#[tokio::test(start_paused = true)]
async fn what_is_told_afterwards_counts() {
    let limiter = Limiter::<str>::builder("api", Quota::per_hour(10)).store(Unruly::new());
    let limiter = limiter.build().unwrap();
    let used = async || limiter.usage("alice").await.unwrap().limits[0].used;
    limiter.consume("alice", 25).await.unwrap();
    assert_eq!(used().await, 25);
    limiter.credit("alice", 20).await.unwrap();
    assert_eq!(used().await, 5);
    let grant = limiter.try_acquire("alice", 4).await.unwrap();
    limiter.settle("alice", grant, 1).await.unwrap();
    assert_eq!(used().await, 6);
    let grant = limiter.try_acquire("alice", 1).await.unwrap();
    limiter.settle("alice", grant, 9).await.unwrap();
    assert_eq!(used().await, 15);
    limiter.reset("alice").await.unwrap();
    assert_eq!(used().await, 0);
}

#[tokio::test(start_paused = true)]
async fn another_quota_keeps_the_used_share() {
    let limiter = Limiter::<str>::builder("api", Quota::per_hour(10)).store(Unruly::new());
    let limiter = limiter.build().unwrap();
    limiter.try_acquire("alice", 5).await.unwrap();
    limiter.set_quota(Quota::per_hour(100)).unwrap();
    let usage = limiter.usage("alice").await.unwrap();
    assert_eq!((usage.limits[0].used, usage.limits[0].remaining), (50, 50));
    assert_eq!(usage.limits[0].quota, Quota::per_hour(100));
    let error = limiter.set_quotas(&[]).unwrap_err();
    assert!(matches!(error, OpenError::Namespace { .. }), "{error}");
    let error = limiter.set_quota(Quota::per_hour(0)).unwrap_err();
    assert!(matches!(error, OpenError::Quota { error: QuotaError::ZeroRate, .. }), "{error}");
    assert_eq!(limiter.usage("alice").await.unwrap(), usage);
}

#[test]
fn what_can_t_be_built_says_why() {
    let built = Limiter::<str>::builder("api", Quota::per_hour(0)).store(Memory::new()).build();
    let error = built.unwrap_err();
    assert_eq!(
        error.to_string(),
        "namespace `api`, limit `requests`: the rate is zero: use at least 1 permit per period, or \
         `unlimited` for no limit"
    );
    let nine = (0..8).fold(Limiter::<str>::builder("api", Quota::per_hour(1)), |builder, n| {
        builder.limit(format!("limit {n}"), Quota::per_hour(1))
    });
    assert!(matches!(nine.build().unwrap_err(), OpenError::Namespace { .. }));
    let twice = Limiter::<str>::builder("api", Quota::per_hour(1));
    let twice = twice.limit("requests", Quota::per_day(1)).build();
    assert!(matches!(twice.unwrap_err(), OpenError::Namespace { .. }));
    let burst = Limiter::<str>::builder("api", Quota::per_hour(9).burst(1));
    let burst = burst.rule(Rule::StrictWindow).build();
    let error = burst.unwrap_err();
    assert!(
        matches!(error, OpenError::Quota { error: QuotaError::BurstUnsupported, .. }),
        "{error}"
    );
}

#[test]
fn without_a_runtime_a_store_in_memory_answers_all_the_same() {
    let limiter = Limiter::<str>::builder("api", Quota::per_hour(1)).build().unwrap();
    let answers = futures_lite::future::block_on(async {
        (limiter.allow("alice").await, limiter.allow("alice").await)
    });
    assert_eq!(answers, (Ok(true), Ok(false)));
    let refused = futures_lite::future::block_on(limiter.acquire("alice", 1)).unwrap_err();
    assert!(matches!(refused.rejection, Rejection::Unavailable { .. }), "{refused:?}");
}
