//! Whoever waits for an answer of the store.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use tokio::time::Instant;

use super::pending::{Pending, Reply};
use super::{Call, Failure, Server};
use crate::shared::store::Ask;

/// The answer to one ask, when it comes.
pub(super) struct Waiting {
    server: Arc<Server>,
    pending: Arc<Pending>,
    /// The call that carries the ask, if it went out alone. Whoever waits drives it.
    call: Option<Call>,
}

impl Waiting {
    /// Sends an ask, which is so old, or queues it behind the calls that are under way.
    pub(super) fn new(server: &Arc<Server>, ask: Ask, since: Instant) -> Self {
        let pending = Arc::new(Pending::new(ask, since));
        let call = server.join(Arc::clone(&pending));
        Self { server: Arc::clone(server), pending, call }
    }
}

impl Future for Waiting {
    type Output = Reply;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Reply> {
        let this = &mut *self;
        let ended = this.call.as_mut().is_some_and(|call| {
            // Nobody need be woken by an answer that is received here.
            this.pending.forget_waker();
            Pin::new(call).poll(context).is_ready()
        });
        if let Some(next) = self.call.take_if(|_| ended).and_then(Call::next) {
            next.go_on();
        }
        match self.pending.poll(context) {
            // Without a runtime, nothing would ever wake whoever waits.
            Poll::Pending if !self.server.ensure_watched() => Poll::Ready(Err(Failure::Late)),
            reply => reply,
        }
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        if let Some(Ok(answer)) = self.pending.leave() {
            self.server.give_back(&self.pending.ask, &answer);
        }
        // What was sent is answered, and taken back if need be.
        if let Some(call) = self.call.take() {
            call.go_on_in_a_task();
        }
    }
}
