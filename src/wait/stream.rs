//! Streams and sinks at the pace of a limiter: one permit for each item, or as many as it costs.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures_core::Stream;
use futures_sink::Sink;
use pin_project_lite::pin_project;

use super::{Acquire, Timer};
use crate::{RateLimiter, WaitError};

/// Streams at the pace of a limiter.
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
    /// Yields this stream's items no faster than `limiter` permits.
    ///
    /// An item is taken from the stream first and handed on when its permit is there, so a stream
    /// that has nothing to say holds no permit. If the limiter is closed, the error is yielded and
    /// then the end; the item that waited is in
    /// [`into_inner`](RateLimitedStream::into_inner).
    ///
    /// It waits on tokio's timer: see [`rate_limited_on`](Self::rate_limited_on) for other runtimes.
    #[cfg(feature = "tokio")]
    fn rate_limited(self, limiter: &dyn RateLimiter) -> RateLimitedStream<'_, Self> {
        self.rate_limited_by(limiter, |_| 1)
    }

    /// As [`rate_limited`](Self::rate_limited), for items that cost `permits` each: bytes, rows, tokens.
    ///
    /// An item that costs more than the limiter's burst is not refused: it waits for its permits in parts of at most
    /// a burst, and is handed on when the last of them is there. If the stream is dropped while an item waits, the
    /// parts that were taken are lost. An item that costs nothing passes at once.
    ///
    /// ```
    /// use tollgate::{Quota, RateLimitStreamExt as _, TokenBucket};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), tollgate::QuotaError> {
    /// // 64 kB a second: the network's chunks are larger than the burst.
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

    /// The same on any runtime's timer: `permits` says what an item costs.
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

/// A part of an item's permits, and the wait for it.
type Part<'a> = (u64, Acquire<'a>);

/// What an item costs.
type Cost<'a, Item> = Box<dyn FnMut(&Item) -> u64 + Send + 'a>;

/// Sinks at the pace of a limiter.
///
/// ```
/// use tollgate::{Quota, RateLimiter, RateLimitSinkExt as _, TokenBucket};
/// # use std::{convert::Infallible, pin::Pin, task::{Context, Poll}};
/// # struct Collect(Vec<u8>);
/// # impl futures_sink::Sink<u8> for Collect {
/// #     type Error = Infallible;
/// #     fn poll_ready(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> { Poll::Ready(Ok(())) }
/// #     fn start_send(mut self: Pin<&mut Self>, item: u8) -> Result<(), Infallible> { self.0.push(item); Ok(()) }
/// #     fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> { Poll::Ready(Ok(())) }
/// #     fn poll_close(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> { Poll::Ready(Ok(())) }
/// # }
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use futures_sink::Sink as _;
///
/// let limiter = TokenBucket::new(Quota::per_hour(2))?;
/// let mut paced = Box::pin(Collect(Vec::new()).rate_limited(&limiter));
/// std::future::poll_fn(|cx| paced.as_mut().poll_ready(cx)).await?;
/// paced.as_mut().start_send(7)?;
/// assert_eq!(limiter.usage().remaining, 1);
/// # Ok(())
/// # }
/// ```
pub trait RateLimitSinkExt<Item>: Sink<Item> + Sized {
    /// Takes items no faster than `limiter` permits: the sink is ready when a permit is there too. It waits on
    /// tokio's timer.
    #[cfg(feature = "tokio")]
    fn rate_limited(self, limiter: &dyn RateLimiter) -> RateLimitedSink<'_, Self> {
        self.rate_limited_on(limiter, &crate::TokioTimer)
    }

    /// The same on any runtime's timer.
    fn rate_limited_on<'a>(
        self,
        limiter: &'a dyn RateLimiter,
        timer: &'a dyn Timer,
    ) -> RateLimitedSink<'a, Self>;
}

impl<Item, S: Sink<Item>> RateLimitSinkExt<Item> for S {
    fn rate_limited_on<'a>(
        self,
        limiter: &'a dyn RateLimiter,
        timer: &'a dyn Timer,
    ) -> RateLimitedSink<'a, Self> {
        RateLimitedSink { sink: self, limiter, timer, acquire: None, permitted: false }
    }
}

pin_project! {
    /// The stream made by [`rate_limited`](RateLimitStreamExt::rate_limited).
    ///
    /// # Cancel safety
    ///
    /// Dropped while it waits, it gives its place in the queue up.
    #[must_use = "streams do nothing unless polled"]
    pub struct RateLimitedStream<'a, S: Stream> {
        #[pin]
        stream: S,
        limiter: &'a dyn RateLimiter,
        timer: &'a dyn Timer,
        permits: Cost<'a, S::Item>,
        waiting: Option<S::Item>,
        // Permits that the waiting item still needs.
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
    /// The stream, and the item that was taken from it and waits for its permit.
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
        // One more for an error; the end may come early.
        (0, most.and_then(|most| most.checked_add(waiting + 1)))
    }
}

pin_project! {
    /// The sink made by [`rate_limited`](RateLimitSinkExt::rate_limited).
    ///
    /// # Cancel safety
    ///
    /// Dropped while it waits, it gives its place in the queue up. A permit that was had and not
    /// used is lost with it.
    #[must_use = "sinks do nothing unless polled"]
    pub struct RateLimitedSink<'a, S> {
        #[pin]
        sink: S,
        limiter: &'a dyn RateLimiter,
        timer: &'a dyn Timer,
        acquire: Option<Part<'a>>,
        permitted: bool,
    }
}

impl<S: fmt::Debug> fmt::Debug for RateLimitedSink<'_, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RateLimitedSink")
            .field("sink", &self.sink)
            .field("permitted", &self.permitted)
            .finish_non_exhaustive()
    }
}

impl<S> RateLimitedSink<'_, S> {
    /// The sink.
    pub fn into_inner(self) -> S {
        self.sink
    }
}

/// Why a rate-limited sink failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SinkError<E> {
    /// No permit will come.
    #[error(transparent)]
    Limiter(WaitError),
    /// The sink itself failed.
    #[error("the sink failed")]
    Sink(#[source] E),
}

impl<Item, S: Sink<Item>> Sink<Item> for RateLimitedSink<'_, S> {
    type Error = SinkError<S::Error>;

    fn poll_ready(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        let mut this = self.project();
        // The sink first: one that is not ready holds no permit.
        ready!(this.sink.as_mut().poll_ready(cx)).map_err(SinkError::Sink)?;
        if !*this.permitted {
            let one = &mut 1;
            ready!(poll_permits(this.acquire, (*this.limiter, *this.timer), one, cx))
                .map_err(SinkError::Limiter)?;
            *this.permitted = true;
        }
        Poll::Ready(Ok(()))
    }

    fn start_send(self: Pin<&mut Self>, item: Item) -> Result<(), Self::Error> {
        let this = self.project();
        *this.permitted = false;
        this.sink.start_send(item).map_err(SinkError::Sink)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.project().sink.poll_flush(cx).map_err(SinkError::Sink)
    }

    fn poll_close(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.project().sink.poll_close(cx).map_err(SinkError::Sink)
    }
}

/// Waits for the permits that are `owed`, at most a burst at a time, through a future that is kept between polls.
fn poll_permits<'a>(
    acquire: &mut Option<Part<'a>>,
    (limiter, timer): (&'a dyn RateLimiter, &'a dyn Timer),
    owed: &mut u64,
    cx: &mut Context<'_>,
) -> Poll<Result<(), WaitError>> {
    let mut most = u64::MAX;
    while *owed > 0 {
        let (part, future) = acquire.get_or_insert_with(|| {
            let burst = if *owed == 1 { 1 } else { limiter.usage().limit.min(most) };
            let part = (*owed).min(burst.max(1));
            (part, limiter.acquire_on(part, timer))
        });
        let (part, answer) = (*part, ready!(Pin::new(future).poll(cx)));
        *acquire = None;
        match answer {
            Ok(_) => *owed -= part,
            // A second limit has a smaller burst than the usage tells, or a permit costs more than one.
            Err(WaitError::ExceedsBurst { requested, burst, .. }) if part > 1 => {
                let share = u128::from(part) * u128::from(burst) / u128::from(requested.max(1));
                most = u64::try_from(share).unwrap_or(part).clamp(1, part - 1);
            }
            Err(error) => return Poll::Ready(Err(error)),
        }
    }
    Poll::Ready(Ok(()))
}
