//! Who waits on what: our limiters, the peers, and bare sleeps.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use tollgate::{AtomicTokenBucket, Quota, RateLimiter, TokenBucket};

use crate::crowd::{Outcome, Plan};

/// A name, and how a crowd waits by it.
pub(crate) type Waiter = (&'static str, fn(&Plan) -> Outcome);

/// Everybody waits until the time that a perfect limiter would serve it.
pub(crate) const BARE: Waiter = ("bare sleeps", bare);

pub(crate) const OURS: [Waiter; 2] = [("TokenBucket", locked), ("AtomicTokenBucket", atomic)];

pub(crate) const PEERS: [Waiter; 2] = [("governor", governor), ("leaky-bucket", leaky_bucket)];

fn bare(plan: &Plan) -> Outcome {
    let (plan, asked) = (*plan, Arc::new(AtomicU32::new(0)));
    plan.run(|start| {
        let asked = Arc::clone(&asked);
        async move {
            let due = start + plan.due(asked.fetch_add(1, Ordering::SeqCst));
            tokio::time::sleep_until(due.into()).await;
        }
    })
}

fn locked(plan: &Plan) -> Outcome {
    ours(plan, TokenBucket::new(quota(plan)).expect("a valid quota"))
}

fn atomic(plan: &Plan) -> Outcome {
    ours(plan, AtomicTokenBucket::new(quota(plan)).expect("a quota that fits a word"))
}

fn quota(plan: &Plan) -> Quota {
    Quota::per_second(plan.per_second.into()).burst(plan.burst.into())
}

fn ours<L: RateLimiter + 'static>(plan: &Plan, limiter: L) -> Outcome {
    let limiter = Arc::new(limiter);
    plan.run(move |_| {
        let limiter = Arc::clone(&limiter);
        async move {
            limiter.acquire(1).await.expect("an open limiter");
        }
    })
}

fn governor(plan: &Plan) -> Outcome {
    let non_zero = |n| NonZeroU32::new(n).expect("not zero");
    let quota =
        governor::Quota::per_second(non_zero(plan.per_second)).allow_burst(non_zero(plan.burst));
    let limiter =
        Arc::new(governor::RateLimiter::direct_with_clock(quota, governor::clock::MonotonicClock));
    plan.run(move |_| {
        let limiter = Arc::clone(&limiter);
        async move { limiter.until_ready().await }
    })
}

/// It refills by ticks. One of a millisecond, the timer's own, would take two, and halve the rate.
fn leaky_bucket(plan: &Plan) -> Outcome {
    let per_tick = (plan.per_second / 100) as usize;
    let limiter = leaky_bucket::RateLimiter::builder()
        .max(per_tick.max(plan.burst as usize))
        .initial(plan.burst as usize)
        .refill(per_tick)
        .interval(Duration::from_millis(10))
        .build();
    let limiter = Arc::new(limiter);
    plan.run(move |_| {
        let limiter = Arc::clone(&limiter);
        async move { limiter.acquire(1).await }
    })
}
