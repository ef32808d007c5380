//! A small number for each living thread, so that cells of one thread each can be in a plain array.
//!
//! Numbers are dense, and are reused after their thread has ended. A number passes from one thread
//! to another through a mutex, so the new owner sees everything that the old owner wrote. So a cell
//! that belongs to one number can be written without read-modify-write operations.

/// The calling thread's number; [`usize::MAX`] while the thread is being torn down.
#[cfg(not(tollgate_loom))]
#[inline]
pub(crate) fn current() -> usize {
    use real::{NONE, SLOT};
    let slot = SLOT.get();
    if slot == NONE { real::claim() } else { slot }
}

#[cfg(not(tollgate_loom))]
mod real {
    use std::cell::Cell;
    use std::cmp::Reverse;
    use std::collections::BinaryHeap;

    use parking_lot::Mutex;

    pub(crate) const NONE: usize = usize::MAX;

    /// The free numbers, of which the smallest is used first, and how many numbers exist.
    static FREE: Mutex<(BinaryHeap<Reverse<usize>>, usize)> = Mutex::new((BinaryHeap::new(), 0));

    thread_local! {
        /// It has no destructor, so that reading it is one load.
        pub(crate) static SLOT: Cell<usize> = const { Cell::new(NONE) };
        static OWNER: Owner = const { Owner };
    }

    /// Frees the number when the thread ends.
    struct Owner;

    impl Drop for Owner {
        fn drop(&mut self) {
            let slot = SLOT.replace(NONE);
            if slot != NONE {
                FREE.lock().0.push(Reverse(slot));
            }
        }
    }

    #[cold]
    pub(crate) fn claim() -> usize {
        // This fails in destructors that run after that of `OWNER`. The thread has no number then.
        if OWNER.try_with(|_| ()).is_err() {
            return NONE;
        }
        let mut free = FREE.lock();
        let slot = free.0.pop().map_or(free.1, |Reverse(slot)| slot);
        free.1 = free.1.max(slot + 1);
        SLOT.set(slot);
        slot
    }
}

#[cfg(tollgate_loom)]
pub(crate) fn current() -> usize {
    use loom::sync::atomic::{AtomicUsize, Ordering};
    loom::lazy_static! {
        static ref NEXT: AtomicUsize = AtomicUsize::new(0);
    }
    loom::thread_local! {
        static SLOT: usize = NEXT.fetch_add(1, Ordering::SeqCst);
    }
    SLOT.with(|slot| *slot)
}

#[cfg(all(test, not(tollgate_loom)))]
mod tests {
    use super::*;

    #[test]
    fn living_threads_have_numbers_of_their_own() {
        let barrier = std::sync::Barrier::new(8);
        let mut slots: Vec<usize> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..8)
                .map(|_| {
                    scope.spawn(|| {
                        let slot = current();
                        barrier.wait();
                        assert_eq!(slot, current());
                        slot
                    })
                })
                .collect();
            threads.into_iter().map(|thread| thread.join().expect("no panic")).collect()
        });
        slots.sort_unstable();
        slots.dedup();
        assert_eq!(slots.len(), 8);
    }

    /// Asks for a number when it is dropped.
    struct Late;

    impl Drop for Late {
        fn drop(&mut self) {
            current();
        }
    }

    thread_local! {
        static BEFORE: Late = const { Late };
        static AFTER: Late = const { Late };
    }

    #[test]
    fn numbers_are_given_again_also_where_threads_ask_while_they_end() {
        let mut slots: Vec<usize> = (0..1_000)
            .map(|_| {
                let short = std::thread::spawn(|| {
                    // Some systems drop these in the order of their first use, others in reverse.
                    BEFORE.with(|_| ());
                    let slot = current();
                    AFTER.with(|_| ());
                    slot
                });
                short.join().expect("no panic")
            })
            .collect();
        slots.sort_unstable();
        slots.dedup();
        // At most as many as there are threads at a time, including those of other tests.
        assert!(slots.len() < 300, "1,000 threads, one at a time, had {} numbers", slots.len());
    }
}
