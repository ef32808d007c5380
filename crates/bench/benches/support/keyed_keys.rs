//! Keys, and the order in which they are asked for.
//!
//! The order is worked out before anything is timed, and the keys lie in memory as they are asked
//! for: a key that a program asks for has just come in with a request, so it is warm, and what is
//! measured is what the limiter touches. The limiters hold copies, made in another order.

use std::fmt::Write;

use tollgate::keyed::{Key, KeyRef};

use crate::random::Random;

/// A type of keys that is measured.
pub(crate) trait Sort: Key {
    const NAME: &'static str;

    /// What a key is looked up by.
    type Borrowed: KeyRef<Self> + ?Sized;

    /// Key number `number`; no two are the same.
    fn numbered(number: u64) -> Self;

    fn borrowed(&self) -> &Self::Borrowed;
}

impl Sort for u64 {
    const NAME: &'static str = "u64";

    type Borrowed = Self;

    fn numbered(number: u64) -> Self {
        scattered(number)
    }

    fn borrowed(&self) -> &Self {
        self
    }
}

/// Strings of 16 bytes.
impl Sort for String {
    const NAME: &'static str = "String";

    type Borrowed = str;

    fn numbered(number: u64) -> Self {
        let mut key = Self::with_capacity(16);
        write!(key, "{:016x}", scattered(number)).expect("a String takes all");
        key
    }

    fn borrowed(&self) -> &str {
        self
    }
}

/// Makes numbers in a row look like any others; each has its own. (Multiplication by an odd number
/// and the shift can both be undone.)
fn scattered(number: u64) -> u64 {
    let mixed = number.wrapping_mul(0x9E37_79B9_7F4A_7C15);
    mixed ^ (mixed >> 32)
}

/// How often each key is asked for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Popularity {
    /// All the same.
    Uniform,
    /// The second half as often as the first, the third a third as often, and so on.
    Zipf,
}

impl Popularity {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Uniform => "uniform",
            Self::Zipf => "Zipf",
        }
    }

    /// The keys `0..count` as they are asked for.
    pub(crate) fn walk<K: Sort>(self, count: u32) -> Vec<K> {
        let mut random = Random::new();
        let mut ranked: Vec<u32> = (0..count).collect();
        shuffle(&mut ranked, &mut random);
        let numbers = match self {
            Self::Uniform => all_in_turn(ranked, &mut random),
            Self::Zipf => by_rank(&ranked, &mut random),
        };
        numbers.into_iter().map(|number| K::numbered(number.into())).collect()
    }
}

/// So long that no branch predictor learns the walk by heart.
const LONG: usize = 16_384;

/// Each key once, over and over in another order.
fn all_in_turn(mut keys: Vec<u32>, random: &mut Random) -> Vec<u32> {
    let mut walk = Vec::new();
    while walk.len() < keys.len().max(LONG) {
        walk.extend_from_slice(&keys);
        shuffle(&mut keys, random);
    }
    walk
}

/// Keys drawn by Zipf's law; the first of `ranked` is the most popular.
fn by_rank(ranked: &[u32], random: &mut Random) -> Vec<u32> {
    /// The first key's share, divisible enough for a million others.
    const FIRST: u64 = 1 << 40;
    let mut total = 0;
    let sums: Vec<u64> = (1..=ranked.len() as u64)
        .map(|rank| {
            total += FIRST / rank;
            total
        })
        .collect();
    let draw = |_| {
        let drawn = random.below(total);
        ranked[sums.partition_point(|sum| *sum <= drawn)]
    };
    (0..ranked.len().max(LONG)).map(draw).collect()
}

fn shuffle(keys: &mut [u32], random: &mut Random) {
    for last in (1..keys.len()).rev() {
        let other = random.below(last as u64 + 1);
        keys.swap(last, usize::try_from(other).unwrap_or(last));
    }
}
