//! Random numbers that can be repeated.

/// A generator (`SplitMix64`), whose seed is printed. `SEED=…` sets it.
pub struct Random(u64);

impl Random {
    pub fn new(test: &str) -> Self {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        let from_clock = now.map_or(0, |now| now.as_nanos() as u64);
        let seed = std::env::var("SEED").ok().and_then(|it| it.parse().ok()).unwrap_or(from_clock);
        eprintln!("{test}: SEED={seed}");
        Self(seed)
    }

    /// The generator of a process whose seed is chosen by another, which prints it.
    pub fn with_seed(seed: u64) -> Self {
        Self(seed)
    }

    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `end`.
    pub fn below(&mut self, end: u64) -> u64 {
        self.next() % end.max(1)
    }

    pub fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[self.below(from.len() as u64) as usize]
    }
}
