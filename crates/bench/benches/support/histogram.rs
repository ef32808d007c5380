//! How often each duration came, to one part in 64, and the longest exactly.

/// Of each power of two.
const PARTS: u64 = 64;

/// All its memory is there from the start.
pub(crate) struct Histogram {
    counts: Vec<u64>,
    total: u64,
    longest: u64,
}

impl Histogram {
    pub(crate) fn new() -> Self {
        Self { counts: vec![0; index(u64::MAX) + 1], total: 0, longest: 0 }
    }

    pub(crate) fn count(&mut self, nanos: u64) {
        self.counts[index(nanos)] += 1;
        self.total += 1;
        self.longest = self.longest.max(nanos);
    }

    pub(crate) fn longest(&self) -> u64 {
        self.longest
    }

    /// What all but one in `of` are below: its bin's lower bound.
    pub(crate) fn all_but_one_in(&self, of: u64) -> u64 {
        let mut above = 0;
        for (at, count) in self.counts.iter().enumerate().rev() {
            above += count;
            if above > self.total / of {
                return lower_bound(at);
            }
        }
        0
    }
}

/// The bin of a duration: short ones have one each, and then each power of two has as many.
fn index(nanos: u64) -> usize {
    let shift = (nanos | (PARTS - 1)).ilog2() - (PARTS - 1).ilog2();
    let part = nanos >> shift;
    usize::try_from(u64::from(shift) * (PARTS / 2) + part).expect("few bins")
}

fn lower_bound(index: usize) -> u64 {
    let index = u64::try_from(index).expect("few bins");
    let shift = (index / (PARTS / 2)).saturating_sub(1);
    (index - shift * (PARTS / 2)) << shift
}
