//! Lines of an access log in the common or the combined format of web servers, and their kin.
//!
//! ```text
//! host ident user [time] "request" status size
//! host ident user [time] "request" status size "referer" "user agent"
//! vhost:port host ident user [time] "request" ...
//! ```
//!
//! Bytes, not text: what clients send need not be UTF-8. A line needs a client, a time and a
//! request in quotes; whatever follows them may be missing.

use tollgate::Timestamp;

use super::client::{self, Addresses};
use super::fields::{after_fields, after_quoted, fields, skip_blanks, word};
use super::time;
use super::{Details, Request, Skipped};

/// A line, cut at its time and its request.
#[derive(Clone, Copy, Debug)]
pub struct Cut<'a> {
    /// What stands before the time, without blanks around it.
    pub head: &'a [u8],
    /// The time.
    pub time: Timestamp,
    /// The text of the request, without its quotes.
    pub request: &'a [u8],
    /// What stands behind the request.
    pub tail: &'a [u8],
}

impl<'a> Cut<'a> {
    /// What the line tells of the request, with the client in field `place` (from 1) of the head.
    fn details(&self, place: usize) -> Details<'a> {
        let mut details = Details::default();
        details.request_line(self.request);
        details.status(word(skip_blanks(self.tail)).0);
        if place == 2 {
            // A virtual host stands before the client.
            details.host(word(self.head).0);
        }
        if let Some(user) = user(after_fields(self.head, place)) {
            details.user(user);
        }
        details
    }
}

/// The user, who stands behind the client and what `identd` says of the client. A user's name may
/// hold blanks; but dashes and addresses are fields of another kind.
fn user(behind_client: &[u8]) -> Option<&[u8]> {
    let user = word(skip_blanks(behind_client)).1.trim_ascii();
    if memchr::memchr(b' ', user).is_none() {
        return Some(user);
    }
    let mut words = fields(user);
    let is_name = words.all(|word| word != b"-" && !client::is_address(word));
    is_name.then(|| match fields(user).next() {
        Some(quoted) if user.starts_with(b"\"") => quoted,
        _ => user,
    })
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
///
/// # Errors
///
/// If the line is no request.
pub fn request(line: &[u8], place: usize, addresses: Addresses) -> Result<Request<'_>, Skipped> {
    let cut = cut(line)?;
    let head = cut.head;
    let (first, rest) = word(head);
    let usual = rest.starts_with(b"- ") && !first.starts_with(b"\"");
    if place == 1 && (client::is_ipv4(first) || usual) {
        return Request::of(first, cut.time, addresses, cut.details(1));
    }
    let field = fields(head).nth(place.saturating_sub(1)).ok_or(Skipped::OtherField)?;
    if field == b"-" {
        // In a virtual host's place, the dash of the user; else no client is known.
        let elsewhere = place > 1 && client_place(head).is_some_and(|found| found != place);
        return Err(if elsewhere { Skipped::OtherField } else { Skipped::NoClient });
    }
    let sure = client::is_address(field) && !client::is_server(field);
    if !sure && client_place(head) != Some(place) {
        return Err(Skipped::OtherField);
    }
    Request::of(field, cut.time, addresses, cut.details(place))
}

/// As [`request`], with the client in field `place` (from 1) of the whole line, by the word of the
/// operator.
///
/// # Errors
///
/// If the line is no request.
pub fn request_of_field(
    line: &[u8],
    place: usize,
    addresses: Addresses,
) -> Result<Request<'_>, Skipped> {
    let cut = cut(line)?;
    let field = fields(line).nth(place.saturating_sub(1)).ok_or(Skipped::Client)?;
    let usual = client_place(cut.head).unwrap_or(1);
    Request::of(field, cut.time, addresses, cut.details(usual))
}

/// Cuts a line that has a time and a request.
///
/// # Errors
///
/// If it has not.
pub fn cut(line: &[u8]) -> Result<Cut<'_>, Skipped> {
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
        let Some(seconds) = time::parse(&line[start..end]) else { continue };
        let rest = skip_blanks(&line[end + 1..]);
        let Some(tail) = after_quoted(rest) else {
            skipped = Skipped::Request;
            continue;
        };
        let head = line[..start - 1].trim_ascii();
        if head.is_empty() {
            return Err(Skipped::Client);
        }
        let request = rest.get(1..rest.len() - tail.len() - 1).unwrap_or_default();
        return Ok(Cut { head, time: time::at(seconds), request, tail });
    }
    Err(skipped)
}

/// In which field of `head` (from 1) the client stands, as far as one line can tell.
///
/// `host - user`, `address ...`, `vhost address - user`, `address:443 address - user`, `prefix of a
/// log collector address - user`.
pub(super) fn client_place(head: &[u8]) -> Option<usize> {
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
