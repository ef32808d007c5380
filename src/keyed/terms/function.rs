//! The user's function that gives a key's terms, and whether what it said is still the newest.
//!
//! The function runs under no lock. So while it runs, its answers may change and a newer one may be
//! asked for and applied; the older answer must not win over that. Each key has a version, shared
//! with other keys, that a refresh raises: an answer counts if the version did not change while it
//! was asked for, and is asked for again if it did.

use super::Terms;
use crate::sync::atomic::{AtomicU64, Ordering};

/// A function from a key to its terms.
pub(crate) type TermsBy<K> = Box<dyn Fn(&K) -> Terms + Send + Sync>;

/// Keys share so many versions, by their hashes: a refresh of one key seldom concerns others.
const VERSIONS: usize = 64;

/// How often the function is asked for one answer if it is outdated each time. After that the last
/// answer counts: somebody who refreshes in a loop keeps nobody out.
const TRIES: usize = 16;

/// How deep the function may ask for terms by using its own limiter.
const DEEPEST: usize = 8;

crate::sync::thread_local! {
    /// The functions that this thread is within, by their addresses.
    #[allow(clippy::missing_const_for_thread_local, reason = "loom's macro takes no const block")]
    static WITHIN: std::cell::RefCell<Vec<usize>> = std::cell::RefCell::new(Vec::new());
}

/// The function, if there is one, and the versions of its answers.
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

    /// The version of the key's answer. Whoever sees a version sees what made its answer another.
    pub(crate) fn version(&self, hash: u64) -> u64 {
        self.version_of(hash).load(Ordering::Acquire)
    }

    /// What was asked before this, and not yet applied, does not count.
    pub(crate) fn outdate(&self, hash: u64) {
        self.version_of(hash).fetch_add(1, Ordering::AcqRel);
    }

    /// The same for all keys.
    pub(crate) fn outdate_all(&self) {
        for version in &self.versions {
            version.fetch_add(1, Ordering::AcqRel);
        }
    }

    /// How often an answer is asked for if it is outdated each time. Once, if the function itself
    /// asks: a function that makes its own answers outdated would be asked without end.
    pub(crate) fn tries(&self) -> usize {
        if self.depth() == 0 { TRIES } else { 1 }
    }

    /// How often the function is on this thread's stack.
    pub(crate) fn depth(&self) -> usize {
        let here = self.address();
        let count = |within: &Vec<usize>| within.iter().filter(|other| **other == here).count();
        WITHIN
            .try_with(|within| within.try_borrow().map_or(0, |within| count(&within)))
            .unwrap_or(0)
    }

    /// The terms that the function gives for `key`; the default without a function. `None` if the
    /// function asks itself again and again.
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

/// The thread is within a function, until this is dropped: also if the function panics.
struct Within;

impl Within {
    fn enter(address: usize) -> Self {
        // A thread that is about to end may have no list any more: then depths are not counted.
        let _ = WITHIN.try_with(|within| within.borrow_mut().push(address));
        Self
    }
}

impl Drop for Within {
    fn drop(&mut self) {
        let _ = WITHIN.try_with(|within| within.borrow_mut().pop());
    }
}
