//! How many subjects there may be, and where to look for full ones if there is no room.

use crate::keyed::Search;
use crate::sync::atomic::{AtomicUsize, Ordering};

#[derive(Debug)]
pub(super) struct Room {
    most: usize,
    held: AtomicUsize,
    pub(super) search: Search,
}

impl Room {
    pub(super) fn new(most: usize) -> Self {
        Self { most, held: AtomicUsize::new(0), search: Search::new() }
    }

    pub(super) fn most(&self) -> usize {
        self.most
    }

    /// Makes room for `count` subjects, if there is any. Relaxed is enough: no memory is published
    /// through this count.
    pub(super) fn reserve(&self, count: usize) -> bool {
        let more = |held: usize| held.checked_add(count).filter(|held| *held <= self.most);
        count == 0 || self.held.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more).is_ok()
    }

    pub(super) fn free(&self, count: usize) {
        if count > 0 {
            self.held.fetch_sub(count, Ordering::Relaxed);
        }
    }
}
