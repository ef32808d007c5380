//! The open permit of an answer whose body is passing.

use http::StatusCode;
use tollgate::llm::{Meaning, Reply, TokenCost, Tokens};

use super::erased::AnyPermit;
use crate::llm::{AnswerReader, ErrorBody};

/// The permit of an answer, which is settled when the body ends, fails or is dropped.
pub(super) struct Meter {
    permit: Option<AnyPermit>,
    reader: AnswerReader,
    status: u16,
}

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
        Self { permit: Some(permit), reader: AnswerReader::new(), status }
    }

    /// Reads bytes of the body.
    pub(super) fn read(&mut self, bytes: &[u8]) {
        if self.permit.is_some() {
            self.reader.feed(bytes);
        }
    }

    /// Settles the permit, if that has not happened yet.
    pub(super) fn end(&mut self, ended: Ended) {
        let Some(permit) = self.permit.take() else { return };
        let spent = self.reader.spent();
        // Right for all providers: see `AnswerReader::spent`.
        let spent = spent.map(|spent| TokenCost::Anthropic.spent(&spent));
        let reply = match (self.reader.error(), ended) {
            (Some(error), _) => return end_with_error(permit, error.reply(), spent),
            (None, Ended::Broken) => Reply::new(502),
            (None, Ended::Whole | Ended::Dropped) => Reply::new(self.status),
        };
        // If not all was read, the output that is known is only a part.
        let output = if ended == Ended::Whole { 0 } else { permit.estimate().output };
        match spent.map(|spent| Tokens::new(spent.input, spent.output.max(output))) {
            Some(spent) => permit.end(&reply.spent(spent)),
            None => permit.end(&reply),
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
