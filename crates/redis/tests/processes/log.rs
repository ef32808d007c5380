//! What each process notes, as text in a file.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

/// One permit: it was taken at some time between `sent` and `received`, on the machine's clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Grant {
    pub limiter: usize,
    pub key: usize,
    pub sent: u64,
    pub received: u64,
}

/// What one process notes.
#[derive(Debug, Default)]
pub struct Log {
    /// The wall clock of the process, in seconds.
    pub wall_clock: u64,
    pub grants: Vec<Grant>,
    /// When a key of a limiter was last refused by the store.
    pub refused: BTreeMap<(usize, usize), u64>,
    /// What reached a caller besides grants and refusals.
    pub errors: Vec<String>,
    /// For how long the process has stood still at most.
    pub stall: u64,
    /// How many decisions were made without a call.
    pub without_call: u64,
    /// What else is counted; the test that asks for it says what it is.
    pub counts: Vec<u64>,
}

impl Log {
    pub fn write(&self, path: &Path) {
        let mut text = format!(
            "wall {}\nlocal {}\nstall {}\n",
            self.wall_clock, self.without_call, self.stall
        );
        for grant in &self.grants {
            let Grant { limiter, key, sent, received } = grant;
            writeln!(text, "grant {limiter} {key} {sent} {received}").expect("a text");
        }
        for ((limiter, key), sent) in &self.refused {
            writeln!(text, "refused {limiter} {key} {sent}").expect("a text");
        }
        for count in &self.counts {
            writeln!(text, "count {count}").expect("a text");
        }
        for error in &self.errors {
            writeln!(text, "error {error}").expect("a text");
        }
        std::fs::write(path, text + "end\n").expect("a file for the log");
    }

    pub fn read(path: &Path) -> Self {
        let text = std::fs::read_to_string(path).expect("the log of a process");
        assert!(text.ends_with("end\n"), "the log is whole");
        let mut log = Self::default();
        for line in text.lines() {
            let (kind, rest) = line.split_once(' ').unwrap_or((line, ""));
            let numbers = || rest.split(' ').map(|it| it.parse::<u64>().expect("a number"));
            match kind {
                "wall" => log.wall_clock = numbers().next().expect("a time"),
                "stall" => log.stall = numbers().next().expect("a time"),
                "local" => log.without_call = numbers().next().expect("a count"),
                "grant" => {
                    let [limiter, key, sent, received] = numbers().collect::<Vec<_>>()[..] else {
                        panic!("{line}")
                    };
                    let (limiter, key) = (limiter as usize, key as usize);
                    log.grants.push(Grant { limiter, key, sent, received });
                }
                "refused" => {
                    let [limiter, key, sent] = numbers().collect::<Vec<_>>()[..] else {
                        panic!("{line}")
                    };
                    log.refused.insert((limiter as usize, key as usize), sent);
                }
                "count" => log.counts.extend(numbers()),
                "error" => log.errors.push(rest.to_string()),
                _ => assert_eq!(line, "end"),
            }
        }
        log
    }
}
