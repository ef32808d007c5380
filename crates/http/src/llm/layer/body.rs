//! The body of an answer: passed on as it comes, and read on the way.

use std::collections::VecDeque;
use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;

use super::meter::{Ended, Meter};
use super::refusal::Beginning;

pin_project! {
    /// The body of an answer of a model API, which passes unchanged.
    ///
    /// Of a success, the usage is read while the body passes, without keeping it, and the permit of
    /// the request is settled when the body ends, fails or is dropped. If it is dropped before its
    /// end and before the mark of a stream's end (`data: [DONE]`), the usage that was reported until
    /// then counts, with the estimated output if that is more; without a report,
    /// [`on_drop`](tollgate::llm::LimiterBuilder::on_drop) decides.
    ///
    /// Of an error, the beginning was read before the answer was given to the caller, and is
    /// repeated here.
    pub struct LlmBody<B: Body> {
        // What was read before, in order.
        first: VecDeque<Result<Frame<B::Data>, B::Error>>,
        // The inner body has ended.
        is_done: bool,
        #[pin]
        inner: Inner<B>,
        // Apart, so that answers are moved quickly.
        meter: Option<Box<Meter>>,
    }
}

pin_project! {
    #[project = InnerProjection]
    enum Inner<B> {
        Plain { #[pin] body: B },
        // It was pinned to read its beginning.
        Begun { body: Pin<Box<B>> },
    }
}

impl<B> Inner<B> {
    fn get(&self) -> &B {
        match self {
            Self::Plain { body } => body,
            Self::Begun { body } => body,
        }
    }
}

impl<B: Body> LlmBody<B> {
    /// A body whose answer is a success.
    pub(super) fn metered(body: B, meter: Meter) -> Self {
        let (first, inner) = (VecDeque::new(), Inner::Plain { body });
        Self { first, is_done: false, inner, meter: Some(Box::new(meter)) }
    }

    /// A body whose beginning was read already.
    pub(super) fn repeated(beginning: Beginning<B>) -> Self {
        let Beginning { frames, is_whole, rest } = beginning;
        Self { first: frames, is_done: is_whole, inner: Inner::Begun { body: rest }, meter: None }
    }
}

impl<B: Body<Data = Bytes>> Body for LlmBody<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        let mut this = self.project();
        if let Some(frame) = this.first.pop_front() {
            return Poll::Ready(Some(frame));
        }
        if *this.is_done {
            return Poll::Ready(None);
        }
        let frame = ready!(match this.inner.as_mut().project() {
            InnerProjection::Plain { body } => body.poll_frame(context),
            InnerProjection::Begun { body } => body.as_mut().poll_frame(context),
        });
        if let Some(meter) = this.meter {
            match &frame {
                Some(Ok(frame)) => {
                    if let Some(data) = frame.data_ref() {
                        meter.read(data);
                    }
                    // Who reads the body need not ask once more.
                    if this.inner.get().is_end_stream() {
                        meter.end(Ended::Whole);
                    }
                }
                Some(Err(_)) => meter.end(Ended::Broken),
                None => meter.end(Ended::Whole),
            }
        }
        *this.is_done = frame.is_none();
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.first.is_empty() && (self.is_done || self.inner.get().is_end_stream())
    }

    fn size_hint(&self) -> SizeHint {
        let data = self.first.iter().filter_map(|frame| frame.as_ref().ok()?.data_ref());
        let first = data.fold(0, |sum: u64, data| sum.saturating_add(data.len() as u64));
        let rest =
            if self.is_done { SizeHint::with_exact(0) } else { self.inner.get().size_hint() };
        let mut hint = SizeHint::new();
        hint.set_lower(rest.lower().saturating_add(first));
        if let Some(upper) = rest.upper().and_then(|upper| upper.checked_add(first)) {
            hint.set_upper(upper);
        }
        hint
    }
}

impl<B: Body> fmt::Debug for LlmBody<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LlmBody").finish_non_exhaustive()
    }
}
