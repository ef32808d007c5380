//! With `TRACE=1`, each message is printed to standard error, and what the client believes.

use super::{Answer, Client, Job, Nanos, Server};

/// Prints, if that is wanted.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Trace {
    on: bool,
}

impl Trace {
    pub(crate) fn new() -> Self {
        Self { on: std::env::var("TRACE").is_ok() }
    }

    pub(crate) fn sent(self, now: Nanos, job: &Job, key: usize, client: &dyn Client) {
        if self.on {
            let (number, estimate) = (job.number, job.estimate);
            eprintln!("{} sent {number} by key {key}, {estimate:?}", seconds(now));
            eprintln!("    {}", client.believes());
        }
    }

    pub(crate) fn at_server(self, now: Nanos, job: &Job, key: usize, server: &mut Server) {
        if self.on {
            let counters = server.counters.iter_mut();
            let left: Vec<_> = counters.map(|counter| counter.remaining(now)).collect();
            let (number, actual) = (job.number, job.actual);
            eprintln!("{} arrives {number} by key {key}, {actual:?}, left {left:?}", seconds(now));
        }
    }

    pub(crate) fn answered(self, now: Nanos, job: &Job, answer: &Answer, client: &dyn Client) {
        if self.on {
            let headers = answer.headers.iter().map(|(name, value)| format!("{name}={value}"));
            let headers = headers.collect::<Vec<_>>().join(" ");
            let (number, status) = (job.number, answer.status);
            eprintln!("{} answered {number}: {status} {headers}", seconds(now));
            eprintln!("    {}", client.believes());
        }
    }
}

fn seconds(now: Nanos) -> String {
    format!("{}.{:03}", now / 1_000_000_000, now / 1_000_000 % 1_000)
}
