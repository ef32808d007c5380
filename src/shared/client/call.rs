//! One call to the store: a batch of asks that has gone out, and what becomes of its answers.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, Waker, ready};

use tokio::runtime::Handle;
use tokio::time::Instant;

use super::give_back::Delivery;
use super::stats::Called;
use super::{Departure, Failure, Inner, Queued, Waiter};
use crate::shared::race::within;
use crate::shared::store::{Answer, Answers, Ask, StoreError};

/// A call that is under way. It ends when its answers are there, and then returns the call that
/// goes out next. If it is dropped before, whoever waits for its answers is told that they are
/// lost.
pub(super) struct Call {
    inner: Arc<Inner>,
    number: u64,
    /// What was asked, to take it back if nobody waits for the answer any more.
    asks: Vec<Ask>,
    answers: Option<Answers>,
    called: Called,
}

impl Call {
    /// Sends the asks of a departure.
    pub(super) fn new(inner: Arc<Inner>, departure: Departure<Queued>) -> Self {
        let now = Instant::now();
        let asks: Vec<Ask> = departure.asks.into_iter().map(|queued| queued.ask_at(now)).collect();
        let called = inner.counters.called(asks.len());
        let answers = inner.buckets().ask(asks.clone());
        Self { inner, number: departure.call, asks, answers: Some(answers), called }
    }

    /// Lets the call, and those that follow it, go on by themselves. Without a runtime, only a
    /// store that answers at once can answer.
    pub(super) fn go_on(self) {
        let mut next = Some(self);
        if let Ok(runtime) = Handle::try_current() {
            runtime.spawn(async move {
                while let Some(call) = next {
                    next = call.watched().await;
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

    /// Awaits the end. If it does not come within the deadline, an outage begins, also if all who
    /// wait for the answers have gone away before.
    async fn watched(mut self) -> Option<Self> {
        let inner = Arc::clone(&self.inner);
        if let Some(next) = within(inner.deadline, &mut self).await {
            return next;
        }
        if inner.batching.lock().is_under_way(self.number) {
            inner.deadline_has_passed();
        }
        self.await
    }

    /// Tells the answers to those who wait. Returns the asks that go out next, unless an answer is
    /// the sign of an outage.
    fn end(&mut self, results: Vec<Result<Answer, StoreError>>) -> Option<Departure<Queued>> {
        let (waiters, next) = self.inner.batching.lock().end(self.number);
        let of_the_store = |result: &Result<_, StoreError>| {
            result.as_ref().err().filter(|error| error.is_of_the_store()).cloned()
        };
        // A call that was given up is from before an outage, which can be over by now.
        let sign_of_outage = waiters.as_ref().and(results.iter().find_map(of_the_store));
        let mut waiters = waiters.unwrap_or_default().into_iter();
        for (ask, result) in self.asks.drain(..).zip(results) {
            let delivery = |answer| Delivery::new(&self.inner, ask, answer);
            let reply = result.map(delivery).map_err(Failure::Store);
            if let Some(waiter) = waiters.next().flatten() {
                // An answer that nobody receives gives back what was taken.
                let _ = waiter.send(reply);
            }
        }
        let Some(error) = sign_of_outage else { return next };
        // Whoever waits for the next call is told, so the call need not go out.
        self.inner.begin_outage(&error);
        None
    }
}

impl Future for Call {
    type Output = Option<Call>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Call>> {
        let Some(answers) = &mut self.answers else { return Poll::Ready(None) };
        let mut results = ready!(answers.as_mut().poll(context));
        self.answers = None;
        self.inner.counters.answered(&self.called);
        if results.len() != self.asks.len() {
            let why = format!("{} answers to {} asks", results.len(), self.asks.len());
            results = vec![Err(StoreError::Unreadable(why)); self.asks.len()];
        }
        for (ask, result) in self.asks.iter().zip(&mut results) {
            let is_whole = result.as_ref().is_ok_and(|answer| answer.has_a_level_for_each(ask));
            if result.is_ok() && !is_whole {
                *result = Err(StoreError::Unreadable("levels are missing in an answer".into()));
            }
        }
        let next = self.end(results);
        Poll::Ready(next.map(|departure| Self::new(Arc::clone(&self.inner), departure)))
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
        let (waiters, mut next) = self.inner.batching.lock().end(self.number);
        tell_all(waiters, || Failure::Store(lost.clone()));
        while let Some(Departure { call, .. }) = next {
            let (waiters, following) = self.inner.batching.lock().end(call);
            tell_all(waiters, || Failure::Unsent);
            next = following;
        }
    }
}

fn tell_all(waiters: Option<Vec<Waiter>>, why: impl Fn() -> Failure) {
    for waiter in waiters.into_iter().flatten().flatten() {
        // Whoever has gone away needs no answer.
        let _ = waiter.send(Err(why()));
    }
}
