//! A bound on what happens at the same time in all processes.
//!
//! The slots are a strict window whose permits are handed back when a slot is
//! dropped. A process that dies hands nothing back: then its permits expire with the window. A
//! slot that is held for longer is renewed before, by a permit that is taken for the one that is
//! handed back.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::oneshot;

use super::line::Line;
use super::race::within;
use super::store::{Ask, Charge, LimitSpec, Namespace, OpenError, Outcome, Part, Rule, Verb};
use super::{AskError, Client, ClientBuilder, Source, Stats};
use crate::{Jitter, Quota};

/// After which time at most it is asked whether another process has freed a slot: nobody tells.
const ASK_AGAIN: Duration = Duration::from_millis(50);

/// What all slots are called in a store, which tells them from other limits.
const NAMESPACE: &str = "slots";

/// A bound on what happens at the same time in all processes, such as requests in flight: each
/// holds a [`Slot`]. Processes that use the same name on the same store share the slots.
///
/// A slot ends when it is dropped, or when its process dies: it expires unless it is renewed, and
/// it is renewed in the background for as long as it is held. So at most the given number of slots
/// is held, however many processes there are, and the slots of a dead process are free again after
/// `expires_after` (and up to 1/64 of it, by which strict windows count too long). A process that
/// is stopped for longer than that may find its slots taken when it goes on.
///
/// Needs a tokio runtime with a timer. Clones share everything.
///
/// ```
/// use std::time::Duration;
/// use tollgate::shared::store::Memory;
/// use tollgate::shared::{Client, Slots};
/// # tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(async {
/// let store = Client::builder(Memory::new());
/// let renderers = Slots::new(store, "renderers", 2, Duration::from_secs(60))?;
/// let first = renderers.acquire().await?;
/// let second = renderers.acquire().await?;
/// assert!(renderers.try_acquire().await?.is_none());
/// drop(first);
/// let third = renderers.acquire().await?;
/// # drop((second, third));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # }).unwrap();
/// ```
#[derive(Clone)]
pub struct Slots {
    client: Client,
    name: Arc<str>,
    most: u64,
    expires_after: Duration,
    /// Those in this process who wait, of whom only the first asks the store.
    line: Arc<Line>,
}

impl Slots {
    /// Slots of this name, of which `most` are held at the same time.
    ///
    /// `expires_after` is how long the slots of a dead process stay taken; a minute is a good
    /// choice. A slot that is held for longer than half of it costs one call in that time.
    ///
    /// In an outage of the store, the [`Outage`](super::Outage) mode of `store` decides.
    ///
    /// # Errors
    ///
    /// If `most` or `expires_after` is zero, or the store can't keep them.
    pub fn new(
        store: ClientBuilder,
        name: impl Into<Arc<str>>,
        most: u64,
        expires_after: Duration,
    ) -> Result<Self, OpenError> {
        let quota = Quota::per(most, expires_after);
        let limit = LimitSpec::new("slots", Rule::StrictWindow, quota);
        // A slot can be free at any time.
        let store = store.trust_refusals_for(Duration::ZERO);
        let client = store.open(&[Namespace::new(NAMESPACE, vec![limit])])?;
        Ok(Self { client, name: name.into(), most, expires_after, line: Arc::default() })
    }

    /// How many slots there are.
    #[must_use]
    pub fn most(&self) -> u64 {
        self.most
    }

    /// What was asked of the store so far.
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.client.stats()
    }

    /// Takes a slot, if one is free.
    ///
    /// # Errors
    ///
    /// If the store does not answer, and the outage mode refuses.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, no slot is held.
    pub async fn try_acquire(&self) -> Result<Option<Slot>, AskError> {
        let part = Part::new(0, Arc::clone(&self.name), [Charge::new(1)]);
        let ask = Ask::new(Verb::Take, 1, part);
        let decision = self.client.ask(ask.clone()).await?;
        if decision.answer.outcome == Outcome::Refused {
            return Ok(None);
        }
        let (end, ended) = oneshot::channel();
        let (client, line) = (self.client.clone(), Arc::clone(&self.line));
        let mut held = Held { client, line, ask, source: decision.source };
        held.has(&decision.answer.levels);
        let renew_after = self.expires_after / 2;
        // Without a runtime, nobody can renew the slot or hand it back: it expires.
        if let Ok(runtime) = Handle::try_current() {
            runtime.spawn(held.until(ended, renew_after));
        }
        Ok(Some(Slot { _end: end }))
    }

    /// Waits until a slot is free, and takes it.
    ///
    /// Those who wait in this process are served in order. Among processes there is no order: the
    /// first of each asks again after a twentieth of a second, because nobody tells it what others
    /// free.
    ///
    /// # Errors
    ///
    /// If the store does not answer, and the outage mode refuses; also outside of a runtime with a
    /// timer.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, no slot is held.
    pub async fn acquire(&self) -> Result<Slot, AskError> {
        let no_timer = |retry_after| AskError::Unavailable { retry_after };
        let place = self.line.place(Duration::MAX).await;
        let _place = place.ok_or_else(|| no_timer(ASK_AGAIN))?;
        loop {
            if let Some(slot) = self.try_acquire().await? {
                return Ok(slot);
            }
            let pause = ASK_AGAIN / 2 + Jitter::up_to(ASK_AGAIN / 2).draw();
            self.line.pause(pause).await.map_err(no_timer)?;
        }
    }
}

impl fmt::Debug for Slots {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("Slots");
        debug.field("name", &self.name).field("most", &self.most).finish_non_exhaustive()
    }
}

/// A slot that is held until this is dropped; see [`Slots`].
#[derive(Debug)]
#[must_use = "a slot that is dropped is free again"]
pub struct Slot {
    /// Dropping it ends the task that holds the slot.
    _end: oneshot::Sender<()>,
}

/// A permit of the window.
struct Held {
    client: Client,
    line: Arc<Line>,
    /// What hands the permit back, but for the verb.
    ask: Ask,
    source: Source,
}

impl Held {
    /// Notes the receipt of the permit.
    fn has(&mut self, levels: &[super::store::Level]) {
        let charges = self.ask.parts.iter_mut().flat_map(|part| &mut part.charges);
        charges.zip(levels).for_each(|(charge, level)| charge.receipt = level.receipt);
    }

    fn hand_back(&self) {
        self.client.tell(Ask { verb: Verb::HandBack, ..self.ask.clone() }, self.source);
    }

    /// Renews the slot until it ends, and then hands it back.
    async fn until(mut self, mut ended: oneshot::Receiver<()>, renew_after: Duration) {
        while within(renew_after, &mut ended).await.is_none() {
            let more = Ask { verb: Verb::Consume, ..self.ask.clone() };
            // If the store does not answer, the slot is renewed later, or expires.
            let Ok(decision) = self.client.ask(more).await else { continue };
            self.hand_back();
            self.source = decision.source;
            self.has(&decision.answer.levels);
        }
        self.hand_back();
        self.line.gave_back();
    }
}
