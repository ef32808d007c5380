//! `Forwarded` (RFC 7239): a list of elements, to which each proxy appends one.
//!
//! An element is a list of pairs, such as `for=192.0.2.60;proto=http;by=203.0.113.43`, and only
//! `for` matters here. Values may be quoted strings (RFC 9110 section 5.6.4), in which commas and
//! semicolons part nothing, so the list can only be read from the left.
//!
//! Several lines are one list (RFC 9110 section 5.3), with a comma between lines. A quoted string
//! can therefore begin in one line and end in the next.
//!
//! A value without quotes may have any character here, as in `for=[2001:db8::1]:80`: proxies write
//! this, although the standard asks for quotes.

use std::net::IpAddr;

use http::header::{GetAll, HeaderValue, ValueIter};

use super::Trust;
use super::element::{self, Ports};

/// The first address from the right that is not trusted, else the last that the walk came to.
///
/// The list is read from the left, and what is known of the walk so far is corrected by each
/// element.
pub(super) fn first_stranger(lines: &GetAll<'_, HeaderValue>, trust: &Trust) -> Option<IpAddr> {
    let mut client = None;
    for element in elements(lines) {
        client = match element.ok()? {
            // A trusted hop: the walk goes on to what was found on its left, if anything.
            Some(address) if trust.covers(address) => client.or(Some(address)),
            // A stranger, or no address: the walk never comes to what is on its left.
            said => said,
        };
    }
    client
}

/// The address in the element that stands `place` places from the right, counted from 1.
pub(super) fn from_right(lines: &GetAll<'_, HeaderValue>, place: u32) -> Option<IpAddr> {
    let mut count = 0_usize;
    for element in elements(lines) {
        element.ok()?;
        count = count.saturating_add(1);
    }
    let skipped = count.checked_sub(usize::try_from(place).ok()?)?;
    elements(lines).nth(skipped)?.ok()?
}

fn elements<'a>(lines: &GetAll<'a, HeaderValue>) -> Elements<'a> {
    let text = Text { line: &[], rest: lines.iter() };
    Elements { text, word: Word::new(), ended: false }
}

/// The elements that are not empty, from the left: for each, the address that its only `for` says.
struct Elements<'a> {
    text: Text<'a>,
    word: Word,
    ended: bool,
}

/// A quoted string has no end, so that nobody can tell which commas part elements.
struct QuoteLeftOpen;

/// What has been read of an element.
#[derive(Clone, Copy)]
enum Said {
    /// Nothing, not even a semicolon.
    Nothing,
    /// No `for`.
    Other,
    /// One `for`, or several, which say nothing.
    For(Option<IpAddr>),
}

impl Iterator for Elements<'_> {
    type Item = Result<Option<IpAddr>, QuoteLeftOpen>;

    fn next(&mut self) -> Option<Self::Item> {
        while !self.ended {
            match self.element() {
                Ok(Said::Nothing) => {}
                Ok(Said::Other) => return Some(Ok(None)),
                Ok(Said::For(address)) => return Some(Ok(address)),
                Err(error) => return Some(Err(error)),
            }
        }
        None
    }
}

impl Elements<'_> {
    /// Reads up to and with the comma behind the element.
    fn element(&mut self) -> Result<Said, QuoteLeftOpen> {
        let mut said = Said::Nothing;
        loop {
            let (pair, end) = self.pair()?;
            said = match (said, pair) {
                (Said::For(_), Said::For(_)) => Said::For(None),
                (Said::For(address), _) => Said::For(address),
                (said, Said::Nothing) => said,
                (_, pair) => pair,
            };
            match end {
                Some(b';') => {
                    if let Said::Nothing = said {
                        said = Said::Other;
                    }
                }
                _ => return Ok(said),
            }
        }
    }

    /// Reads up to and with the semicolon or comma behind the pair, and says which of them it is.
    fn pair(&mut self) -> Result<(Said, Option<u8>), QuoteLeftOpen> {
        self.word.clear();
        // Until the equals sign has come, the word is the name.
        let mut has_value = false;
        let mut is_for = false;
        loop {
            let byte = self.text.next();
            match byte {
                Some(b'"') => {
                    self.quoted()?;
                    // A name is never quoted.
                    self.word.bad |= !has_value;
                }
                Some(b'=') if !has_value => {
                    has_value = true;
                    is_for = self.word.is_for();
                    self.word.clear();
                }
                Some(b';' | b',') | None => {
                    self.ended = byte.is_none();
                    let said = if has_value && is_for {
                        Said::For(self.word.address())
                    } else if !has_value && self.word.is_for() {
                        Said::For(None)
                    } else if !has_value && self.word.is_empty() {
                        Said::Nothing
                    } else {
                        Said::Other
                    };
                    return Ok((said, byte));
                }
                Some(byte) => self.word.add(byte),
            }
        }
    }

    /// Reads the rest of a quoted string.
    fn quoted(&mut self) -> Result<(), QuoteLeftOpen> {
        self.word.open_quote();
        loop {
            match self.text.next().ok_or(QuoteLeftOpen)? {
                b'"' => return Ok(()),
                b'\\' => self.word.add_quoted(self.text.next().ok_or(QuoteLeftOpen)?),
                byte => self.word.add_quoted(byte),
            }
        }
    }
}

/// The bytes of all lines, with a comma before each line.
struct Text<'a> {
    line: &'a [u8],
    rest: ValueIter<'a, HeaderValue>,
}

impl Text<'_> {
    fn next(&mut self) -> Option<u8> {
        if let Some((&byte, line)) = self.line.split_first() {
            self.line = line;
            return Some(byte);
        }
        self.line = self.rest.next()?.as_bytes();
        Some(b',')
    }
}

/// A name or value, without the blanks around it.
struct Word {
    /// The longest address has 45 bytes; the rest is for a hidden port.
    bytes: [u8; 128],
    length: usize,
    /// A blank or a quoted string has ended the word: nothing may follow but blanks.
    ended: bool,
    /// The word is too long, or more than one, or partly quoted.
    bad: bool,
}

impl Word {
    fn new() -> Self {
        Self { bytes: [0; 128], length: 0, ended: false, bad: false }
    }

    fn clear(&mut self) {
        self.length = 0;
        self.ended = false;
        self.bad = false;
    }

    fn add(&mut self, byte: u8) {
        if byte == b' ' || byte == b'\t' {
            self.ended |= self.length > 0;
        } else {
            self.bad |= self.ended;
            self.add_quoted(byte);
        }
    }

    fn add_quoted(&mut self, byte: u8) {
        match self.bytes.get_mut(self.length) {
            Some(place) => {
                *place = byte;
                self.length += 1;
            }
            None => self.bad = true,
        }
    }

    fn open_quote(&mut self) {
        self.bad |= self.ended || self.length > 0;
        self.ended = true;
    }

    /// Whether there was nothing but blanks.
    fn is_empty(&self) -> bool {
        self.length == 0 && !self.bad
    }

    fn is_for(&self) -> bool {
        self.text().is_some_and(|name| name.eq_ignore_ascii_case(b"for"))
    }

    fn address(&self) -> Option<IpAddr> {
        element::address(self.text()?, Ports::NumbersAndNames)
    }

    fn text(&self) -> Option<&[u8]> {
        if self.bad { None } else { self.bytes.get(..self.length) }
    }
}
