//! Which key serves a request that need not wait.
//!
//! This choice is the hot path, so it is cheap rather than reproducible: it rotates through the
//! keys. The choice for waiters is in [`waiters`](super::waiters).

use super::{Key, Keys};
use crate::Timestamp;
use crate::algorithm::Receipt;
use crate::llm::Tokens;
use crate::llm::engine::account::Account;

/// The most keys that are compared with each other. If more keys could serve a request at once, the
/// best of this many is taken, beginning after the key that was taken last. That is nearly as good
/// as the best of all keys (Mitzenmacher: "The power of two choices in randomized load balancing",
/// 2001), and its cost does not grow with the number of such keys.
pub(super) const MAX_COMPARED: usize = 8;

/// The preference of an account of which less than 1/64 is used. Another key can hardly have more,
/// so none is looked for.
const HIGH_PREFERENCE: u64 = Account::PREFERRED + (u16::MAX - u16::MAX / 64) as u64;

/// A remembered refusal, so that a choice among many keys need not look at each limit of each key:
/// before `until`, the account cannot serve a request with at least as many input and output tokens
/// as `at_least`. It is discarded whenever the account changes in any way other than by taking
/// permits.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct CachedRefusal {
    until: Timestamp,
    at_least: Tokens,
}

impl CachedRefusal {
    #[inline]
    fn applies(self, now: Timestamp, tokens: Tokens) -> bool {
        now < self.until
            && tokens.input >= self.at_least.input
            && tokens.output >= self.at_least.output
    }
}

impl Keys {
    /// Of the keys that can serve `tokens` now, one with a large headroom.
    #[inline]
    pub(crate) fn choose(&mut self, now: Timestamp, tokens: Tokens) -> Option<usize> {
        if let ([key], [account]) = (&*self.list, &*self.accounts) {
            return (key.is_active() && account.can_serve(now, tokens)).then_some(0);
        }
        self.choose_among(now, tokens)
    }

    /// The same among several keys, which take turns.
    fn choose_among(&mut self, now: Timestamp, tokens: Tokens) -> Option<usize> {
        let Self { accounts, refusals, list, next } = self;
        let (before, after) = list.split_at_checked(*next)?;
        let mut compared = 0;
        let mut best: Option<(u64, usize)> = None;
        // A loop for each half: with many keys, all the time is spent here.
        for (keys, first) in [(after, *next), (before, 0)] {
            for (key, at) in keys.iter().zip(first..) {
                let Some(refusal) = refusals.get_mut(key.account) else { continue };
                if refusal.applies(now, tokens) || !key.is_active() {
                    continue;
                }
                let account = &accounts[key.account];
                let ready = account.ready_at(now, tokens);
                if ready > now {
                    *refusal = CachedRefusal { until: ready, at_least: tokens };
                    continue;
                }
                let headroom = account.preference(now);
                // The first of several equals is the one that was not taken for the longest time.
                if best.is_none_or(|(most, _)| headroom > most) {
                    best = Some((headroom, at));
                }
                compared += 1;
                if headroom >= HIGH_PREFERENCE || compared == MAX_COMPARED {
                    return best.map(|(_, at)| at);
                }
            }
        }
        best.map(|(_, at)| at)
    }

    /// The active key that can serve `tokens` first.
    pub(crate) fn first(&self, now: Timestamp, tokens: Tokens) -> Option<usize> {
        let ready = |(_, key): &(usize, &Key)| self.ready_at(key, now, tokens);
        self.active().min_by_key(ready).map(|(at, _)| at)
    }

    /// When a key can serve `tokens`; [`Timestamp::MAX`] if never.
    pub(crate) fn ready_at(&self, key: &Key, now: Timestamp, tokens: Tokens) -> Timestamp {
        let Some(account) = self.account(key) else { return Timestamp::MAX };
        if account.never(tokens).is_some() {
            return Timestamp::MAX;
        }
        account.ready_at(now, tokens)
    }

    /// Takes what a request needs from a key, with a receipt if it may be given back. Returns the
    /// key's number.
    #[inline]
    pub(crate) fn take_from(
        &mut self,
        at: usize,
        now: Timestamp,
        tokens: Tokens,
        receipt: Option<Receipt>,
    ) -> u32 {
        self.next = if at + 1 < self.list.len() { at + 1 } else { 0 };
        if let Some(key) = self.list.get_mut(at) {
            key.in_flight += 1;
        }
        // `account_of` would discard the cached refusal, which still holds after taking.
        let account = match &mut *self.accounts {
            [account] => Some(account),
            accounts => accounts.get_mut(self.list[at].account),
        };
        match (account, receipt) {
            (Some(account), Some(receipt)) => account.hold(now, tokens, receipt),
            (Some(account), None) => account.take(now, tokens),
            (None, _) => {}
        }
        key_number(at)
    }
}

/// The number of a key as grants store it.
pub(crate) fn key_number(at: usize) -> u32 {
    u32::try_from(at).unwrap_or(u32::MAX)
}
