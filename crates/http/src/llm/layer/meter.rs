//! The open permit of an answer whose body is passing.

use bytes::Bytes;
use http::StatusCode;
use tollgate::llm::{Meaning, Reply, TokenCost, Tokens};

use super::end_mark::contains_end;
use super::erased::AnyPermit;
use crate::llm::{AnswerReader, ErrorBody};

/// The permit of an answer, which is settled when the body ends, fails or is dropped.
pub(super) struct Meter {
    permit: Option<AnyPermit>,
    reader: AnswerReader,
    /// The first piece of a body that may be JSON. If it is the only one, it is read at once.
    first: Option<Bytes>,
    is_begun: bool,
    status: u16,
    /// In how many of the next pieces the mark of the stream's end is looked for.
    watched: u8,
    /// Whether the stream has said that it is complete.
    is_complete: bool,
}

/// The piece with the last report of the usage, and those after it in which the mark of the end is
/// looked for.
const WATCHED: u8 = 4;

/// How a body has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ended {
    Whole,
    /// The connection was lost, or the like.
    Broken,
    /// The caller did not want the rest.
    Dropped,
}

impl Meter {
    /// Meters an answer with this status, which is a success.
    pub(super) fn new(permit: AnyPermit, status: u16) -> Self {
        let reader = AnswerReader::new();
        Self {
            permit: Some(permit),
            reader,
            first: None,
            is_begun: false,
            status,
            watched: 0,
            is_complete: false,
        }
    }

    /// Reads the next piece of the body.
    pub(super) fn read(&mut self, bytes: &Bytes) {
        if self.permit.is_none() {
            return;
        }
        if !self.is_begun && bytes.starts_with(b"{") {
            self.first = Some(bytes.clone());
        } else {
            if let Some(first) = self.first.take() {
                self.feed(&first);
            }
            self.feed(bytes);
        }
        self.is_begun = true;
    }

    fn feed(&mut self, bytes: &[u8]) {
        let reports = self.reader.reports();
        self.reader.feed(bytes);
        // The mark follows the last report of the usage. Without a report, it does not matter.
        if self.reader.reports() != reports {
            self.watched = WATCHED;
        }
        if self.watched > 0 {
            self.watched -= 1;
            self.is_complete |= contains_end(bytes);
        }
    }

    /// Settles the permit, if that has not happened yet.
    pub(super) fn end(&mut self, ended: Ended) {
        let Some(permit) = self.permit.take() else { return };
        if let Some(only) = self.first.take() {
            self.reader = AnswerReader::whole(&only);
        }
        let spent = self.reader.spent();
        // Right for all providers: see `AnswerReader::spent`.
        let spent = spent.map(|spent| TokenCost::Anthropic.spent(&spent));
        if let Some(error) = self.reader.error() {
            return end_with_error(permit, error.reply(), spent);
        }
        // If not all was read, the output that is known is only a part.
        let is_whole = ended == Ended::Whole || self.is_complete;
        let least = if is_whole { 0 } else { permit.estimate().output };
        let spent = spent.map(|spent| Tokens::new(spent.input, spent.output.max(least)));
        match (spent, ended) {
            (Some(spent), Ended::Broken) => permit.end(&Reply::new(502).spent(spent)),
            (None, Ended::Broken) => permit.end(&Reply::new(502)),
            (Some(spent), _) if (200..300).contains(&self.status) => permit.settle(spent),
            (Some(spent), _) => permit.end(&Reply::new(self.status).spent(spent)),
            (None, _) => permit.end(&Reply::new(self.status)),
        }
    }
}

impl Drop for Meter {
    fn drop(&mut self) {
        self.end(Ended::Dropped);
    }
}

/// Ends the permit of an answer that turned out to be an error. What it used until then counts.
fn end_with_error(permit: AnyPermit, reply: Reply, spent: Option<Tokens>) {
    let Some(spent) = spent else { return permit.end(&reply) };
    match reply.meaning() {
        Meaning::Limited | Meaning::Overloaded | Meaning::KeySpent | Meaning::KeyRefused => {
            // Such a reply would give all tokens back.
            permit.observe_reply(&reply);
            permit.end(&Reply::new(500).spent(spent));
        }
        _ => permit.end(&reply.spent(spent)),
    }
}

impl ErrorBody {
    /// The error as a reply of its own, without the headers of the answer.
    pub(super) fn reply(&self) -> Reply {
        self.add_to(Reply::new(self.status.as_u16()))
    }

    /// Adds the wait to a reply.
    pub(super) fn add_to(&self, reply: Reply) -> Reply {
        let is_limit = matches!(reply.meaning(), Meaning::Limited | Meaning::Overloaded);
        match self.wait {
            // A 403 with a wait is a limit.
            Some(wait) if is_limit || self.status == StatusCode::FORBIDDEN => {
                reply.limited_for(wait)
            }
            _ => reply,
        }
    }
}
