//! The lines of a log, read in chunks.

use std::io::{self, Read};

/// How much is read at once.
const CHUNK: usize = 256 * 1024;

/// Longer lines are skipped, so that no log can use up the memory.
pub const LONGEST: usize = 1024 * 1024;

/// The lines of a log.
#[derive(Debug)]
pub struct Lines<R> {
    input: R,
    buffer: Vec<u8>,
    /// Where the next line begins.
    start: usize,
    /// Up to where no line ends.
    searched: usize,
    /// Up to where the buffer holds what was read.
    end: usize,
    has_ended: bool,
}

/// A line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Line<'a> {
    /// Without its end.
    Whole(&'a [u8]),
    /// Longer than [`LONGEST`].
    TooLong,
}

impl<R: Read> Lines<R> {
    /// The lines of `input`, which need not be buffered.
    pub fn new(input: R) -> Self {
        let buffer = vec![0; CHUNK];
        Self { input, buffer, start: 0, searched: 0, end: 0, has_ended: false }
    }

    /// The next line. A last line without an end is a line too.
    ///
    /// # Errors
    ///
    /// If the input can't be read.
    #[allow(clippy::should_implement_trait, reason = "an iterator can't lend its lines")]
    pub fn next(&mut self) -> io::Result<Option<Line<'_>>> {
        let mut is_too_long = false;
        loop {
            let rest = &self.buffer[self.searched..self.end];
            let (line_end, next) = match memchr::memchr(b'\n', rest) {
                Some(at) => (self.searched + at, self.searched + at + 1),
                None if !self.has_ended => {
                    self.searched = self.end;
                    if self.end - self.start > LONGEST {
                        is_too_long = true;
                        (self.start, self.searched, self.end) = (0, 0, 0);
                    }
                    self.fill()?;
                    continue;
                }
                None if self.start < self.end || is_too_long => (self.end, self.end),
                None => return Ok(None),
            };
            let start = std::mem::replace(&mut self.start, next);
            self.searched = next;
            let line = &self.buffer[start..line_end];
            if is_too_long || line.len() > LONGEST {
                return Ok(Some(Line::TooLong));
            }
            return Ok(Some(Line::Whole(line.strip_suffix(b"\r").unwrap_or(line))));
        }
    }

    /// The first lines, at least `count` of them or as many as are in the first [`LONGEST`] bytes.
    /// They stay to be read.
    ///
    /// # Errors
    ///
    /// If the input can't be read.
    pub fn sample(&mut self, count: usize) -> io::Result<&[u8]> {
        // A mark of the byte order is no part of the first line.
        while !self.has_ended && self.end < 3 {
            self.fill()?;
        }
        if self.start == 0 && self.buffer[..self.end].starts_with(b"\xef\xbb\xbf") {
            (self.start, self.searched) = (3, 3);
        }
        let mut found = 0;
        let mut searched = self.start;
        loop {
            let new = &self.buffer[searched..self.end];
            found += memchr::memchr_iter(b'\n', new).count();
            searched = self.end;
            if self.has_ended {
                return Ok(&self.buffer[self.start..self.end]);
            }
            if found >= count || self.end > LONGEST {
                let read = &self.buffer[self.start..self.end];
                let whole = memchr::memrchr(b'\n', read).map_or(0, |last| last + 1);
                return Ok(&read[..whole]);
            }
            self.fill()?;
        }
    }

    /// Reads one chunk more.
    fn fill(&mut self) -> io::Result<()> {
        if self.end == self.buffer.len() && self.searched == self.end && self.start > 3 {
            self.buffer.copy_within(self.start..self.end, 0);
            self.end -= self.start;
            self.searched -= self.start;
            self.start = 0;
        }
        if self.buffer.len() - self.end < CHUNK / 4 {
            self.buffer.resize(self.buffer.len() + CHUNK, 0);
        }
        let read = loop {
            match self.input.read(&mut self.buffer[self.end..]) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                read => break read?,
            }
        };
        self.has_ended = read == 0;
        self.end += read;
        Ok(())
    }
}
