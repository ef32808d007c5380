//! An answer that is an error: its body is read before anything else happens.

use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::StatusCode;
use http_body::{Body, Frame};
use tollgate::{Sleep, Timer, TokioTimer};

use crate::llm::{ErrorBody, MOST_OF_AN_ERROR};

/// The beginning of a body, and the rest.
pub(super) struct Beginning<B: Body> {
    pub(super) frames: VecDeque<Result<Frame<B::Data>, B::Error>>,
    /// Whether the frames are the whole body.
    pub(super) is_whole: bool,
    pub(super) rest: Pin<Box<B>>,
}

impl<B: Body<Data = Bytes>> Beginning<B> {
    /// Reads a body until it ends or fails, until enough of it is there, or for at most `patience`.
    pub(super) async fn read(body: B, patience: Duration) -> Self {
        let mut beginning = Self { frames: VecDeque::new(), is_whole: false, rest: Box::pin(body) };
        let mut length = 0;
        let mut timer = None;
        while !beginning.is_whole && length < MOST_OF_AN_ERROR {
            let body = beginning.rest.as_mut();
            match (NextFrame { body, patience, timer: &mut timer }).await {
                None => break,
                Some(None) => beginning.is_whole = true,
                Some(Some(frame)) => {
                    let data = frame.as_ref().ok().and_then(Frame::data_ref);
                    length += data.map_or(0, Bytes::len);
                    // After an error there is nothing more.
                    beginning.is_whole = frame.is_err();
                    beginning.frames.push_back(frame);
                }
            }
        }
        beginning
    }

    /// What error it is.
    pub(super) fn error(&self, status: StatusCode) -> ErrorBody {
        let data = || self.frames.iter().filter_map(|frame| frame.as_ref().ok()?.data_ref());
        match (data().next(), data().nth(1)) {
            (Some(only), None) => ErrorBody::read(status, only),
            _ => ErrorBody::read(status, &data().flatten().copied().collect::<Vec<u8>>()),
        }
    }
}

/// The next frame of a body; `None` if it does not come in time.
struct NextFrame<'a, B> {
    body: Pin<&'a mut B>,
    patience: Duration,
    /// Runs from the first time that there is something to wait for.
    timer: &'a mut Option<Sleep>,
}

impl<B: Body> Future for NextFrame<'_, B> {
    type Output = Option<Option<Result<Frame<B::Data>, B::Error>>>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        if let Poll::Ready(frame) = this.body.as_mut().poll_frame(context) {
            return Poll::Ready(Some(frame));
        }
        if this.timer.is_none() {
            *this.timer = TokioTimer.sleep(this.patience);
        }
        match this.timer {
            Some(timer) => timer.as_mut().poll(context).map(|()| None),
            // Outside of a tokio runtime, nothing tells the time.
            None => Poll::Ready(None),
        }
    }
}
