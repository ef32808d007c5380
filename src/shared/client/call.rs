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

/// A call that is under way. It ends when its answers are there, and then returns the call that
/// goes out next. If it is dropped before, whoever waits for its answers is told that they are
/// lost.
pub(super) struct Call {
    server: Arc<Server>,
    number: u64,
    asks: Arc<Vec<Arc<Pending>>>,
    answers: Option<Answers>,
    called: Called,
}

impl Call {
    /// Sends the asks of a departure.
    pub(super) fn new(server: Arc<Server>, departure: Departure<Arc<Pending>>) -> Self {
        let Departure { call, asks, .. } = departure;
        let now = Instant::now();
        let sent: Vec<Ask> = asks.iter().map(|pending| pending.ask_at(now)).collect();
        let called = server.common.counters.called(sent.len());
        let answers = server.common.buckets().ask(sent);
        Self { server, number: call, asks, answers: Some(answers), called }
    }

    /// Lets the call, and those that follow it, go on by themselves. Without a runtime, only a
    /// store that answers at once can answer.
    pub(super) fn go_on(self) {
        let mut next = Some(self);
        if let Ok(runtime) = Handle::try_current() {
            runtime.spawn(async move {
                while let Some(call) = next {
                    call.server.ensure_watched();
                    next = call.await;
                }
            });
            return;
        }
        let mut nobody = Context::from_waker(Waker::noop());
        while let Some(call) = next {
            let poll = AssertUnwindSafe(|| match pin!(call).poll(&mut nobody) {
                Poll::Ready(next) => next,
                Poll::Pending => None,
            });
            // What belongs to a runtime that has ended can panic.
            next = catch_unwind(poll).unwrap_or(None);
        }
    }

    /// Tells the answers to those who wait. Returns the asks that go out next, unless an answer is
    /// the sign of an outage.
    fn end(&mut self, results: Vec<Result<Answer, StoreError>>) -> Option<Departure<Arc<Pending>>> {
        let (was_under_way, next) = self.server.end(self.number);
        let of_the_store = |result: &Result<_, StoreError>| {
            result.as_ref().err().filter(|error| error.is_of_the_store()).cloned()
        };
        // A call that was given up is from before an outage, which can be over by now.
        let sign_of_outage = was_under_way.then(|| results.iter().find_map(of_the_store)).flatten();
        for (pending, result) in self.asks.iter().zip(results) {
            // An answer that nobody receives gives back what was taken.
            if let Some(Ok(answer)) = pending.tell(result.map_err(Failure::Store)) {
                self.server.give_back(&pending.ask, &answer);
            }
        }
        let Some(error) = sign_of_outage else { return next };
        // Whoever waits for the next call is told, so the call need not go out.
        self.server.begin_outage(&error);
        None
    }
}

impl Future for Call {
    type Output = Option<Call>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Call>> {
        let Some(answers) = &mut self.answers else { return Poll::Ready(None) };
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
        let next = self.end(results);
        Poll::Ready(next.map(|departure| Self::new(Arc::clone(&self.server), departure)))
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        if self.answers.take().is_none() {
            return;
        }
        // Its runtime has ended, which says nothing about the store. Whoever queues behind the call
        // sends the ask again.
        let lost = StoreError::Lost("the call was dropped with its runtime".into());
        let (_, mut next) = self.server.end(self.number);
        tell_all(&self.asks, || Failure::Store(lost.clone()));
        while let Some(Departure { call, asks, .. }) = next {
            next = self.server.end(call).1;
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
