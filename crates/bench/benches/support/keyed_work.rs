//! What is measured of limiters by key: known keys in some order, and new ones.

use std::hint::black_box;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use crate::contestants::Answer;
use crate::keyed_limiters::ByKey;
use crate::work::{Contestant, Work};

/// Asks for one key after another, round and round.
struct Walk<K, L> {
    limiter: L,
    keys: Arc<Vec<K>>,
    expected: bool,
    /// Where the next run begins; several threads each go on from a place of their own.
    next: AtomicUsize,
    /// Whether all answers so far were the expected ones.
    held: AtomicBool,
}

/// A limiter that knows the keys `known`, asked for those of `walk`.
pub(crate) fn walk<K, L>(
    name: &'static str,
    limiter: L,
    known: &[K],
    walk: &Arc<Vec<K>>,
    answer: Answer,
) -> Contestant
where
    K: Send + Sync + 'static,
    L: ByKey<K>,
{
    for key in known {
        limiter.learn(key, answer);
    }
    asked(name, limiter, walk, answer == Answer::Allowed)
}

/// A limiter asked for the keys of `walk`.
pub(crate) fn asked<K, L>(
    name: &'static str,
    limiter: L,
    walk: &Arc<Vec<K>>,
    expected: bool,
) -> Contestant
where
    K: Send + Sync + 'static,
    L: ByKey<K>,
{
    let (next, held) = (AtomicUsize::new(0), AtomicBool::new(true));
    let work = Walk { limiter, keys: Arc::clone(walk), expected, next, held };
    Contestant { name, work: Arc::new(work) }
}

impl<K: Send + Sync, L: ByKey<K>> Work for Walk<K, L> {
    fn run(&self, times: u64) {
        let keys = &**self.keys;
        let times = usize::try_from(times).unwrap_or(usize::MAX);
        let mut at = self.next.fetch_add(times, Ordering::Relaxed) % keys.len();
        let mut held = true;
        for _ in 0..times {
            held &= black_box(self.limiter.ask(&keys[at])) == self.expected;
            at += 1;
            if at == keys.len() {
                at = 0;
            }
        }
        if !held {
            self.held.store(false, Ordering::SeqCst);
        }
    }

    fn holds(&self) -> bool {
        self.held.load(Ordering::SeqCst)
    }
}

/// Asks for new keys, by a new limiter each time.
struct FirstSight<K, F, L> {
    keys: Arc<Vec<K>>,
    make: F,
    limiter: Mutex<L>,
}

/// A limiter as `make` makes it, asked for keys it has never seen.
pub(crate) fn first_sight<K, L, F>(name: &'static str, make: F, keys: &Arc<Vec<K>>) -> Contestant
where
    K: Send + Sync + 'static,
    L: ByKey<K>,
    F: Fn() -> L + Send + Sync + 'static,
{
    let limiter = Mutex::new(make());
    Contestant { name, work: Arc::new(FirstSight { keys: Arc::clone(keys), make, limiter }) }
}

impl<K, F, L> Work for FirstSight<K, F, L>
where
    K: Send + Sync,
    L: ByKey<K>,
    F: Fn() -> L + Send + Sync,
{
    /// As many as there are keys, at most.
    fn run(&self, times: u64) {
        let limiter = self.limiter.lock().expect("nobody panicked");
        for key in self.keys.iter().take(usize::try_from(times).unwrap_or(usize::MAX)) {
            black_box(limiter.ask(key));
        }
    }

    /// Also puts a new limiter in place of the used one: this is not timed.
    fn holds(&self) -> bool {
        let mut limiter = self.limiter.lock().expect("nobody panicked");
        let knew = limiter.keys();
        *limiter = (self.make)();
        knew > 0
    }
}
