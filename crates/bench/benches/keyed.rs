//! What keys cost beside time: memory, pauses, and what an attacker can make of either. And what a
//! decision over several limits takes.
//!
//! * `cargo bench -p tollgate-bench --bench keyed`: all tables.
//! * `cargo bench -p tollgate-bench --bench keyed -- PATTERN`: those in whose name it is: `memory`,
//!   `idle`, `pause`, `attack`, `charges`, `shared`.
//! * `cargo bench -p tollgate-bench --bench keyed -- --test`: everything once, small, no figures.
//!
//! | scene | what is measured |
//! |---|---|
//! | [memory](keyed_memory) | bytes for each key, allocated and resident |
//! | [idle](keyed_idle) | how memory falls back after all keys went idle |
//! | [pause](keyed_pause) | the slowest call of millions, while tables grow, shrink or are swept |
//! | [attack](keyed_attack) | millions of made-up keys against a limiter that holds few |
//! | [charges](keyed_charges) | several limits in one decision against one after another |
//! | [shared](keyed_shared) | the store of shared limits in memory, against a keyed limiter |
//!
//! Resident memory is that of a child process for each figure, so that none sits on pages that
//! another has left; it is read where Linux tells it.

#[path = "support/contestants.rs"]
#[expect(dead_code, reason = "only the answers are used, by the limiters by key")]
mod contestants;
#[path = "support/histogram.rs"]
mod histogram;
#[path = "support/keyed_attack.rs"]
mod keyed_attack;
#[path = "support/keyed_charges.rs"]
mod keyed_charges;
#[path = "support/keyed_idle.rs"]
mod keyed_idle;
#[path = "support/keyed_keys.rs"]
#[expect(dead_code, reason = "keys come in no other order than they are made")]
mod keyed_keys;
#[path = "support/keyed_limiters.rs"]
#[expect(dead_code, reason = "fewer take part than in `compare`")]
mod keyed_limiters;
#[path = "support/keyed_memory.rs"]
mod keyed_memory;
#[path = "support/keyed_pause.rs"]
mod keyed_pause;
#[path = "support/keyed_shared.rs"]
mod keyed_shared;
#[path = "support/memory.rs"]
mod memory;
#[path = "support/random.rs"]
mod random;
#[path = "support/table.rs"]
mod table;
#[path = "support/work.rs"]
#[expect(dead_code, reason = "only for `compare`")]
mod work;

/// How much is done.
#[derive(Clone, Copy)]
pub(crate) struct Size {
    /// Only to see that it works.
    only_test: bool,
}

impl Size {
    /// So many keys or calls, or a thousandth of them.
    pub(crate) fn of(self, count: u32) -> u32 {
        if self.only_test { count / 1_000 } else { count }
    }

    /// So many repetitions, or one.
    pub(crate) fn rounds(self, count: usize) -> usize {
        if self.only_test { 1 } else { count }
    }

    /// Prints a table, unless its figures mean nothing.
    pub(crate) fn show(self, table: &table::Table) {
        if !self.only_test {
            table.print();
        }
    }
}

/// Measures, and prints tables.
type Scene = fn(Size);

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    if let Some(task) = memory::task(&args) {
        match task {
            ["memory", task @ ..] => keyed_memory::child(task),
            ["idle", task @ ..] => keyed_idle::child(task),
            _ => panic!("no such task: {task:?}"),
        }
        return;
    }
    let given = |flag: &str| args.iter().any(|arg| arg == flag);
    let size = Size { only_test: given("--test") || !given("--bench") };
    let patterns: Vec<&String> = args.iter().filter(|arg| !arg.starts_with("--")).collect();
    let wanted = |name: &str| {
        patterns.is_empty() || patterns.iter().any(|pattern| name.contains(pattern.as_str()))
    };
    let scenes: [(&str, Scene); 6] = [
        ("memory", keyed_memory::print),
        ("idle", keyed_idle::print),
        ("pause", keyed_pause::print),
        ("attack", keyed_attack::print),
        ("charges", keyed_charges::print),
        ("shared", keyed_shared::print),
    ];
    for (_, print) in scenes.into_iter().filter(|(name, _)| wanted(name)) {
        print(size);
    }
}
