//! Ten million made-up keys against a limiter that may hold a hundred thousand.
//!
//! The flood comes in slices, and between them known keys are asked for: what is served, and at
//! what price, is seen while it lasts. Beside it, what governor allocates for as many keys.

use std::hint::black_box;
use std::time::Instant;

use governor::clock::MonotonicClock as PeerClock;
use tollgate::keyed::WhenFull;
use tollgate::{KeyedLimiter, MonotonicClock};

use crate::Size;
use crate::contestants::Answer;
use crate::keyed_keys::Sort;
use crate::keyed_limiters::{ByKey, dash, quota};
use crate::memory::{Allocated, megabytes};
use crate::table::{Table, Target};

const MAX_KEYS: u32 = 100_000;
const FLOOD: u32 = 10_000_000;

/// What came of it.
struct Outcome {
    /// Nanoseconds a call: medians of the slices.
    known: f64,
    refused: f64,
    /// Bytes that the limiter has allocated after the first slice, when there are counters of who
    /// is refused most, and after all.
    before: i64,
    after: i64,
    /// Known keys' calls that were not served, and made-up keys' that were.
    lost: u32,
    passed: u32,
}

pub(crate) fn print(size: Size) {
    let mut times = Table::new(
        "keyed, 10,000,000 made-up keys, max_keys(100_000)",
        ["what", "attack", "without", "ratio"],
    );
    rows::<u64>(size, &mut times);
    rows::<String>(size, &mut times);
    size.show(&times);
}

fn rows<K: Sort>(size: Size, table: &mut Table) {
    for when_full in [WhenFull::Deny, WhenFull::Share] {
        let outcome = attack::<K>(size, when_full);
        let what = format!("{}, {when_full:?}", K::NAME);
        let nanos = |nanos: f64| format!("{nanos:.1}");
        let (refused, known) = (outcome.refused, outcome.known);
        let row = format!("{what}: ns a refused call / a known key's");
        table.row(row, nanos(refused), nanos(known), refused / known, Target::None);
        let (before, after) = (megabytes(outcome.before), megabytes(outcome.after));
        let bytes = |megabytes: f64| format!("{megabytes:.3}");
        let row = format!("{what}: allocated MB, after / before");
        table.row(row, bytes(after), bytes(before), after / before, Target::AtMost(1.01));
        let mut counted = |row: &str, count: u32, target| {
            table.row(format!("{what}: {row}"), count.to_string(), "-", f64::from(count), target);
        };
        counted("known keys' calls that were refused", outcome.lost, Target::AtMost(0.0));
        // What strangers share gets one permit a second.
        counted("made-up keys' calls that passed", outcome.passed, Target::None);
    }
    let (before, after) = governors::<K>(size);
    let (before, after) = (megabytes(before), megabytes(after));
    let row = format!("{}, governor dashmap: allocated MB", K::NAME);
    let bytes = |megabytes: f64| format!("{megabytes:.3}");
    table.row(row, bytes(after), bytes(before), after / before, Target::None);
}

fn attack<K: Sort>(size: Size, when_full: WhenFull) -> Outcome {
    let known = keys::<K>(0, size.of(MAX_KEYS));
    let mut allocated = Allocated::default();
    let limiter = allocated.during(|| full(&known, when_full));
    let mut before = None;
    let mut slices = (Vec::new(), Vec::new());
    let (mut lost, mut passed) = (0, 0);
    let mut first = size.of(MAX_KEYS);
    let end = first + size.of(FLOOD);
    while first < end {
        let flood = keys::<K>(first, first + size.of(MAX_KEYS));
        first += size.of(MAX_KEYS);
        let (time, answered) = allocated.during(|| ask(&limiter, &flood));
        slices.0.push(time);
        passed += answered;
        before.get_or_insert(allocated.bytes());
        let (time, answered) = allocated.during(|| ask(&limiter, &known));
        slices.1.push(time);
        lost += size.of(MAX_KEYS) - answered;
    }
    let (refused, known) = (median(slices.0), median(slices.1));
    let after = allocated.bytes();
    Outcome { known, refused, before: before.unwrap_or(after), after, lost, passed }
}

/// A limiter that knows `known` and may hold no more.
fn full<K: Sort>(known: &[K], when_full: WhenFull) -> KeyedLimiter<K, MonotonicClock> {
    let builder = KeyedLimiter::builder(quota(Answer::Allowed))
        .clock(MonotonicClock::new())
        .max_keys(known.len());
    let limiter: KeyedLimiter<K, _> = builder.when_full(when_full).build().expect("a valid quota");
    for key in known {
        limiter.learn(key, Answer::Allowed);
    }
    // What strangers share is used up at once, so that they are refused.
    let everything = quota(Answer::Allowed).burst_size();
    let _ = limiter.allow_n(K::numbered(u64::MAX).borrowed(), everything);
    limiter
}

/// Nanoseconds a call, and how many were answered with yes.
fn ask<K: Sort, L: ByKey<K>>(limiter: &L, keys: &[K]) -> (f64, u32) {
    let start = Instant::now();
    let answered = keys.iter().map(|key| u32::from(black_box(limiter.ask(key)))).sum();
    let calls = f64::from(u32::try_from(keys.len()).expect("few"));
    (start.elapsed().as_secs_f64() * 1e9 / calls, answered)
}

/// What governor has allocated for as many keys as ours may hold, and then for the flood.
fn governors<K: Sort>(size: Size) -> (i64, i64) {
    let mut allocated = Allocated::default();
    let limiter = allocated.during(|| dash::<K, _>(PeerClock, Answer::Allowed));
    let mut learn = |from, to| {
        allocated.during(|| {
            for number in from..to {
                limiter.learn(&K::numbered(number), Answer::Allowed);
            }
        });
        allocated.bytes()
    };
    let (known, flood) = (u64::from(size.of(MAX_KEYS)), u64::from(size.of(FLOOD)));
    (learn(0, known), learn(known, known + flood))
}

fn keys<K: Sort>(from: u32, to: u32) -> Vec<K> {
    (from..to).map(|number| K::numbered(number.into())).collect()
}

fn median(mut times: Vec<f64>) -> f64 {
    times.sort_unstable_by(f64::total_cmp);
    times[times.len() / 2]
}
