//! The first of two futures, and a future with a deadline.

use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

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
