//! The first of two futures.

use std::pin::pin;
use std::task::Poll;

/// Awaits both futures until one ends: `Ok` with what `first` returns, or `Err` with what `second`
/// returns. If both are ready, it is `Ok`.
pub(super) async fn race<A: Future, B: Future>(
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
