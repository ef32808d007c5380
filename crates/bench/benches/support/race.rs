//! Contestants measured in turns.
//!
//! On a machine that drifts, two means taken minutes apart say little about each other. A race has
//! many rounds; in each, every contestant runs for one short slice, in shuffled order. The ratio of
//! two contestants is the median over the rounds of their ratio within a round.

use std::time::Duration;

use crate::pool::{Pool, Timing};
use crate::random::Random;
use crate::work::Contestant;

/// How long a race is.
#[derive(Clone, Copy)]
pub(crate) struct Length {
    pub(crate) rounds: usize,
    pub(crate) slice: Slice,
}

/// How long one contestant's turn is.
#[derive(Clone, Copy)]
pub(crate) enum Slice {
    /// About so long, as many operations as that may be.
    Lasting(Duration),
    /// So many operations, however long they take.
    #[allow(dead_code, reason = "not every benchmark counts its operations")]
    Of(u64),
}

/// The share of the time for which threads must have run together to have met.
const ENOUGH: f64 = 0.85;

/// Nanoseconds per operation, of each contestant in each round.
pub(crate) struct Race {
    laps: Vec<(&'static str, Vec<f64>)>,
    /// How many threads ran at a time: the median of all slices.
    pub(crate) parallel: f64,
    undisturbed: f64,
}

impl Race {
    /// Runs all rounds.
    pub(crate) fn run(pool: &Pool, contestants: &[Contestant], length: Length) -> Self {
        let times = |one| match length.slice {
            Slice::Lasting(slice) => calibrate(pool, one, slice),
            Slice::Of(operations) => operations,
        };
        let times: Vec<u64> = contestants.iter().map(times).collect();
        let mut laps: Vec<_> = contestants.iter().map(|one| (one.name, Vec::new())).collect();
        let mut parallel = Vec::new();
        let mut order: Vec<usize> = (0..contestants.len()).collect();
        let mut random = Random::new();
        for _ in 0..length.rounds {
            shuffle(&mut order, &mut random);
            for &index in &order {
                let one = &contestants[index];
                let timing = undisturbed(pool, one, times[index]);
                laps[index].1.push(nanos_per_op(timing.took, times[index] * pool.threads()));
                parallel.push(timing.parallel);
            }
        }
        Self { laps, parallel: median(parallel), undisturbed: pool.undisturbed() }
    }

    /// Whether the threads ran at the same time as far as there are cores for them.
    #[allow(dead_code, reason = "not every benchmark has more than one thread")]
    pub(crate) fn is_contended(&self) -> bool {
        self.parallel >= ENOUGH * self.undisturbed
    }

    /// The contestants' names.
    pub(crate) fn names(&self) -> impl Iterator<Item = &'static str> {
        self.laps.iter().map(|(name, _)| *name)
    }

    /// The median of a contestant's rounds.
    pub(crate) fn median(&self, name: &str) -> f64 {
        median(self.laps(name).to_vec())
    }

    /// The median of the ratios within a round.
    pub(crate) fn ratio(&self, ours: &str, theirs: &str) -> f64 {
        let pairs = self.laps(ours).iter().zip(self.laps(theirs));
        median(pairs.map(|(ours, theirs)| ours / theirs).collect())
    }

    /// The fastest of `names`.
    #[allow(dead_code, reason = "not every benchmark has several peers")]
    pub(crate) fn fastest<'a>(&self, names: &[&'a str]) -> &'a str {
        let by_median = |a: &&&str, b: &&&str| self.median(a).total_cmp(&self.median(b));
        names.iter().min_by(by_median).expect("a name")
    }

    /// Nanoseconds per operation of a contestant in each round.
    pub(crate) fn laps(&self, name: &str) -> &[f64] {
        let found = self.laps.iter().find(|(other, _)| *other == name);
        &found.unwrap_or_else(|| panic!("no contestant is called {name}")).1
    }
}

/// A slice in which the threads really ran at the same time, if the machine lets them: where one
/// has to pause for something else, the others meet no contention.
fn undisturbed(pool: &Pool, one: &Contestant, times: u64) -> Timing {
    let wanted = ENOUGH * pool.undisturbed();
    let mut best = pool.time(one.name, &one.work, times);
    for _ in 0..3 {
        if best.parallel >= wanted {
            break;
        }
        let next = pool.time(one.name, &one.work, times);
        if next.parallel > best.parallel {
            best = next;
        }
    }
    best
}

/// How many operations per thread fill a slice.
fn calibrate(pool: &Pool, one: &Contestant, slice: Duration) -> u64 {
    let mut times = 64;
    loop {
        let took = pool.time(one.name, &one.work, times).took;
        if took * 4 >= slice {
            let scaled = u128::from(times) * slice.as_nanos() / took.as_nanos();
            return u64::try_from(scaled).unwrap_or(u64::MAX).max(1);
        }
        times *= 2;
    }
}

#[expect(clippy::cast_precision_loss, reason = "no race has 2^53 operations")]
fn nanos_per_op(took: Duration, ops: u64) -> f64 {
    took.as_secs_f64() * 1e9 / ops as f64
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn shuffle(order: &mut [usize], random: &mut Random) {
    for last in (1..order.len()).rev() {
        let other = random.below(last as u64 + 1);
        order.swap(last, usize::try_from(other).unwrap_or(last));
    }
}
