//! The first of two futures, all of several, a future with a deadline, and a sleep.

use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use tokio::time::Instant;

use crate::{Timer, TokioTimer};

/// Awaits both futures until one ends: `Ok` with what `first` returns, or `Err` with what `second`
/// returns. If both are ready, it is `Ok`.
pub(crate) async fn race<A: Future, B: Future>(
    first: A,
    second: B,
) -> Result<A::Output, B::Output> {
    let (mut first, mut second) = (pin!(first), pin!(second));
    std::future::poll_fn(|context| match first.as_mut().poll(context) {
        Poll::Ready(output) => Poll::Ready(Ok(output)),
        Poll::Pending => second.as_mut().poll(context).map(Err),
    })
    .await
}

/// Awaits all futures at the same time. Returns their outputs in the order of the futures.
pub(super) async fn all<F: Future>(futures: impl IntoIterator<Item = F>) -> Vec<F::Output> {
    let mut each: Vec<_> = futures.into_iter().map(|future| (Box::pin(future), None)).collect();
    std::future::poll_fn(|context| {
        for (future, output) in each.iter_mut().filter(|(_, output)| output.is_none()) {
            if let Poll::Ready(ready) = future.as_mut().poll(context) {
                *output = Some(ready);
            }
        }
        let is_done = each.iter().all(|(_, output)| output.is_some());
        if is_done { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
    each.into_iter().filter_map(|(_, output)| output).collect()
}

/// Sleeps.
///
/// # Errors
///
/// The time that is left, without a timer, or if the runtime of the timer is shut down.
pub(crate) async fn sleep(time: Duration) -> Result<(), Duration> {
    let started = Instant::now();
    TokioTimer.sleep(time).ok_or(time)?.await;
    // A sleep ends early if its runtime is shut down.
    match time.saturating_sub(started.elapsed()) {
        Duration::ZERO => Ok(()),
        left => Err(left),
    }
}

/// The output of a future, if it comes in this time.
pub(crate) async fn within<F: Future>(time: Duration, future: F) -> Option<F::Output> {
    let mut future = pin!(future);
    let mut timer = None;
    std::future::poll_fn(|context| {
        if let Poll::Ready(output) = future.as_mut().poll(context) {
            return Poll::Ready(Some(output));
        }
        // Most answers of a store in memory are there at once, and need no timer. Without a runtime
        // there is no timer, and no time to wait.
        let sleep = timer.get_or_insert_with(|| TokioTimer.sleep(time));
        match sleep {
            Some(sleep) => sleep.as_mut().poll(context).map(|()| None),
            None => Poll::Ready(None),
        }
    })
    .await
}
