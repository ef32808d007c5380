//! A counter that many threads can add to without writing to the same cache line.

use crate::limiters::thread_slot;
use crate::sync::CacheLine;
use crate::sync::atomic::{AtomicU64, Ordering};

/// How many threads have a cell of their own; all others share one cell. Under loom it is one
/// thread, so that models with few threads use the shared cell.
const OWN_CELLS: usize = if cfg!(tollgate_loom) { 1 } else { 7 };

/// An exact counter: the sum of one cell per thread.
#[derive(Debug, Default)]
pub(crate) struct Counter {
    cells: [Cell; OWN_CELLS],
    shared: Cell,
}

type Cell = CacheLine<AtomicU64>;

impl Counter {
    #[inline]
    pub(crate) fn add(&self, n: u64) {
        if let Some(CacheLine(own)) = self.cells.get(thread_slot::current()) {
            // Only this thread writes the cell, so no read-modify-write operation is needed.
            own.store(own.load(Ordering::Relaxed).saturating_add(n), Ordering::Relaxed);
            return;
        }
        let more = |count: u64| Some(count.saturating_add(n));
        // This never fails, because `more` always returns a value.
        let _ = self.shared.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more);
    }

    pub(crate) fn sum(&self) -> u64 {
        let cells = self.cells.iter().chain([&self.shared]);
        cells.map(|CacheLine(cell)| cell.load(Ordering::Relaxed)).fold(0, u64::saturating_add)
    }
}

#[cfg(all(test, not(tollgate_loom)))]
mod tests {
    use super::*;

    #[test]
    fn counts_exactly_with_more_threads_than_cells() {
        let counter = Counter::default();
        std::thread::scope(|scope| {
            for _ in 0..12 {
                scope.spawn(|| (0..10_000).for_each(|_| counter.add(1)));
            }
        });
        assert_eq!(counter.sum(), 120_000);
    }

    #[test]
    fn stops_at_the_end_in_every_cell() {
        let counter = Counter::default();
        let barrier = std::sync::Barrier::new(OWN_CELLS + 9);
        std::thread::scope(|scope| {
            // These threads own all cells, so that one more thread adds to the shared cell.
            for _ in 0..OWN_CELLS + 8 {
                scope.spawn(|| {
                    counter.add(1);
                    barrier.wait();
                    barrier.wait();
                });
            }
            barrier.wait();
            for _ in 0..3 {
                std::thread::scope(|late| {
                    late.spawn(|| (0..3).for_each(|_| counter.add(1 << 63)));
                });
                assert_eq!(counter.sum(), u64::MAX);
            }
            barrier.wait();
        });
    }
}
