//! The default hasher.

use std::hash::{BuildHasher, Hasher};

/// The default hasher: [aHash], randomly seeded for each process and again for each limiter. On
/// `wasm32-unknown-unknown` the standard library has no random numbers, so the seed can be guessed.
///
/// The keys of a rate limiter are often chosen by the clients it limits, so its hasher must resist
/// collision attacks. The authors of aHash promise that nobody who does not know the seed can find
/// colliding keys, and that they will fix any flaw found in that. [`std::hash::RandomState`]
/// (`SipHash`) promises the same and takes several times as long for short keys. A hasher without
/// that promise, such as `foldhash::fast`, is faster by a few nanoseconds per decision; use it only
/// if untrusted clients cannot choose the keys: see
/// [`KeyedBuilder::hasher`](super::KeyedBuilder::hasher).
///
/// [aHash]: https://github.com/tkaitchuck/aHash
///
/// ```
/// use std::hash::BuildHasher;
/// let hasher = tollgate::keyed::RandomState::default();
/// assert_eq!(hasher.hash_one("alice"), hasher.hash_one("alice"));
/// ```
#[derive(Clone, Debug)]
pub struct RandomState(ahash::RandomState);

impl Default for RandomState {
    /// A state with a seed of its own, which comes from the random keys of
    /// [`std::hash::RandomState`].
    fn default() -> Self {
        let random = std::hash::RandomState::new();
        let seed = |number: u64| random.hash_one(number);
        Self(ahash::RandomState::with_seeds(seed(0), seed(1), seed(2), seed(3)))
    }
}

impl BuildHasher for RandomState {
    type Hasher = KeyHasher;

    #[inline]
    fn build_hasher(&self) -> KeyHasher {
        KeyHasher(self.0.build_hasher())
    }
}

/// The hasher of [`RandomState`].
#[derive(Clone)]
pub struct KeyHasher(<ahash::RandomState as BuildHasher>::Hasher);

macro_rules! forward {
    ($($write:ident($int:ty),)*) => {
        $(
            #[inline]
            fn $write(&mut self, value: $int) {
                self.0.$write(value);
            }
        )*
    };
}

impl Hasher for KeyHasher {
    #[inline]
    fn finish(&self) -> u64 {
        self.0.finish()
    }

    #[inline]
    fn write(&mut self, bytes: &[u8]) {
        self.0.write(bytes);
    }

    // Integers have faster methods of their own.
    forward! {
        write_u8(u8),
        write_u16(u16),
        write_u32(u32),
        write_u64(u64),
        write_u128(u128),
        write_usize(usize),
    }
}

impl std::fmt::Debug for KeyHasher {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // The seed is not printed.
        f.debug_struct("KeyHasher").finish_non_exhaustive()
    }
}
