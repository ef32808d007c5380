//! The price of an LLM permit, taken and settled, beside that of limiters called one after another.
//!
//! * `cargo bench -p tollgate-bench --bench llm`: the tables.
//! * `... --bench llm -- PATTERN`: only the tables whose title matches.
//! * `... --bench llm -- --test`: everything once, no figures.
//!
//! What is measured against what: a request with its tokens, taken from both limits and settled,
//! against two calls that together decide the same, but know no settling: two token buckets, two of
//! governor's. All have the same rates and bursts, which are never used up, and read the same
//! clock: `mono` is the kernel's, `tsc` the CPU's counter. The ratios come from [races](race).

#[path = "support/llm_keys.rs"]
mod llm_keys;
#[path = "support/llm_pair.rs"]
mod llm_pair;
#[path = "support/pool.rs"]
mod pool;
#[path = "support/race.rs"]
mod race;
#[path = "support/random.rs"]
mod random;
#[path = "support/table.rs"]
mod table;
#[path = "support/work.rs"]
mod work;

use std::time::Duration;

use pool::Pool;
use race::{Length, Race, Slice};
use table::{Table, Target};
use work::Contestant;

/// Ours, whom it is compared with, and the most that the ratio may be.
const PAIRS: [(&str, &str, Target); 8] = [
    ("llm mono", "two token buckets mono", Target::AtMost(1.2)),
    ("llm mono", "two governors mono", Target::AtMost(0.7)),
    ("llm tsc", "two token buckets tsc", Target::AtMost(1.2)),
    ("llm tsc", "two governors tsc", Target::AtMost(0.7)),
    ("llm mono", "clock + two locks mono", Target::None),
    ("llm tsc", "clock + two locks tsc", Target::None),
    // Below these, nothing comes that takes and settles under a lock.
    ("clock + two locks mono", "two governors mono", Target::None),
    ("clock + two locks tsc", "two governors tsc", Target::None),
];

/// The most that the choice of a key may take, in nanoseconds.
const CHOICE: f64 = 300.0;

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let given = |flag: &str| args.iter().any(|arg| arg == flag);
    let only_test = given("--test") || !given("--bench");
    let patterns: Vec<&String> = args.iter().filter(|arg| !arg.starts_with("--")).collect();
    let wanted = |title: &str| {
        patterns.is_empty() || patterns.iter().any(|pattern| title.contains(pattern.as_str()))
    };

    if wanted("pair") {
        let race = run(&llm_pair::contestants(), only_test);
        if !only_test {
            print_pairs(&race);
        }
    }
    if wanted("keys") {
        let race = run(&llm_keys::contestants(), only_test);
        if !only_test {
            print_keys(&race);
        }
    }
}

fn run(contestants: &[Contestant], only_test: bool) -> Race {
    let (rounds, slice) = if only_test { (1, 20) } else { (401, 1_000) };
    let slice = Slice::Lasting(Duration::from_micros(slice));
    Race::run(&Pool::new(1), contestants, Length { rounds, slice })
}

fn print_pairs(race: &Race) {
    print_medians(race);
    let title = "pair: RPM and TPM, taken and settled";
    let mut table = Table::new(title, ["what", "ours ns", "peer ns", "ratio"]);
    let names: Vec<_> = race.names().collect();
    for (ours, theirs, target) in PAIRS {
        if names.contains(&ours) && names.contains(&theirs) {
            let nanos = |name| format!("{:.2}", race.median(name));
            let what = format!("{ours} / {theirs}");
            table.row(what, nanos(ours), nanos(theirs), race.ratio(ours, theirs), target);
        }
    }
    table.print();
}

fn print_keys(race: &Race) {
    print_medians(race);
    let mut table = Table::new("keys: a pool of 100", ["what", "", "", "ns"]);
    for name in race.names() {
        let target = if name.contains("refused") { Target::None } else { Target::AtMost(CHOICE) };
        table.row(name, "", "", race.median(name), target);
    }
    table.print();
}

fn print_medians(race: &Race) {
    println!("\n# ns per operation, median of the rounds\n");
    let mut names: Vec<_> = race.names().collect();
    names.sort_by(|a, b| race.median(a).total_cmp(&race.median(b)));
    for name in names {
        println!("{:>10.2}  {name}", race.median(name));
    }
}
