//! How much is done.

use std::time::Duration;

use crate::table::Table;

/// How much is done.
#[derive(Clone, Copy)]
pub(crate) struct Size {
    /// Only to see that it works.
    pub(crate) only_test: bool,
}

impl Size {
    /// What the arguments of this program say, and those of them that are no flags.
    pub(crate) fn from_args() -> (Self, Vec<String>) {
        let args: Vec<String> = std::env::args().skip(1).collect();
        let given = |flag: &str| args.iter().any(|arg| arg == flag);
        let only_test = given("--test") || !given("--bench");
        (Self { only_test }, args.into_iter().filter(|arg| !arg.starts_with("--")).collect())
    }

    /// So many clients or requests, or a thousandth of them, but at least one.
    #[allow(dead_code, reason = "not every benchmark has clients")]
    pub(crate) fn of(self, count: u32) -> u32 {
        if self.only_test { (count / 1_000).max(1) } else { count }
    }

    /// So many repetitions, or one.
    #[allow(dead_code, reason = "not every benchmark has rounds")]
    pub(crate) fn rounds(self, count: usize) -> usize {
        if self.only_test { 1 } else { count }
    }

    /// So long, or a hundredth of it.
    #[allow(dead_code, reason = "not every benchmark has slices of time")]
    pub(crate) fn slice(self, time: Duration) -> Duration {
        if self.only_test { time / 100 } else { time }
    }

    /// Prints a table, unless its figures mean nothing.
    pub(crate) fn show(self, table: &Table) {
        if !self.only_test {
            table.print();
        }
    }
}
