//! How one process asks a store: with a deadline, in batches, and with an answer while the store
//! gives none.

mod batching;
mod builder;
mod call;
mod give_back;
mod health;
mod joined;
#[cfg(all(test, tollgate_loom))]
mod loom_scenes;
#[cfg(feature = "metrics")]
mod metrics;
mod pending;
mod server;
mod several;
mod stats;
mod waiting;
mod watch;

use std::sync::Arc;
use std::time::Duration;

use parking_lot::RwLock;
use tokio::time::Instant;

use super::outage::Fallback;
use super::race::within;
use super::refusals::Refusals;
use super::store::{
    Answer, Ask, Buckets, Memory, Namespace, OpenError, Outcome, Store, StoreError, Verb,
};
use super::{AskError, Decision, Outage, Source};
use crate::TokioClock;
use batching::Departure;
pub use builder::ClientBuilder;
use call::Call;
pub(crate) use give_back::give_back;
use server::{Server, Servers};
use stats::Counters;
pub use stats::Stats;
use waiting::Waiting;

/// Asks a [`Store`] on behalf of one process.
///
/// * **Deadline.** Each decision is made within [`deadline`](ClientBuilder::deadline): by the
///   store, or else as the [`Outage`] mode says.
/// * **Outage.** The first deadline that passes, or the first error of the connection, begins an
///   outage for everybody at once. From then on, no request waits for the store. It is asked again
///   in the background until it answers. Of a store with several servers, such as a cluster, an
///   outage concerns the subjects of one server.
/// * **Batches.** While calls are under way, further asks queue, and go out in one call.
/// * **Refusals.** A subject that the store has refused is refused here until the store's answer
///   can have changed, but at most for [`trust_refusals_for`](ClientBuilder::trust_refusals_for).
///
/// A client needs a tokio runtime with a timer, which keeps running: calls, and looking whether the
/// store answers again, are tasks of the runtimes that ask. A decision never waits longer because
/// another runtime stands still, such as one of which the thread is not inside of `block_on`, but
/// what that runtime has begun goes on only when it does. Clones share everything.
#[derive(Clone)]
pub struct Client {
    common: Arc<Common>,
    servers: Arc<Servers>,
}

/// What all servers of a client have in common.
struct Common {
    store: Arc<dyn Store>,
    deadline: Duration,
    probe_every: Duration,
    outage: Outage,
    counters: Arc<Counters>,
    /// Where the shares of [`Outage::LocalShare`] are kept.
    share: Memory<TokioClock>,
    opened: RwLock<Opened>,
    refusals: Refusals,
}

/// The buckets, and what decides while the store does not.
struct Opened {
    buckets: Arc<dyn Buckets>,
    fallback: Arc<Fallback>,
}

/// Why an ask has no answer.
#[derive(Debug)]
enum Failure {
    Store(StoreError),
    /// The ask did not go out, because the runtime of the call before it has ended.
    Unsent,
    /// An outage has begun.
    Outage,
    /// The deadline has passed.
    Late,
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
    /// If the store can't charge several subjects in one call, as a cluster can't (see
    /// [`spans_subjects`](Buckets::spans_subjects)), each part goes out as an ask of its own, all
    /// within the one deadline:
    ///
    /// * [`Verb::Take`] charges the parts one after the other. If one of them refuses, what was
    ///   taken is given back, so all or nothing holds in the end. Meanwhile, others can be refused
    ///   for permits that come back at once. If the server of an enforced part does not answer,
    ///   the outage mode decides the whole ask. Shadows, and after a refusal the parts that were
    ///   not asked yet, only tell their levels.
    /// * [`Verb::TakeUpTo`] does not fit.
    /// * All other verbs do each part by itself, also if another part fails. A
    ///   [look](Verb::Look) does not see that two of its parts charge the same subject.
    ///
    /// Of a refusal, [`full_after`](super::store::Level::full_after) can be too long then, by what
    /// the charges of a part would have needed.
    ///
    /// # Errors
    ///
    /// If the store does not answer and the client is [closed](Outage::Closed) then, or if the ask
    /// does not fit the namespaces, or the store.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped before the ask has gone out, nothing is taken. If it is dropped
    /// later, what was taken is given back as soon as the store has answered.
    pub async fn ask(&self, ask: Ask) -> Result<Decision, AskError> {
        self.ask_within(self.common.deadline, &ask).await
    }

    /// As [`ask`](Self::ask), for a decision of which only this part of the deadline is left.
    pub(super) async fn ask_within(&self, left: Duration, ask: &Ask) -> Result<Decision, AskError> {
        // Those who never wait for the store let other tasks run, too. Nothing is taken before.
        tokio::task::coop::consume_budget().await;
        let decision = if let Some(answer) = self.common.refusals.answer_to(ask) {
            Ok(Decision { answer, source: Source::Cached })
        } else if self.must_divide(ask) {
            // In a box, since few asks need it and all would carry its size.
            Box::pin(self.ask_divided(left, ask)).await
        } else {
            let sent = Instant::now();
            match self.ask_store(left, ask, sent).await {
                Ok(Some(answer)) => {
                    self.note(ask, &answer, sent);
                    Ok(Decision { answer, source: Source::Shared })
                }
                Ok(None) => self.server_of(ask).without_store(ask),
                Err(error) => Err(error),
            }
        };
        self.counters().decided(match &decision {
            Ok(decision) => decision.source,
            Err(AskError::Unavailable { .. }) => Source::Closed,
            Err(AskError::Misfit(_)) => Source::Local,
        });
        decision
    }

    /// The answer of the store, if it comes within this time from when it was `started`, now.
    pub(super) async fn ask_store(
        &self,
        time: Duration,
        ask: &Ask,
        started: Instant,
    ) -> Result<Option<Answer>, AskError> {
        let server = self.server_of(ask);
        // If the store comes to it too late by its own clock, although the deadline has not passed,
        // its clock was moved: then it is asked once more. So is it if the ask was not sent.
        for attempt in 0..2 {
            // Whoever looks too late for the first answer does not know whether the store fails.
            let is_over = attempt > 0 && started.elapsed() >= time;
            if is_over || server.is_out() {
                break;
            }
            let mut ask = ask.clone();
            // A debt, or what was given back, counts also if nobody waits for the answer any more.
            ask.lifetime = match ask.verb {
                Verb::Take | Verb::TakeUpTo | Verb::Look => time,
                Verb::Consume
                | Verb::Raise
                | Verb::Credit
                | Verb::HandBack
                | Verb::Cancel
                | Verb::Reset => Duration::MAX,
            };
            let waiting = Waiting::new(server, ask, started);
            // Whoever has as long as the deadline is told when it has passed.
            let reply = if time >= self.common.deadline {
                Some(waiting.await)
            } else {
                within(time.saturating_sub(started.elapsed()), waiting).await
            };
            match reply {
                Some(Ok(answer)) if answer.outcome == Outcome::Expired => {}
                Some(Ok(answer)) => return Ok(Some(answer)),
                Some(Err(Failure::Store(StoreError::Misfit(why)))) => {
                    return Err(AskError::Misfit(why));
                }
                Some(Err(Failure::Unsent)) => {}
                Some(Err(Failure::Late)) => {
                    server.deadline_has_passed();
                    break;
                }
                // Whoever had less time than the deadline does not know whether the store fails.
                Some(Err(Failure::Store(_) | Failure::Outage)) | None => break,
            }
        }
        Ok(None)
    }

    fn server_of(&self, ask: &Ask) -> &Arc<Server> {
        self.servers.of(&self.common, ask)
    }

    /// Notes what the store has decided about an ask that was `sent` at this time.
    pub(super) fn note(&self, ask: &Ask, answer: &Answer, sent: Instant) {
        self.common.refusals.note(ask, answer, sent);
        if matches!(answer.outcome, Outcome::Done { .. }) {
            self.common.opened.read().fallback.keep_warm(ask, answer.count);
        }
    }

    /// Whether an ask is refused until further notice.
    pub(super) fn is_refused(&self, ask: &Ask) -> bool {
        self.common.refusals.answer_to(ask).is_some()
    }

    pub(super) fn deadline(&self) -> Duration {
        self.common.deadline
    }

    /// Sends an ask whose answer nobody needs, such as one that gives something back.
    pub(super) fn send(&self, ask: Ask) {
        self.server_of(&ask).send(ask);
    }

    /// Whether one ask can charge several subjects.
    pub(crate) fn spans_subjects(&self) -> bool {
        self.common.opened.read().buckets.spans_subjects()
    }

    /// Sends an ask whose answer nobody needs, about what `source` has decided: to the store, or to
    /// the share of this process. What is in use by then also counts in an outage.
    pub(crate) fn tell(&self, ask: Ask, source: Source) {
        let counts = matches!(ask.verb, Verb::Consume | Verb::Raise);
        match source {
            Source::LocalShare => _ = self.server_of(&ask).without_store(&ask),
            Source::Shared if counts && self.is_out_for(&ask) => {
                _ = self.server_of(&ask).without_store(&ask);
            }
            Source::Shared => {
                if counts {
                    self.common.opened.read().fallback.keep_warm(&ask, ask.count);
                }
                self.send(ask);
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
        let common = &self.common;
        common.opened.read().fallback.check_same(namespaces)?;
        let opened = Opened::new(&*common.store, common.outage, namespaces, &common.share)?;
        *common.opened.write() = opened;
        // Under other quotas, the same requests may pass.
        common.refusals.forget_all();
        Ok(())
    }

    /// How requests are decided while the store does not answer.
    #[must_use]
    pub fn outage(&self) -> Outage {
        self.common.outage
    }

    /// What this client, and others of clones of its builder, have done so far.
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.common.counters.stats()
    }

    /// Where to count what is decided without the client.
    pub(super) fn counters(&self) -> &Counters {
        &self.common.counters
    }

    /// Whether the store, or one of its servers, did not answer when it was last asked.
    #[must_use]
    pub fn is_in_outage(&self) -> bool {
        self.servers.are_any_out()
    }

    /// Whether the server that does this ask did not answer when it was last asked.
    pub(super) fn is_out_for(&self, ask: &Ask) -> bool {
        self.server_of(ask).is_out()
    }
}

impl Common {
    fn buckets(&self) -> Arc<dyn Buckets> {
        Arc::clone(&self.opened.read().buckets)
    }

    fn fallback(&self) -> Arc<Fallback> {
        Arc::clone(&self.opened.read().fallback)
    }
}
