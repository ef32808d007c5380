//! Futures that are dropped at any point: what they have taken comes back.

use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use tollgate::llm::{LimitKind, Period};
use tollgate::shared::Client;

use crate::unruly_store::Unruly;
use crate::workers::{SECOND, builder, worker};

/// Polls a future so many times, with time for everything else in between, and then drops it.
/// Returns whether it was ready.
async fn poll_times<F: Future>(future: F, times: u32, pause: Duration) -> Option<F::Output> {
    let mut future = pin!(future);
    for _ in 0..times {
        let poll = std::future::poll_fn(|context| Poll::Ready(future.as_mut().poll(context)));
        if let Poll::Ready(output) = poll.await {
            return Some(output);
        }
        tokio::time::sleep(pause).await;
    }
    None
}

#[tokio::test(start_paused = true)]
async fn nothing_is_lost_wherever_a_request_is_dropped() {
    let kind = LimitKind::Tokens(Period::DAY);
    for pause in [Duration::from_millis(1), Duration::from_millis(7), SECOND] {
        for times in 0..30 {
            let store = Client::builder(Unruly::slow(Duration::from_millis(5)));
            let limits = || builder().tokens_per_day(86_400).max_concurrent(2);
            let (one, other) = (worker(limits(), &store), worker(limits(), &store));
            // All but 100 are taken, so that some requests wait.
            let all = other.acquire(86_300).await.unwrap();
            for tokens in [50, 110] {
                if let Some(permit) = poll_times(one.acquire(tokens), times, pause).await {
                    permit.unwrap().cancel();
                }
                tokio::time::sleep(SECOND).await;
                let usage = one.local().usage();
                assert_eq!((usage.in_flight, usage.of(kind).unwrap().used), (0, 0));
            }
            all.cancel();
            tokio::time::sleep(SECOND).await;
            // Everything is there again, and both slots.
            let half = one.try_acquire(43_200).await.unwrap();
            let other_half = other.try_acquire(43_200).await.unwrap();
            half.cancel();
            other_half.cancel();
        }
    }
}
