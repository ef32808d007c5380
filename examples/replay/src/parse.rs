//! Lines of an access log in the common or the combined format of web servers, and their kin.
//!
//! ```text
//! host ident user [time] "request" status size
//! host ident user [time] "request" status size "referer" "user agent"
//! vhost:port host ident user [time] "request" ...
//! ```
//!
//! Bytes, not text: what clients send need not be UTF-8. A replay needs a client, a time and a
//! request; whatever follows them is not looked at, whole or not.

use std::borrow::Cow;

use crate::client::{self, Addresses};
use crate::fields::{after_quoted, fields, skip_blanks, word};
use crate::time;

/// What a replay needs of a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request<'a> {
    /// The address or the name of who asked.
    pub client: Cow<'a, [u8]>,
    /// Seconds since 1970.
    pub time: u64,
    /// Whether the client was chosen from a list of addresses.
    pub listed: bool,
}

impl<'a> Request<'a> {
    /// The request of the client in `field`.
    pub fn of(field: &'a [u8], time: u64, addresses: Addresses) -> Result<Self, Skipped> {
        let client = addresses.client(field)?;
        Ok(Self { client, time, listed: field.contains(&b',') })
    }
}

/// Why a line is not replayed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Skipped {
    Empty,
    Client,
    NoClient,
    OtherField,
    Time,
    Request,
    Format,
    Json,
    Message,
    Columns,
    Comment,
}

impl Skipped {
    pub fn reason(self) -> &'static str {
        match self {
            Self::Empty => "the line is empty",
            Self::Client => "no client where the client should stand",
            Self::NoClient => "the client is `-` or empty",
            Self::OtherField => "the client stands in another field than in most lines",
            Self::Time => "no valid time",
            Self::Request => "no whole \"request\" in quotes after the time",
            Self::Format => "the line does not fit the format",
            Self::Json => "the line is no JSON object",
            Self::Message => "a JSON object without a client, such as a message of the server",
            Self::Columns => "fewer columns than `#Fields` names, or no `#Fields` line before",
            Self::Comment => "a comment",
        }
    }
}

/// The lines of `log`, without their ends. A last line without an end is a line too.
pub fn lines(log: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = log.strip_prefix(b"\xef\xbb\xbf").unwrap_or(log);
    std::iter::from_fn(move || {
        let line = match memchr::memchr(b'\n', rest) {
            Some(end) => {
                let (line, behind) = rest.split_at(end);
                rest = &behind[1..];
                Some(line)
            }
            None => Some(std::mem::take(&mut rest)).filter(|line| !line.is_empty()),
        };
        line.map(|line| line.strip_suffix(b"\r").unwrap_or(line))
    })
}

/// Reads one line, without its end, whose client is in field `place` (from 1) before the time.
pub fn request(line: &[u8], place: usize, addresses: Addresses) -> Result<Request<'_>, Skipped> {
    let (head, time) = head(line)?;
    let (first, rest) = word(head);
    let usual = rest.starts_with(b"- ") && !first.starts_with(b"\"");
    if place == 1 && (client::is_ipv4(first) || usual) {
        return Request::of(first, time, addresses);
    }
    let field = fields(head).nth(place - 1).ok_or(Skipped::OtherField)?;
    if field == b"-" {
        // In a virtual host's place, the dash of the user; else no client is known.
        let elsewhere = place > 1 && client_place(head).is_some_and(|found| found != place);
        return Err(if elsewhere { Skipped::OtherField } else { Skipped::NoClient });
    }
    let sure = client::is_address(field) && !client::is_server(field);
    if !sure && client_place(head) != Some(place) {
        return Err(Skipped::OtherField);
    }
    Request::of(field, time, addresses)
}

/// As [`request`], with the client in field `place` (from 1) of the whole line, by the word of the
/// user.
pub fn request_of_field(
    line: &[u8],
    place: usize,
    addresses: Addresses,
) -> Result<Request<'_>, Skipped> {
    let (_, time) = head(line)?;
    let field = fields(line).nth(place.saturating_sub(1)).ok_or(Skipped::Client)?;
    Request::of(field, time, addresses)
}

/// What stands before the time of a line that has a time and a request, and the time.
pub fn head(line: &[u8]) -> Result<(&[u8], u64), Skipped> {
    if line.trim_ascii().is_empty() {
        return Err(Skipped::Empty);
    }
    // A user's name may hold spaces and brackets: the first whole time is the time.
    let mut skipped = Skipped::Time;
    for end in memchr::memchr_iter(b']', line) {
        let Some(start) = end.checked_sub(time::LENGTH).filter(|&start| start > 0) else {
            continue;
        };
        if line[start - 1] != b'[' {
            continue;
        }
        let Some(time) = time::parse(&line[start..end]) else { continue };
        let rest = skip_blanks(&line[end + 1..]);
        if after_quoted(rest).is_none() {
            skipped = Skipped::Request;
            continue;
        }
        let head = line[..start - 1].trim_ascii();
        return if head.is_empty() { Err(Skipped::Client) } else { Ok((head, time)) };
    }
    Err(skipped)
}

/// In which field of `head` (from 1) the client stands, as far as one line can tell.
///
/// `host - user`, `address ...`, `vhost address - user`, `address:443 address - user`, `prefix of a
/// log collector address - user`.
pub fn client_place(head: &[u8]) -> Option<usize> {
    let fields: Vec<_> = fields(head).take(12).collect();
    let server_first = |host, second| client::is_server(host) && client::is_address(second);
    if matches!(fields[..], [host, second, _, _, ..] if server_first(host, second)) {
        return Some(2);
    }
    let first = fields.first()?;
    // A dash in front is a client that is not known, such as an empty X-Forwarded-For.
    if client::is_address(first) || *first == b"-" || fields.len() < 2 || fields[1] == b"-" {
        return Some(1);
    }
    if let Some(at) = fields.iter().position(|field| client::is_address(field)) {
        return Some(at + 1);
    }
    match fields[..] {
        [_, _, _] => Some(1),
        [_, _, b"-", ..] => Some(2),
        _ => None,
    }
}
