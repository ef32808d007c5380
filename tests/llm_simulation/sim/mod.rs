//! A day of requests to a model API, in no time: servers that enforce their limits, clients on
//! another clock, and a network that delays.

mod backoff;
mod clock;
mod naive;
mod ours;
mod server;
mod traffic;
mod world;

pub(crate) use backoff::Backoff;
pub(crate) use clock::SkewedClock;
pub(crate) use naive::Naive;
pub(crate) use ours::Ours;
pub(crate) use server::{Dialect, Stated};
pub(crate) use world::{Outcome, Scene, run};

use tollgate::llm::Tokens;

/// Nanoseconds of the servers' time.
pub(crate) type Nanos = u64;

pub(crate) const SECOND: Nanos = 1_000_000_000;
pub(crate) const MINUTE: Nanos = 60 * SECOND;

/// One request.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Job {
    pub(crate) number: usize,
    /// What it will take.
    pub(crate) actual: Tokens,
    /// The most that its answer may have.
    pub(crate) max_output: u64,
    /// What its sender believes that the server will count.
    pub(crate) estimate: Tokens,
}

/// What a server answers.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) accepted: bool,
    pub(crate) headers: Vec<(&'static str, String)>,
}

/// A way to obey limits.
pub(crate) trait Client {
    /// Takes a request into its line, if that is not full.
    fn offer(&mut self, job: Job);
    /// The requests that go out now, and by which key.
    fn release(&mut self) -> Vec<(Job, usize)>;
    /// When it wants to look again, on its own clock.
    fn next_look(&mut self) -> Option<Nanos>;
    /// An answer has come.
    fn answered(&mut self, job: Job, key: usize, answer: &Answer);
}
