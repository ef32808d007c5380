//! The rule of all LLM limits: which key can serve a request, and when the first one can.
//!
//! A [`Limiter`](super::Limiter) is the case of one key. Rule and core know nothing of secrets:
//! a key is a number here.

use std::time::Duration;

use super::account::{Account, Lesson};
use super::meter::LimitKind;
use super::{Tokens, Usage};
use crate::algorithm::Receipt;
use crate::bucket::core::{Buckets, Rule, UNKNOWN};
use crate::wait::queue::Taken;
use crate::{Quota, Rejection, Timestamp, WhichLimit};

/// Of more keys than this that could serve at once, the best of so many is taken, beginning after the
/// one that was taken last: nearly as good as the best of all (Mitzenmacher: "The power of two
/// choices in randomized load balancing", 2001), at a price that does not grow.
pub(super) const LOOKED_AT: usize = 8;

/// A refusal this long after the pause of the one before is a new overload, whatever was in between.
const FORGOTTEN: Duration = Duration::from_secs(60);

/// All of an account's limits is left: no other key can have more.
const ALL: u64 = u16::MAX as u64;

/// The keys and their accounts.
#[derive(Clone, Debug, Default)]
pub(super) struct Keys {
    accounts: Vec<Account>,
    /// Of each account.
    gates: Vec<Gate>,
    pub(super) each: Vec<Key>,
    /// Where the next choice begins.
    next: usize,
}

#[derive(Clone, Debug)]
pub(super) struct Key {
    pub(super) account: usize,
    pub(super) standing: Standing,
    /// Refused by the server so many times on end.
    failures: u32,
    in_flight: u64,
    /// The server said to wait until then.
    pub(super) paused_until: Timestamp,
    /// When the last refusal was counted: requests that were out by then met the same overload.
    refused_at: Option<Timestamp>,
}

/// A refusal that is remembered, so that a choice among many keys need not look at each limit of each:
/// before that time, the account can't serve a request of at least so many tokens. Forgotten whenever
/// the account changes in any way but by taking.
#[derive(Clone, Copy, Debug, Default)]
struct Gate {
    closed_until: Timestamp,
    to: Tokens,
}

impl Gate {
    #[inline]
    fn is_closed(self, now: Timestamp, tokens: Tokens) -> bool {
        now < self.closed_until && tokens.input >= self.to.input && tokens.output >= self.to.output
    }
}

/// Whether a key is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    InUse,
    /// The server does not accept it.
    Out,
    /// Its place is free once nothing is in flight.
    Removed,
}

/// The rule has nothing of its own: limits are learned, so they are state.
#[derive(Clone, Copy, Debug)]
pub(super) struct Choice;

impl Key {
    pub(super) fn new(account: usize) -> Self {
        Self {
            account,
            standing: Standing::InUse,
            failures: 0,
            in_flight: 0,
            paused_until: Timestamp::ZERO,
            refused_at: None,
        }
    }

    /// Gone, and nobody has it any more.
    fn is_free(&self) -> bool {
        self.standing == Standing::Removed && self.in_flight == 0
    }

    #[inline]
    fn is_in_use(&self) -> bool {
        self.standing == Standing::InUse
    }

    /// In use, and not told to wait.
    #[inline]
    fn is_open(&self, now: Timestamp) -> bool {
        self.is_in_use() && self.paused_until <= now
    }
}

impl Keys {
    pub(super) fn one(account: Account, key: Key) -> Self {
        Self { accounts: vec![account], gates: vec![Gate::default()], each: vec![key], next: 0 }
    }

    /// As many tokens as can be had at once from the key that can give most.
    pub(super) fn clamped(&self, tokens: Tokens, all: bool) -> Tokens {
        let each =
            self.usable().filter_map(|(_, key)| Some(self.account(key)?.clamped(tokens, all)));
        each.max_by_key(|tokens| tokens.total()).unwrap_or(tokens)
    }

    /// Whether so many tokens are more than any key in use can ever serve.
    pub(super) fn none_can_serve(&self, tokens: Tokens) -> bool {
        !self.usable().any(|(_, key)| self.is_able(key, tokens))
    }

    /// Whether the limits of a key could ever serve so many tokens.
    pub(super) fn is_able(&self, key: &Key, tokens: Tokens) -> bool {
        self.account(key).is_some_and(|account| account.never(tokens).is_none())
    }

    /// Adds an account, in the place of one that no key belongs to any more.
    pub(super) fn add_account(&mut self, account: Account) -> usize {
        let used = |at: usize| self.each.iter().any(|key| key.account == at && !key.is_free());
        let free = (0..self.accounts.len()).find(|at| !used(*at));
        if let Some(at) = free {
            self.accounts[at] = account;
            self.gates[at] = Gate::default();
            return at;
        }
        self.accounts.push(account);
        self.gates.push(Gate::default());
        self.accounts.len() - 1
    }

    /// Adds a key, in the place of one that is gone, and says where.
    pub(super) fn add(&mut self, key: Key) -> usize {
        if let Some(at) = self.each.iter().position(Key::is_free) {
            self.each[at] = key;
            return at;
        }
        self.each.push(key);
        self.each.len() - 1
    }

    pub(super) fn account_number(&self, key: usize) -> usize {
        self.each.get(key).map_or(usize::MAX, |key| key.account)
    }

    pub(super) fn is_known(&self, key: usize) -> bool {
        self.each.get(key).is_some_and(|key| key.standing != Standing::Removed)
    }

    pub(super) fn remove(&mut self, key: usize) {
        if let Some(key) = self.each.get_mut(key) {
            key.standing = Standing::Removed;
        }
    }

    pub(super) fn restore(&mut self, key: usize) {
        if let Some(key) = self.each.get_mut(key) {
            *key = Key { in_flight: key.in_flight, ..Key::new(key.account) };
        }
    }

    pub(super) fn take_out(&mut self, key: u32) {
        if let Some(key) = self.each.get_mut(key as usize) {
            if key.is_in_use() {
                key.standing = Standing::Out;
            }
        }
    }

    /// A request by `key` took `actual` instead of what was estimated; says whether some is owed.
    #[inline]
    pub(super) fn settle(
        &mut self,
        taken: Taken,
        now: Timestamp,
        estimate: Tokens,
        actual: Tokens,
        well: bool,
    ) -> (bool, Option<Lesson>) {
        let account = self.account_of(taken.by);
        let settled = account.map(|it| it.settle(now, estimate, actual, taken.receipt));
        self.landed(taken.by, well);
        settled.unwrap_or_default()
    }

    /// A request by `key` has ended, well or not.
    #[inline]
    pub(super) fn landed(&mut self, key: u32, well: bool) {
        if let Some(key) = self.each.get_mut(key as usize) {
            key.in_flight = key.in_flight.saturating_sub(1);
        }
        if well {
            self.went_well(key);
        }
    }

    /// A request by `key` was answered: refusals before it are over.
    #[inline]
    pub(super) fn went_well(&mut self, key: u32) {
        if let Some(key) = self.each.get_mut(key as usize) {
            key.failures = 0;
        }
    }

    /// Counts one more refusal by the server of a request that went out at `sent`, and says how many there were on
    /// end. Refusals of requests that were out at the same time are one overload; those of long ago are over.
    pub(super) fn refused(&mut self, key: u32, sent: Timestamp, now: Timestamp) -> u32 {
        let Some(key) = self.each.get_mut(key as usize) else { return 1 };
        if key.refused_at.is_some_and(|at| sent <= at) {
            return key.failures.max(1);
        }
        if now - key.paused_until > FORGOTTEN {
            key.failures = 0;
        }
        key.refused_at = Some(now);
        key.failures = key.failures.saturating_add(1);
        key.failures
    }

    /// Ends the pause of a key, and forgets what servers said of its account.
    pub(super) fn forget_learned(&mut self, key: u32, now: Timestamp) {
        if let Some(account) = self.account_of(key) {
            account.forget_learned(now);
        }
        self.resume(key);
    }

    /// Ends the pause of a key.
    pub(super) fn resume(&mut self, key: u32) {
        if let Some(key) = self.each.get_mut(key as usize) {
            (key.paused_until, key.failures, key.refused_at) = (Timestamp::ZERO, 0, None);
        }
    }

    /// Whether some key in use could serve so many tokens, and how long the first of them is left alone.
    pub(super) fn pause_of(&self, now: Timestamp, tokens: Tokens) -> Option<Duration> {
        let able = |key: &&Key| self.is_able(key, tokens);
        let pauses =
            |keys: &mut dyn Iterator<Item = &Key>| keys.map(|key| key.paused_until - now).min();
        let able = pauses(&mut self.usable().map(|(_, key)| key).filter(able));
        // Where no key is able, that is what is said.
        able.or_else(|| pauses(&mut self.usable().map(|(_, key)| key)).map(|_| Duration::ZERO))
    }

    /// Leaves a key alone until then; says until when it is left alone.
    pub(super) fn pause(&mut self, key: u32, until: Timestamp) -> Timestamp {
        let Some(key) = self.each.get_mut(key as usize) else { return Timestamp::ZERO };
        key.paused_until = key.paused_until.max(until);
        key.paused_until
    }

    pub(super) fn usage(&self, key: u32, now: Timestamp, waiting: usize) -> Usage {
        let key = self.each.get(key as usize);
        let usage = key.and_then(|key| Some(self.account(key)?.usage(now))).unwrap_or_default();
        let paused_for = key.map(|key| key.paused_until - now).filter(|pause| !pause.is_zero());
        Usage { paused_for, waiting, ..usage }
    }

    pub(super) fn account(&self, key: &Key) -> Option<&Account> {
        self.accounts.get(key.account)
    }

    /// An account to be changed.
    #[inline]
    pub(super) fn account_of(&mut self, key: u32) -> Option<&mut Account> {
        let key = self.each.get(key as usize)?;
        match &mut *self.accounts {
            // A single one has no use for its gate.
            [account] => Some(account),
            accounts => {
                *self.gates.get_mut(key.account)? = Gate::default();
                accounts.get_mut(key.account)
            }
        }
    }

    /// Keys in use.
    pub(super) fn usable(&self) -> impl Iterator<Item = (usize, &Key)> {
        self.each.iter().enumerate().filter(|(_, key)| key.is_in_use())
    }

    /// Keys in use, beginning with the `nth`, counted around.
    pub(super) fn beginning_with(&self, nth: u64) -> impl Iterator<Item = (usize, &Key)> {
        let nth = usize::try_from(nth % self.each.len().max(1) as u64).unwrap_or(0);
        let (before, after) = self.each.split_at(nth);
        let keys = after.iter().zip(nth..).chain(before.iter().zip(0..));
        keys.filter(|(key, _)| key.is_in_use()).map(|(key, at)| (at, key))
    }

    fn ready_at(&self, key: &Key, now: Timestamp, tokens: Tokens) -> Timestamp {
        let Some(account) = self.account(key) else { return Timestamp::MAX };
        if account.never(tokens).is_some() {
            return Timestamp::MAX;
        }
        account.ready_at(now, tokens).max(key.paused_until)
    }

    /// Of the keys that can serve now, one with much room left.
    #[inline]
    fn choose(&mut self, now: Timestamp, tokens: Tokens) -> Option<usize> {
        if let ([key], [account]) = (&*self.each, &*self.accounts) {
            return (key.is_open(now) && account.can_serve(now, tokens)).then_some(0);
        }
        self.choose_among(now, tokens)
    }

    /// Of those that can serve now, in turn.
    fn choose_among(&mut self, now: Timestamp, tokens: Tokens) -> Option<usize> {
        let Self { accounts, gates, each, next } = self;
        let (before, after) = each.split_at_checked(*next)?;
        let mut looked_at = 0;
        let mut best: Option<(u64, usize)> = None;
        // One loop for each part: with many keys, this is all there is to do.
        for (keys, first) in [(after, *next), (before, 0)] {
            for (key, at) in keys.iter().zip(first..) {
                let Some(gate) = gates.get_mut(key.account) else { continue };
                if gate.is_closed(now, tokens) || !key.is_open(now) {
                    continue;
                }
                let account = &accounts[key.account];
                let ready = account.ready_at(now, tokens);
                if ready > now {
                    *gate = Gate { closed_until: ready, to: tokens };
                    continue;
                }
                let room = account.headroom(now);
                // Of equals the first: the one that has rested longest.
                if best.is_none_or(|(most, _)| room > most) {
                    best = Some((room, at));
                }
                looked_at += 1;
                if room == ALL || looked_at == LOOKED_AT {
                    return best.map(|(_, at)| at);
                }
            }
        }
        best.map(|(_, at)| at)
    }

    /// The key that can serve first.
    pub(super) fn first(&self, now: Timestamp, tokens: Tokens) -> Option<usize> {
        let ready = |(_, key): &(usize, &Key)| self.ready_at(key, now, tokens);
        self.usable().min_by_key(ready).map(|(at, _)| at)
    }

    /// Takes what a request needs of a key, with a receipt if it may be given back.
    #[inline]
    fn take_from(
        &mut self,
        at: usize,
        now: Timestamp,
        tokens: Tokens,
        receipt: Option<Receipt>,
    ) -> u32 {
        self.next = if at + 1 < self.each.len() { at + 1 } else { 0 };
        if let Some(key) = self.each.get_mut(at) {
            key.in_flight += 1;
        }
        // Not by `account_of`: taking opens no gate.
        let account = match &mut *self.accounts {
            [account] => Some(account),
            accounts => accounts.get_mut(self.each[at].account),
        };
        match (account, receipt) {
            (Some(account), Some(receipt)) => account.hold(now, tokens, receipt),
            (Some(account), None) => account.take(now, tokens),
            (None, _) => {}
        }
        number(at)
    }
}

/// The number of a key as a grant has it.
fn number(at: usize) -> u32 {
    u32::try_from(at).unwrap_or(u32::MAX)
}

impl Rule for Choice {
    type State = Keys;
    type Ask = Tokens;
    /// By the number of the account, which is what a bucket is here: who waits for a key waits for all that share its
    /// account.
    type Turns = Vec<Timestamp>;

    const OPEN_ENDED: bool = true;

    fn permits(_: Tokens) -> u64 {
        1
    }

    fn ask(permits: u64) -> Tokens {
        permits.into()
    }

    /// If it can't pass by any key; the reason of the one that comes nearest.
    fn never(&self, keys: &Keys, _: Timestamp, tokens: Tokens) -> Option<Rejection> {
        let mut nearest: Option<(u64, Rejection)> = None;
        for (_, key) in keys.usable() {
            let never = keys.account(key).and_then(|account| account.never(tokens))?;
            let Rejection::ExceedsBurst { burst, .. } = never else { return Some(never) };
            if nearest.is_none_or(|(most, _)| burst > most) {
                nearest = Some((burst, never));
            }
        }
        // Without a key in use, nothing passes until one is added.
        nearest.map(|(_, never)| never)
    }

    fn ready_at(&self, keys: &Keys, now: Timestamp, tokens: Tokens) -> Timestamp {
        let mut first = None;
        for (_, key) in keys.usable() {
            let ready = keys.ready_at(key, now, tokens);
            if ready <= now {
                return now;
            }
            first = Some(first.map_or(ready, |first: Timestamp| first.min(ready)));
        }
        // Without a key in use it depends on when one is added. With keys that are all too small
        // it is never, and nobody may wait behind that.
        first.unwrap_or(UNKNOWN)
    }

    #[inline]
    fn try_take(&self, keys: &mut Keys, now: Timestamp, tokens: Tokens) -> Option<u32> {
        let at = keys.choose(now, tokens)?;
        Some(keys.take_from(at, now, tokens, None))
    }

    fn take(&self, keys: &mut Keys, now: Timestamp, tokens: Tokens) -> u32 {
        let at = keys.choose(now, tokens).or_else(|| keys.first(now, tokens));
        at.map_or(u32::MAX, |at| keys.take_from(at, now, tokens, None))
    }

    #[inline]
    fn try_hold(
        &self,
        keys: &mut Keys,
        now: Timestamp,
        tokens: Tokens,
        receipt: Receipt,
    ) -> Option<u32> {
        let at = keys.choose(now, tokens)?;
        Some(keys.take_from(at, now, tokens, Some(receipt)))
    }

    fn hold(
        &self,
        keys: &mut Keys,
        now: Timestamp,
        tokens: Tokens,
        nth: u64,
        receipt: Receipt,
    ) -> u32 {
        let first = keys.first_free(tokens, nth, now, |_| Some(now));
        first.map_or(u32::MAX, |(_, at)| keys.take_from(at, now, tokens, Some(receipt)))
    }

    fn able(&self, keys: &Keys, tokens: Tokens) -> Buckets {
        keys.able(tokens)
    }

    fn try_hold_beside(
        &self,
        keys: &mut Keys,
        now: Timestamp,
        tokens: Tokens,
        nth: u64,
        receipt: Receipt,
        claims: &Buckets,
    ) -> Option<u32> {
        let free = |account| (!claims.contains(account)).then_some(now);
        let (ready, at) = keys.first_free(tokens, nth, now, free)?;
        (ready <= now).then(|| keys.take_from(at, now, tokens, Some(receipt)))
    }

    fn ready_beside(
        &self,
        keys: &Keys,
        now: Timestamp,
        tokens: Tokens,
        claims: &Buckets,
    ) -> Timestamp {
        let free = |account| (!claims.contains(account)).then_some(now);
        keys.first_free(tokens, 0, now, free).map_or(Timestamp::MAX, |(ready, _)| ready)
    }

    fn ready_behind(
        &self,
        keys: &Keys,
        turns: &Vec<Timestamp>,
        from: Timestamp,
        tokens: Tokens,
        nth: u64,
    ) -> (Timestamp, u32) {
        let free = |account| Some(turns.get(account).map_or(from, |turn| from.max(*turn)));
        // Without a key in use, it depends on when one is added.
        let bound = keys.bound(turns, from, tokens);
        let first = keys.first_free(tokens, nth, bound, free);
        first.map_or((UNKNOWN, u32::MAX), |(ready, at)| (ready, number(at)))
    }

    fn take_behind(
        &self,
        keys: &mut Keys,
        turns: &mut Vec<Timestamp>,
        at: Timestamp,
        by: u32,
        tokens: Tokens,
    ) {
        keys.pass_turn(turns, at, tokens);
        if at < UNKNOWN && by != u32::MAX {
            keys.take_from(by as usize, at, tokens, None);
        }
    }

    /// A permit stays open until it is settled.
    fn release(&self, _: &mut Keys, _: Tokens, _: Taken) {}

    fn undo(&self, keys: &mut Keys, now: Timestamp, tokens: Tokens, taken: Taken) {
        if let Some(account) = keys.account_of(taken.by) {
            account.cancel(now, tokens, taken.receipt);
        }
        keys.landed(taken.by, false);
    }

    fn refused_by(&self, keys: &Keys, now: Timestamp, tokens: Tokens) -> WhichLimit {
        let first = keys.first(now, tokens).and_then(|at| keys.each.get(at));
        let kind = first.map_or(LimitKind::Concurrency, |key| match keys.account(key) {
            Some(account) if key.paused_until <= account.ready_at(now, tokens) => {
                account.refused_by(now, tokens)
            }
            _ => LimitKind::ServerWait,
        });
        kind.which()
    }

    fn used(&self, _: &Keys, _: Timestamp) -> u128 {
        0
    }

    fn limit(&self) -> u64 {
        u64::MAX
    }

    fn full_at(&self, _: &Keys, now: Timestamp) -> Timestamp {
        now
    }

    fn is_cumulative(&self) -> bool {
        false
    }

    fn catches_up(&self) -> bool {
        false
    }

    fn quota(&self) -> Quota {
        Quota::unlimited()
    }
}
