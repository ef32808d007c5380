//! Random numbers from a seed.

#[path = "../split_mix.rs"]
mod split_mix;

use std::time::{SystemTime, UNIX_EPOCH};

use split_mix::SplitMix64;

/// The seed, if none is given.
const USUAL: u64 = 0x746f_6c6c_6761_7465;

/// Random choices.
pub(crate) struct Dice(SplitMix64);

impl Dice {
    /// The seed is the same each time, so that a change is not blamed for what it has not done.
    /// `SHARED_STORE_SEED` sets another one, and `SHARED_STORE_SEED=new` one that nobody has tried.
    /// The seed is printed, so that a failure can be repeated.
    pub(crate) fn new(what: &str) -> Self {
        let now = || SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |it| it.as_nanos());
        let seed = match std::env::var("SHARED_STORE_SEED") {
            Ok(new) if new == "new" => u64::try_from(now() % (1 << 64)).unwrap_or(0),
            Ok(given) => given.parse().unwrap_or(USUAL),
            Err(_) => USUAL,
        };
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
