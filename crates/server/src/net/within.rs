//! A bound on the time of what is usually done at once.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use tokio::time::error::Elapsed;

/// Awaits `future` for `longest` at most. A future that is ready at once costs no timer: most
/// requests have come with their heads, and memory decides about them without waiting.
pub(crate) async fn within<F: Future>(longest: Duration, future: F) -> Result<F::Output, Elapsed> {
    let mut future = pin!(future);
    match poll_fn(|context| Poll::Ready(future.as_mut().poll(context))).await {
        Poll::Ready(output) => Ok(output),
        Poll::Pending => tokio::time::timeout(longest, future).await,
    }
}

#[cfg(test)]
mod tests {
    use std::future::{pending, ready};

    use tokio::time::{Instant, sleep};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn what_comes_in_time_is_returned() {
        let (begin, second) = (Instant::now(), Duration::from_secs(1));
        assert_eq!(within(second, ready(7)).await.ok(), Some(7));
        assert_eq!(begin.elapsed(), Duration::ZERO);
        assert!(within(second * 2, sleep(second)).await.is_ok());
        assert_eq!(begin.elapsed(), second);
        assert!(within(second, pending::<()>()).await.is_err());
        assert_eq!(begin.elapsed(), second * 2);
    }
}
