//! The keys that are refused most, in bounded memory.
//!
//! The space-saving algorithm (Metwally, Agrawal, El Abbadi: "Efficient computation of frequent and
//! top-k elements in data streams", 2005): a key without a counter takes over the smallest one, and
//! what that had counted is the most by which the new count may be too high. Every key with more
//! than `refusals / COUNTERS` of its shard's refusals has a counter.

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
}

/// One shard's counters.
#[derive(Debug)]
pub(super) struct Refused<K> {
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
    pub(super) fn count(&mut self, hash: u64, permits: u64, to_key: impl FnOnce() -> K) {
        let known = self.hashes.iter().position(|known| *known == hash);
        if let Some(counter) = known.and_then(|at| self.counters.get_mut(at)) {
            counter.denied = counter.denied.saturating_add(permits);
            counter.key.get_or_insert_with(to_key);
            return;
        }
        if self.counters.len() < COUNTERS {
            self.hashes.push(hash);
            self.counters.push(Counter { key: Some(to_key()), denied: permits, overcount: 0 });
            return;
        }
        let smallest = self.counters.iter_mut().zip(&mut self.hashes);
        if let Some((counter, known)) = smallest.min_by_key(|(counter, _)| counter.denied) {
            let overcount = counter.denied;
            let denied = overcount.saturating_add(permits);
            *known = hash;
            *counter = Counter { key: None, denied, overcount };
        }
    }

    /// The counters whose key is known.
    pub(super) fn offenders(&self) -> impl Iterator<Item = Offender<K>> {
        self.counters.iter().filter_map(|counter| {
            let key = counter.key.clone()?;
            Some(Offender { key, denied: counter.denied, overcount: counter.overcount })
        })
    }

    pub(super) fn forget(&mut self) {
        *self = Self::default();
    }
}
