//! The requests of one or more logs, in the order of their times.
//!
//! A log is read in chunks, so its length does not matter. Its lines are nearly in order: a server
//! writes a line when a request ends, with the time at which it began. [`Log`] therefore holds the
//! requests of the last [`WINDOW`] seconds and sorts them; a request that is even later counts as
//! made at the newest time that has been let go, because a limiter's clock never goes back.
//! [`Logs`] merges several logs.

mod ahead;
mod batch;
mod lines;
mod ordered;
mod pending;
mod source;

use std::io;

use super::log::Request;
use super::log::client::Addresses;
use super::log::layout::Hints;

pub use lines::{LONGEST, Line, Lines};
pub use ordered::{Log, Tally};
pub use pending::WINDOW;
pub use source::Input;

/// How lines are read.
#[derive(Clone, Debug, Default)]
pub struct Reading {
    /// What is known of the format.
    pub hints: Hints,
    /// How an address is taken from a client field.
    pub addresses: Addresses,
    /// Which lines are replayed.
    pub lines: WhichLines,
}

/// Which lines are replayed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum WhichLines {
    /// Those with all that a policy needs: the client's address, a method and a path.
    #[default]
    Requests,
    /// Those with a client, who may be the name of a host, and a time. Nothing else is read.
    Clients,
}

/// Several logs, merged by time.
#[derive(Debug)]
pub struct Logs {
    logs: Vec<Log>,
}

/// Why a log can't be replayed.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// It can't be read.
    #[error("can't read {name}: {error}")]
    Unreadable {
        /// The log's name.
        name: String,
        /// Why.
        error: io::Error,
    },
    /// Its format is not known.
    #[error("{name}: {why}")]
    Format {
        /// The log's name.
        name: String,
        /// Why, and which option to give.
        why: String,
    },
    /// The operating system refuses the thread that reads.
    #[error("can't start a thread: {0}")]
    Thread(io::Error),
}

impl Logs {
    /// Looks at the first lines of each log. All are read in the same way.
    ///
    /// # Errors
    ///
    /// If a log can't be read, or its format is not known.
    pub fn new(inputs: Vec<Input>, reading: &Reading) -> Result<Self, LogError> {
        let logs = inputs.into_iter().map(|input| Log::new(input, reading));
        Ok(Self { logs: logs.collect::<Result<_, _>>()? })
    }

    /// The logs.
    #[must_use]
    pub fn logs(&self) -> &[Log] {
        &self.logs
    }

    /// Takes the next request. Of requests at the same time, those of the log that was named first
    /// come first.
    ///
    /// # Errors
    ///
    /// If a log can't be read any further.
    #[allow(clippy::should_implement_trait, reason = "an iterator can't lend its requests")]
    pub fn next(&mut self) -> Result<Option<Request<'_>>, LogError> {
        let mut earliest = None;
        for (index, log) in self.logs.iter_mut().enumerate() {
            let Some(time) = log.peek()? else { continue };
            if earliest.is_none_or(|(earliest, _)| time < earliest) {
                earliest = Some((time, index));
            }
        }
        let Some((_, index)) = earliest else { return Ok(None) };
        Ok(self.logs.get_mut(index).and_then(Log::take))
    }
}
