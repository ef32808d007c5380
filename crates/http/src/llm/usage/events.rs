//! The lines of a stream of server-sent events, in pieces of any size.

use std::sync::LazyLock;

use memchr::memmem::Finder;
use memchr::{memchr2, memrchr2};

use super::scanner::{Listener, Scanner};

/// What an event without usage and errors does not contain.
static USAGE: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(b"\"usage"));
static ERROR: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(b"error"));

/// The longest line other than `data:` that is looked at: `event: error`.
const LONGEST_LINE: usize = 16;

/// Reads the lines, and gives the data of those that may matter to a [`Scanner`]. Each line of data
/// is a JSON document.
#[derive(Debug, Default)]
pub(super) struct Events {
    line: Line,
    /// The last byte was a carriage return, so a line feed belongs to it.
    is_after_return: bool,
    /// The event's type is `error`.
    is_error: bool,
}

/// The line that is being read.
#[derive(Debug)]
enum Line {
    /// It cannot be said yet what kind of line it is.
    Start {
        bytes: [u8; LONGEST_LINE],
        length: usize,
    },
    Data,
    Other,
}

impl Default for Line {
    fn default() -> Self {
        Self::Start { bytes: [0; LONGEST_LINE], length: 0 }
    }
}

/// What the events tell.
pub(super) trait EventListener: Listener {
    /// A line of data begins; whether the event's type is `error`.
    fn begins(&mut self, is_error: bool);
}

impl Events {
    /// Reads on.
    pub(super) fn feed(
        &mut self,
        bytes: &[u8],
        scanner: &mut Scanner,
        listener: &mut impl EventListener,
    ) {
        let mut rest = bytes;
        if self.is_after_return && !rest.is_empty() {
            self.is_after_return = false;
            rest = rest.strip_prefix(b"\n").unwrap_or(rest);
        }
        if !self.is_at_start() {
            let Some(end) = memchr2(b'\n', b'\r', rest) else {
                return self.part(rest, scanner, listener);
            };
            self.part(&rest[..end], scanner, listener);
            self.end_line(scanner, listener);
            rest = self.after_end(&rest[end..]);
        }
        // Most pieces contain nothing that matters, and are not read line by line.
        if !self.is_error
            && !matters(rest)
            && let Some(end) = memrchr2(b'\n', b'\r', rest)
        {
            rest = self.after_end(&rest[end..]);
        }
        while let Some(end) = memchr2(b'\n', b'\r', rest) {
            self.whole(&rest[..end], scanner, listener);
            rest = self.after_end(&rest[end..]);
        }
        self.part(rest, scanner, listener);
    }

    fn is_at_start(&self) -> bool {
        matches!(self.line, Line::Start { length: 0, .. })
    }

    /// What follows the end of a line, with which `rest` begins.
    fn after_end<'a>(&mut self, rest: &'a [u8]) -> &'a [u8] {
        let after = rest.get(1..).unwrap_or_default();
        if !rest.starts_with(b"\r") {
            return after;
        }
        self.is_after_return = after.is_empty();
        after.strip_prefix(b"\n").unwrap_or(after)
    }

    /// Reads a whole line.
    fn whole(&mut self, line: &[u8], scanner: &mut Scanner, listener: &mut impl EventListener) {
        if let Some(data) = line.strip_prefix(b"data:") {
            if self.is_error || matters(data) {
                listener.begins(self.is_error);
                scanner.feed(data, listener);
                scanner.reset();
            }
        } else if let Some(name) = line.strip_prefix(b"event:") {
            self.is_error = name == b"error" || name == b" error";
        } else if line.is_empty() {
            self.is_error = false;
        }
    }

    /// Reads a part of a line, from its beginning or from where the last part ended.
    fn part(&mut self, part: &[u8], scanner: &mut Scanner, listener: &mut impl EventListener) {
        let mut rest = part;
        if let Line::Start { bytes, length } = &mut self.line {
            let taken = rest.len().min(bytes.len() - *length);
            for (place, byte) in bytes.iter_mut().skip(*length).zip(rest) {
                *place = *byte;
            }
            *length += taken;
            rest = &rest[taken..];
            let start = &bytes[..*length];
            if let Some(data) = start.strip_prefix(b"data:") {
                listener.begins(self.is_error);
                scanner.feed(data, listener);
                self.line = Line::Data;
            } else if !rest.is_empty() {
                self.line = Line::Other;
            }
        }
        if matches!(self.line, Line::Data) {
            scanner.feed(rest, listener);
        }
    }

    /// Ends a line that was read in parts.
    fn end_line(&mut self, scanner: &mut Scanner, listener: &mut impl EventListener) {
        match std::mem::take(&mut self.line) {
            Line::Start { bytes, length } => self.whole(&bytes[..length], scanner, listener),
            Line::Data => scanner.reset(),
            Line::Other => {}
        }
    }
}

/// Whether there is the word `error`.
pub(super) fn names_error(data: &[u8]) -> bool {
    ERROR.find(data).is_some()
}

/// Whether the scanner can find something in these lines. It is asked of each event of many
/// streams, so it must be quick: OpenAI writes `"usage":null` into each.
fn matters(lines: &[u8]) -> bool {
    let names_usage = USAGE.find_iter(lines).any(|start| {
        let after = &lines[start + b"\"usage".len()..];
        !after.starts_with(b"\":null") && !after.starts_with(b"\": null")
    });
    names_usage || names_error(lines)
}
