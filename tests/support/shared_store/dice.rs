//! Random numbers from a seed.

#[path = "../split_mix.rs"]
mod split_mix;

use std::time::{SystemTime, UNIX_EPOCH};

use split_mix::SplitMix64;

/// Random choices.
pub(crate) struct Dice(SplitMix64);

impl Dice {
    /// A seed that is printed, so that a failure can be repeated: set `SHARED_STORE_SEED`.
    pub(crate) fn new(what: &str) -> Self {
        let given = std::env::var("SHARED_STORE_SEED").ok().and_then(|seed| seed.parse().ok());
        let now = || SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |it| it.as_nanos());
        let seed = given.unwrap_or_else(|| u64::try_from(now() % (1 << 64)).unwrap_or(0));
        println!("{what}: SHARED_STORE_SEED={seed}");
        Self(SplitMix64::new(seed))
    }

    /// A number from 0 to `end - 1`.
    pub(crate) fn below(&mut self, end: u64) -> u64 {
        self.0.next() % end.max(1)
    }

    pub(crate) fn index(&mut self, length: usize) -> usize {
        usize::try_from(self.below(length as u64)).unwrap_or(0)
    }

    /// True once in `times`.
    pub(crate) fn once_in(&mut self, times: u64) -> bool {
        self.below(times) == 0
    }

    pub(crate) fn one_of<'a, T>(&mut self, all: &'a [T]) -> &'a T {
        &all[self.index(all.len())]
    }
}
