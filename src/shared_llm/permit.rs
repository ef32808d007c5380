//! A permit: permission to send one request of an account that several processes use.

use std::fmt;
use std::sync::Arc;

use super::charge::Charge;
use crate::clock::wall;
use crate::llm::engine::Engine;
use crate::llm::{EndPermit, OwnedPermit, Reply, ServerLimits, Tokens};
use crate::shared::Source;
use crate::{Clock, CounterClock};

/// Permission to send one request; the same as an [`llm::Permit`](crate::llm::Permit), in all
/// processes: what is settled here is settled in the store, and what the response shows of the
/// account is told to the others. It borrows nothing.
///
/// None of its methods waits: the store is told in the background. So they need a tokio runtime.
///
/// ```
/// use tollgate::shared::store::Memory;
/// use tollgate::shared::{Client, Source};
/// use tollgate::{llm, shared_llm};
/// # tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(async {
/// let account = llm::Limiter::builder().tokens_per_minute(200_000).build()?;
/// let model = shared_llm::Limiter::new(account, &Client::builder(Memory::new()), "openai/gpt")?;
/// let permit = model.acquire(llm::Tokens::new(1_000, 500)).await?;
/// assert_eq!(permit.source(), Source::Shared);
/// permit.end(&llm::Reply::new(200).spent(900));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # }).unwrap();
/// ```
#[must_use = "a permit that is dropped counts its estimate as used, unless configured otherwise"]
pub struct Permit<C: Clock = CounterClock> {
    engine: Arc<Engine<C>>,
    /// Nothing once the permit has ended.
    open: Option<(OwnedPermit<C>, Charge)>,
    key: u32,
    estimate: Tokens,
    asked: Tokens,
    source: Source,
}

impl<C: Clock> Permit<C> {
    pub(super) fn new(engine: Arc<Engine<C>>, local: OwnedPermit<C>, charge: Charge) -> Self {
        let (key, estimate, asked) = (local.key(), local.estimate(), local.asked());
        let source = charge.source;
        Self { engine, open: Some((local, charge)), key, estimate, asked, source }
    }

    /// See [`llm::Permit::estimate`](crate::llm::Permit::estimate).
    #[must_use]
    pub fn estimate(&self) -> Tokens {
        self.estimate
    }

    /// See [`llm::Permit::asked`](crate::llm::Permit::asked).
    #[must_use]
    pub fn asked(&self) -> Tokens {
        self.asked
    }

    /// Who has granted the shared part: the store, or the [`Outage`](crate::shared::Outage) mode.
    #[must_use]
    pub fn source(&self) -> Source {
        self.source
    }

    pub(super) fn key(&self) -> u32 {
        self.key
    }

    /// Ends the request, which used `actual` tokens. The difference to the estimate is given back, or
    /// becomes debt.
    pub fn settle(mut self, actual: impl Into<Tokens>) {
        let actual = actual.into();
        if let Some((local, charge)) = self.open.take() {
            local.settle(actual);
            charge.settle(Some(actual));
        }
    }

    /// Gives back everything, tokens and request, because the request was not sent.
    pub fn cancel(mut self) {
        if let Some((local, charge)) = self.open.take() {
            local.cancel();
            charge.cancel(false);
        }
    }

    /// See [`llm::Permit::observe`](crate::llm::Permit::observe).
    pub fn observe<N, V>(&self, headers: impl IntoIterator<Item = (N, V)>)
    where
        N: AsRef<[u8]>,
        V: AsRef<[u8]>,
    {
        self.observe_limits(&ServerLimits::from_headers(headers, wall::now()));
    }

    /// See [`llm::Permit::observe_limits`](crate::llm::Permit::observe_limits).
    pub fn observe_limits(&self, reported: &ServerLimits) {
        self.observed(|local| local.observe_limits(reported));
    }

    /// See [`llm::Permit::observe_reply`](crate::llm::Permit::observe_reply).
    pub fn observe_reply(&self, reply: &Reply) {
        self.observed(|local| local.observe_reply(reply));
    }

    /// See [`llm::Permit::observe_head`](crate::llm::Permit::observe_head).
    pub fn observe_head(&self, reply: &Reply) {
        self.observed(|local| local.observe_head(reply));
    }

    fn observed(&self, observe: impl FnOnce(&OwnedPermit<C>)) {
        if let Some((local, charge)) = &self.open {
            observe(local);
            if let Some(view) = self.engine.account_view(self.key) {
                charge.account.heard(&view);
            }
        }
    }

    /// Ends the request with its response; see [`llm::Permit::end`](crate::llm::Permit::end).
    pub fn end(mut self, reply: &Reply) {
        if let Some((local, charge)) = self.open.take() {
            let (counted, account) = (local.counted(reply), Arc::clone(&charge.account));
            local.end(reply);
            charge.settle(counted);
            if let Some(view) = self.engine.account_view(self.key) {
                account.heard(&view);
            }
        }
    }

    /// Disables the key of the permit in this process, because the server refuses it.
    pub(super) fn disable_key(&self) {
        if let Some((local, _)) = &self.open {
            local.disable_key();
        }
    }

    /// Lets the account rest in all processes for as long as a key that is of no use may.
    pub(super) fn rest_everywhere(&self) {
        if let Some((_, charge)) = &self.open {
            charge.account.pause(self.engine.max_spent_rest());
        }
    }

    /// See [`llm::Permit::limited`](crate::llm::Permit::limited).
    pub fn limited<N, V>(self, headers: impl IntoIterator<Item = (N, V)>)
    where
        N: AsRef<[u8]>,
        V: AsRef<[u8]>,
    {
        self.end(&Reply::new(429).headers(headers));
    }
}

impl<C: Clock> Drop for Permit<C> {
    fn drop(&mut self) {
        if let Some((local, charge)) = self.open.take() {
            let counted = local.counted_if_dropped();
            drop(local);
            charge.settle(counted);
        }
    }
}

impl<C: Clock> EndPermit for Permit<C> {
    fn end(self, reply: &Reply) {
        Self::end(self, reply);
    }
}

impl<C: Clock> fmt::Debug for Permit<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("Permit");
        debug
            .field("estimate", &self.estimate)
            .field("source", &self.source)
            .finish_non_exhaustive()
    }
}
