//! One call to the store: a batch of asks that has gone out, and what becomes of its answers.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, Waker, ready};

use tokio::runtime::Handle;
use tokio::time::Instant;

use super::pending::Pending;
use super::stats::Called;
use super::{Departure, Failure, Server};
use crate::shared::store::{Answer, Answers, Ask, StoreError};

/// A call that is under way. As a future, it ends when its answers were told; see also
/// [`next`](Self::next). If it is dropped before, whoever waits for its answers is told that they
/// are lost.
pub(super) struct Call {
    server: Arc<Server>,
    number: u64,
    asks: Arc<Vec<Arc<Pending>>>,
    answers: Option<Answers>,
    called: Called,
    has_ended: bool,
}

impl Call {
    /// Sends the asks of a departure.
    pub(super) fn new(server: Arc<Server>, departure: Departure<Arc<Pending>>) -> Self {
        let Departure { call, asks, .. } = departure;
        let now = Instant::now();
        let sent: Vec<Ask> = asks.iter().map(|pending| pending.ask_at(now)).collect();
        let called = server.common.counters.called(sent.len());
        let answers = server.common.buckets().ask(sent);
        Self { server, number: call, asks, answers: Some(answers), called, has_ended: false }
    }

    /// As [`go_on`](Self::go_on), for a call that was driven by whoever has waited. If it takes too
    /// long from here on, the server is late, and nobody else.
    pub(super) fn go_on_in_a_task(self) {
        if Handle::try_current().is_ok() {
            self.server.batching.lock().has_task(self.number);
        }
        self.go_on();
    }

    /// Lets the call, and those that follow it, go on by themselves. Without a runtime, only a
    /// store that answers at once can answer.
    pub(super) fn go_on(self) {
        let mut next = Some(self);
        if let Ok(runtime) = Handle::try_current() {
            runtime.spawn(async move {
                while let Some(mut call) = next {
                    call.server.ensure_watched();
                    (&mut call).await;
                    // Those who were told go on now. What they ask next goes out in one call.
                    tokio::task::yield_now().await;
                    next = call.next();
                }
            });
            return;
        }
        let mut nobody = Context::from_waker(Waker::noop());
        while let Some(mut call) = next {
            let poll = AssertUnwindSafe(|| match pin!(&mut call).poll(&mut nobody) {
                Poll::Ready(()) => call.next(),
                Poll::Pending => None,
            });
            // What belongs to a runtime that has ended can panic.
            next = catch_unwind(poll).unwrap_or(None);
        }
    }

    /// Ends the call, of which the answers were told. Returns the call that goes out next.
    pub(super) fn next(mut self) -> Option<Self> {
        self.has_ended = true;
        let next = self.server.end(self.number);
        next.map(|departure| Self::new(Arc::clone(&self.server), departure))
    }

    /// Tells the answers to those who wait.
    fn tell(&self, results: Vec<Result<Answer, StoreError>>) {
        let of_the_store = |result: &Result<_, StoreError>| {
            result.as_ref().err().filter(|error| error.is_of_the_store()).cloned()
        };
        // A call that was given up is from before an outage, which can be over by now.
        let is_current = self.server.is_answered(self.number);
        let sign_of_outage = results.iter().find_map(of_the_store).filter(|_| is_current);
        for (pending, result) in self.asks.iter().zip(results) {
            // An answer that nobody receives gives back what was taken.
            if let Some(Ok(answer)) = pending.tell(result.map_err(Failure::Store)) {
                self.server.give_back(&pending.ask, &answer);
            }
        }
        if let Some(error) = sign_of_outage {
            self.server.begin_outage(&error);
        }
    }
}

impl Future for Call {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let Some(answers) = &mut self.answers else { return Poll::Ready(()) };
        let mut results = ready!(answers.as_mut().poll(context));
        self.answers = None;
        self.server.common.counters.answered(&self.called);
        if results.len() != self.asks.len() {
            let why = format!("{} answers to {} asks", results.len(), self.asks.len());
            results = vec![Err(StoreError::Unreadable(why)); self.asks.len()];
        }
        for (pending, result) in self.asks.iter().zip(&mut results) {
            let has_levels = |answer: &Answer| answer.has_a_level_for_each(&pending.ask);
            if result.as_ref().is_ok_and(|answer| !has_levels(answer)) {
                *result = Err(StoreError::Unreadable("levels are missing in an answer".into()));
            }
        }
        self.tell(results);
        Poll::Ready(())
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        if self.has_ended {
            return;
        }
        // Its runtime has ended, which says nothing about the store. Whoever queues behind the call
        // sends the ask again.
        let lost = StoreError::Lost("the call was dropped with its runtime".into());
        let mut next = self.server.end(self.number);
        if self.answers.take().is_some() {
            tell_all(&self.asks, || Failure::Store(lost.clone()));
        }
        while let Some(Departure { call, asks, .. }) = next {
            next = self.server.end(call);
            tell_all(&asks, || Failure::Unsent);
        }
    }
}

fn tell_all(asks: &[Arc<Pending>], why: impl Fn() -> Failure) {
    for pending in asks {
        // Whoever has gone away, or has an answer, needs none.
        let _ = pending.tell(Err(why()));
    }
}
