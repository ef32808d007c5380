//! The user's function that gives a key's terms, and whether a result of it is still current.
//!
//! The function runs without a lock. While it runs, its results may change, and another thread may
//! get and apply a newer one, which the older result must not replace. So each key has a version,
//! shared with other keys, which a refresh increments: a result counts if the version did not
//! change while the function ran; if it did, the function is called again.

use super::Terms;
use crate::sync::atomic::{AtomicU64, Ordering};

/// The function from a key to its terms.
pub(crate) type TermsBy<K> = Box<dyn Fn(&K) -> Terms + Send + Sync>;

/// The number of versions. Keys share them by hash, so a refresh of one key rarely affects another.
const VERSIONS: usize = 64;

/// How often the function is called for one result if each is outdated on return. After that, the
/// last result counts, so a thread that refreshes in a loop does not starve others.
const TRIES: usize = 16;

/// How deep the function may call itself through its own limiter.
const DEEPEST: usize = 8;

crate::sync::thread_local! {
    /// The functions that this thread is executing, by address.
    #[allow(clippy::missing_const_for_thread_local, reason = "loom's macro takes no const block")]
    static WITHIN: std::cell::RefCell<Vec<usize>> = std::cell::RefCell::new(Vec::new());
}

/// The function, if there is one, and the versions of its results.
pub(crate) struct TermsFunction<K> {
    by: Option<TermsBy<K>>,
    versions: [AtomicU64; VERSIONS],
}

impl<K> TermsFunction<K> {
    pub(crate) fn new(by: Option<TermsBy<K>>) -> Self {
        Self { by, versions: std::array::from_fn(|_| AtomicU64::new(0)) }
    }

    pub(crate) fn is_some(&self) -> bool {
        self.by.is_some()
    }

    fn version_of(&self, hash: u64) -> &AtomicU64 {
        &self.versions[usize::try_from(hash % (VERSIONS as u64)).unwrap_or(0)]
    }

    /// The version of the key's result. A thread that reads a version also sees the change that led
    /// to it.
    pub(crate) fn version(&self, hash: u64) -> u64 {
        self.version_of(hash).load(Ordering::Acquire)
    }

    /// Invalidates results for the key that were computed before this call and are not applied yet.
    pub(crate) fn outdate(&self, hash: u64) {
        self.version_of(hash).fetch_add(1, Ordering::AcqRel);
    }

    /// Invalidates such results for all keys.
    pub(crate) fn outdate_all(&self) {
        for version in &self.versions {
            version.fetch_add(1, Ordering::AcqRel);
        }
    }

    /// How often the function may be called for one result if each is outdated on return. Just once
    /// inside the function itself: a function that invalidates its own results would otherwise
    /// never end.
    pub(crate) fn tries(&self) -> usize {
        if self.depth() == 0 { TRIES } else { 1 }
    }

    /// How many times the function is on this thread's call stack.
    pub(crate) fn depth(&self) -> usize {
        let here = self.address();
        let count = |within: &Vec<usize>| within.iter().filter(|other| **other == here).count();
        WITHIN
            .try_with(|within| within.try_borrow().map_or(0, |within| count(&within)))
            .unwrap_or(0)
    }

    /// The terms that the function returns for `key`; the default terms without a function. `None`
    /// if the function calls itself too deeply.
    pub(crate) fn ask(&self, to_key: impl FnOnce() -> K) -> Option<Terms> {
        let Some(by) = &self.by else { return Some(Terms::default()) };
        if self.depth() >= DEEPEST {
            return None;
        }
        let _within = Within::enter(self.address());
        Some(by(&to_key()))
    }

    fn address(&self) -> usize {
        std::ptr::from_ref(self).addr()
    }
}

/// Marks that this thread executes a function, until it is dropped, also if the function panics.
struct Within;

impl Within {
    fn enter(address: usize) -> Self {
        // A thread that is terminating may have no list any more; depths are not counted then.
        let _ = WITHIN.try_with(|within| within.borrow_mut().push(address));
        Self
    }
}

impl Drop for Within {
    fn drop(&mut self) {
        let _ = WITHIN.try_with(|within| within.borrow_mut().pop());
    }
}
