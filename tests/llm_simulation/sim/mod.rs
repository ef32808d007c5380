//! A day of requests to a model API, in no time: servers that enforce their limits, clients on
//! another clock, and a network that delays.
//!
//! The servers know nothing of the library: they count with arithmetic of their own.

mod agenda;
mod backoff;
mod clock;
mod counter;
mod dialect;
mod failure;
mod naive;
mod others;
mod ours;
mod outcome;
mod scene;
mod server;
mod trace;
mod traffic;
mod world;

pub(crate) use backoff::Backoff;
pub(crate) use clock::SkewedClock;
pub(crate) use counter::{Counter, Counts};
pub(crate) use dialect::Dialect;
pub(crate) use failure::Failure;
pub(crate) use naive::Naive;
pub(crate) use others::Others;
pub(crate) use ours::{Ours, State};
pub(crate) use outcome::Outcome;
pub(crate) use scene::{Account, Restart, Scene, Traffic};
pub(crate) use server::{Counting, Server, Stated};
pub(crate) use world::run;

/// Nanoseconds of the servers' time since the simulation began.
pub(crate) type Nanos = u64;

pub(crate) const SECOND: Nanos = 1_000_000_000;
pub(crate) const MINUTE: Nanos = 60 * SECOND;
pub(crate) const HOUR: Nanos = 60 * MINUTE;
pub(crate) const DAY: Nanos = 24 * HOUR;

/// The time of day at the servers when the simulation begins: no window begins with it.
pub(crate) const BEGAN: Nanos = 7 * HOUR + 13 * MINUTE + 17 * SECOND + 400_000_000;

/// Tokens of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Size {
    pub(crate) input: u64,
    pub(crate) output: u64,
}

impl Size {
    pub(crate) fn total(self) -> u64 {
        self.input + self.output
    }
}

/// One request.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Job {
    pub(crate) number: usize,
    /// What it will take.
    pub(crate) actual: Size,
    /// The most that its answer may have.
    pub(crate) max_output: u64,
    /// What its sender believes that the server will count.
    pub(crate) estimate: Size,
}

/// What a server answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    /// The wait that the body names and no header does.
    pub(crate) told_in_body: Option<Nanos>,
}

impl Answer {
    pub(crate) fn is_good(&self) -> bool {
        self.status == 200
    }
}

/// What becomes of a request after an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// Whoever asked has an answer, good or bad.
    Done,
    /// It is in the client's line again.
    Again,
}

/// A way to obey limits.
pub(crate) trait Client {
    /// Takes a request into its line, if that is not full. Returns whether it did.
    fn offer(&mut self, job: Job) -> bool;
    /// The requests that go out now, and by which key.
    fn release(&mut self) -> Vec<(Job, usize)>;
    /// When it wants to look again, on its own clock.
    fn next_look(&mut self) -> Option<Nanos>;
    /// An answer has come.
    fn answered(&mut self, job: Job, key: usize, answer: &Answer) -> Next;
    /// What it takes its limits to be, for a trace.
    fn believes(&self) -> String {
        String::new()
    }
    /// What it hands on to the next process at this time of the servers, if it can.
    fn state(&self, _now: Nanos) -> Option<State> {
        None
    }
}
