//! The keys that are refused most often, in bounded memory.
//!
//! The space-saving algorithm (Metwally, Agrawal, El Abbadi: "Efficient computation of frequent and
//! top-k elements in data streams", 2005): a key without a counter takes over the smallest counter,
//! and the old count is the most by which the new count may be too high. Every key with more than
//! `refusals / COUNTERS` of its shard's refusals has a counter.
//!
//! Idle keys are removed, so that no copy of a key outlives its use for long.

/// The number of counters per shard.
const COUNTERS: usize = 16;

/// A key, and how many permits it was refused; returned by
/// [`Keyed::most_limited`](crate::Keyed::most_limited).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Offender<K> {
    /// The key.
    pub key: K,
    /// Permits that the key was refused: an upper bound.
    pub denied: u64,
    /// The most by which `denied` may be too high.
    pub overcount: u64,
}

#[derive(Debug)]
struct Counter<K> {
    /// A key that takes over a counter is copied only at its second refusal, so keys that are
    /// refused once are not copied.
    key: Option<K>,
    denied: u64,
    overcount: u64,
    /// Whether it has counted anything since the last check for idle keys.
    recent: bool,
}

/// The counters of one shard.
#[derive(Debug)]
pub(crate) struct Offenders<K> {
    /// Separate from the counters, for a fast search.
    hashes: Vec<u64>,
    counters: Vec<Counter<K>>,
}

impl<K> Default for Offenders<K> {
    fn default() -> Self {
        Self { hashes: Vec::new(), counters: Vec::new() }
    }
}

impl<K: Clone> Offenders<K> {
    /// Counts `permits` permits refused to the key with this hash.
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
    pub(crate) fn list(&self) -> impl Iterator<Item = Offender<K>> {
        self.counters.iter().filter_map(|counter| {
            let key = counter.key.clone()?;
            Some(Offender { key, denied: counter.denied, overcount: counter.overcount })
        })
    }

    /// Whether there are no counters.
    pub(crate) fn is_empty(&self) -> bool {
        self.counters.is_empty()
    }

    /// Removes the keys for which `is_held` returns `false`, except those refused since the last
    /// call; `all` removes those too.
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
            // Frees the memory, too.
            *self = Self::default();
        }
    }

    pub(crate) fn forget(&mut self) {
        *self = Self::default();
    }
}
