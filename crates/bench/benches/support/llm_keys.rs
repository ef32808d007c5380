//! A pool of 100 keys, from which one is chosen.

use std::mem;

use tollgate::llm::{KeyPool, Limits};

use crate::work::Contestant;

const KEYS: usize = 100;
/// Never used up.
const AMPLE: u64 = 60_000_000_000;
const A_DAY: u64 = 1 << 50;
const ESTIMATE: u64 = 10;
const ACTUAL: u64 = 8;

pub(crate) fn contestants() -> Vec<Contestant> {
    vec![
        settled("all free", pool(|_| Standing::Free)),
        settled("all in use", pool(part_of)),
        unsettled("all in use, not settled", pool(part_of)),
        unsettled("all free, not settled", pool(|_| Standing::Free)),
        settled("every 2nd used up", pool(|number| used_up_unless(number % 2 == 0))),
        settled("all but one used up", pool(|number| used_up_unless(number == 57))),
        unsettled("all but one used up, not settled", pool(|number| used_up_unless(number == 57))),
        settled("all but one resting", pool(|number| resting_unless(number == 57))),
        refused("refused: all used up", pool(|_| Standing::UsedUp)),
    ]
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Standing {
    Free,
    /// So many tokens are used, of a day's that last.
    InUse(u64),
    UsedUp,
    Resting,
}

/// No two alike.
fn part_of(number: usize) -> Standing {
    Standing::InUse((number as u64 * 37 % 100 + 1) * (A_DAY / 200))
}

fn used_up_unless(free: bool) -> Standing {
    if free { Standing::Free } else { Standing::UsedUp }
}

fn resting_unless(free: bool) -> Standing {
    if free { Standing::Free } else { Standing::Resting }
}

fn pool(standing: impl Fn(usize) -> Standing) -> KeyPool<Standing> {
    let pool = KeyPool::new();
    let ample = Limits::new().requests_per_minute(AMPLE).tokens_per_minute(AMPLE);
    // One request uses it up for hours.
    let scarce = Limits::new().requests_per_minute(AMPLE).tokens_per_day(ESTIMATE);
    for number in 0..KEYS {
        let standing = standing(number);
        let limits = match standing {
            Standing::UsedUp => scarce,
            Standing::InUse(_) => ample.tokens_per_minute(0).tokens_per_day(A_DAY),
            Standing::Free | Standing::Resting => ample,
        };
        pool.add(number.to_string(), standing, limits).expect("a new key");
    }
    // Equals take turns, so each key is met.
    for _ in 0..KEYS {
        let Ok(permit) = pool.try_acquire(ESTIMATE) else { break };
        match *permit.secret() {
            Standing::InUse(tokens) => permit.settle(tokens),
            Standing::Free | Standing::UsedUp => permit.settle(ESTIMATE),
            Standing::Resting => permit.limited([("retry-after", "100000")]),
        }
    }
    pool
}

fn settled(name: &'static str, pool: KeyPool<Standing>) -> Contestant {
    Contestant::new(name, true, move || {
        pool.try_acquire(ESTIMATE).map(|permit| permit.settle(ACTUAL)).is_ok()
    })
}

/// The choice alone: its permit stays out for ever.
fn unsettled(name: &'static str, pool: KeyPool<Standing>) -> Contestant {
    Contestant::new(name, true, move || pool.try_acquire(ESTIMATE).map(mem::forget).is_ok())
}

fn refused(name: &'static str, pool: KeyPool<Standing>) -> Contestant {
    Contestant::new(name, false, move || {
        pool.try_acquire(ESTIMATE).map(|permit| permit.settle(ACTUAL)).is_ok()
    })
}
