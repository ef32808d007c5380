//! Penalties for callers that go on in spite of refusals (rule P9).

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use hashbrown::HashMap;
use parking_lot::Mutex;
use tollgate::keyed::{ToKey, WhenFull};
use tollgate::{Clock, KeyedLimiter, Quota, Rejection, Timestamp};

use super::compiled::CompiledPenalty;
use super::key::{Key, KeyParts};
use super::store::EngineClock;

/// The most callers of which is known that they were blocked.
const MAX_CALLERS: usize = 100_000;

/// How many of them stay when room is made, so that room is rarely made.
const KEPT_CALLERS: usize = MAX_CALLERS - MAX_CALLERS / 8;

/// Counts refusals, and knows the callers that were blocked. Both belong to the process and not to
/// a policy, so a reload keeps them.
pub(crate) struct Penalties {
    /// The refusals of each caller that are put up with.
    refusals: KeyedLimiter<Key, EngineClock>,
    clock: EngineClock,
    /// When the last block ends, in nanoseconds of the clock; 0 if there was none. So a request
    /// need not take the lock, which all requests share, while nobody is blocked.
    blocked_until: AtomicU64,
    known: Mutex<HashMap<Key, Penalty, ahash::RandomState>>,
}

struct Penalty {
    until: Timestamp,
    /// The number of blocks so far, this one not counted.
    blocks_before: u32,
    /// When the blocks are forgotten.
    forgotten_at: Timestamp,
}

/// A block, as it is for one refusal.
pub(crate) struct Block {
    pub(crate) rest: Duration,
    /// Whether this refusal has begun the block.
    pub(crate) begins: bool,
}

impl Penalties {
    pub(crate) fn new(clock: EngineClock) -> Self {
        let refusals = KeyedLimiter::builder(Quota::unlimited())
            .name("penalty")
            .clock(clock.clone())
            .max_keys(MAX_CALLERS)
            .when_full(WhenFull::Deny)
            .build()
            .expect("an unlimited quota and a number of keys are valid");
        Self { refusals, clock, blocked_until: AtomicU64::new(0), known: Mutex::default() }
    }

    /// Changes how many refusals are put up with; the used share carries over.
    pub(crate) fn set_after(&self, after: Quota) {
        if self.refusals.quota() != after {
            // The policy has checked the quota.
            let _ = self.refusals.set_quota(after);
        }
    }

    fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// The rest of a caller's block.
    pub(crate) fn rest(&self, key: &KeyParts) -> Option<Duration> {
        let now = self.now_if_blocked()?;
        let until = self.known.lock().get(key)?.until;
        (now < until).then(|| until - now)
    }

    /// The time, if anybody may be blocked.
    fn now_if_blocked(&self) -> Option<Timestamp> {
        let blocked_until = self.blocked_until.load(Ordering::Relaxed);
        if blocked_until == 0 {
            return None;
        }
        Some(self.now()).filter(|now| now.as_nanos() < blocked_until)
    }

    /// Counts a refusal. If it is one too many, begins a block and returns how long it is. If
    /// another request has begun one meanwhile, counts nothing and returns the rest of that.
    pub(crate) fn count(&self, key: &KeyParts, rules: &CompiledPenalty) -> Option<Block> {
        // During a block nothing counts, also not what was let through before it began.
        if let Some(rest) = self.rest(key) {
            return Some(Block { rest, begins: false });
        }
        match self.refusals.try_acquire(key, 1) {
            // Nobody is blocked because others have taken all the places.
            Ok(_) | Err(Rejection::TooManyKeys { .. }) => return None,
            Err(_) => {}
        }
        let now = self.now();
        let mut known = self.known.lock();
        let before = known.get(key);
        if let Some(running) = before.filter(|penalty| now < penalty.until) {
            return Some(Block { rest: running.until - now, begins: false });
        }
        let blocks_before = before
            .filter(|penalty| now < penalty.forgotten_at)
            .map_or(0, |penalty| penalty.blocks_before.saturating_add(1));
        if known.len() >= MAX_CALLERS {
            make_room(&mut known, now);
        }
        let block = length(rules, blocks_before);
        let until = now + block;
        let penalty = Penalty { until, blocks_before, forgotten_at: until + rules.forget };
        known.insert(key.to_key(), penalty);
        self.blocked_until.fetch_max(until.as_nanos(), Ordering::Relaxed);
        drop(known);
        // After the block, the caller's refusals are counted from none again.
        self.refusals.reset(key);
        Some(Block { rest: block, begins: true })
    }

    /// Ends a caller's block and forgets it; returns whether there was one.
    pub(crate) fn lift(&self, key: &Key) -> bool {
        self.known.lock().remove(key).is_some()
    }

    /// The callers that are blocked, with the rest of their blocks.
    pub(crate) fn list(&self) -> Vec<(Key, Duration)> {
        let now = self.now();
        let known = self.known.lock();
        let blocked = known.iter().filter(|(_, penalty)| now < penalty.until);
        blocked.map(|(key, penalty)| (key.clone(), penalty.until - now)).collect()
    }

    /// How many callers are blocked.
    #[cfg(feature = "metrics")]
    pub(crate) fn active(&self) -> usize {
        let Some(now) = self.now_if_blocked() else { return 0 };
        self.known.lock().values().filter(|penalty| now < penalty.until).count()
    }
}

/// Drops what is forgotten by now, and then the callers whose blocks end first, until an eighth of
/// the places is free.
fn make_room(known: &mut HashMap<Key, Penalty, ahash::RandomState>, now: Timestamp) {
    known.retain(|_, penalty| now < penalty.forgotten_at);
    let mut excess = known.len().saturating_sub(KEPT_CALLERS);
    let mut ends: Vec<Timestamp> = known.values().map(|penalty| penalty.until).collect();
    if excess == 0 || excess >= ends.len() {
        return;
    }
    let end = *ends.select_nth_unstable(excess).1;
    // Many blocks may end at the same time, and only so many of them are dropped.
    known.retain(|_, penalty| {
        let is_dropped = excess > 0 && penalty.until <= end;
        excess -= usize::from(is_dropped);
        !is_dropped
    });
}

/// `min(block * growth^blocks, max)`
fn length(rules: &CompiledPenalty, blocks_before: u32) -> Duration {
    let mut block = rules.block.min(rules.max);
    for _ in 0..blocks_before {
        // It does not grow any more, or it has reached the maximum.
        if rules.growth <= 1 || block >= rules.max {
            break;
        }
        block = block.saturating_mul(rules.growth).min(rules.max);
    }
    block
}

impl fmt::Debug for Penalties {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Penalties")
            .field("blocked_until", &self.blocked_until)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use tollgate::ManualClock;

    use super::*;
    use crate::engine::key::Part;

    const MINUTE: Duration = Duration::from_secs(60);

    fn penalties() -> (Penalties, CompiledPenalty, ManualClock) {
        let clock = ManualClock::new();
        let penalties = Penalties::new(EngineClock::Other(Arc::new(clock.clone())));
        let rules = CompiledPenalty {
            key: Box::default(),
            prefixes: crate::address::Prefixes::default(),
            after: Quota::per_hour(1),
            block: MINUTE,
            growth: 1,
            max: MINUTE,
            forget: MINUTE,
        };
        penalties.set_after(rules.after);
        (penalties, rules, clock)
    }

    fn caller(number: usize) -> KeyParts {
        let mut key = KeyParts::default();
        key.push(Part::User(number.to_string().into()));
        key
    }

    /// Callers without room for their refusals shared one bucket, so that after a flood of callers
    /// the first refusal of any other began a block.
    #[test]
    fn a_flood_of_callers_does_not_get_others_blocked() {
        let (penalties, rules, _clock) = penalties();
        for number in 0..MAX_CALLERS + 100 {
            assert!(penalties.count(&caller(number), &rules).is_none(), "the first of {number}");
        }
        assert!(penalties.list().is_empty());
    }

    /// All blocks that end at the same time were dropped to make room for one more.
    #[test]
    fn an_eighth_of_the_blocks_is_dropped_if_all_end_at_the_same_time() {
        let (penalties, rules, _clock) = penalties();
        for number in 0..=MAX_CALLERS {
            penalties.count(&caller(number), &rules);
            assert!(penalties.count(&caller(number), &rules).is_some_and(|block| block.begins));
        }
        assert_eq!(penalties.list().len(), KEPT_CALLERS + 1);
        assert!(penalties.rest(&caller(MAX_CALLERS)).is_some());
    }

    /// A few forgotten callers made so little room that the next refusals searched all again.
    #[test]
    fn room_is_made_for_many_at_once() {
        let (penalties, rules, clock) = penalties();
        let block = |number| {
            penalties.count(&caller(number), &rules);
            penalties.count(&caller(number), &rules);
        };
        (0..10).for_each(block);
        clock.advance(MINUTE);
        (10..MAX_CALLERS).for_each(block);
        // The first ten are forgotten.
        clock.advance(MINUTE);
        block(MAX_CALLERS);
        assert_eq!(penalties.known.lock().len(), KEPT_CALLERS + 1);
    }

    /// Once one caller had been blocked, each request took the lock that all share.
    #[test]
    fn nobody_takes_the_lock_after_the_last_block() {
        let (penalties, rules, clock) = penalties();
        penalties.count(&caller(1), &rules);
        penalties.count(&caller(1), &rules);
        assert_eq!(penalties.rest(&caller(1)), Some(MINUTE));
        clock.advance(MINUTE);
        let _held = penalties.known.lock();
        // It would wait for ever.
        assert_eq!(penalties.rest(&caller(1)), None);
    }
}
