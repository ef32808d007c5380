//! Runtimes that stand still, and requests that never wait.

use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use futures_lite::future::poll_once;
use tokio::runtime::{Builder, Runtime};
use tollgate::Quota;
use tollgate::shared::{Limiter, Outage, Source};

use crate::unruly_store::{Manner, Unruly};

const MS: Duration = Duration::from_millis(1);

fn runtime() -> Runtime {
    Builder::new_current_thread().enable_time().start_paused(true).build().unwrap()
}

fn limiter(store: &Unruly) -> Limiter {
    let builder = Limiter::builder("api", Quota::per_hour(1_000)).store(store.clone());
    builder.on_outage(Outage::Open).build().unwrap()
}

async fn source(limiter: &Limiter) -> Source {
    limiter.try_acquire("alice", 1).await.unwrap().source
}

#[test]
fn the_deadline_holds_although_a_runtime_that_asked_before_stands_still() {
    let store = Unruly::slow(MS);
    let limiter = limiter(&store);
    // What this runtime has begun goes on only inside of another `block_on`.
    let still = runtime();
    assert_eq!(still.block_on(source(&limiter)), Source::Shared);
    store.set(Manner::Stopped);
    let answer = runtime().block_on(async {
        let long = tokio::time::timeout(1_000 * MS, source(&limiter)).await;
        (long.ok(), limiter.stats().outages)
    });
    assert_eq!(answer, (Some(Source::Open), 1));
    drop(still);
}

/// Nothing could ever end the wait for an answer.
#[test]
fn without_a_timer_a_store_that_does_not_answer_at_once_is_out() {
    let store = Unruly::new();
    let limiter = limiter(&store);
    let without_timer = Builder::new_current_thread().build().unwrap();
    assert_eq!(without_timer.block_on(source(&limiter)), Source::Shared);
    store.set(Manner::Stopped);
    assert_eq!(without_timer.block_on(source(&limiter)), Source::Open);
    assert_eq!(limiter.stats().outages, 1);
}

#[test]
fn whoever_looks_too_late_for_an_ask_that_was_not_sent_begins_no_outage() {
    let store = Unruly::slow(MS);
    let limiter = limiter(&store);
    let first = runtime();
    // The second of these calls has a task of the first runtime, and the third ask queues.
    let mut asks: Vec<_> = (0..3).map(|_| Box::pin(source(&limiter))).collect();
    first.block_on(async {
        for ask in &mut asks {
            assert!(poll_once(ask.as_mut()).await.is_none());
        }
    });
    drop(first);
    let third = asks.pop().unwrap();
    drop(asks);
    let answer = runtime().block_on(async {
        tokio::time::advance(51 * MS).await;
        third.await
    });
    assert_eq!((answer, limiter.stats().outages), (Source::Open, 0));
}

#[tokio::test(start_paused = true)]
async fn who_needs_no_call_lets_other_tasks_run() {
    let store = Unruly::new();
    let builder = Limiter::<str>::builder("api", Quota::per_day(100_000)).store(store.clone());
    let leased = builder.lease(1_000 * MS).build().unwrap();
    let refused = Limiter::<str>::builder("api", Quota::per_day(1)).store(Unruly::new());
    let refused = refused.build().unwrap();
    refused.try_acquire("alice", 1).await.unwrap();
    let in_outage = limiter(&store);
    store.set(Manner::Stopped);
    assert_eq!(source(&in_outage).await, Source::Open);
    store.set(Manner::Answers(Duration::ZERO));
    for limiter in [leased, refused, in_outage] {
        // Whoever asks in a loop must yield at some time.
        let mut insisting = pin!(async {
            loop {
                let _ = limiter.allow("alice").await;
            }
        });
        poll_fn(|context| {
            let poll: Poll<()> = insisting.as_mut().poll(context);
            assert!(poll.is_pending());
            Poll::Ready(())
        })
        .await;
        // The runtime gives this task a new budget.
        tokio::task::yield_now().await;
    }
}
