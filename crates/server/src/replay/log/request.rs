//! A request as a log tells of it, or why a line tells of none.

use std::borrow::Cow;

use tollgate::Timestamp;

use super::client::{Addresses, Client};
use super::fields::word;

/// What a line tells of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request<'a> {
    /// Who asked.
    pub client: Client<'a>,
    /// When, since 1970.
    pub time: Timestamp,
    /// Whether the client was chosen from a list of addresses.
    pub listed: bool,
    /// What was asked for, and how it was answered.
    pub details: Details<'a>,
}

/// What was asked for, and how it was answered: whatever the log does not tell is empty.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Details<'a> {
    /// The method; empty if the line has none, or if what the client sent was no request.
    pub method: Cow<'a, [u8]>,
    /// The path as the client sent it, without the query.
    pub path: Cow<'a, [u8]>,
    /// The host that the request named.
    pub host: Cow<'a, [u8]>,
    /// The user, whom the server has authenticated.
    pub user: Cow<'a, [u8]>,
    /// The status of the answer.
    pub status: Option<u16>,
}

impl<'a> Request<'a> {
    /// The request of the client in `field`.
    ///
    /// # Errors
    ///
    /// If the field holds no client.
    pub fn of(
        field: &'a [u8],
        time: Timestamp,
        addresses: Addresses,
        details: Details<'a>,
    ) -> Result<Self, Skipped> {
        let client = addresses.client(field)?;
        Ok(Self { client, time, listed: field.contains(&b','), details })
    }
}

impl<'a> Details<'a> {
    /// Takes method, path and host from the first line of a request, such as
    /// `GET /a?b=c HTTP/1.1`. Nothing is taken from what is no request.
    pub(super) fn request_line(&mut self, line: &'a [u8]) {
        let (method, rest) = word(line);
        let target = match memchr::memrchr(b' ', rest) {
            Some(end) if rest[end + 1..].starts_with(b"HTTP/") => &rest[..end],
            _ => rest,
        };
        if self.target(method == b"CONNECT", target) {
            self.method(method);
        }
    }

    /// Takes the method, if it is one.
    pub(super) fn method(&mut self, method: &'a [u8]) {
        let is_part = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_!#$%&'*+.^`|~".contains(byte);
        let is_method = !method.is_empty() && method.len() <= 64 && method.iter().all(is_part);
        if is_method && method != b"-" {
            self.method = method.into();
        }
    }

    /// Takes the path from the target of a request, and the host if the target names one. Returns
    /// whether it is a target.
    pub(super) fn target(&mut self, is_connect: bool, target: &'a [u8]) -> bool {
        let target = target.trim_ascii();
        let path = match target {
            b"" => return false,
            [b'/', ..] | b"*" => target,
            _ if is_connect => {
                self.host = target.into();
                b""
            }
            _ => {
                let Some(at) = memchr::memmem::find(target, b"://").filter(|&at| at < 8) else {
                    return false;
                };
                let rest = &target[at + 3..];
                let end = rest.iter().position(|byte| b"/?#".contains(byte)).unwrap_or(rest.len());
                self.host = rest[..end].into();
                &rest[end..]
            }
        };
        let end = memchr::memchr2(b'?', b'#', path).unwrap_or(path.len());
        self.path = path[..end].into();
        true
    }

    /// Takes the host, unless the request itself has named it.
    pub(super) fn host(&mut self, host: &'a [u8]) {
        if self.host.is_empty() && host != b"-" {
            self.host = host.into();
        }
    }

    /// Takes the user, unless it is `-`, for nobody.
    pub(super) fn user(&mut self, user: &'a [u8]) {
        if user != b"-" && user != b"\"\"" {
            self.user = user.into();
        }
    }

    /// Takes the status, if it is a number of three digits.
    pub(super) fn status(&mut self, status: &[u8]) {
        if let [a @ b'1'..=b'9', b @ b'0'..=b'9', c @ b'0'..=b'9'] = status {
            let digit = |byte: &u8| u16::from(byte - b'0');
            self.status = Some(digit(a) * 100 + digit(b) * 10 + digit(c));
        }
    }

    /// The same, with memory of its own.
    pub(super) fn into_owned(self) -> Details<'static> {
        let own = |text: Cow<'_, [u8]>| Cow::Owned(text.into_owned());
        Details {
            method: own(self.method),
            path: own(self.path),
            host: own(self.host),
            user: own(self.user),
            status: self.status,
        }
    }
}

/// Why a line is not replayed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Skipped {
    /// The line is empty.
    Empty,
    /// There is no client where the client should stand.
    Client,
    /// The client is `-` or empty.
    NoClient,
    /// The client stands in another field than in most lines.
    OtherField,
    /// There is no valid time.
    Time,
    /// There is no whole request in quotes after the time.
    Request,
    /// The line does not fit the format.
    Format,
    /// The line is no JSON object.
    Json,
    /// A JSON object without a client.
    Message,
    /// The columns are not those of `#Fields`.
    Columns,
    /// A comment.
    Comment,
    /// The line is too long.
    TooLong,
    /// The line tells of a connection, and of no request.
    NoRequest,
    /// The client is a name, and an address is needed.
    Name,
}

impl Skipped {
    /// The reason as a report says it.
    #[must_use]
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
            Self::TooLong => "the line is longer than 1 MiB",
            Self::NoRequest => "no method and path: the client has sent no HTTP request",
            Self::Name => "the client is a host name, and a policy needs an address",
        }
    }

    /// Whether the line should have been a request and could not be read: not empty lines,
    /// comments, and messages of a server; and not requests without a client, without a request
    /// line or of a name, which could be read.
    #[must_use]
    pub fn is_unreadable(self) -> bool {
        let readable = [
            Self::Empty,
            Self::Comment,
            Self::Message,
            Self::NoClient,
            Self::NoRequest,
            Self::Name,
        ];
        !readable.contains(&self)
    }
}
