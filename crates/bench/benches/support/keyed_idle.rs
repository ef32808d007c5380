//! How memory falls back by itself after all keys went idle, as new ones come; and what a sweep by
//! hand gives.
//!
//! The new keys are a trickle: each goes idle too, a second after it came, so that as many are
//! active at any time. What they need themselves is little beside what the old ones have left.

use std::time::Duration;

use governor::clock::FakeRelativeClock;
use tollgate::{KeyedLimiter, ManualClock, Quota};

use crate::Size;
use crate::keyed_keys::Sort;
use crate::keyed_limiters::ByKey;
use crate::memory::{Allocated, by_a_child, megabytes, resident};
use crate::table::{Table, Target};

const KEYS: u32 = 2_000_000;
/// New keys in a second, so many of which are active at a time.
const ACTIVE: u32 = 10_000;
/// New keys after which to look.
const LOOKS: [u32; 11] = [
    0, 50_000, 100_000, 200_000, 250_000, 300_000, 400_000, 500_000, 750_000, 1_000_000, 2_000_000,
];

pub(crate) fn print(size: Size) {
    let heads = ["after", "keys held", "allocated MB", "resident MB"];
    let mut table = Table::new("keyed, 2,000,000 keys went idle", heads);
    rows::<u64>(size, &mut table);
    rows::<String>(size, &mut table);
    size.show(&table);
}

fn rows<K: Sort>(size: Size, table: &mut Table) {
    let count = size.of(KEYS).to_string();
    for (who, looks) in [("ours", &LOOKS[..]), ("sweep", &[]), ("governor", &[])] {
        let looks: Vec<u32> = looks.iter().map(|look| size.of(*look)).collect();
        let arguments: Vec<String> = looks.iter().map(u32::to_string).collect();
        let mut task = vec!["idle", K::NAME, who, &count];
        task.extend(arguments.iter().map(String::as_str));
        let lines = by_a_child(&task);
        let after = looks.iter().map(|look| format!("{look} new keys"));
        let last = match who {
            "sweep" => "sweep() at once",
            "governor" => "governor: retain_recent(), shrink_to_fit()",
            _ => "sweep() then",
        };
        for (what, line) in after.chain([last.to_owned()]).zip(lines) {
            let [held, allocated, resident] = line[..] else { panic!("three numbers") };
            let what = format!("{}, {what}", K::NAME);
            let allocated = format!("{:.2}", megabytes(allocated));
            table.row(what, held.to_string(), allocated, megabytes(resident), Target::None);
        }
    }
}

/// Lets keys go idle and prints, after each count of new ones and after a sweep by hand, how many
/// keys are held, and the bytes allocated and resident.
pub(crate) fn child(task: &[&str]) {
    let [sort, who, numbers @ ..] = task else { panic!("a sort and a name, not {task:?}") };
    let numbers: Vec<u32> = numbers.iter().map(|arg| arg.parse().expect("a count")).collect();
    let [count, looks @ ..] = &numbers[..] else { panic!("a count") };
    match (*sort == u64::NAME, *who == "governor") {
        (true, false) => ours::<u64>(*count, looks),
        (false, false) => ours::<String>(*count, looks),
        (true, true) => governors::<u64>(*count),
        (false, true) => governors::<String>(*count),
    }
}

fn ours<K: Sort>(count: u32, looks: &[u32]) {
    let (mut allocated, before) = (Allocated::default(), resident());
    let clock = ManualClock::new();
    let limiter = allocated.during(|| {
        let builder = KeyedLimiter::<K>::builder(Quota::per_second(1)).clock(clock.clone());
        let limiter = builder.build().expect("a valid quota");
        ask(&limiter, 0, count, || ());
        limiter
    });
    clock.advance(Duration::from_secs(1));
    let look = |allocated: &Allocated| {
        println!("{} {} {}", limiter.len(), allocated.bytes(), resident() - before);
    };
    let mut new = 0;
    for &then in looks {
        let tick = || clock.advance(Duration::from_secs(1) / ACTIVE);
        allocated.during(|| ask(&limiter, count + new, count + then, tick));
        new = then;
        look(&allocated);
    }
    allocated.during(|| limiter.sweep());
    look(&allocated);
}

fn governors<K: Sort>(count: u32) {
    let (mut allocated, before) = (Allocated::default(), resident());
    let clock = FakeRelativeClock::default();
    let limiter = allocated.during(|| {
        let quota = governor::Quota::per_second(std::num::NonZeroU32::MIN);
        let limiter = governor::RateLimiter::dashmap_with_clock(quota, clock.clone());
        ask::<K, _>(&limiter, 0, count, || ());
        limiter
    });
    clock.advance(Duration::from_secs(2));
    allocated.during(|| {
        limiter.retain_recent();
        limiter.shrink_to_fit();
    });
    println!("{} {} {}", limiter.len(), allocated.bytes(), resident() - before);
}

/// Asks for the keys `from..to`, each after a `tick`.
fn ask<K: Sort, L: ByKey<K>>(limiter: &L, from: u32, to: u32, mut tick: impl FnMut()) {
    for number in from..to {
        tick();
        assert!(limiter.ask(&K::numbered(number.into())), "a new key");
    }
}
