//! Which key serves each waiter, and when.
//!
//! A waiter is given the time at which it will be served, and that time depends on the keys that
//! the waiters before it get. So this choice must come out the same when it is planned and when it
//! is made: it depends only on the accounts and on the place in the queue. A request that does not
//! wait is served by the cheaper choice in [`choose`](super::choose).

use super::choose::MAX_COMPARED;
use super::{Key, Keys};
use crate::Timestamp;
use crate::limiters::core::{Buckets, UNKNOWN};
use crate::llm::Tokens;

impl Keys {
    /// The accounts of all active keys that could ever serve `tokens`.
    pub(crate) fn able(&self, tokens: Tokens) -> Buckets {
        let mut able = Buckets::default();
        for (_, key) in self.active().filter(|(_, key)| self.could_serve(key, tokens)) {
            able.insert(key.account);
        }
        able
    }

    /// The key that can serve `tokens` first, and when. Of several at the same time, one with a
    /// large headroom, beginning with the `nth`.
    ///
    /// `available_from` returns the time from which an account may be used, or `None` if it may
    /// not. No key can serve before `bound`, which lets the search stop early.
    pub(crate) fn first_available(
        &self,
        tokens: Tokens,
        nth: u64,
        bound: Timestamp,
        available_from: impl Fn(usize) -> Option<Timestamp>,
    ) -> Option<(Timestamp, usize)> {
        let mut first: Option<(Timestamp, usize)> = None;
        // The number of keys that can serve at that time, and the headroom of the best of them.
        let (mut compared, mut most) = (0, None);
        for (at, key) in self.active_beginning_with(nth) {
            let soonest = first.map_or(Timestamp::MAX, |(soonest, _)| soonest);
            let from = available_from(key.account).filter(|from| *from <= soonest);
            let Some(from) = from else { continue };
            let ready = self.ready_from(key, from, tokens);
            if ready < soonest || first.is_none() {
                (first, compared, most) = (Some((ready, at)), 1, None);
            } else if ready == soonest && ready < UNKNOWN && compared < MAX_COMPARED {
                compared += 1;
                let headroom = self.preference(key, ready);
                let best = first.and_then(|(_, best)| self.list.get(best));
                let best = most.unwrap_or_else(|| best.map_or(0, |it| self.preference(it, ready)));
                most = Some(best.max(headroom));
                if headroom > best {
                    first = Some((ready, at));
                }
            }
            if compared == MAX_COMPARED && ready <= bound {
                break;
            }
        }
        first
    }

    /// The active keys in a circle, beginning with the `nth`.
    fn active_beginning_with(&self, nth: u64) -> impl Iterator<Item = (usize, &Key)> {
        let nth = usize::try_from(nth % self.list.len().max(1) as u64).unwrap_or(0);
        let (before, after) = self.list.split_at(nth);
        let keys = after.iter().zip(nth..).chain(before.iter().zip(0..));
        keys.filter(|(key, _)| key.is_active()).map(|(key, at)| (at, key))
    }

    /// How much a key's account is preferred.
    fn preference(&self, key: &Key, at: Timestamp) -> u64 {
        self.account(key).map_or(0, |account| account.preference(at))
    }

    /// When a key that may be used from `from` on can serve `tokens`.
    fn ready_from(&self, key: &Key, from: Timestamp, tokens: Tokens) -> Timestamp {
        if !self.could_serve(key, tokens) {
            return Timestamp::MAX;
        }
        let ready = self.account(key).map(|account| account.ready_at(from, tokens));
        ready.unwrap_or(UNKNOWN).max(from).min(UNKNOWN)
    }

    /// A time before which no request for `tokens` behind these turns is served.
    pub(crate) fn bound(&self, turns: &[Timestamp], from: Timestamp, tokens: Tokens) -> Timestamp {
        let able = self.active().filter(|(_, key)| self.could_serve(key, tokens));
        let turns =
            able.map(|(_, key)| turns.get(key.account).map_or(from, |turn| from.max(*turn)));
        turns.min().unwrap_or(from)
    }

    /// Records that a waiter for `tokens` is served at `at`: no account that could have served it
    /// is available to later waiters before then.
    pub(crate) fn pass_turn(&self, turns: &mut Vec<Timestamp>, at: Timestamp, tokens: Tokens) {
        for (_, key) in self.active().filter(|(_, key)| self.could_serve(key, tokens)) {
            if key.account >= turns.len() {
                turns.resize(key.account + 1, Timestamp::ZERO);
            }
            turns[key.account] = turns[key.account].max(at);
        }
    }
}
