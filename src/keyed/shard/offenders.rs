//! The keys that are refused most, in bounded memory.
//!
//! The space-saving algorithm (Metwally, Agrawal, El Abbadi: "Efficient computation of frequent and
//! top-k elements in data streams", 2005): a key without a counter takes over the smallest one, and
//! what that had counted is the most by which the new count may be too high. Every key with more
//! than `refusals / COUNTERS` of its shard's refusals has a counter.
//!
//! Keys that are idle are forgotten, so that no copy of a key outlives its use for long.

/// For each shard.
const COUNTERS: usize = 16;

/// A key that was refused, and how often.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Offender<K> {
    /// The key.
    pub key: K,
    /// Permits that it was refused, at most.
    pub denied: u64,
    /// By how much `denied` may be too high.
    pub overcount: u64,
}

#[derive(Debug)]
struct Counter<K> {
    /// Of keys that pass by once, none is copied: one that takes a counter over is at its second
    /// refusal.
    key: Option<K>,
    denied: u64,
    overcount: u64,
    /// Whether it has counted anything since it was last looked at.
    recent: bool,
}

/// One shard's counters.
#[derive(Debug)]
pub(crate) struct Refused<K> {
    /// Apart from the counters, for a quick search.
    hashes: Vec<u64>,
    counters: Vec<Counter<K>>,
}

impl<K> Default for Refused<K> {
    fn default() -> Self {
        Self { hashes: Vec::new(), counters: Vec::new() }
    }
}

impl<K: Clone> Refused<K> {
    /// Counts `permits` refused to the key of `hash`.
    pub(crate) fn count(&mut self, hash: u64, permits: u64, to_key: impl FnOnce() -> K) {
        let known = self.hashes.iter().position(|known| *known == hash);
        if let Some(counter) = known.and_then(|at| self.counters.get_mut(at)) {
            counter.denied = counter.denied.saturating_add(permits);
            counter.recent = true;
            counter.key.get_or_insert_with(to_key);
            return;
        }
        if self.counters.len() < COUNTERS {
            let key = Some(to_key());
            self.hashes.push(hash);
            self.counters.push(Counter { key, denied: permits, overcount: 0, recent: true });
            return;
        }
        let smallest = self.counters.iter_mut().zip(&mut self.hashes);
        if let Some((counter, known)) = smallest.min_by_key(|(counter, _)| counter.denied) {
            let overcount = counter.denied;
            let denied = overcount.saturating_add(permits);
            *known = hash;
            *counter = Counter { key: None, denied, overcount, recent: true };
        }
    }

    /// The counters whose key is known.
    pub(crate) fn offenders(&self) -> impl Iterator<Item = Offender<K>> {
        self.counters.iter().filter_map(|counter| {
            let key = counter.key.clone()?;
            Some(Offender { key, denied: counter.denied, overcount: counter.overcount })
        })
    }

    /// Whether nothing is counted.
    pub(crate) fn is_empty(&self) -> bool {
        self.counters.is_empty()
    }

    /// Forgets the keys for which `is_held` says `false`, but for those that were refused since the
    /// last time; `all` forgets those too.
    pub(crate) fn forget_idle(&mut self, all: bool, is_held: impl Fn(u64, &K) -> bool) {
        let Self { hashes, counters } = self;
        let mut kept = 0;
        for index in 0..counters.len() {
            let counter = &mut counters[index];
            let recent = std::mem::take(&mut counter.recent) && !all;
            let held = |key: &K| is_held(hashes[index], key);
            if recent || counter.key.as_ref().is_some_and(held) {
                counters.swap(kept, index);
                hashes.swap(kept, index);
                kept += 1;
            }
        }
        counters.truncate(kept);
        hashes.truncate(kept);
        if counters.is_empty() {
            // The memory, too.
            *self = Self::default();
        }
    }

    pub(crate) fn forget(&mut self) {
        *self = Self::default();
    }
}
