//! Sinks at the pace of a limiter.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures_sink::Sink;
use pin_project_lite::pin_project;

#[cfg(not(feature = "tokio"))]
use super::feature_hint::NeedsFeatureTokio;
use super::permits::{Part, poll_permits};
use crate::wait::Timer;
use crate::{RateLimiter, WaitError};

/// Limits the rate of a sink.
///
/// ```
/// use tollgate::{Quota, RateLimiter, RateLimitSinkExt as _, TokenBucket};
/// # use std::{convert::Infallible, pin::Pin, task::{Context, Poll}};
/// # type Done = Poll<Result<(), Infallible>>;
/// # struct Collect(Vec<u8>);
/// # impl futures_sink::Sink<u8> for Collect {
/// #     type Error = Infallible;
/// #     fn poll_ready(self: Pin<&mut Self>, _: &mut Context<'_>) -> Done { Poll::Ready(Ok(())) }
/// #     fn start_send(mut self: Pin<&mut Self>, item: u8) -> Result<(), Infallible> {
/// #         self.0.push(item);
/// #         Ok(())
/// #     }
/// #     fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Done { Poll::Ready(Ok(())) }
/// #     fn poll_close(self: Pin<&mut Self>, _: &mut Context<'_>) -> Done { Poll::Ready(Ok(())) }
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
    /// Accepts items no faster than `limiter` permits: the sink is ready once a permit is granted
    /// and the inner sink is ready. The wait uses tokio's timer.
    #[cfg(feature = "tokio")]
    fn rate_limited(self, limiter: &dyn RateLimiter) -> RateLimitedSink<'_, Self> {
        self.rate_limited_on(limiter, &crate::TokioTimer)
    }

    /// Accepts items no faster than `limiter` permits, waiting on the `timer` of any runtime.
    fn rate_limited_on<'a>(
        self,
        limiter: &'a dyn RateLimiter,
        timer: &'a dyn Timer,
    ) -> RateLimitedSink<'a, Self>;

    // Without the feature, rustc would suggest `rate_limited_on`.
    #[cfg(not(feature = "tokio"))]
    #[doc(hidden)]
    fn rate_limited(self, _limiter: &dyn RateLimiter) -> RateLimitedSink<'_, Self>
    where
        Self: NeedsFeatureTokio,
    {
        self.adapter()
    }
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
    /// A sink with a limited rate, made by [`RateLimitSinkExt`].
    ///
    /// # Cancel safety
    ///
    /// A sink that is dropped while it waits gives up its place in the queue. A permit that was
    /// granted and not used is lost.
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
    /// The inner sink.
    pub fn into_inner(self) -> S {
        self.sink
    }
}

/// Why a rate-limited sink failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SinkError<E> {
    /// The limiter grants no permit.
    #[error(transparent)]
    Limiter(WaitError),
    /// The inner sink failed.
    #[error("the sink failed")]
    Sink(#[source] E),
}

impl<Item, S: Sink<Item>> Sink<Item> for RateLimitedSink<'_, S> {
    type Error = SinkError<S::Error>;

    fn poll_ready(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        let mut this = self.project();
        // The inner sink is asked first, so that a sink that is not ready holds no permit.
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
