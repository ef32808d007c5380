//! A streamed response whose permit is settled when the stream ends.

use std::pin::Pin;
use std::task::{Context, Poll};

use futures_core::Stream;
use pin_project_lite::pin_project;

use super::{Permit, PoolPermit, Tokens};
use crate::Clock;

/// A permit that can be settled: a limiter's [`Permit`] or a pool's [`PoolPermit`].
pub trait Settle {
    /// See [`Permit::settle`].
    fn settle(self, actual: Tokens);
}

impl<C: Clock> Settle for Permit<'_, C> {
    fn settle(self, actual: Tokens) {
        Permit::settle(self, actual);
    }
}

impl<T, C: Clock> Settle for PoolPermit<'_, T, C> {
    fn settle(self, actual: Tokens) {
        PoolPermit::settle(self, actual);
    }
}

pin_project! {
    /// A stream of chunks that settles its permit when it ends or is dropped.
    ///
    /// It settles with the last usage that a chunk reported. If no chunk reported any, the permit
    /// is dropped, and [`on_drop`](super::LimiterBuilder::on_drop) decides what counts as used.
    ///
    /// ```
    /// use futures_lite::{StreamExt, future, stream};
    /// use tollgate::llm::{LimitKind, Period, Limiter, MeteredStream, Tokens};
    ///
    /// let builder = Limiter::builder().tokens_per_minute(10_000);
    /// let model = builder.clock(tollgate::ManualClock::new()).build()?;
    /// let permit = model.try_acquire(Tokens::new(1_000, 4_000))?;
    /// // Each chunk says how many tokens were generated so far.
    /// let chunks = stream::iter([10, 20, 30]);
    /// let chunks = MeteredStream::new(chunks, permit, |so_far| Some(Tokens::new(1_000, *so_far)));
    /// future::block_on(chunks.for_each(|_| ()));
    /// let tokens = model.usage().of(LimitKind::Tokens(Period::MINUTE));
    /// assert_eq!(tokens.map(|it| it.used), Some(1_030));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[derive(Debug)]
    #[must_use = "streams do nothing unless polled"]
    pub struct MeteredStream<S, P, F>
    where
        P: Settle,
    {
        #[pin]
        chunks: S,
        open: OpenPermit<P>,
        read: F,
    }
}

/// A permit that is settled with the last reported usage, at the latest when this is dropped.
#[derive(Debug)]
struct OpenPermit<P: Settle> {
    permit: Option<P>,
    spent: Option<Tokens>,
}

impl<P: Settle> OpenPermit<P> {
    fn settle(&mut self) {
        if let (Some(spent), Some(permit)) = (self.spent, self.permit.take()) {
            permit.settle(spent);
        }
    }
}

impl<P: Settle> Drop for OpenPermit<P> {
    fn drop(&mut self) {
        self.settle();
    }
}

impl<S, P, F> MeteredStream<S, P, F>
where
    S: Stream,
    P: Settle,
    F: FnMut(&S::Item) -> Option<Tokens>,
{
    /// Wraps a stream of `chunks` under `permit`. `read` returns the usage of the whole response so
    /// far, if the chunk reports it.
    pub fn new(chunks: S, permit: P, read: F) -> Self {
        Self { chunks, open: OpenPermit { permit: Some(permit), spent: None }, read }
    }
}

impl<S, P, F> Stream for MeteredStream<S, P, F>
where
    S: Stream,
    P: Settle,
    F: FnMut(&S::Item) -> Option<Tokens>,
{
    type Item = S::Item;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<S::Item>> {
        let this = self.project();
        let chunk = std::task::ready!(this.chunks.poll_next(cx));
        if let Some(chunk) = &chunk {
            this.open.spent = (this.read)(chunk).or(this.open.spent);
        } else {
            // The request has ended, even if the stream is kept.
            this.open.settle();
            this.open.permit = None;
        }
        Poll::Ready(chunk)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.chunks.size_hint()
    }
}
