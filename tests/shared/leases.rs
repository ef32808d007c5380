//! Permits that processes draw ahead.

use std::pin::pin;
use std::time::Duration;

use proptest::prelude::*;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tollgate::shared::store::{OpenError, Rule};
use tollgate::shared::{Limiter, Outage, Source};
use tollgate::{Quota, QuotaError};

use crate::unruly_store::{Manner, Unruly};

const MS: Duration = Duration::from_millis(1);
const LENGTH: Duration = Duration::from_millis(100);

fn limiter(store: &Unruly, quota: Quota) -> Limiter {
    let builder = Limiter::builder("api", quota).store(store.clone());
    builder.lease(LENGTH).build().unwrap()
}

async fn used(limiter: &Limiter) -> u64 {
    limiter.usage("alice").await.unwrap().limits[0].used
}

#[tokio::test(start_paused = true)]
async fn a_hot_subject_costs_few_calls() {
    let store = Unruly::slow(MS);
    let limiter = limiter(&store, Quota::per_hour(100_000));
    let mut sources = Vec::new();
    for _ in 0..10_000 {
        sources.push(limiter.try_acquire("alice", 1).await.unwrap().source);
    }
    let asked = sources.iter().filter(|source| **source == Source::Shared).count();
    assert!(asked < 20, "{asked}");
    assert_eq!(asked + sources.iter().filter(|it| **it == Source::Leased).count(), 10_000);
    tokio::time::sleep(2 * LENGTH).await;
    // What was not used came back.
    assert!((9_990..=10_000).contains(&used(&limiter).await));
}

#[tokio::test(start_paused = true)]
async fn a_subject_that_is_seen_now_and_then_has_no_lease() {
    let store = Unruly::new();
    let limiter = limiter(&store, Quota::per_hour(100_000));
    for _ in 0..20 {
        assert_eq!(limiter.try_acquire("alice", 1).await.unwrap().source, Source::Shared);
        tokio::time::sleep(LENGTH).await;
    }
    assert_eq!(store.calls(), [1; 20]);
}

#[tokio::test(start_paused = true)]
async fn those_who_ask_at_once_wait_for_one_draw() {
    let store = Unruly::slow(MS);
    let limiter = limiter(&store, Quota::per_hour(100_000));
    for _ in 0..50 {
        limiter.allow("alice").await.unwrap();
    }
    tokio::time::sleep(LENGTH / 2).await;
    store.calls();
    let mut tasks = JoinSet::new();
    for _ in 0..200 {
        let limiter = limiter.clone();
        tasks.spawn(async move { limiter.allow("alice").await.unwrap() });
    }
    assert!(tasks.join_all().await.into_iter().all(|allowed| allowed));
    let asks: usize = store.calls().into_iter().sum();
    assert!(asks <= 12, "{asks}");
}

#[tokio::test(start_paused = true)]
async fn closing_and_dropping_hand_leases_back() {
    let store = Unruly::new();
    let looker = limiter(&store, Quota::per_day(100_000));
    for close in [true, false] {
        let process = limiter(&store, Quota::per_day(100_000));
        let before = used(&looker).await;
        for _ in 0..10 {
            process.allow("alice").await.unwrap();
        }
        assert!(used(&looker).await > before + 10, "nothing was drawn ahead");
        if close {
            process.close();
        }
        drop(process);
        tokio::time::sleep(MS).await;
        assert_eq!(used(&looker).await, before + 10, "{close}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_a_lease_granted_and_was_not_used_goes_back_to_it() {
    let store = Unruly::new();
    let limiter = limiter(&store, Quota::per_day(100_000));
    let mut taken = 10;
    let mut grant = limiter.try_acquire("alice", 10).await.unwrap();
    while grant.source != Source::Leased {
        grant = limiter.try_acquire("alice", 10).await.unwrap();
        taken += 10;
    }
    limiter.settle("alice", grant, 3).await.unwrap();
    tokio::time::sleep(2 * LENGTH).await;
    assert_eq!(used(&limiter).await, taken - 7);
}

#[tokio::test(start_paused = true)]
async fn what_an_older_lease_granted_does_not_go_to_a_newer_one() {
    let store = Unruly::new();
    let limiter = limiter(&store, Quota::per_second(100).burst(210));
    // Grants of leases, long before they are settled.
    let mut old = Vec::new();
    while old.len() < 10 {
        let grant = limiter.try_acquire("alice", 2).await.unwrap();
        if grant.source == Source::Leased {
            old.push(grant);
        }
        tokio::time::sleep(LENGTH / 4).await;
    }
    tokio::time::sleep(Duration::from_secs(10)).await;
    let mut granted = 0;
    while limiter.allow("alice").await.unwrap() {
        granted += 1;
        if let Some(grant) = old.pop() {
            limiter.settle("alice", grant, 0).await.unwrap();
        }
    }
    assert_eq!(granted, 200);
}

#[tokio::test(start_paused = true)]
async fn what_a_draw_granted_is_given_back_once() {
    let store = Unruly::new();
    let (here, there) = (
        limiter(&store, Quota::per_second(100).burst(1_010)),
        limiter(&store, Quota::per_second(100).burst(1_010)),
    );
    let mut grant = here.try_acquire("alice", 100).await.unwrap();
    for _ in 0..2 {
        grant = here.try_acquire("alice", 100).await.unwrap();
        assert_eq!(grant.source, Source::Shared);
    }
    // The rest of the draw is handed back. Later, somebody else takes as much.
    tokio::time::sleep(Duration::from_millis(3_100)).await;
    there.try_acquire("alice", 100).await.unwrap();
    here.settle("alice", grant, 0).await.unwrap();
    assert_eq!(used(&there).await, 100);
}

#[tokio::test(start_paused = true)]
async fn steady_demand_below_the_lease_costs_few_calls() {
    let store = Unruly::new();
    let limiter = limiter(&store, Quota::per_hour(1_000_000));
    for _ in 0..2_000 {
        limiter.allow("alice").await.unwrap();
        tokio::time::sleep(MS).await;
    }
    // 20 lengths with four draws in three of them, after some draws that are too small.
    let calls = store.calls().len();
    assert!(calls <= 36, "{calls}");
    // The draws are a little smaller than the demand, so only the last one leaves anything.
    tokio::time::sleep(2 * LENGTH).await;
    let stats = limiter.stats();
    assert!(stats.lease_handed_back < 100, "{stats:?}");
    assert_eq!(stats.lease_drawn, stats.lease_used + stats.lease_handed_back);
}

#[tokio::test(start_paused = true)]
async fn a_subject_that_is_seen_twice_in_a_lease_has_none() {
    let store = Unruly::new();
    let limiter = limiter(&store, Quota::per_hour(100_000));
    for _ in 0..10 {
        for _ in 0..2 {
            assert_eq!(limiter.try_acquire("alice", 1).await.unwrap().source, Source::Shared);
        }
        tokio::time::sleep(LENGTH).await;
    }
    // A draw, and what is handed back, would have been as many calls or more.
    assert_eq!(store.calls(), [1; 20]);
}

#[tokio::test(start_paused = true)]
async fn what_was_drawn_under_another_quota_is_not_used_any_more() {
    let store = Unruly::new();
    let limiter = limiter(&store, Quota::per_day(100_000));
    for _ in 0..10 {
        limiter.allow("alice").await.unwrap();
    }
    assert!(limiter.stats().lease_drawn > limiter.stats().lease_used, "nothing is left");
    limiter.set_quota(Quota::per_day(1_000)).unwrap();
    assert_eq!(
        limiter.stats().lease_drawn,
        limiter.stats().lease_used + limiter.stats().lease_handed_back
    );
    let grant = limiter.try_acquire("alice", 1).await.unwrap();
    assert_eq!(grant.source, Source::Shared);
    // A tenth of a permit is rounded up.
    assert_eq!(used(&limiter).await, 2);
}

#[tokio::test(start_paused = true)]
async fn a_draw_that_the_store_does_not_answer_takes_nothing_of_the_local_share() {
    let store = Unruly::new();
    let builder = Limiter::<str>::builder("api", Quota::per_day(1_000)).store(store.clone());
    let builder = builder.on_outage(Outage::local_share(1, 10)).lease(LENGTH);
    let limiter = builder.build().unwrap();
    for _ in 0..2 {
        assert_eq!(limiter.allow("alice").await, Ok(true));
    }
    store.set(Manner::Stopped);
    let mut granted = 2;
    while limiter.allow("alice").await.unwrap() {
        granted += 1;
    }
    // A permit is held back from the burst.
    assert_eq!(granted, 99);
}

#[tokio::test(start_paused = true)]
async fn a_refused_subject_that_insists_costs_no_call() {
    let store = Unruly::new();
    let limiter = limiter(&store, Quota::per_day(100));
    while limiter.allow("alice").await.unwrap() {}
    store.calls();
    for _ in 0..20 {
        let refused = limiter.try_acquire("alice", 1).await.unwrap_err();
        assert_eq!(refused.source, Source::Cached);
    }
    assert_eq!(store.calls(), [0; 0]);
}

#[tokio::test(start_paused = true)]
async fn a_large_request_does_not_hide_permits_from_others() {
    let store = Unruly::slow(MS);
    let (here, there) =
        (limiter(&store, Quota::per_day(100)), limiter(&store, Quota::per_day(100)));
    let large = tokio::spawn(async move {
        for _ in 0..20 {
            assert_eq!(here.allow_n("alice", 1_000).await, Ok(false));
        }
    });
    for pause in 0..10_u64 {
        tokio::time::sleep(MS * (1 + u32::try_from(pause % 2).unwrap())).await;
        assert_eq!(there.allow("alice").await, Ok(true));
    }
    large.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn whoever_waits_for_a_draw_is_answered_within_the_deadline() {
    let store = Unruly::new();
    let limiter = limiter(&store, Quota::per_day(1_000));
    for _ in 0..5 {
        limiter.allow("alice").await.unwrap();
    }
    limiter.consume("alice", 900).await.unwrap();
    tokio::time::sleep(LENGTH / 2).await;
    store.set(Manner::Answers(20 * MS));
    let started = Instant::now();
    let mut tasks = JoinSet::new();
    for _ in 0..100 {
        let limiter = limiter.clone();
        // Too much for a draw together with others.
        tasks.spawn(async move {
            let _ = limiter.try_acquire("alice", 60).await;
            started.elapsed()
        });
    }
    let longest = tasks.join_all().await.into_iter().max().unwrap();
    assert!(longest <= 50 * MS, "{longest:?}");
}

#[tokio::test(start_paused = true)]
async fn nobody_waits_for_a_draw_whose_future_is_not_polled() {
    let store = Unruly::slow(MS);
    let limiter = limiter(&store, Quota::per_day(1_000));
    for _ in 0..2 {
        limiter.allow("alice").await.unwrap();
    }
    let mut forgotten = pin!(limiter.allow("alice"));
    assert!(futures_lite::future::poll_once(forgotten.as_mut()).await.is_none());
    let started = Instant::now();
    assert_eq!(limiter.allow("alice").await, Ok(true));
    assert!(started.elapsed() <= 50 * MS);
    assert_eq!(forgotten.await, Ok(true));
}

#[tokio::test(start_paused = true)]
async fn a_refusal_says_when_there_will_be_permits() {
    let store = Unruly::new();
    let limiter = limiter(&store, Quota::per_second(10).burst(12));
    let mut granted = 0;
    let refused = loop {
        match limiter.try_acquire("alice", 1).await {
            Ok(_) => granted += 1,
            Err(refused) => break refused,
        }
    };
    // The refill of 100 ms is held back.
    assert_eq!(granted, 11);
    assert_eq!(refused.retry_after(), Some(LENGTH));
    tokio::time::sleep(LENGTH).await;
    assert_eq!(limiter.allow("alice").await, Ok(true));
}

#[tokio::test(start_paused = true)]
async fn a_lease_can_be_as_long_as_it_likes() {
    let quota = Quota::per(1, Duration::from_nanos(u64::MAX)).burst(u64::MAX);
    let builder = Limiter::<str>::builder("api", quota).store(Unruly::new());
    let limiter = builder.lease(Duration::MAX).build().unwrap();
    for _ in 0..10 {
        assert_eq!(limiter.allow("alice").await, Ok(true));
    }
}

#[test]
fn what_can_t_be_leased_says_why() {
    let builder = || Limiter::<str>::builder("api", Quota::per_second(100)).lease(LENGTH);
    assert!(builder().build().is_ok());
    let error = builder().rule(Rule::FixedWindow).build().unwrap_err();
    assert!(matches!(error, OpenError::Namespace { .. }), "{error}");
    let error = builder().limit("tokens", Quota::per_day(1)).build().unwrap_err();
    assert!(matches!(error, OpenError::Namespace { .. }), "{error}");
    let small = Limiter::<str>::builder("api", Quota::per_second(100).burst(10)).lease(LENGTH);
    let OpenError::Quota { error, .. } = small.build().unwrap_err() else { panic!() };
    assert_eq!(error, QuotaError::BurstBelowLeases { held_back: 10 });
    let limiter = builder().build().unwrap();
    limiter.set_quota(Quota::per_second(200)).unwrap();
    assert!(limiter.set_quota(Quota::per_second(200).burst(20)).is_err());
}

/// The times, in ms, at which permits were granted to processes that ask as often as they can, with
/// pauses.
fn grants(processes: usize, pauses: &[u64], quota: Quota, millis: u64) -> Vec<u64> {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = runtime.enable_time().start_paused(true).build().unwrap();
    runtime.block_on(async {
        let store = Unruly::slow(MS);
        let started = Instant::now();
        let mut tasks = JoinSet::new();
        for process in 0..processes {
            let limiter = limiter(&store, quota);
            let pauses = pauses.to_vec();
            tasks.spawn(async move {
                let mut granted = Vec::new();
                for step in process.. {
                    let now = u64::try_from(started.elapsed().as_millis()).unwrap();
                    if now >= millis {
                        break;
                    }
                    if limiter.allow("alice").await.unwrap() {
                        let now = u64::try_from(started.elapsed().as_millis()).unwrap();
                        granted.push(now);
                    } else {
                        tokio::time::sleep(MS).await;
                    }
                    let pause = pauses[step % pauses.len()];
                    tokio::time::sleep(Duration::from_micros(pause * 250)).await;
                }
                granted
            });
        }
        let mut all: Vec<u64> = tasks.join_all().await.into_iter().flatten().collect();
        all.sort_unstable();
        all
    })
}

/// Checks that no window holds more than `burst + rate * w` permits.
fn assert_within(grants: &[u64], quota: Quota) {
    let (rate, period) = (u128::from(quota.permits()), quota.period().as_millis());
    for (first, from) in grants.iter().enumerate() {
        for (last, until) in grants.iter().enumerate().skip(first) {
            // Times are cut to milliseconds, so the window is one millisecond longer.
            let window = u128::from(until - from + 1);
            let most = u128::from(quota.burst_size()) + (rate * window).div_ceil(period);
            let granted = (last - first + 1) as u128;
            assert!(granted <= most, "{granted} of {most} in {window} ms from {from}");
        }
    }
}

#[test]
fn processes_that_take_all_they_get_use_nearly_all_of_the_quota() {
    let quota = Quota::per_second(1_000).burst(400);
    let grants = grants(4, &[1], quota, 3_000);
    assert_within(&grants, quota);
    // A burst that is smaller by the refill of 100 ms, and the rate.
    let most = 300 + 3_000;
    assert!(grants.len() * 100 >= most * 95, "{} of {most}", grants.len());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn however_many_processes_no_window_holds_more_than_the_quota(
        processes in 1_usize..6,
        pauses in prop::collection::vec(prop_oneof![4 => 0_u64..8, 1 => 0_u64..800], 1..12),
        rate in 50_u64..600,
        spare in 1_u64..100,
    ) {
        // More than the refill of 100 ms.
        let quota = Quota::per_second(rate).burst(rate.div_ceil(10) + spare);
        assert_within(&grants(processes, &pauses, quota, 1_500), quota);
    }
}
