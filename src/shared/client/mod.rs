//! How one process asks a store: with a deadline, in batches, and with an answer while the store
//! gives none.

mod batching;
mod builder;
mod call;
mod give_back;
mod health;
mod stats;
mod waiting;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use parking_lot::RwLock;
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::outage::Fallback;
use super::race::within;
use super::refusals::Refusals;
use super::store::{
    Answer, Ask, Buckets, Memory, Namespace, OpenError, Outcome, Store, StoreError, Verb,
};
use super::{AskError, Decision, Outage, Source};
use crate::TokioClock;
use crate::sync::Mutex;
use batching::{Batching, Departure};
pub use builder::ClientBuilder;
use call::Call;
use give_back::Delivery;
pub(crate) use give_back::give_back;
use stats::Counters;
pub use stats::Stats;
use waiting::Waiting;

/// Asks a [`Store`] on behalf of one process.
///
/// * **Deadline.** Each decision is made within [`deadline`](ClientBuilder::deadline): by the
///   store, or else as the [`Outage`] mode says.
/// * **Outage.** The first deadline that passes, or the first error of the connection, begins an
///   outage for everybody at once. From then on, no request waits for the store. It is asked again
///   in the background until it answers.
/// * **Batches.** While calls are under way, further asks queue, and go out in one call.
/// * **Refusals.** A subject that the store has refused is refused here until the store's answer
///   can have changed, but at most for [`trust_refusals_for`](ClientBuilder::trust_refusals_for).
///
/// A client needs a tokio runtime with a timer. Clones share everything.
#[derive(Clone)]
pub struct Client {
    inner: Arc<Inner>,
}

/// What is behind all clones of a client.
struct Inner {
    store: Arc<dyn Store>,
    deadline: Duration,
    probe_every: Duration,
    outage: Outage,
    counters: Arc<Counters>,
    /// Where the shares of [`Outage::LocalShare`] are kept.
    share: Memory<TokioClock>,
    opened: RwLock<Opened>,
    refusals: Refusals,
    /// Whether an outage lasts; written under the lock of `batching` only.
    is_out: AtomicBool,
    /// Whether a task asks the store whether it answers again.
    is_probing: AtomicBool,
    batching: Mutex<Batching<Queued, Waiter>>,
}

/// The buckets, and what decides while the store does not.
struct Opened {
    buckets: Arc<dyn Buckets>,
    fallback: Arc<Fallback>,
}

/// Whom to tell the answer; nobody, if the ask gives something back.
type Waiter = Option<oneshot::Sender<Reply>>;

/// What whoever waits is told.
type Reply = Result<Delivery, Failure>;

#[derive(Debug)]
enum Failure {
    Store(StoreError),
    /// The ask did not go out, because the runtime of the call before it has ended.
    Unsent,
    /// An outage has begun.
    Outage,
}

/// An ask that queues.
#[derive(Debug)]
struct Queued {
    ask: Ask,
    since: Instant,
}

impl Queued {
    /// The ask, if it goes out `now`.
    fn ask_at(self, now: Instant) -> Ask {
        let mut ask = self.ask;
        if ask.lifetime != Duration::MAX {
            ask.lifetime = ask.lifetime.saturating_sub(now.saturating_duration_since(self.since));
        }
        ask
    }
}

impl Opened {
    fn new(
        store: &dyn Store,
        outage: Outage,
        namespaces: &[Namespace],
        share: &Memory<TokioClock>,
    ) -> Result<Self, OpenError> {
        let fallback = Arc::new(Fallback::new(outage, namespaces, share)?);
        Ok(Self { buckets: store.open(namespaces)?, fallback })
    }
}

impl Client {
    /// Begins to build a client of `store`.
    pub fn builder(store: impl Store) -> ClientBuilder {
        ClientBuilder::new(Arc::new(store))
    }

    /// Decides an ask. The client sets its [`lifetime`](Ask::lifetime).
    ///
    /// # Errors
    ///
    /// If the store does not answer and the client is [closed](Outage::Closed) then, or if the ask
    /// does not fit the namespaces.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped before the ask has gone out, nothing is taken. If it is dropped
    /// later, what was taken is given back as soon as the store has answered.
    pub async fn ask(&self, ask: Ask) -> Result<Decision, AskError> {
        self.ask_within(self.inner.deadline, ask).await
    }

    /// As [`ask`](Self::ask), for a decision of which only this part of the deadline is left.
    pub(super) async fn ask_within(&self, left: Duration, ask: Ask) -> Result<Decision, AskError> {
        let decision = self.decide(left, &ask).await;
        self.inner.counters.decided(match &decision {
            Ok(decision) => decision.source,
            Err(AskError::Unavailable { .. }) => Source::Closed,
            Err(AskError::Misfit(_)) => Source::Local,
        });
        decision
    }

    async fn decide(&self, left: Duration, ask: &Ask) -> Result<Decision, AskError> {
        if let Some(answer) = self.inner.refusals.answer_to(ask) {
            return Ok(Decision { answer, source: Source::Cached });
        }
        match self.ask_store(left, ask).await? {
            Some(answer) => {
                self.note(ask, &answer);
                Ok(Decision { answer, source: Source::Shared })
            }
            None => self.inner.without_store(ask),
        }
    }

    /// The answer of the store, if it comes within this time.
    pub(super) async fn ask_store(
        &self,
        time: Duration,
        ask: &Ask,
    ) -> Result<Option<Answer>, AskError> {
        let (inner, started) = (&self.inner, Instant::now());
        // If the store comes to it too late by its own clock, although the deadline has not passed,
        // its clock was moved: then it is asked once more. So is it if the ask was not sent.
        for _ in 0..2 {
            let left = time.saturating_sub(started.elapsed());
            if inner.is_out.load(Ordering::Relaxed) {
                break;
            }
            let mut ask = ask.clone();
            // A debt, or what was given back, counts also if nobody waits for the answer any more.
            ask.lifetime = match ask.verb {
                Verb::Take | Verb::TakeUpTo | Verb::Look => left,
                Verb::Consume
                | Verb::Raise
                | Verb::Credit
                | Verb::HandBack
                | Verb::Cancel
                | Verb::Reset => Duration::MAX,
            };
            let reply = within(left, Waiting::new(inner, ask)).await;
            match reply.map(|reply| reply.map(Delivery::receive)) {
                Some(Ok(answer)) if answer.outcome == Outcome::Expired => {}
                Some(Ok(answer)) => return Ok(Some(answer)),
                Some(Err(Failure::Store(StoreError::Misfit(why)))) => {
                    return Err(AskError::Misfit(why));
                }
                Some(Err(Failure::Unsent)) => {}
                Some(Err(_)) => break,
                None => {
                    // Whoever had less time than the deadline does not know whether the store fails.
                    if time >= inner.deadline {
                        inner.deadline_has_passed();
                    }
                    break;
                }
            }
        }
        Ok(None)
    }

    /// Notes what the store has decided.
    pub(super) fn note(&self, ask: &Ask, answer: &Answer) {
        self.inner.refusals.note(ask, answer);
        if matches!(answer.outcome, Outcome::Done { .. }) {
            self.inner.opened.read().fallback.keep_warm(ask, answer.count);
        }
    }

    /// Whether an ask is refused until further notice.
    pub(super) fn is_refused(&self, ask: &Ask) -> bool {
        self.inner.refusals.answer_to(ask).is_some()
    }

    pub(super) fn deadline(&self) -> Duration {
        self.inner.deadline
    }

    /// Sends an ask whose answer nobody needs, such as one that gives something back.
    pub(super) fn send(&self, ask: Ask) {
        self.inner.send(ask);
    }

    /// Whether one ask can charge several subjects.
    #[cfg(feature = "llm")]
    pub(crate) fn spans_subjects(&self) -> bool {
        self.inner.buckets().spans_subjects()
    }

    /// Sends an ask whose answer nobody needs, about what `source` has decided: to the store, or to
    /// the share of this process. What is in use by then also counts in an outage.
    pub(crate) fn tell(&self, ask: Ask, source: Source) {
        let counts = matches!(ask.verb, Verb::Consume | Verb::Raise);
        match source {
            Source::LocalShare => _ = self.inner.without_store(&ask),
            Source::Shared if counts && self.is_in_outage() => _ = self.inner.without_store(&ask),
            Source::Shared => {
                if counts {
                    self.inner.opened.read().fallback.keep_warm(&ask, ask.count);
                }
                self.inner.send(ask);
            }
            // Nothing was taken of anything that is kept.
            _ => {}
        }
    }

    /// Changes the quotas of the namespaces. The used shares are carried over, and an outage lasts.
    ///
    /// The namespaces and their limits must be those with which the client was opened, in the same
    /// order, since asks that are under way name them by their index. Further namespaces can follow.
    ///
    /// # Errors
    ///
    /// If anything but quotas differs, or if the store can't keep a quota exactly. Then nothing has
    /// changed.
    pub fn set_namespaces(&self, namespaces: &[Namespace]) -> Result<(), OpenError> {
        let inner = &self.inner;
        inner.opened.read().fallback.check_same(namespaces)?;
        let opened = Opened::new(&*inner.store, inner.outage, namespaces, &inner.share)?;
        *inner.opened.write() = opened;
        // Under other quotas, the same requests may pass.
        inner.refusals.forget_all();
        Ok(())
    }

    /// How requests are decided while the store does not answer.
    #[must_use]
    pub fn outage(&self) -> Outage {
        self.inner.outage
    }

    /// What this client, and others of clones of its builder, have done so far.
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.inner.counters.stats()
    }

    /// Counts a decision that was made without the client.
    pub(super) fn decided(&self, source: Source) {
        self.inner.counters.decided(source);
    }

    /// Whether the store did not answer when it was last asked.
    #[must_use]
    pub fn is_in_outage(&self) -> bool {
        self.inner.is_out.load(Ordering::Relaxed)
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        // Others count with the same counters.
        if *self.is_out.get_mut() {
            self.counters.outage_ends();
        }
    }
}

impl Inner {
    fn buckets(&self) -> Arc<dyn Buckets> {
        Arc::clone(&self.opened.read().buckets)
    }

    /// Takes an ask in. Returns the call that carries it, if whoever waits may drive the call.
    fn join(self: &Arc<Self>, queued: Queued, waiter: Waiter) -> Option<Call> {
        let departure = {
            let mut batching = self.batching.lock();
            if self.is_out.load(Ordering::Relaxed) {
                drop(batching);
                if let Some(waiter) = waiter {
                    // Whoever waits is the caller, and hears it at once.
                    let _ = waiter.send(Err(Failure::Outage));
                }
                return None;
            }
            batching.join(queued, waiter)
        };
        let departure = departure?;
        let is_driven = departure.is_driven;
        let call = Call::new(Arc::clone(self), departure);
        if is_driven {
            return Some(call);
        }
        call.go_on();
        None
    }

    /// Sends an ask whose answer nobody needs.
    fn send(self: &Arc<Self>, ask: Ask) {
        if let Some(call) = self.join(Queued { ask, since: Instant::now() }, None) {
            call.go_on();
        }
    }

    /// As [`send`](Self::send), also in an outage: the store has just answered.
    fn send_also_in_outage(self: &Arc<Self>, ask: Ask) {
        if !self.is_out.load(Ordering::Relaxed) {
            return self.send(ask);
        }
        let departure = self.batching.lock().beside(Queued { ask, since: Instant::now() });
        Call::new(Arc::clone(self), departure).go_on();
    }
}
