//! The tables of ratios, and what they should be.

use crate::race::Race;
use crate::table::{Table, Target};

/// Our name, theirs, and the target.
type Pair = (&'static str, &'static str, Target);

const CLOCKS: &[Pair] = &[
    ("clock/counter", "clock/kernel", Target::AtMost(0.55)),
    ("clock/counter", "clock/quanta", Target::AtMost(1.2)),
];

const ALLOWED: &[Pair] = &[
    ("Atomic mono", "governor mono", Target::AtMost(0.90)),
    ("TokenBucket mono", "clock + lock mono", Target::AtMost(1.10)),
    ("TokenBucket mono", "governor mono", Target::AtMost(1.15)),
    ("Leased 64", "governor mono", Target::AtMost(0.25)),
    ("Leased 256", "governor mono", Target::AtMost(0.25)),
    ("Atomic mono", "clock + swap mono", Target::None),
    ("governor mono", "clock + swap mono", Target::None),
    ("Atomic mono", "ratelimit mono", Target::None),
    ("Atomic mono", "leaky-bucket", Target::None),
    ("Atomic mono", "tokio-rate-limit mono", Target::None),
];

const ALLOWED_TSC: &[Pair] = &[
    ("Atomic tsc", "governor tsc", Target::AtMost(1.0)),
    ("TokenBucket tsc", "clock + lock tsc", Target::AtMost(1.10)),
    ("TokenBucket tsc", "governor tsc", Target::AtMost(1.10)),
    ("Leased 64 tsc", "governor tsc", Target::AtMost(0.15)),
    ("Atomic tsc", "clock + swap tsc", Target::None),
    ("governor tsc", "clock + swap tsc", Target::None),
];

const DENIED: &[Pair] = &[
    ("Atomic mono", "governor mono", Target::AtMost(1.0)),
    ("TokenBucket mono", "governor mono", Target::AtMost(1.0)),
    ("Leased 64", "governor mono", Target::None),
    ("Leased 256", "governor mono", Target::None),
];

const DENIED_TSC: &[Pair] = &[
    ("Atomic tsc", "governor tsc", Target::AtMost(1.0)),
    ("TokenBucket tsc", "governor tsc", Target::AtMost(1.0)),
];

const LEASED_CONTENDED: &[Pair] = &[
    ("Leased 64", "governor mono", Target::AtMost(0.10)),
    ("Leased 256", "governor mono", Target::AtMost(0.10)),
];

/// The peers on the kernel's clock, and the one that reads none while its balance lasts.
const PEERS: &[&str] =
    &["governor mono", "ratelimit mono", "leaky-bucket", "tokio-rate-limit mono"];
const PEERS_WITH_CLOCK: &[&str] = &["governor mono", "ratelimit mono", "tokio-rate-limit mono"];

/// Runs the wanted races and prints their tables.
pub(crate) fn print(wanted: impl Fn(&str) -> bool, mut race: impl FnMut(&str) -> Race) {
    if wanted("clock") {
        print_ratios("clock", &race("clock"), &[CLOCKS]);
    }
    if wanted("allowed") {
        print_ratios("allowed", &race("allowed"), &[ALLOWED, ALLOWED_TSC]);
    }
    for name in ["allowed, 7 in 3 s", "allowed, 999,983 a second"] {
        if wanted(name) {
            print_ratios(name, &race(name), &[ALLOWED_TSC]);
        }
    }
    if wanted("denied") {
        print_ratios("denied", &race("denied"), &[DENIED, DENIED_TSC]);
    }
    for name in ["allowed, 2 threads", "denied, 2 threads", "allowed, 8 threads"] {
        if !wanted(name) {
            continue;
        }
        let contended = race(name);
        let mut pairs = against_best(&contended);
        if name.starts_with("allowed") {
            pairs.push(("Leased 64 tsc", "governor tsc", Target::AtMost(0.1)));
        }
        if name == "allowed, 2 threads" {
            pairs.extend_from_slice(LEASED_CONTENDED);
        }
        print_ratios(name, &contended, &[&pairs]);
    }
}

/// Under contention, the best peer is the measure; on the same clock.
fn against_best(race: &Race) -> Vec<Pair> {
    let best = static_name(race.fastest(PEERS));
    let with_clock = static_name(race.fastest(PEERS_WITH_CLOCK));
    let mut pairs = Vec::new();
    for ours in ["TokenBucket mono", "Atomic mono", "Leased 64", "Leased 256"] {
        pairs.push((ours, best, Target::AtMost(1.0)));
        if best != with_clock {
            pairs.push((ours, with_clock, Target::AtMost(1.0)));
        }
    }
    for (ours, most) in [("TokenBucket tsc", 1.15), ("Atomic tsc", 1.0)] {
        pairs.push((ours, "governor tsc", Target::AtMost(most)));
    }
    pairs
}

fn static_name(name: &str) -> &'static str {
    PEERS.iter().find(|peer| **peer == name).expect("a peer")
}

/// All medians, then the ratios that have names in the race.
fn print_ratios(title: &'static str, race: &Race, pairs: &[&[Pair]]) {
    println!("\n# {title}: ns per operation, median; {:.2} threads at a time\n", race.parallel);
    let mut names: Vec<_> = race.names().collect();
    names.sort_by(|a, b| race.median(a).total_cmp(&race.median(b)));
    for name in &names {
        println!("{:>10.2}  {name}", race.median(name));
    }
    let mut table = Table::new(title, ["what", "ours ns", "peer ns", "ratio"]);
    for &(ours, theirs, target) in pairs.iter().copied().flatten() {
        if names.contains(&ours) && names.contains(&theirs) {
            let nanos = |name| format!("{:.2}", race.median(name));
            let what = format!("{ours} / {theirs}");
            table.row(what, nanos(ours), nanos(theirs), race.ratio(ours, theirs), target);
        }
    }
    table.print();
    if !race.is_contended() {
        println!("\nThe machine was busy: these threads took turns, and the verdicts say little.");
    }
}
