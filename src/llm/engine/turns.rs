//! Which key serves those who wait, and when.
//!
//! Who does not wait gets a good key at a low price (see [`choice`](crate::llm::engine::rule)). Who waits was told when it will be
//! served, which depends on the keys that those before it get: so here the choice must be the same whether it is planned
//! or made, and depends on nothing but the accounts and the place in the queue.

use crate::Timestamp;
use crate::limiters::core::{Buckets, UNKNOWN};
use crate::llm::Tokens;
use crate::llm::engine::rule::{Key, Keys, LOOKED_AT};

impl Keys {
    /// The accounts with a key in use that could ever serve so many tokens.
    pub(crate) fn able(&self, tokens: Tokens) -> Buckets {
        let mut able = Buckets::default();
        for (_, key) in self.usable().filter(|(_, key)| self.is_able(key, tokens)) {
            able.insert(key.account);
        }
        able
    }

    /// The key that can serve first, and when, where `free` says from when an account may be used, if at all; none before
    /// `bound`. Of several at the same time one with much left, beginning with the `nth`.
    pub(crate) fn first_free(
        &self,
        tokens: Tokens,
        nth: u64,
        bound: Timestamp,
        free: impl Fn(usize) -> Option<Timestamp>,
    ) -> Option<(Timestamp, usize)> {
        let mut first: Option<(Timestamp, usize)> = None;
        // Of so many at that time, and what is left of the best of them.
        let (mut looked_at, mut most) = (0, None);
        for (at, key) in self.beginning_with(nth) {
            let soonest = first.map_or(Timestamp::MAX, |(soonest, _)| soonest);
            let Some(from) = free(key.account).filter(|from| *from <= soonest) else { continue };
            let ready = self.ready_from(key, from, tokens);
            if ready < soonest || first.is_none() {
                (first, looked_at, most) = (Some((ready, at)), 1, None);
            } else if ready == soonest && ready < UNKNOWN && looked_at < LOOKED_AT {
                looked_at += 1;
                let room = self.room(key, ready);
                let best = first.and_then(|(_, best)| self.each.get(best));
                let best_room = most.unwrap_or_else(|| best.map_or(0, |it| self.room(it, ready)));
                most = Some(best_room.max(room));
                if room > best_room {
                    first = Some((ready, at));
                }
            }
            if looked_at == LOOKED_AT && ready <= bound {
                break;
            }
        }
        first
    }

    /// How much is left of the account of a key.
    fn room(&self, key: &Key, at: Timestamp) -> u64 {
        self.account(key).map_or(0, |account| account.headroom(at))
    }

    /// When a key can serve so many tokens that is not free before `from`.
    fn ready_from(&self, key: &Key, from: Timestamp, tokens: Tokens) -> Timestamp {
        if !self.is_able(key, tokens) {
            return Timestamp::MAX;
        }
        let ready = self.account(key).map(|account| account.ready_at(from, tokens));
        ready.unwrap_or(UNKNOWN).max(key.paused_until).max(from).min(UNKNOWN)
    }

    /// Before this time, nobody behind these turns is served so many tokens.
    pub(crate) fn bound(&self, turns: &[Timestamp], from: Timestamp, tokens: Tokens) -> Timestamp {
        let able = self.usable().filter(|(_, key)| self.is_able(key, tokens));
        let turns =
            able.map(|(_, key)| turns.get(key.account).map_or(from, |turn| from.max(*turn)));
        turns.min().unwrap_or(from)
    }

    /// Somebody who could be served by all accounts that are able is served at `at`: those behind come after that.
    pub(crate) fn pass_turn(&self, turns: &mut Vec<Timestamp>, at: Timestamp, tokens: Tokens) {
        for (_, key) in self.usable().filter(|(_, key)| self.is_able(key, tokens)) {
            if key.account >= turns.len() {
                turns.resize(key.account + 1, Timestamp::ZERO);
            }
            turns[key.account] = turns[key.account].max(at);
        }
    }
}
