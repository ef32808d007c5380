//! One call to the store: a batch of asks that has gone out, and what becomes of its answers.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use tokio::runtime::Handle;
use tokio::time::Instant;

use super::give_back::give_back;
use super::{Departure, Failure, Inner, Queued};
use crate::shared::store::{Answer, Answers, Ask, StoreError};

/// A call that is under way. It ends when its answers are there; if it is dropped before, whoever
/// waits for them is told that they are lost.
pub(super) struct Call {
    inner: Arc<Inner>,
    number: u64,
    /// What was asked, to take it back if nobody waits for the answer any more.
    asks: Vec<Ask>,
    answers: Option<Answers>,
}

impl Call {
    /// Sends the asks of a departure.
    pub(super) fn new(inner: Arc<Inner>, departure: Departure<Queued>) -> Self {
        let now = Instant::now();
        let asks: Vec<Ask> = departure.asks.into_iter().map(|queued| queued.ask_at(now)).collect();
        let answers = inner.buckets().ask(asks.clone());
        Self { inner, number: departure.call, asks, answers: Some(answers) }
    }

    /// Lets the call go on by itself. Without a runtime, it is dropped.
    pub(super) fn go_on(self) {
        if let Ok(runtime) = Handle::try_current() {
            runtime.spawn(self);
        }
    }

    fn end(&mut self, results: Vec<Result<Answer, StoreError>>) {
        let (waiters, departure) = self.inner.state.lock().batching.end(self.number);
        let mut waiters = waiters.unwrap_or_default().into_iter();
        let mut sign_of_outage = None;
        for (ask, result) in self.asks.drain(..).zip(results) {
            if let Err(error) = &result {
                sign_of_outage =
                    sign_of_outage.or_else(|| error.is_of_the_store().then(|| error.clone()));
            }
            let reply = result.map_err(Failure::Store);
            let unheard = match waiters.next().flatten() {
                Some(waiter) => waiter.send(reply).err(),
                None => Some(reply),
            };
            let unused = unheard.and_then(Result::ok);
            if let Some(back) = unused.and_then(|answer| give_back(&ask, &answer)) {
                self.inner.send(back);
            }
        }
        if let Some(error) = sign_of_outage {
            self.inner.begin_outage(&error);
        }
        if let Some(departure) = departure {
            Call::new(Arc::clone(&self.inner), departure).go_on();
        }
    }
}

impl Future for Call {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        if let Some(answers) = &mut self.answers {
            let mut results = ready!(answers.as_mut().poll(context));
            self.answers = None;
            if results.len() != self.asks.len() {
                let why = format!("{} answers to {} asks", results.len(), self.asks.len());
                results = vec![Err(StoreError::Unreadable(why)); self.asks.len()];
            }
            self.end(results);
        }
        Poll::Ready(())
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        if self.answers.take().is_some() {
            let lost = StoreError::Lost("the call was dropped with its runtime".into());
            self.end(vec![Err(lost); self.asks.len()]);
        }
    }
}
