//! A streamed response whose permit is ended when the stream ends or fails.

use std::pin::Pin;
use std::task::{Context, Poll};

use futures_core::Stream;
use pin_project_lite::pin_project;

use super::{EndPermit, Reply, Tokens};

/// What a chunk of a streamed response says of the request.
///
/// An `Option<Tokens>` says as much as `Nothing` or `Usage`. So what reads the chunks can return
/// that, if a stream can't fail in a way that matters.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub enum ChunkReport {
    /// Nothing.
    #[default]
    Nothing,
    /// The usage of the whole response so far.
    Usage(Tokens),
    /// The request has failed, although its status was a success: the chunk is an error event, or
    /// the connection was lost. The reply says [what that means](super::Meaning). A [`Reply`] turns
    /// into this with `into()`.
    Failed(Box<Reply>),
}

impl From<Option<Tokens>> for ChunkReport {
    fn from(usage: Option<Tokens>) -> Self {
        usage.map_or(Self::Nothing, Self::Usage)
    }
}

impl From<Tokens> for ChunkReport {
    fn from(usage: Tokens) -> Self {
        Self::Usage(usage)
    }
}

impl From<Reply> for ChunkReport {
    fn from(failure: Reply) -> Self {
        Self::Failed(Box::new(failure))
    }
}

pin_project! {
    /// A stream of chunks that ends its permit when it ends, fails or is dropped.
    ///
    /// * It is settled with the last usage that a chunk reported.
    /// * If no chunk reported any, [`on_drop`](super::LimiterBuilder::on_drop) decides what counts
    ///   as used. A stream that was read to its end was a success.
    /// * If a chunk says that the request [failed](ChunkReport::Failed), the permit is
    ///   [ended](super::Permit::end) at once with that reply: an overloaded server, an exceeded limit
    ///   or a refused key within a stream counts as what it is. The last usage counts, unless the
    ///   reply has one of its own. Later chunks change nothing.
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
    ///
    /// A stream that can fail:
    ///
    /// ```
    /// use std::time::Duration;
    /// use futures_lite::{StreamExt, future, stream};
    /// use tollgate::ManualClock;
    /// use tollgate::llm::{ChunkReport, Limiter, MeteredStream, Reply, Tokens};
    ///
    /// enum Event {
    ///     Text(u64),
    ///     RateLimited { retry_after: Duration },
    /// }
    ///
    /// let model = Limiter::builder().clock(ManualClock::new()).build()?;
    /// let permit = model.try_acquire(100)?;
    /// let wait = Duration::from_secs(20);
    /// let events = stream::iter([
    ///     Ok(Event::Text(10)),
    ///     Ok(Event::RateLimited { retry_after: wait }),
    ///     Err("the connection was lost"),
    /// ]);
    /// let events = MeteredStream::new(events, permit, |event| match event {
    ///     Ok(Event::Text(so_far)) => ChunkReport::Usage(Tokens::new(50, *so_far)),
    ///     Ok(Event::RateLimited { retry_after }) => Reply::new(429).limited_for(*retry_after).into(),
    ///     Err(_) => Reply::new(502).into(),
    /// });
    /// future::block_on(events.for_each(|_| ()));
    /// assert_eq!(model.usage().paused_for, Some(wait));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[derive(Debug)]
    #[must_use = "streams do nothing unless polled"]
    pub struct MeteredStream<S, P, F>
    where
        P: EndPermit,
    {
        #[pin]
        chunks: S,
        open: OpenPermit<P>,
        read: F,
    }
}

/// A permit that is settled with the last reported usage, at the latest when this is dropped.
#[derive(Debug)]
struct OpenPermit<P: EndPermit> {
    permit: Option<P>,
    spent: Option<Tokens>,
}

impl<P: EndPermit> OpenPermit<P> {
    /// Notes what a chunk says.
    fn note(&mut self, report: ChunkReport) {
        match report {
            ChunkReport::Nothing => {}
            ChunkReport::Usage(spent) => self.spent = Some(spent),
            ChunkReport::Failed(reply) => self.end(*reply),
        }
    }

    /// Ends the request with its outcome.
    fn end(&mut self, reply: Reply) {
        let Some(permit) = self.permit.take() else { return };
        let spent = reply.tokens().or(self.spent);
        permit.end(&match spent {
            Some(spent) => reply.spent(spent),
            None => reply,
        });
    }
}

impl<P: EndPermit> Drop for OpenPermit<P> {
    fn drop(&mut self) {
        // Without a usage, the dropped permit decides what counts.
        if self.spent.is_some() {
            self.end(Reply::new(200));
        }
    }
}

impl<S, P, F, R> MeteredStream<S, P, F>
where
    S: Stream,
    P: EndPermit,
    F: FnMut(&S::Item) -> R,
    R: Into<ChunkReport>,
{
    /// Wraps a stream of `chunks` under `permit`. `read` returns what a chunk says: the usage of the
    /// whole response so far, or that the request has failed.
    pub fn new(chunks: S, permit: P, read: F) -> Self {
        Self { chunks, open: OpenPermit { permit: Some(permit), spent: None }, read }
    }
}

impl<S, P, F, R> Stream for MeteredStream<S, P, F>
where
    S: Stream,
    P: EndPermit,
    F: FnMut(&S::Item) -> R,
    R: Into<ChunkReport>,
{
    type Item = S::Item;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<S::Item>> {
        let this = self.project();
        let chunk = std::task::ready!(this.chunks.poll_next(cx));
        match &chunk {
            Some(chunk) => this.open.note((this.read)(chunk).into()),
            // The request has ended, even if the stream is kept.
            None => this.open.end(Reply::new(200)),
        }
        Poll::Ready(chunk)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.chunks.size_hint()
    }
}
