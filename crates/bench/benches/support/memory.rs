//! Memory: what is allocated, what is resident, and a process of one's own to see it in.

use std::process::Command;

/// A megabyte, as tables have it.
const MEGABYTE: f64 = 1e6;

/// Marks that a process has one task, which the following arguments name.
const CHILD: &str = "--child";

/// Allocated bytes, as long as all of it happens in [`during`](Self::during), on one thread.
#[derive(Default)]
pub(crate) struct Allocated(i64);

impl Allocated {
    /// Runs `act` and counts what it leaves behind, or frees.
    pub(crate) fn during<R>(&mut self, act: impl FnOnce() -> R) -> R {
        let mut result = None;
        self.0 += allocation_counter::measure(|| result = Some(act())).bytes_current;
        result.expect("it ran")
    }

    pub(crate) fn bytes(&self) -> i64 {
        self.0
    }
}

/// Bytes of this process that lie in memory.
pub(crate) fn resident() -> i64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux tells it there");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("a line for it");
    let kibibytes = line.trim().trim_end_matches("kB").trim();
    kibibytes.parse::<i64>().expect("a number") * 1024
}

/// The task of this process, if it was started for one.
pub(crate) fn task(args: &[String]) -> Option<&'static [&'static str]> {
    let [first, task @ ..] = args else { return None };
    // It lives as long as the process.
    (first == CHILD).then(|| {
        let task: Vec<&'static str> = task.iter().map(|arg| &*arg.clone().leak()).collect();
        &*task.leak()
    })
}

/// Lets a process of its own do `task`, and returns the lines of numbers that it prints.
pub(crate) fn by_a_child(task: &[&str]) -> Vec<Vec<i64>> {
    let this = std::env::current_exe().expect("the path of this program");
    let output = Command::new(this).arg(CHILD).args(task).output().expect("a child process");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let numbers = |line: &str| {
        line.split(' ').map(|number| number.parse().expect("only numbers are printed")).collect()
    };
    String::from_utf8_lossy(&output.stdout).lines().map(numbers).collect()
}

#[expect(clippy::cast_precision_loss, reason = "far below 2^53")]
pub(crate) fn megabytes(bytes: i64) -> f64 {
    bytes as f64 / MEGABYTE
}

/// Bytes for each of `count`.
#[expect(clippy::cast_precision_loss, reason = "far below 2^53")]
pub(crate) fn each(bytes: i64, count: u32) -> f64 {
    bytes as f64 / f64::from(count)
}
