//! Whoever waits for an answer of the store.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use tokio::sync::oneshot;
use tokio::time::Instant;

use super::{Call, Failure, Inner, Queued, Reply};
use crate::shared::store::{Ask, StoreError};

/// The answer to one ask, when it comes.
pub(super) struct Waiting {
    answer: oneshot::Receiver<Reply>,
    /// The call that carries the ask, if it went out alone. Whoever waits drives it.
    call: Option<Call>,
}

impl Waiting {
    /// Sends an ask, or queues it behind the calls that are under way.
    pub(super) fn new(inner: &Arc<Inner>, ask: Ask) -> Self {
        let (sender, answer) = oneshot::channel();
        Self { answer, call: inner.join(Queued { ask, since: Instant::now() }, Some(sender)) }
    }
}

impl Future for Waiting {
    type Output = Reply;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Reply> {
        let ended = self.call.as_mut().map(|call| Pin::new(call).poll(context));
        if let Some(Poll::Ready(next)) = ended {
            self.call = None;
            if let Some(next) = next {
                next.go_on();
            }
        }
        let reply = ready!(Pin::new(&mut self.answer).poll(context));
        Poll::Ready(
            reply.unwrap_or_else(|_| Err(Failure::Store(StoreError::Lost("dropped".into())))),
        )
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        // What was sent is answered, and taken back if need be.
        if let Some(call) = self.call.take() {
            self.answer.close();
            call.go_on();
        }
    }
}
