//! A streamed answer whose permit is settled at its end.

use std::pin::Pin;
use std::task::{Context, Poll};

use futures_core::Stream;
use pin_project_lite::pin_project;

use super::{Permit, PoolPermit, Tokens};
use crate::Clock;

/// A permit that can be settled: one key's, or a pool's.
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
    /// A stream of chunks that settles its permit when it ends, or is dropped.
    ///
    /// It settles with the last usage that a chunk told; if none did, the permit is dropped, and
    /// counts as [`on_drop`](super::LimiterBuilder::on_drop) says.
    ///
    /// ```
    /// use futures_lite::{StreamExt, future, stream};
    /// use tollgate::llm::{LimitKind, Limiter, MeteredStream, Tokens};
    ///
    /// let model = Limiter::builder().tokens_per_minute(10_000).build()?;
    /// let permit = model.try_acquire(Tokens::new(1_000, 4_000))?;
    /// // Each chunk says how many tokens were generated so far.
    /// let chunks = stream::iter([10, 20, 30]);
    /// let chunks = MeteredStream::new(chunks, permit, |so_far| Some(Tokens::new(1_000, *so_far)));
    /// future::block_on(chunks.for_each(|_| ()));
    /// assert_eq!(model.usage().of(LimitKind::Tokens).map(|tokens| tokens.used), Some(1_030));
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
        account: Account<P>,
        read: F,
    }
}

/// Settles when dropped.
#[derive(Debug)]
struct Account<P: Settle> {
    permit: Option<P>,
    spent: Option<Tokens>,
}

impl<P: Settle> Account<P> {
    fn close(&mut self) {
        if let (Some(spent), Some(permit)) = (self.spent, self.permit.take()) {
            permit.settle(spent);
        }
    }
}

impl<P: Settle> Drop for Account<P> {
    fn drop(&mut self) {
        self.close();
    }
}

impl<S, P, F> MeteredStream<S, P, F>
where
    S: Stream,
    P: Settle,
    F: FnMut(&S::Item) -> Option<Tokens>,
{
    /// The stream of `chunks` under `permit`. `read` says what a chunk tells of the usage of the whole
    /// answer so far, if it does.
    pub fn new(chunks: S, permit: P, read: F) -> Self {
        Self { chunks, account: Account { permit: Some(permit), spent: None }, read }
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
            this.account.spent = (this.read)(chunk).or(this.account.spent);
        } else {
            // The request is over, whoever holds the stream.
            this.account.close();
            this.account.permit = None;
        }
        Poll::Ready(chunk)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.chunks.size_hint()
    }
}
