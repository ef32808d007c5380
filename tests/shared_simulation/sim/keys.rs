//! Which key asks next.

use super::split_mix::SplitMix64;

/// How many keys are called popular: the first ones.
pub(crate) const POPULAR_KEYS: usize = 10;

/// Keys from 0 on, of which key `k` asks `k + 1` times less often than key 0: Zipf's law.
pub(crate) struct Keys {
    /// The share of all requests that the keys up to each one have.
    up_to: Vec<f64>,
}

impl Keys {
    #[allow(clippy::cast_precision_loss, reason = "some millions")]
    pub(crate) fn new(count: usize) -> Self {
        let weights = || (1..=count).map(|rank| 1.0 / rank as f64);
        let all: f64 = weights().sum();
        let mut sum = 0.0;
        let up_to = weights().map(|weight| {
            sum += weight;
            sum / all
        });
        Self { up_to: up_to.collect() }
    }

    pub(crate) fn next(&self, random: &mut SplitMix64) -> usize {
        let share = random.share();
        self.up_to.partition_point(|up_to| *up_to <= share).min(self.up_to.len() - 1)
    }

    /// The share of all requests that a key has.
    pub(crate) fn share_of(&self, key: usize) -> f64 {
        let before = key.checked_sub(1).map_or(0.0, |before| self.up_to[before]);
        self.up_to[key] - before
    }
}
