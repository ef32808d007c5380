//! What a key takes of memory.
//!
//! Tables double, so it depends on how many keys there are: the same table is half full with 2
//! million, and fuller or emptier with other counts. The comparison is at 2 million; the other
//! counts show a whole doubling.

use governor::clock::MonotonicClock as PeerClock;
use tollgate::MonotonicClock;

use crate::Size;
use crate::contestants::Answer;
use crate::keyed_keys::Sort;
use crate::keyed_limiters::{ByKey, dash, hash, ours};
use crate::memory::{Allocated, by_a_child, each, resident};
use crate::table::{Table, Target};

/// Keys, and whether this is the count with a target.
const COUNTS: [(u32, bool); 5] = [
    (2_000_000, true),
    (1_000_000, false),
    (1_400_000, false),
    (2_800_000, false),
    (4_000_000, false),
];

const OURS: &str = "ours";
const PEERS: [(&str, &str); 2] = [("dashmap", "governor dashmap"), ("hashmap", "governor hashmap")];

/// What a child finds: for each key, bytes allocated and resident.
struct Found {
    allocated: f64,
    resident: f64,
}

pub(crate) fn print(size: Size) {
    let heads = ["bytes a key", "ours", "peer", "ratio"];
    let mut table = Table::new("keyed, memory", heads);
    for (count, has_target) in COUNTS {
        rows::<u64>(size.of(count), has_target, &mut table);
        rows::<String>(size.of(count), has_target, &mut table);
    }
    size.show(&table);
}

fn rows<K: Sort>(count: u32, has_target: bool, table: &mut Table) {
    let ours = find::<K>(OURS, count);
    for (peer, name) in PEERS {
        let theirs = find::<K>(peer, count);
        let most = if has_target { Target::AtMost(1.0) } else { Target::None };
        let mut row = |what, ours: f64, theirs: f64| {
            let what = format!("{}, {count} keys, {what} / {name}", K::NAME);
            table.row(what, format!("{ours:.1}"), format!("{theirs:.1}"), ours / theirs, most);
        };
        row("resident", ours.resident, theirs.resident);
        row("allocated", ours.allocated, theirs.allocated);
    }
}

fn find<K: Sort>(who: &str, count: u32) -> Found {
    let lines = by_a_child(&["memory", K::NAME, who, &count.to_string()]);
    let [allocated, resident] = lines[0][..] else { panic!("two numbers, not {lines:?}") };
    Found { allocated: each(allocated, count), resident: each(resident, count) }
}

/// Makes a limiter know keys, and prints what that took.
pub(crate) fn child(task: &[&str]) {
    let [sort, who, count] = task else { panic!("a sort, a name and a count, not {task:?}") };
    let count = count.parse().expect("a count");
    if *sort == u64::NAME { measure::<u64>(who, count) } else { measure::<String>(who, count) }
}

fn measure<K: Sort>(who: &str, count: u32) {
    let yes = Answer::Allowed;
    match who {
        OURS => fill(|| ours::<K, _>(MonotonicClock::new(), yes), count),
        "dashmap" => fill(|| dash::<K, _>(PeerClock, yes), count),
        _ => fill(|| hash::<K, _>(PeerClock, yes), count),
    }
}

fn fill<K: Sort, L: ByKey<K>>(make: impl FnOnce() -> L, count: u32) {
    let mut allocated = Allocated::default();
    let before = resident();
    let limiter = allocated.during(|| {
        let limiter = make();
        for number in 0..count {
            limiter.learn(&K::numbered(number.into()), Answer::Allowed);
        }
        limiter
    });
    let resident = resident() - before;
    assert_eq!(limiter.keys(), count as usize, "all are held");
    println!("{} {resident}", allocated.bytes());
}
