//! Lines of an access log in the common or the combined format of web servers.
//!
//! ```text
//! host ident user [time] "request" status size
//! host ident user [time] "request" status size "referer" "user agent"
//! ```
//!
//! Bytes, not text: what clients send need not be UTF-8. A line must be whole to count, for one
//! that was cut off may have lost more than its end. What a server was told to append after the
//! user agent is ignored.

use crate::time;

/// What a replay needs of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Request<'a> {
    /// The address or the name of who asked.
    pub(crate) client: &'a [u8],
    /// Seconds since 1970.
    pub(crate) time: u64,
}

/// What is wrong with a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Malformed {
    Empty,
    Client,
    User,
    Time,
    Request,
    Status,
    Size,
    Referer,
    UserAgent,
}

impl Malformed {
    pub(crate) fn reason(self) -> &'static str {
        match self {
            Self::Empty => "the line is empty",
            Self::Client => "no client address before a space",
            Self::User => "no identity and user after the address",
            Self::Time => "no valid [time]",
            Self::Request => "no \"request\" in quotes after the time",
            Self::Status => "no status of three digits after the request",
            Self::Size => "no size after the status",
            Self::Referer => "no \"referer\" in quotes after the size",
            Self::UserAgent => "no \"user agent\" in quotes after the referer",
        }
    }
}

/// The lines of `log`, without their ends. A last line without an end is a line too.
pub(crate) fn lines(log: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = log;
    std::iter::from_fn(move || {
        let line = match memchr::memchr(b'\n', rest) {
            Some(end) => rest.split_off(..=end).and_then(|line| line.strip_suffix(b"\n")),
            None => Some(std::mem::take(&mut rest)).filter(|line| !line.is_empty()),
        };
        line.map(|line| line.strip_suffix(b"\r").unwrap_or(line))
    })
}

/// Reads one line, without its end.
pub(crate) fn request(line: &[u8]) -> Result<Request<'_>, Malformed> {
    if line.is_empty() {
        return Err(Malformed::Empty);
    }
    let (client, rest) = word(line).ok_or(Malformed::Client)?;
    let (_ident, rest) = word(rest).ok_or(Malformed::User)?;

    // A user's name may hold spaces and brackets, but no bare quote: the first `] "` ends the time.
    let end = rest.windows(3).position(|bytes| bytes == b"] \"").ok_or(Malformed::Time)?;
    let start = end.checked_sub(time::LENGTH).ok_or(Malformed::Time)?;
    let user = rest[..start].strip_suffix(b" [").ok_or(Malformed::Time)?;
    if user.is_empty() {
        return Err(Malformed::User);
    }
    let time = time::parse(&rest[start..end]).ok_or(Malformed::Time)?;

    let rest = quoted(&rest[end + 2..]).ok_or(Malformed::Request)?;
    let rest = status(rest).ok_or(Malformed::Status)?;
    let rest = size(rest).ok_or(Malformed::Size)?;
    if !rest.is_empty() {
        let rest = rest.strip_prefix(b" ").and_then(quoted).ok_or(Malformed::Referer)?;
        let rest = rest.strip_prefix(b" ").and_then(quoted).ok_or(Malformed::UserAgent)?;
        if !(rest.is_empty() || rest.starts_with(b" ")) {
            return Err(Malformed::UserAgent);
        }
    }
    Ok(Request { client, time })
}

/// What stands before the first space, if anything does, and what stands after it.
fn word(line: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = line.iter().position(|&byte| byte == b' ').filter(|&end| end > 0)?;
    Some((&line[..end], &line[end + 1..]))
}

/// What stands after a text in quotes, in which a backslash escapes the next byte.
fn quoted(line: &[u8]) -> Option<&[u8]> {
    let mut rest = line.strip_prefix(b"\"")?;
    loop {
        let at = memchr::memchr2(b'"', b'\\', rest)?;
        if rest[at] == b'"' {
            return Some(&rest[at + 1..]);
        }
        rest = rest.get(at + 2..)?;
    }
}

/// What stands after ` 200`; or after ` -`, when the connection was lost before an answer.
fn status(line: &[u8]) -> Option<&[u8]> {
    let rest = line.strip_prefix(b" ")?;
    if let Some(rest) = rest.strip_prefix(b"-") {
        return Some(rest);
    }
    let (digits, rest) = rest.split_at_checked(3)?;
    digits.iter().all(u8::is_ascii_digit).then_some(rest)
}

/// What stands after ` 1234`, or after ` -` for no body.
fn size(line: &[u8]) -> Option<&[u8]> {
    let rest = line.strip_prefix(b" ")?;
    let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let rest = if digits > 0 { &rest[digits..] } else { rest.strip_prefix(b"-")? };
    (rest.is_empty() || rest.starts_with(b" ")).then_some(rest)
}
