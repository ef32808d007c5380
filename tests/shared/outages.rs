//! What happens while the store does not answer.

use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::Instant;
use tollgate::shared::store::{Ask, Charge, LimitSpec, Namespace, Part, Rule, StoreError, Verb};
use tollgate::shared::{Client, Limiter, Outage, Source};
use tollgate::{Quota, Rejection};

use crate::unruly_store::{Manner, Unruly};

const MS: Duration = Duration::from_millis(1);

fn limiter(store: &Unruly, quota: Quota, outage: Outage) -> Limiter {
    let builder = Limiter::builder("api", quota).store(store.clone()).on_outage(outage);
    builder.build().unwrap()
}

async fn source(limiter: &Limiter) -> Source {
    match limiter.try_acquire("alice", 1).await {
        Ok(grant) => grant.source,
        Err(refused) => refused.source,
    }
}

/// Waits until the store is asked again.
async fn until_shared(limiter: &Limiter) -> Duration {
    let started = Instant::now();
    while source(limiter).await != Source::Shared {
        tokio::time::sleep(MS).await;
    }
    started.elapsed()
}

#[tokio::test(start_paused = true)]
async fn the_first_deadline_turns_everybody_to_the_outage_mode() {
    let store = Unruly::new();
    let limiter = limiter(&store, Quota::per_hour(1_000), Outage::Open);
    store.set(Manner::Stopped);
    let started = Instant::now();
    let mut tasks = JoinSet::new();
    for late in 0..50 {
        let limiter = limiter.clone();
        tasks.spawn(async move {
            tokio::time::sleep(late * MS).await;
            (source(&limiter).await, started.elapsed())
        });
    }
    for (source, after) in tasks.join_all().await {
        assert_eq!((source, after), (Source::Open, 50 * MS));
    }
    // From then on, nobody waits.
    let before = Instant::now();
    assert_eq!(source(&limiter).await, Source::Open);
    assert_eq!(before.elapsed(), Duration::ZERO);
    // What expired is not executed when the store wakes.
    tokio::time::sleep(MS).await;
    store.set(Manner::Answers(Duration::ZERO));
    assert!(until_shared(&limiter).await <= 101 * MS);
    assert_eq!(limiter.usage("alice").await.unwrap().limits[0].used, 1);
    let stats = limiter.stats();
    assert_eq!((stats.shared, stats.outages), (2, 1));
    assert!(stats.open >= 51, "{stats:?}");
    assert!(stats.in_outage_for >= MS && stats.in_outage_for <= 102 * MS, "{stats:?}");
}

#[tokio::test(start_paused = true)]
async fn an_error_of_the_store_begins_an_outage_and_one_of_a_subject_does_not() {
    let store = Unruly::new();
    let limiter = limiter(&store, Quota::per_hour(1_000), Outage::Open);
    for error in [StoreError::Foreign("WRONGTYPE".into()), StoreError::Full("1".into())] {
        store.set(Manner::Fails(error));
        assert_eq!(source(&limiter).await, Source::Open);
        store.set(Manner::Answers(Duration::ZERO));
        assert_eq!(source(&limiter).await, Source::Shared);
    }
    for error in [
        StoreError::Refused("READONLY".into()),
        StoreError::Unreachable("connection refused".into()),
        StoreError::Lost("connection reset".into()),
        StoreError::Unreadable("no answer".into()),
    ] {
        store.set(Manner::Fails(error));
        assert_eq!(source(&limiter).await, Source::Open);
        store.set(Manner::Answers(Duration::ZERO));
        assert_eq!(source(&limiter).await, Source::Open);
        assert!(until_shared(&limiter).await <= 101 * MS);
    }
    for manner in [Manner::Truncates, Manner::Strips] {
        store.set(manner);
        assert_eq!(source(&limiter).await, Source::Open);
        store.set(Manner::Answers(Duration::ZERO));
        assert!(until_shared(&limiter).await <= 101 * MS);
    }
}

#[tokio::test(start_paused = true)]
async fn a_call_from_before_an_outage_that_fails_after_it_begins_none() {
    let store = Unruly::new();
    let limiter = limiter(&store, Quota::per_hour(1_000), Outage::Open);
    store.set(Manner::FailsAfter(500 * MS, StoreError::Lost("connection replaced".into())));
    assert_eq!(source(&limiter).await, Source::Open);
    store.set(Manner::Answers(Duration::ZERO));
    until_shared(&limiter).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(limiter.stats().outages, 1);
    assert_eq!(source(&limiter).await, Source::Shared);
}

#[tokio::test(start_paused = true)]
async fn what_queues_behind_a_call_that_fails_does_not_go_out() {
    let store = Unruly::new();
    let limiter = limiter(&store, Quota::per_hour(1_000), Outage::Open);
    store.set(Manner::FailsAfter(MS, StoreError::Unreachable("connection refused".into())));
    let mut tasks = JoinSet::new();
    for _ in 0..6 {
        let limiter = limiter.clone();
        tasks.spawn(async move { source(&limiter).await });
    }
    assert_eq!(tasks.join_all().await, [Source::Open; 6]);
    tokio::time::sleep(10 * MS).await;
    // Four queue behind the second call.
    assert_eq!(store.calls(), [1, 1]);
}

#[tokio::test(start_paused = true)]
async fn a_store_without_room_for_the_probe_answers_all_the_same() {
    let store = Unruly::new();
    let limiter = limiter(&store, Quota::per_hour(1_000), Outage::Open);
    for error in [StoreError::Full("1".into()), StoreError::Foreign("WRONGTYPE".into())] {
        store.set(Manner::Stopped);
        assert_eq!(source(&limiter).await, Source::Open);
        assert!(limiter.stats().outages > 0);
        store.set(Manner::Fails(error));
        tokio::time::sleep(101 * MS).await;
        store.calls();
        assert_eq!(source(&limiter).await, Source::Open);
        assert_eq!(store.calls(), [1], "the store is asked again");
        store.set(Manner::Answers(Duration::ZERO));
        assert_eq!(source(&limiter).await, Source::Shared);
    }
}

#[tokio::test(start_paused = true)]
async fn a_client_that_is_dropped_in_an_outage_counts_no_longer() {
    let store = Unruly::new();
    let builder = Client::builder(store.clone());
    let limit = LimitSpec::new("requests", Rule::TokenBucket, Quota::per_hour(1));
    let client = builder.clone().open(&[Namespace::new("api", vec![limit])]).unwrap();
    store.set(Manner::Stopped);
    let ask = Ask::new(Verb::Take, 1, Part::new(0, "alice", [Charge::new(1)]));
    client.ask(ask).await.unwrap_err();
    tokio::time::sleep(10 * MS).await;
    drop(client);
    // The probe that is under way ends, and what was sent is answered.
    tokio::time::sleep(100 * MS).await;
    store.set(Manner::Answers(Duration::ZERO));
    tokio::time::sleep(100 * MS).await;
    let lasted = builder.stats().in_outage_for;
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!(builder.stats().in_outage_for, lasted);
}

#[tokio::test(start_paused = true)]
async fn an_outage_is_noticed_also_if_nobody_waits_as_long_as_the_deadline() {
    let store = Unruly::new();
    let limiter = limiter(&store, Quota::per_hour(1_000), Outage::Open);
    store.set(Manner::Stopped);
    for _ in 0..20 {
        let impatient = tokio::time::timeout(10 * MS, limiter.allow("alice")).await;
        if impatient.is_ok() {
            break;
        }
    }
    let started = Instant::now();
    assert_eq!(source(&limiter).await, Source::Open);
    assert_eq!((started.elapsed(), limiter.stats().outages), (Duration::ZERO, 1));
}

#[tokio::test(start_paused = true)]
async fn an_outage_is_noticed_also_if_requests_that_are_given_up_are_rare() {
    let store = Unruly::new();
    let limiter = limiter(&store, Quota::per_hour(1_000), Outage::Open);
    store.set(Manner::Stopped);
    let impatient = tokio::time::timeout(10 * MS, limiter.allow("alice")).await;
    assert!(impatient.is_err());
    tokio::time::sleep(41 * MS).await;
    let started = Instant::now();
    assert_eq!(source(&limiter).await, Source::Open);
    assert_eq!((started.elapsed(), limiter.stats().outages), (Duration::ZERO, 1));
}

#[tokio::test(start_paused = true)]
async fn a_store_whose_clock_is_wrong_is_asked_twice() {
    let store = Unruly::new();
    let limiter = limiter(&store, Quota::per_hour(1_000), Outage::Open);
    store.set(Manner::Expires);
    assert_eq!(source(&limiter).await, Source::Open);
    assert_eq!((store.calls(), limiter.stats().outages), (vec![1, 1], 0));
}

#[tokio::test(start_paused = true)]
async fn closed_is_the_default_and_says_unavailable() {
    let store = Unruly::new();
    let builder = Limiter::<str>::builder("api", Quota::per_hour(5)).store(store.clone());
    let limiter = builder.build().unwrap();
    store.set(Manner::Stopped);
    for wait in [50 * MS, Duration::ZERO] {
        let started = Instant::now();
        let refused = limiter.allow("alice").await.unwrap_err();
        assert_eq!(started.elapsed(), wait);
        assert_eq!(refused.source, Source::Closed);
        assert_eq!(refused.rejection.http_status(), 503);
        assert!(matches!(refused.rejection, Rejection::Unavailable { .. }));
        assert!(refused.retry_after().is_some());
    }
}

#[tokio::test(start_paused = true)]
async fn the_local_share_begins_with_what_this_process_has_used() {
    let store = Unruly::new();
    let limiter = limiter(&store, Quota::per_hour(80), Outage::local_share(1, 8));
    // Of a share of 10, 7 are used.
    for _ in 0..7 {
        assert_eq!(source(&limiter).await, Source::Shared);
    }
    store.set(Manner::Stopped);
    let mut allowed = 0;
    while limiter.allow("alice").await.unwrap() {
        allowed += 1;
    }
    assert_eq!(allowed, 3);
    assert_eq!(source(&limiter).await, Source::LocalShare);
    // A share comes back at an eighth of the rate: one permit in six minutes.
    tokio::time::sleep(Duration::from_secs(6 * 60)).await;
    assert_eq!(limiter.try_acquire_up_to("alice", 9).await, Ok(1));
    // Somebody that was never seen has a share too.
    assert_eq!(limiter.try_acquire_up_to("bob", 99).await, Ok(10));
}

#[tokio::test(start_paused = true)]
async fn a_process_that_uses_more_than_its_share_is_not_in_debt_for_it() {
    let store = Unruly::new();
    let limiter = limiter(&store, Quota::per_hour(80), Outage::local_share(1, 8));
    limiter.try_acquire("alice", 80).await.unwrap();
    store.set(Manner::Stopped);
    assert_eq!(limiter.allow("alice").await, Ok(false));
    tokio::time::sleep(Duration::from_secs(6 * 60)).await;
    assert_eq!(limiter.allow("alice").await, Ok(true));
}

#[tokio::test(start_paused = true)]
async fn what_the_local_share_has_granted_can_pass_again_when_the_outage_ends() {
    let hour = Duration::from_secs(60 * 60);
    // Half of the burst, and no more than the burst, has come back to the store.
    for (lasts, again) in [(hour / 2, 40), (hour * 3, 80)] {
        let store = Unruly::new();
        let limiter = limiter(&store, Quota::per_hour(80), Outage::local_share(1, 1));
        limiter.try_acquire("alice", 80).await.unwrap();
        store.set(Manner::Stopped);
        assert_eq!(limiter.allow("alice").await, Ok(false));
        tokio::time::sleep(lasts).await;
        assert_eq!(limiter.try_acquire_up_to("alice", 99).await, Ok(again));
        store.set(Manner::Answers(Duration::ZERO));
        tokio::time::sleep(Duration::from_secs(1)).await;
        let granted = limiter.try_acquire_up_to("alice", 99).await;
        assert_eq!((granted, limiter.allow("alice").await), (Ok(again), Ok(false)));
    }
}

#[tokio::test(start_paused = true)]
async fn each_limit_of_the_local_share_counts_for_itself_as_far_as_it_reaches() {
    let store = Unruly::new();
    let builder = Limiter::<str>::builder("api", Quota::per_day(10)).store(store.clone());
    let builder = builder.limit("tokens", Quota::per_day(1_000));
    let limiter = builder.on_outage(Outage::local_share(1, 2)).build().unwrap();
    // Of shares of 5 and 500, all is used, although no further request fits into what is left.
    for cost in [[1, 400], [1, 110], [1, 110], [1, 110], [1, 110], [1, 110]] {
        assert_eq!(limiter.try_acquire("alice", cost).await.unwrap().source, Source::Shared);
    }
    store.set(Manner::Stopped);
    let usage = limiter.usage("alice").await.unwrap();
    let of = |limit: usize| (usage.limits[limit].used, usage.limits[limit].quota.burst_size());
    assert_eq!((of(0), of(1)), ((5, 5), (500, 500)));
    assert_eq!(limiter.allow_n("alice", [1, 0]).await, Ok(false));
    assert_eq!(limiter.allow_n("alice", [0, 1]).await, Ok(false));
}

#[tokio::test(start_paused = true)]
async fn a_request_that_is_larger_than_the_share_can_pass_later() {
    let store = Unruly::new();
    let limiter = limiter(&store, Quota::per_hour(10), Outage::local_share(1, 2));
    store.set(Manner::Stopped);
    let refused = limiter.try_acquire("alice", 6).await.unwrap_err();
    assert!(matches!(refused.rejection, Rejection::Unavailable { .. }), "{refused:?}");
    let refused = limiter.try_acquire("alice", 11).await.unwrap_err();
    assert!(matches!(refused.rejection, Rejection::ExceedsBurst { .. }), "{refused:?}");
    let grant = limiter.try_acquire("alice", 4).await.unwrap();
    assert_eq!((grant.remaining, grant.limit), (1, 5));
}

#[tokio::test(start_paused = true)]
async fn last_known_refuses_whom_the_store_has_refused_until_its_time() {
    let store = Unruly::new();
    let limiter = limiter(&store, Quota::per_hour(1), Outage::LastKnown);
    assert_eq!(source(&limiter).await, Source::Shared);
    assert_eq!(limiter.allow("alice").await, Ok(false));
    store.set(Manner::Stopped);
    assert_eq!(limiter.allow("bob").await, Ok(true));
    tokio::time::sleep(Duration::from_secs(3_598)).await;
    let refused = limiter.try_acquire("alice", 1).await.unwrap_err();
    assert_eq!(refused.source, Source::LastKnown);
    assert!(refused.retry_after().unwrap() <= Duration::from_secs(2));
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(source(&limiter).await, Source::LastKnown);
    assert_eq!(limiter.allow("alice").await, Ok(true));
}

#[tokio::test(start_paused = true)]
async fn what_was_taken_for_an_answer_that_came_too_late_is_given_back() {
    let store = Unruly::slow(60 * MS);
    let limiter = limiter(&store, Quota::per_hour(10), Outage::Open);
    assert_eq!(source(&limiter).await, Source::Open);
    store.set(Manner::Answers(Duration::ZERO));
    until_shared(&limiter).await;
    tokio::time::sleep(60 * MS).await;
    // One of `until_shared`; that of the late answer came back, once the outage was over.
    let used = limiter.usage("alice").await.unwrap().limits[0].used;
    assert!((1..=2).contains(&used), "{used}");
}

#[tokio::test(start_paused = true)]
async fn what_was_taken_too_late_is_given_back_also_in_the_outage() {
    let store = Unruly::slow(60 * MS);
    let limiter = limiter(&store, Quota::per_hour(10), Outage::Open);
    for _ in 0..5 {
        assert_eq!(source(&limiter).await, Source::Open);
        // The store is too slow for the probes too.
        tokio::time::sleep(500 * MS).await;
    }
    store.set(Manner::Answers(Duration::ZERO));
    until_shared(&limiter).await;
    assert_eq!(limiter.usage("alice").await.unwrap().limits[0].used, 1);
}

#[tokio::test(start_paused = true)]
async fn permits_whose_answer_is_lost_are_charged_once_at_most() {
    let store = Unruly::new();
    let limiter = limiter(&store, Quota::per_hour(10), Outage::Open);
    store.set(Manner::Swallows);
    assert_eq!(source(&limiter).await, Source::Open);
    store.set(Manner::Answers(Duration::ZERO));
    until_shared(&limiter).await;
    assert_eq!(limiter.usage("alice").await.unwrap().limits[0].used, 2);
}

#[test]
fn a_runtime_that_ends_takes_nobody_with_it() {
    let store = Unruly::new();
    let limiter = limiter(&store, Quota::per_hour(10), Outage::Open);
    let runtime = || {
        let mut builder = tokio::runtime::Builder::new_current_thread();
        builder.enable_time().start_paused(true).build().unwrap()
    };
    store.set(Manner::Stopped);
    let first = runtime();
    assert_eq!(first.block_on(source(&limiter)), Source::Open);
    // The task that probes ends with its runtime. The next request starts another one.
    drop(first);
    store.set(Manner::Answers(Duration::ZERO));
    let back = runtime().block_on(until_shared(&limiter));
    assert!(back <= 101 * MS, "{back:?}");
}

#[test]
fn a_call_that_ends_with_its_runtime_is_no_sign_of_an_outage() {
    let store = Unruly::slow(10 * MS);
    let builder = Limiter::<str>::builder("api", Quota::per_hour(10)).store(store.clone());
    // Each runtime's time begins at the time of the machine, which can be slow.
    let builder = builder.on_outage(Outage::Open).deadline(Duration::from_secs(600));
    let limiter = builder.build().unwrap();
    let runtime = || {
        let mut builder = tokio::runtime::Builder::new_current_thread();
        builder.enable_time().start_paused(true).build().unwrap()
    };
    let first = runtime();
    // The second of these calls has a task of the first runtime, and the third ask queues.
    let mut asks: Vec<_> = (0..3).map(|_| Box::pin(source(&limiter))).collect();
    first.block_on(async {
        for ask in &mut asks {
            assert!(futures_lite::future::poll_once(ask.as_mut()).await.is_none());
        }
        tokio::task::yield_now().await;
    });
    drop(first);
    assert_eq!(limiter.stats().outages, 0);
    store.set(Manner::Answers(Duration::ZERO));
    let third = asks.pop().unwrap();
    drop(asks);
    assert_eq!(runtime().block_on(third), Source::Shared);
    assert_eq!(runtime().block_on(source(&limiter)), Source::Shared);
}
