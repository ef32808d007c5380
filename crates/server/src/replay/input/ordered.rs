//! One log: its lines, read and put in order.

use std::collections::BTreeMap;
use std::io::Read;

use tollgate::Timestamp;

use super::batch::Batch;
use super::lines::{Line, Lines};
use super::pending::Pending;
use super::{Input, LogError, Reading, WhichLines};
use crate::replay::log::client::{Addresses, Client};
use crate::replay::log::layout::{self, Layout};
use crate::replay::log::{Details, Request, Skipped, time};

/// How many line numbers are kept for each reason.
const PLACES: usize = 3;

/// One log.
pub struct Log {
    name: String,
    lines: Lines<Box<dyn Read + Send>>,
    layout: Layout,
    addresses: Addresses,
    which: WhichLines,
    notes: Vec<String>,
    has_ended: bool,
    pending: Pending,
    /// The requests that come next, and how many of them were taken.
    due: Batch,
    taken: usize,
    /// The newest second that was let go.
    let_go: Option<u64>,
    tally: Tally,
}

/// What was read of a log.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Its lines.
    pub lines: u64,
    /// The lines that are requests.
    pub requests: u64,
    /// Requests whose client was chosen from a list of addresses.
    pub lists: u64,
    /// Requests that were too late to be put in order.
    pub late: u64,
    /// For each reason: how many lines were skipped, and the numbers of the first of them (from 1).
    pub skipped: BTreeMap<Skipped, (u64, Vec<u64>)>,
}

impl Tally {
    /// Lines that should have been requests and could not be read.
    #[must_use]
    pub fn unreadable(&self) -> u64 {
        let unreadable = self.skipped.iter().filter(|(reason, _)| reason.is_unreadable());
        unreadable.map(|(_, (lines, _))| lines).sum()
    }

    /// Lines skipped for this reason.
    #[must_use]
    pub fn skipped_for(&self, reason: Skipped) -> u64 {
        self.skipped.get(&reason).map_or(0, |(lines, _)| *lines)
    }

    /// Counts the newest line as skipped.
    fn skip(&mut self, reason: Skipped) {
        let (lines, first) = self.skipped.entry(reason).or_default();
        *lines += 1;
        if first.len() < PLACES {
            first.push(self.lines);
        }
    }
}

impl Log {
    /// Looks at the first lines of a log.
    ///
    /// # Errors
    ///
    /// If it can't be read, or its format is not known.
    pub fn new(input: Input, reading: &Reading) -> Result<Self, LogError> {
        let Input { name, bytes } = input;
        let mut lines = Lines::new(bytes);
        let found = match lines.sample(layout::SAMPLE) {
            Ok(sample) => layout::find(sample, &reading.hints),
            Err(error) => return Err(LogError::Unreadable { name, error }),
        };
        match found {
            Ok(found) => Ok(Self {
                name,
                lines,
                layout: found.layout,
                addresses: reading.addresses,
                which: reading.lines,
                notes: found.notes,
                has_ended: false,
                pending: Pending::default(),
                due: Batch::default(),
                taken: 0,
                let_go: None,
                tally: Tally::default(),
            }),
            Err(why) => Err(LogError::Format { name, why }),
        }
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its format.
    #[must_use]
    pub fn layout(&self) -> &Layout {
        &self.layout
    }

    /// What was assumed about its format.
    #[must_use]
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    /// What was read so far.
    #[must_use]
    pub fn tally(&self) -> &Tally {
        &self.tally
    }

    /// The time of the next request.
    ///
    /// # Errors
    ///
    /// If the log can't be read any further.
    pub fn peek(&mut self) -> Result<Option<Timestamp>, LogError> {
        loop {
            if let Some(time) = self.due.time(self.taken) {
                return Ok(Some(time));
            }
            self.pending.recycle(std::mem::take(&mut self.due));
            self.taken = 0;
            loop {
                if let Some(second) = self.pending.pop(self.has_ended) {
                    self.due = second;
                    let newest = self.due.time(0).map(time::seconds);
                    self.let_go = self.let_go.max(newest);
                    break;
                }
                if self.has_ended {
                    return Ok(None);
                }
                self.read_line()?;
            }
        }
    }

    /// Takes the next request, after [`peek`](Self::peek) has found one.
    pub fn take(&mut self) -> Option<Request<'_>> {
        let request = self.due.get(self.taken)?;
        self.taken += 1;
        Some(request)
    }

    fn read_line(&mut self) -> Result<(), LogError> {
        let line = match self.lines.next() {
            Ok(line) => line,
            Err(error) => return Err(LogError::Unreadable { name: self.name.clone(), error }),
        };
        let Some(line) = line else {
            self.has_ended = true;
            return Ok(());
        };
        self.tally.lines += 1;
        let request = match line {
            Line::Whole(line) => self.layout.request(line, self.addresses),
            Line::TooLong => Err(Skipped::TooLong),
        };
        let request = match (self.which, &request) {
            (WhichLines::Requests, Ok(found)) if found.details.method.is_empty() => {
                Err(Skipped::NoRequest)
            }
            (WhichLines::Requests, Ok(Request { client: Client::Name(_), .. })) => {
                Err(Skipped::Name)
            }
            (WhichLines::Clients, Ok(_)) => {
                request.map(|request| Request { details: Details::default(), ..request })
            }
            _ => request,
        };
        match request {
            Ok(request) => {
                self.tally.requests += 1;
                self.tally.lists += u64::from(request.listed);
                let at = time::seconds(request.time);
                self.tally.late += u64::from(self.let_go.is_some_and(|let_go| at < let_go));
                self.pending.push(&request);
            }
            Err(reason) => self.tally.skip(reason),
        }
        Ok(())
    }
}

impl std::fmt::Debug for Log {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Log").field("name", &self.name).finish_non_exhaustive()
    }
}
