//! When an outage begins and ends.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};

use tokio::runtime::Handle;

use super::server::MOST_SERVERS;
use super::{AskError, Decision, Failure, Server};
use crate::shared::race::race;
use crate::shared::store::{Ask, Charge, Part, StoreError, Verb};
use crate::{Timer, TokioTimer};

/// The subject that the store is asked about to find out whether it answers again. It has a bucket
/// like every other subject. Of several servers, each needs a subject of its own, with a number
/// behind this name.
const PROBE: &str = "tollgate/probe";

/// How many numbers are tried to find a subject of a server. A server that has none of them has
/// next to no subjects.
const PROBES: usize = 10_000;

impl Server {
    /// Decides without the store, and sees to it that somebody finds out when it answers again.
    pub(super) fn without_store(self: &Arc<Self>, ask: &Ask) -> Result<Decision, AskError> {
        self.ensure_probing();
        self.common.fallback().decide(ask, &self.common.refusals)
    }

    /// Notes that an answer did not come in time.
    pub(super) fn deadline_has_passed(self: &Arc<Self>) {
        let why = format!("no answer within {:?}", self.common.deadline);
        self.begin_outage(&StoreError::Lost(why));
    }

    /// Begins an outage: nobody waits for the store from here on, and all who wait are told.
    pub(super) fn begin_outage(self: &Arc<Self>, error: &StoreError) {
        let asks = {
            let mut batching = self.batching.lock();
            if self.is_out.swap(true, Ordering::SeqCst) {
                return;
            }
            // Before the outage can end.
            self.common.counters.outage_begins();
            batching.give_up()
        };
        self.common.counters.outage_has_begun();
        let (server, mode) = (self.number, self.common.outage);
        crate::events::warn!(%error, server, ?mode, "the store of shared limits does not answer");
        for pending in asks {
            // Whoever has gone away needs no answer.
            let _ = pending.tell(Err(Failure::Outage));
        }
        self.ensure_probing();
    }

    fn end_outage(&self) {
        let ended = {
            let _batching = self.batching.lock();
            let was_out = self.is_out.swap(false, Ordering::Relaxed);
            was_out.then(|| self.common.counters.outage_ends())
        };
        // The program's recorder and subscriber are called without the lock.
        if let Some(lasted) = ended {
            self.common.counters.outage_has_lasted(lasted);
            let server = self.number;
            crate::events::info!(server, "the store of shared limits answers again");
        }
    }

    /// Starts the task that asks the store whether it answers again, if none is at work.
    fn ensure_probing(self: &Arc<Self>) {
        if self.is_probing.load(Ordering::SeqCst) {
            return;
        }
        let Ok(runtime) = Handle::try_current() else { return };
        // In one order with `Probing::until_it_answers`, so that one of the two sees the other.
        if self.is_out.load(Ordering::SeqCst) && !self.is_probing.swap(true, Ordering::SeqCst) {
            let probing = Probing(Arc::downgrade(self));
            runtime.spawn(async move { probing.until_it_answers().await });
        }
    }

    /// Whether the server answers within the deadline.
    async fn probe(&self) -> bool {
        let Some(ask) = self.probing_ask() else { return true };
        let answers = self.common.buckets().ask(vec![ask]);
        let Some(deadline) = TokioTimer.sleep(self.common.deadline) else { return false };
        match race(answers, deadline).await.as_deref() {
            Ok([answer]) => answer.as_ref().err().is_none_or(|error| !error.is_of_the_store()),
            _ => false,
        }
    }

    /// What the server is asked. `None` if there is nothing to ask it.
    fn probing_ask(&self) -> Option<Ask> {
        let opened = self.common.opened.read();
        let limits = opened.fallback.limits_of(0)?;
        let charges = (0..limits).map(|_| Charge::new(1));
        let mut ask = Ask::new(Verb::Take, 1, Part::new(0, PROBE, charges));
        ask.lifetime = self.common.deadline;
        for number in 0..PROBES {
            if opened.buckets.server_of(&ask) % MOST_SERVERS == self.number {
                return Some(ask);
            }
            ask.parts[0].subject = format!("{PROBE}/{number}").into();
        }
        None
    }
}

/// The task that asks again and again. If it is dropped with its runtime, the next request that
/// notices the outage starts another one.
struct Probing(Weak<Server>);

impl Probing {
    async fn until_it_answers(self) {
        while let Some(server) = self.0.upgrade() {
            if server.probe().await {
                server.end_outage();
                drop(self);
                // An outage that began before this line has found this task at work.
                return server.ensure_probing();
            }
            let Some(pause) = TokioTimer.sleep(server.common.probe_every) else { return };
            drop(server);
            pause.await;
        }
    }
}

impl Drop for Probing {
    fn drop(&mut self) {
        if let Some(server) = self.0.upgrade() {
            server.is_probing.store(false, Ordering::SeqCst);
        }
    }
}
