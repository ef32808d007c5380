//! Streams at the pace of a limiter.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures_core::Stream;
use pin_project_lite::pin_project;

#[cfg(not(feature = "tokio"))]
use super::feature_hint::NeedsFeatureTokio;
use super::permits::{Part, poll_permits};
use crate::wait::Timer;
use crate::{RateLimiter, WaitError};

/// Limits the rate of a stream.
///
/// ```
/// use tollgate::{Quota, RateLimitStreamExt as _, TokenBucket};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), tollgate::QuotaError> {
/// let limiter = TokenBucket::new(Quota::per_second(1000).burst(1))?;
/// let mut paced = futures_lite::stream::iter(["a", "b"]).rate_limited(&limiter);
/// let mut seen = Vec::new();
/// while let Some(item) = futures_lite::StreamExt::next(&mut paced).await {
///     seen.push(item);
/// }
/// assert_eq!(seen, [Ok("a"), Ok("b")]);
/// # Ok(())
/// # }
/// ```
pub trait RateLimitStreamExt: Stream + Sized {
    /// Yields the items of this stream no faster than `limiter` permits.
    ///
    /// An item is first taken from the stream, and is yielded once its permit is granted. So a
    /// stream without items holds no permit. If the limiter is closed, the stream yields the error
    /// and then ends; [`into_inner`](RateLimitedStream::into_inner) returns the item that waited.
    ///
    /// The wait uses tokio's timer. For other runtimes see
    /// [`rate_limited_on`](Self::rate_limited_on).
    #[cfg(feature = "tokio")]
    fn rate_limited(self, limiter: &dyn RateLimiter) -> RateLimitedStream<'_, Self> {
        self.rate_limited_by(limiter, |_| 1)
    }

    /// As [`rate_limited`](Self::rate_limited), but `permits` returns what an item costs, such as
    /// its bytes, rows or tokens.
    ///
    /// An item that costs more than the limiter's burst is not refused. It waits for its permits in
    /// parts of at most a burst, and is yielded once the last part is granted. If the stream is
    /// dropped while an item waits, the parts that were granted are lost. An item that costs 0
    /// permits does not wait.
    ///
    /// ```
    /// use tollgate::{Quota, RateLimitStreamExt as _, TokenBucket};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), tollgate::QuotaError> {
    /// // 64 kB per second. The first chunk is larger than the burst.
    /// let bandwidth = TokenBucket::new(Quota::per_second(64_000).burst(1_000))?;
    /// let chunks = futures_lite::stream::iter([vec![0_u8; 1_500], vec![0; 900]]);
    /// let mut paced = chunks.rate_limited_by(&bandwidth, |chunk| chunk.len() as u64);
    /// let mut bytes = 0;
    /// while let Some(Ok(chunk)) = futures_lite::StreamExt::next(&mut paced).await {
    ///     bytes += chunk.len();
    /// }
    /// assert_eq!(bytes, 2_400);
    /// # Ok(())
    /// # }
    /// ```
    #[cfg(feature = "tokio")]
    fn rate_limited_by<'a>(
        self,
        limiter: &'a dyn RateLimiter,
        permits: impl FnMut(&Self::Item) -> u64 + Send + 'a,
    ) -> RateLimitedStream<'a, Self> {
        self.rate_limited_on(limiter, &crate::TokioTimer, permits)
    }

    /// Yields the items of this stream no faster than `limiter` permits, waiting on the `timer` of
    /// any runtime. `permits` returns what an item costs; see `rate_limited_by` (feature `tokio`).
    ///
    /// ```
    /// use std::time::Duration;
    /// use futures_lite::{StreamExt as _, future, stream};
    /// use tollgate::{Quota, RateLimitStreamExt as _, Sleep, Timer, TokenBucket};
    ///
    /// struct AsyncIo;
    ///
    /// impl Timer for AsyncIo {
    ///     fn sleep(&self, duration: Duration) -> Option<Sleep> {
    ///         Some(Box::pin(async move {
    ///             async_io::Timer::after(duration).await;
    ///         }))
    ///     }
    /// }
    ///
    /// let limiter = TokenBucket::new(Quota::per_second(1_000).burst(1))?;
    /// let paced = stream::iter(["a", "b"]).rate_limited_on(&limiter, &AsyncIo, |_| 1);
    /// assert_eq!(future::block_on(paced.count()), 2);
    /// # Ok::<(), tollgate::QuotaError>(())
    /// ```
    fn rate_limited_on<'a>(
        self,
        limiter: &'a dyn RateLimiter,
        timer: &'a dyn Timer,
        permits: impl FnMut(&Self::Item) -> u64 + Send + 'a,
    ) -> RateLimitedStream<'a, Self>;

    // Without the feature, rustc would suggest `rate_limited_on`.
    #[cfg(not(feature = "tokio"))]
    #[doc(hidden)]
    fn rate_limited(self, _limiter: &dyn RateLimiter) -> RateLimitedStream<'_, Self>
    where
        Self: NeedsFeatureTokio,
    {
        self.adapter()
    }

    // Without the feature, rustc would suggest `rate_limited_on`.
    #[cfg(not(feature = "tokio"))]
    #[doc(hidden)]
    fn rate_limited_by<'a>(
        self,
        _limiter: &'a dyn RateLimiter,
        _permits: impl FnMut(&Self::Item) -> u64 + Send + 'a,
    ) -> RateLimitedStream<'a, Self>
    where
        Self: NeedsFeatureTokio,
    {
        self.adapter()
    }
}

impl<S: Stream> RateLimitStreamExt for S {
    fn rate_limited_on<'a>(
        self,
        limiter: &'a dyn RateLimiter,
        timer: &'a dyn Timer,
        permits: impl FnMut(&S::Item) -> u64 + Send + 'a,
    ) -> RateLimitedStream<'a, Self> {
        let (waiting, acquire) = (None, None);
        let permits = Box::new(permits);
        RateLimitedStream {
            stream: self,
            limiter,
            timer,
            permits,
            waiting,
            owed: 0,
            acquire,
            ended: false,
        }
    }
}

/// Returns what an item costs.
type Cost<'a, Item> = Box<dyn FnMut(&Item) -> u64 + Send + 'a>;

pin_project! {
    /// A stream with a limited rate, made by [`RateLimitStreamExt`].
    ///
    /// # Cancel safety
    ///
    /// A stream that is dropped while it waits gives up its place in the queue.
    #[must_use = "streams do nothing unless polled"]
    pub struct RateLimitedStream<'a, S: Stream> {
        #[pin]
        stream: S,
        limiter: &'a dyn RateLimiter,
        timer: &'a dyn Timer,
        permits: Cost<'a, S::Item>,
        waiting: Option<S::Item>,
        // The permits that the waiting item still needs.
        owed: u64,
        acquire: Option<Part<'a>>,
        ended: bool,
    }
}

impl<S: Stream + fmt::Debug> fmt::Debug for RateLimitedStream<'_, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RateLimitedStream")
            .field("stream", &self.stream)
            .field("holds_item", &self.waiting.is_some())
            .field("ended", &self.ended)
            .finish_non_exhaustive()
    }
}

impl<S: Stream> RateLimitedStream<'_, S> {
    /// The inner stream, and the item that was taken from it and waits for its permits.
    pub fn into_inner(self) -> (S, Option<S::Item>) {
        (self.stream, self.waiting)
    }
}

impl<S: Stream> Stream for RateLimitedStream<'_, S> {
    type Item = Result<S::Item, WaitError>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let mut this = self.project();
        if *this.ended {
            return Poll::Ready(None);
        }
        if this.waiting.is_none() {
            let item = ready!(this.stream.as_mut().poll_next(cx));
            let Some(item) = item else {
                *this.ended = true;
                return Poll::Ready(None);
            };
            *this.owed = (this.permits)(&item);
            *this.waiting = Some(item);
        }
        let answer =
            ready!(poll_permits(this.acquire, (*this.limiter, *this.timer), this.owed, cx));
        *this.ended = answer.is_err();
        Poll::Ready(match answer {
            Ok(()) => this.waiting.take().map(Ok),
            Err(error) => Some(Err(error)),
        })
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let (_, most) = self.stream.size_hint();
        let waiting = usize::from(self.waiting.is_some());
        // There may be one more item, an error. The end may come at any time.
        (0, most.and_then(|most| most.checked_add(waiting + 1)))
    }
}
