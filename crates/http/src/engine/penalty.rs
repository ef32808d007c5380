//! Penalties for callers that go on in spite of refusals (rule P9).

use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use hashbrown::HashMap;
use parking_lot::Mutex;
use tollgate::keyed::{ToKey, WhenFull};
use tollgate::{Clock, KeyedLimiter, Quota, Timestamp};

use super::compiled::CompiledPenalty;
use super::key::{Key, KeyParts};
use super::store::EngineClock;

/// The most callers of which is known that they were blocked.
const MAX_CALLERS: usize = 100_000;

/// Counts refusals, and knows the callers that were blocked. Both belong to the process and not to
/// a policy, so a reload keeps them.
pub(crate) struct Penalties {
    /// The refusals of each caller that are put up with.
    refusals: KeyedLimiter<Key, EngineClock>,
    clock: EngineClock,
    /// How many callers are known, so that a request need not take the lock to find none.
    count: AtomicUsize,
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
            .when_full(WhenFull::Share)
            .build()
            .expect("an unlimited quota and a number of keys are valid");
        Self { refusals, clock, count: AtomicUsize::new(0), known: Mutex::default() }
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
        if self.count.load(Ordering::Relaxed) == 0 {
            return None;
        }
        let until = self.known.lock().get(key)?.until;
        let now = self.now();
        (now < until).then(|| until - now)
    }

    /// Counts a refusal. If it is one too many, begins a block and returns how long it is. If
    /// another request has begun one meanwhile, returns the rest of that.
    pub(crate) fn count(&self, key: &KeyParts, rules: &CompiledPenalty) -> Option<Block> {
        if self.refusals.allow(key) {
            return None;
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
        self.count.store(known.len(), Ordering::Relaxed);
        drop(known);
        // After the block, the caller's refusals are counted from none again.
        self.refusals.reset(key);
        Some(Block { rest: block, begins: true })
    }

    /// Ends a caller's block and forgets it; returns whether there was one.
    pub(crate) fn lift(&self, key: &Key) -> bool {
        let mut known = self.known.lock();
        let was_known = known.remove(key).is_some();
        self.count.store(known.len(), Ordering::Relaxed);
        was_known
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
        if self.count.load(Ordering::Relaxed) == 0 {
            return 0;
        }
        let now = self.now();
        self.known.lock().values().filter(|penalty| now < penalty.until).count()
    }
}

/// Drops what is forgotten by now; else the eighth of the callers whose blocks end first.
fn make_room(known: &mut HashMap<Key, Penalty, ahash::RandomState>, now: Timestamp) {
    known.retain(|_, penalty| now < penalty.forgotten_at);
    if known.len() < MAX_CALLERS {
        return;
    }
    let mut ends: Vec<Timestamp> = known.values().map(|penalty| penalty.until).collect();
    let (_, end, _) = ends.select_nth_unstable(MAX_CALLERS / 8);
    let end = *end;
    // Many blocks can end at one time.
    let mut dropped = 0;
    known.retain(|_, penalty| {
        let is_kept = penalty.until > end || dropped > MAX_CALLERS / 8;
        dropped += usize::from(!is_kept);
        is_kept
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
        f.debug_struct("Penalties").field("known", &self.count).finish_non_exhaustive()
    }
}
