//! Four processes with orders, and their logs.

use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::clock;
use super::log::Log;
use super::support::server::Server;

/// How many processes there are.
pub const PROCESSES: usize = 4;

/// How the orders reach a process.
const VARIABLE: &str = "TOLLGATE_ORDERS";

/// How long processes may take to start and to connect.
const START: Duration = Duration::from_millis(700);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Job {
    Traffic,
    Waiters,
}

/// What a process shall do.
#[derive(Clone, Debug)]
pub struct Orders {
    pub job: Job,
    /// Its number among the four.
    pub number: usize,
    pub url: String,
    /// When it begins and ends, on the machine's clock.
    pub from: u64,
    pub until: u64,
    pub log: PathBuf,
}

impl Orders {
    fn text(&self) -> String {
        let Self { job, number, url, from, until, log } = self;
        format!("{job:?}\n{number}\n{url}\n{from}\n{until}\n{}", log.display())
    }

    pub fn from_environment() -> Self {
        let text = std::env::var(VARIABLE).expect("only the tests of this program start this");
        let [job, number, url, from, until, log] = text.split('\n').collect::<Vec<_>>()[..] else {
            panic!("{text}")
        };
        let job = if job == "Traffic" { Job::Traffic } else { Job::Waiters };
        let number_of = |text: &str| text.parse().expect("a number");
        let (from, until) = (number_of(from), number_of(until));
        let (number, url) = (number_of(number) as usize, url.to_string());
        Self { job, number, url, from, until, log: log.into() }
    }
}

/// Four processes at work.
pub struct Crew {
    pub from: u64,
    pub until: u64,
    processes: Vec<(Child, PathBuf)>,
    _alone: MutexGuard<'static, ()>,
}

impl Crew {
    /// Starts four processes that work for this long. `shifts` are seconds by which their wall
    /// clocks are wrong.
    pub fn start(job: Job, server: &Server, length: Duration, shifts: [i64; PROCESSES]) -> Self {
        // One crew at a time, since each needs the whole machine.
        static ALONE: Mutex<()> = Mutex::new(());
        let alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
        let from = clock::now() + START.as_nanos() as u64;
        let until = from + length.as_nanos() as u64;
        let processes = shifts.into_iter().enumerate().map(|(number, shift)| {
            let (url, log) = (server.url(), server.dir().join(format!("log-{number}")));
            let orders = Orders { job, number, url, from, until, log: log.clone() };
            let child = program(shift)
                .args(["one_process", "--exact", "--ignored", "--nocapture"])
                .env(VARIABLE, orders.text())
                .stdout(Stdio::null())
                .spawn()
                .expect("this program, again");
            (child, log)
        });
        Self { from, until, processes: processes.collect(), _alone: alone }
    }

    /// Waits until all have ended, and returns their logs.
    pub fn logs(mut self) -> Vec<Log> {
        let processes = std::mem::take(&mut self.processes);
        let ended = processes.into_iter().map(|(mut child, log)| {
            assert!(child.wait().expect("a child").success(), "a process has failed");
            Log::read(&log)
        });
        ended.collect()
    }
}

impl Drop for Crew {
    fn drop(&mut self) {
        for (child, _) in &mut self.processes {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// This program, with a wall clock that is wrong by so many seconds.
fn program(shift: i64) -> Command {
    let this = std::env::current_exe().expect("this program");
    if shift == 0 {
        return Command::new(this);
    }
    let mut faketime = Command::new("faketime");
    faketime.args(["-f", &format!("{shift:+}")]).arg(this).env("FAKETIME_DONT_FAKE_MONOTONIC", "1");
    faketime
}

/// Whether wall clocks can be wrong here. Where not, the test is skipped, which is said; in CI,
/// that is a failure.
pub fn has_faketime() -> bool {
    let is_there = Command::new("faketime").arg("--version").stdout(Stdio::null()).status().is_ok();
    if !is_there {
        eprintln!("NO faketime HERE: A TEST IS SKIPPED. `scripts/redis_servers` installs it.");
        assert!(std::env::var_os("CI").is_none(), "faketime must be installed in CI");
    }
    is_there
}

/// How long a run takes.
pub fn length(usual: Duration) -> Duration {
    let asked = std::env::var("TOLLGATE_SECONDS").ok().and_then(|it| it.parse().ok());
    asked.map_or(usual, Duration::from_secs)
}
