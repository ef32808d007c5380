//! The registry of keys and their accounts: the state that the lock protects.
//!
//! Keys and accounts are numbers here; ids and secrets are known to the pool only. The numbers of
//! removed keys are reused.

mod choose;
mod key;
mod waiters;

pub(crate) use choose::key_number;
pub(crate) use key::Key;

use std::time::Duration;

use choose::CachedRefusal;
use key::KeyStatus;

use crate::Timestamp;
use crate::answer::Taken;
use crate::limiters::core::Edited;
use crate::llm::engine::account::{Account, Health, LimitEvent, Noted, SpentRest};
use crate::llm::{Tokens, Usage};

/// The keys and their accounts. Several keys may share an account.
#[derive(Clone, Debug, Default)]
pub(crate) struct Keys {
    accounts: Vec<Account>,
    /// One for each account.
    refusals: Vec<CachedRefusal>,
    list: Vec<Key>,
    /// The key at which the next choice begins.
    next: usize,
}

impl Keys {
    /// A registry of one key.
    pub(crate) fn one(account: Account, key: Key) -> Self {
        let refusals = vec![CachedRefusal::default()];
        Self { accounts: vec![account], refusals, list: vec![key], next: 0 }
    }

    /// Adds an account, and returns its number. Reuses the number of an account without keys.
    pub(crate) fn add_account(&mut self, account: Account) -> usize {
        let used = |at: usize| self.list.iter().any(|key| key.account == at && !key.is_free());
        let free = (0..self.accounts.len()).find(|at| !used(*at));
        if let Some(at) = free {
            self.accounts[at] = account;
            self.refusals[at] = CachedRefusal::default();
            return at;
        }
        self.accounts.push(account);
        self.refusals.push(CachedRefusal::default());
        self.accounts.len() - 1
    }

    /// Adds a key, and returns its number. Reuses the number of a key that was removed.
    pub(crate) fn add(&mut self, key: Key) -> usize {
        if let Some(at) = self.list.iter().position(Key::is_free) {
            self.list[at] = key;
            return at;
        }
        self.list.push(key);
        self.list.len() - 1
    }

    pub(crate) fn get(&self, key: usize) -> Option<&Key> {
        self.list.get(key)
    }

    pub(crate) fn account_number(&self, key: usize) -> usize {
        self.list.get(key).map_or(usize::MAX, |key| key.account)
    }

    /// Whether the number belongs to a key that has not been removed.
    pub(crate) fn is_known(&self, key: usize) -> bool {
        self.list.get(key).is_some_and(|key| key.status != KeyStatus::Removed)
    }

    pub(crate) fn remove(&mut self, key: usize) {
        if let Some(key) = self.list.get_mut(key) {
            key.status = KeyStatus::Removed;
        }
    }

    /// Makes a key active again, without a pause.
    pub(crate) fn restore(&mut self, key: u32) {
        if let Some(key) = self.list.get_mut(key as usize) {
            *key = Key { in_flight: key.in_flight, ..Key::new(key.account) };
        }
        self.resume(key);
    }

    /// Disables a key that the server does not accept.
    pub(crate) fn disable(&mut self, key: u32) {
        if let Some(key) = self.list.get_mut(key as usize) {
            if key.is_active() {
                key.status = KeyStatus::Disabled;
            }
        }
    }

    /// The active keys and their numbers.
    pub(crate) fn active(&self) -> impl Iterator<Item = (usize, &Key)> {
        self.list.iter().enumerate().filter(|(_, key)| key.is_active())
    }

    /// The account of a key, to be read.
    pub(crate) fn account(&self, key: &Key) -> Option<&Account> {
        self.accounts.get(key.account)
    }

    /// The account of a key, to be changed.
    #[inline]
    pub(crate) fn account_of(&mut self, key: u32) -> Option<&mut Account> {
        let account = self.list.get(key as usize)?.account;
        // The cached refusal is read only to choose among several keys.
        if self.list.len() > 1 {
            *self.refusals.get_mut(account)? = CachedRefusal::default();
        }
        self.accounts.get_mut(account)
    }

    /// Ends a request of a key that used `actual` tokens instead of the estimate. Returns how that
    /// changes due times, and an event to emit, if any.
    #[inline]
    pub(crate) fn settle(
        &mut self,
        taken: Taken,
        now: Timestamp,
        estimate: Tokens,
        actual: Tokens,
        succeeded: bool,
    ) -> (Edited, Option<LimitEvent>) {
        let account = self.account_of(taken.by);
        let settled = account.map(|it| {
            let recovered = succeeded && it.health.succeeded(Some(taken.receipt.seq));
            if !succeeded {
                it.health.ended(taken.receipt.seq);
            }
            let (owes, event) = it.settle(now, estimate, actual, taken.receipt);
            let charged = if owes { Edited::Took } else { Edited::GaveBack };
            let health = if recovered { Edited::GaveBack } else { Edited::Nothing };
            (charged.and(health), event)
        });
        self.end_request(taken.by);
        settled.unwrap_or((Edited::Nothing, None))
    }

    /// Ends a request of a key: it is no longer in flight.
    #[inline]
    pub(crate) fn end_request(&mut self, key: u32) {
        if let Some(key) = self.list.get_mut(key as usize) {
            key.in_flight = key.in_flight.saturating_sub(1);
        }
    }

    /// Changes the health of a key's account.
    pub(crate) fn note(&mut self, key: u32, note: impl FnOnce(&mut Health)) {
        if let Some(account) = self.account_of(key) {
            note(&mut account.health);
        }
    }

    /// Notes a response in the health of a key's account.
    pub(crate) fn note_response<R: Default>(
        &mut self,
        key: u32,
        now: Timestamp,
        request: Option<u64>,
        note: impl FnOnce(&mut Health, Noted) -> R,
    ) -> R {
        let Some(account) = self.account_of(key) else { return R::default() };
        let noted = account.noted(now, request);
        note(&mut account.health, noted)
    }

    /// Ends the pause of a key's account, and what it was limited to because of refusals.
    pub(crate) fn resume(&mut self, key: u32) {
        if let Some(account) = self.account_of(key) {
            account.health.restore();
            let _ended = account.end_provisional();
        }
    }

    /// Ends the pause of a key, and discards the learned limits of its account.
    pub(crate) fn forget_learned(&mut self, key: u32, now: Timestamp) {
        if let Some(account) = self.account_of(key) {
            account.forget_learned(now);
        }
        self.resume(key);
    }

    /// Lowers an estimate to the most that one active key can serve at once: by all limits, or only
    /// by those that a response has set or lowered.
    pub(crate) fn clamped(&self, tokens: Tokens, by_all_limits: bool) -> Tokens {
        let each = self.active().filter_map(|(_, key)| {
            let account = self.account(key)?;
            Some(account.clamped(tokens, by_all_limits))
        });
        each.max_by_key(|tokens| tokens.total()).unwrap_or(tokens)
    }

    /// Whether `tokens` exceed what any active key can ever serve.
    pub(crate) fn none_can_serve(&self, tokens: Tokens) -> bool {
        !self.active().any(|(_, key)| self.could_serve(key, tokens))
    }

    /// Whether `tokens` are within the limits of a key's account, however long that takes.
    pub(crate) fn could_serve(&self, key: &Key, tokens: Tokens) -> bool {
        self.account(key).is_some_and(|account| account.never(tokens).is_none())
    }

    /// When a key that waits for the answer to a request on trial could serve `tokens` at the
    /// soonest; `None` if no key does.
    pub(crate) fn after_trial(&self, now: Timestamp, tokens: Tokens) -> Option<Timestamp> {
        let accounts = self.active().filter_map(|(_, key)| self.account(key));
        let on_trial = accounts.filter(|account| account.health.waits_for_answer());
        let able = on_trial.filter(|account| account.never(tokens).is_none());
        able.map(|account| account.soonest(now, tokens)).min()
    }

    /// The shortest remaining pause among the active keys that could serve `tokens`; `None` without
    /// an active key.
    pub(crate) fn shortest_pause(&self, now: Timestamp, tokens: Tokens) -> Option<Duration> {
        let able = |key: &&Key| self.could_serve(key, tokens);
        let pause = |key: &Key| self.account(key).map(|it| it.health.paused_until() - now);
        let pauses = |keys: &mut dyn Iterator<Item = &Key>| keys.filter_map(pause).min();
        let able = pauses(&mut self.active().map(|(_, key)| key).filter(able));
        // If no active key could ever serve the tokens, the error to report is `Error::Never`, and
        // no pause.
        able.or_else(|| pauses(&mut self.active().map(|(_, key)| key)).map(|_| Duration::ZERO))
    }

    /// When nothing would be lost if all keys were added anew; see [`Account::idle_at`].
    /// `known_rest` returns the rest of a key that is known elsewhere.
    pub(crate) fn idle_at(
        &self,
        now: Timestamp,
        known_rest: impl Fn(usize) -> Option<SpentRest>,
    ) -> Timestamp {
        let keys = self.list.iter().enumerate().filter(|(_, key)| !key.is_free());
        let idle_at = |(at, key)| Some(self.account(key)?.idle_at(now, || known_rest(at)));
        keys.filter_map(idle_at).max().unwrap_or(now)
    }

    pub(crate) fn usage(&self, key: u32, now: Timestamp, waiting: usize) -> Usage {
        let key = self.list.get(key as usize);
        let usage = key.and_then(|key| Some(self.account(key)?.usage(now))).unwrap_or_default();
        Usage { waiting, ..usage }
    }
}
