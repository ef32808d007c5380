//! The limiter rule of all LLM limits: which key can serve a request, and when the first one can.
//!
//! What the core calls a bucket is an account here: a request that waits for a key waits for all
//! keys of the same account. A [`Limiter`](crate::llm::Limiter) is the case of one key.

use super::keys::{Keys, key_number};
use crate::algorithm::Receipt;
use crate::answer::Taken;
use crate::limiters::core::{Buckets, Rule, UNKNOWN};
use crate::llm::{LimitKind, Tokens};
use crate::{Quota, Rejection, Timestamp, WhichLimit};

/// The rule. It has no fields: limits can be learned from responses, so they are part of the state
/// ([`Keys`]).
#[derive(Clone, Copy, Debug)]
pub(crate) struct KeyRule;

impl Rule for KeyRule {
    type State = Keys;
    type Ask = Tokens;
    /// By account number: the time from which the account is available to later waiters.
    type Turns = Vec<Timestamp>;

    const OPEN_ENDED: bool = true;

    fn permits(_: Tokens) -> u64 {
        1
    }

    fn ask(permits: u64) -> Tokens {
        permits.into()
    }

    /// If no active key could ever serve the request, the reason of the key that comes nearest.
    fn never(&self, keys: &Keys, _: Timestamp, tokens: Tokens) -> Option<Rejection> {
        let mut nearest: Option<(u64, Rejection)> = None;
        for (_, key) in keys.active() {
            let never = keys.account(key).and_then(|account| account.never(tokens))?;
            let Rejection::ExceedsBurst { burst, .. } = never else { return Some(never) };
            if nearest.is_none_or(|(most, _)| burst > most) {
                nearest = Some((burst, never));
            }
        }
        // Without an active key, the request can pass once a key is added.
        nearest.map(|(_, never)| never)
    }

    fn ready_at(&self, keys: &Keys, now: Timestamp, tokens: Tokens) -> Timestamp {
        let mut first = None;
        for (_, key) in keys.active() {
            let ready = keys.ready_at(key, now, tokens);
            if ready <= now {
                return now;
            }
            first = Some(first.map_or(ready, |first: Timestamp| first.min(ready)));
        }
        // Without an active key, the time depends on when one is added. If all keys are too small,
        // the time is `Timestamp::MAX`: the request is rejected, and blocks no other waiter.
        first.unwrap_or(UNKNOWN)
    }

    /// An account on trial is closed for so long at most: usually its request is answered earlier.
    fn may_be_sooner(&self, keys: &Keys, now: Timestamp, tokens: Tokens) -> Option<Timestamp> {
        keys.after_trial(now, tokens)
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
        let first = keys.first_available(tokens, nth, now, |_| Some(now));
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
        let available_from = |account| (!claims.contains(account)).then_some(now);
        let (ready, at) = keys.first_available(tokens, nth, now, available_from)?;
        (ready <= now).then(|| keys.take_from(at, now, tokens, Some(receipt)))
    }

    fn ready_beside(
        &self,
        keys: &Keys,
        now: Timestamp,
        tokens: Tokens,
        claims: &Buckets,
    ) -> Timestamp {
        let available_from = |account| (!claims.contains(account)).then_some(now);
        keys.first_available(tokens, 0, now, available_from)
            .map_or(Timestamp::MAX, |(ready, _)| ready)
    }

    fn ready_behind(
        &self,
        keys: &Keys,
        turns: &Vec<Timestamp>,
        from: Timestamp,
        tokens: Tokens,
        nth: u64,
    ) -> (Timestamp, u32) {
        let available_from =
            |account| Some(turns.get(account).map_or(from, |turn| from.max(*turn)));
        // Without an active key, the time depends on when one is added.
        let bound = keys.bound(turns, from, tokens);
        let first = keys.first_available(tokens, nth, bound, available_from);
        first.map_or((UNKNOWN, u32::MAX), |(ready, at)| (ready, key_number(at)))
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

    /// Does nothing: a permit can be given back until it is settled.
    fn release(&self, _: &mut Keys, _: Tokens, _: Taken) {}

    fn undo(&self, keys: &mut Keys, now: Timestamp, tokens: Tokens, taken: Taken) {
        if let Some(account) = keys.account_of(taken.by) {
            account.cancel(now, tokens, taken.receipt);
        }
        keys.end_request(taken.by);
    }

    fn refused_by(&self, keys: &Keys, now: Timestamp, tokens: Tokens) -> WhichLimit {
        let first = keys.first(now, tokens).and_then(|at| keys.get(at));
        let account = first.and_then(|key| keys.account(key));
        let kind = account.map_or(LimitKind::Concurrency, |it| it.refused_by(now, tokens));
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
