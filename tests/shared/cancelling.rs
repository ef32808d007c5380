//! Futures that are dropped.

use std::pin::pin;
use std::time::Duration;

use proptest::prelude::*;
use tollgate::Quota;
use tollgate::shared::Limiter;

use crate::unruly_store::Unruly;

#[tokio::test(start_paused = true)]
async fn an_answer_that_was_there_and_is_not_received_is_given_back() {
    let store = Unruly::slow(Duration::from_millis(1));
    let limiter = Limiter::<str>::builder("api", Quota::per_day(10)).store(store).build().unwrap();
    let first = tokio::spawn({
        let limiter = limiter.clone();
        async move { limiter.allow("alice").await }
    });
    tokio::task::yield_now().await;
    {
        // It queues behind the first, and its answer comes while nobody looks.
        let mut second = pin!(limiter.allow("alice"));
        assert!(futures_lite::future::poll_once(second.as_mut()).await.is_none());
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(first.await.unwrap(), Ok(true));
    assert_eq!(limiter.usage("alice").await.unwrap().limits[0].used, 1);
}

/// Polls a future so many times, a millisecond apart, and drops it. Returns its output, if it ends.
async fn poll_times<F: Future>(future: F, times: u32) -> Option<F::Output> {
    let mut future = pin!(future);
    for _ in 0..times {
        let ready = tokio::time::timeout(Duration::from_millis(1), future.as_mut()).await;
        if let Ok(output) = ready {
            return Some(output);
        }
    }
    None
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whenever requests are dropped, the permits that are in use in the end are those of the
    /// requests that were granted.
    #[test]
    fn dropped_requests_keep_no_permits(
        requests in prop::collection::vec((1_u64..5, 0_u32..8, any::<bool>()), 1..40),
        delay in 0_u64..4,
    ) {
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        let runtime = runtime.enable_time().start_paused(true).build().unwrap();
        runtime.block_on(async {
            let store = Unruly::slow(Duration::from_millis(delay));
            // Nearly nothing comes back within the test.
            let quota = Quota::per(1, Duration::from_secs(1_000_000)).burst(1_000);
            let limiter = Limiter::<str>::builder("api", quota).store(store);
            let limiter = limiter.build().unwrap();
            let mut tasks = tokio::task::JoinSet::new();
            for (permits, polls, waits) in requests {
                let limiter = limiter.clone();
                tasks.spawn(async move {
                    let granted = if waits {
                        poll_times(limiter.acquire("alice", permits), polls).await
                    } else {
                        poll_times(limiter.try_acquire("alice", permits), polls).await
                    };
                    granted.map_or(0, |granted| granted.unwrap().permits)
                });
            }
            let granted: u64 = tasks.join_all().await.into_iter().sum();
            tokio::time::sleep(Duration::from_millis(50)).await;
            let used = limiter.usage("alice").await.unwrap().limits[0].used;
            assert_eq!(used, granted);
        });
    }
}
