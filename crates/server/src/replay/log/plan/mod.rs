//! Log formats as servers are told them: nginx's `log_format`, Apache's `LogFormat`, Envoy's
//! `text_format`, read into a plan of literal texts and fields.

mod format;
mod names;

use tollgate::Timestamp;

use self::format::{Piece, pieces};
use self::names::{CLIENTS, HOSTS, METHODS, PATHS, REQUESTS, STATUSES, TIMES, USERS, field, is};

use super::client::Addresses;
use super::fields::{after_text, list, skip_blanks};
use super::time;
use super::{Details, Request, Skipped};

/// How to find the client, the time and the details of a request in a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    pieces: Vec<Piece>,
    client: usize,
    time: usize,
    /// What the other fields hold that are read.
    details: Vec<(usize, Detail)>,
    /// Fields beside the chosen one that may name the client too.
    pub others: Vec<String>,
}

/// What a field holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Detail {
    Request,
    Method,
    Path,
    Host,
    User,
    Status,
}

/// A line, cut at the fields that are read.
#[derive(Clone, Debug)]
pub struct Cut<'a> {
    /// The text in the field of the client.
    pub client: &'a [u8],
    /// The time.
    pub time: Timestamp,
    /// What the other fields say.
    pub details: Details<'a>,
}

impl Plan {
    /// Reads a format.
    ///
    /// `client` and `time` choose a field by its name or its number (from 1) instead of the usual
    /// ones.
    ///
    /// # Errors
    ///
    /// A message that says what the format lacks.
    pub fn new(format: &str, client: Option<&str>, time: Option<&str>) -> Result<Self, String> {
        let pieces = pieces(format)?;
        let adjacent = |pair: &[Piece]| matches!(pair, [Piece::Field(_), Piece::Field(_)]);
        if pieces.windows(2).any(adjacent) {
            return Err("two fields of the format have nothing between them".into());
        }
        let names: Vec<(usize, &str)> = pieces
            .iter()
            .enumerate()
            .filter_map(|(at, piece)| match piece {
                Piece::Field(name) => Some((at, name.as_str())),
                Piece::Literal(_) => None,
            })
            .collect();
        let choose = |wanted: Option<&str>, known: &[&str], what: &str| match wanted {
            Some(wanted) => field(&names, wanted)
                .ok_or_else(|| format!("the format has no field `{wanted}` for the {what}")),
            None => known.iter().find_map(|name| field(&names, name)).ok_or_else(|| {
                format!("the format has no known field for the {what}: name it with `--{what}`")
            }),
        };
        let client = choose(client, &CLIENTS, "client")?;
        let time = choose(time, &TIMES, "time")?;
        let known = [
            (&REQUESTS[..], Detail::Request),
            (&METHODS, Detail::Method),
            (&PATHS, Detail::Path),
            (&HOSTS, Detail::Host),
            (&USERS, Detail::User),
            (&STATUSES, Detail::Status),
        ];
        let details = known
            .into_iter()
            .filter_map(|(known, detail)| {
                Some((known.iter().find_map(|name| field(&names, name))?, detail))
            })
            .collect();
        let others = names
            .iter()
            .filter(|(at, name)| *at != client && CLIENTS.iter().any(|known| is(name, known)))
            .map(|(_, name)| (*name).to_owned())
            .collect();
        Ok(Self { pieces, client, time, details, others })
    }

    /// The name of the field that holds the client.
    #[must_use]
    pub fn client(&self) -> &str {
        match &self.pieces[self.client] {
            Piece::Field(name) => name,
            Piece::Literal(_) => "",
        }
    }

    /// Cuts a line. What follows the client and the time need not fit: what is then not found is
    /// not known.
    ///
    /// # Errors
    ///
    /// If the line does not fit until then.
    pub fn cut<'a>(&self, line: &'a [u8]) -> Result<Cut<'a>, Skipped> {
        if line.trim_ascii().is_empty() {
            return Err(Skipped::Empty);
        }
        let (mut rest, mut client, mut when) = (line, None, None);
        let mut found: [(Option<Detail>, &[u8]); 6] = Default::default();
        let mut room = found.iter_mut();
        for (at, piece) in self.pieces.iter().enumerate() {
            let fits = match piece {
                Piece::Literal(text) => {
                    rest.strip_prefix(text.as_slice()).map(|after| (&rest[..text.len()], after))
                }
                Piece::Field(_) => self.value(at, rest),
            };
            let Some((value, after)) = fits else {
                if client.is_some() && when.is_some() {
                    break;
                }
                return Err(Skipped::Format);
            };
            rest = after;
            let is_blank = matches!(piece, Piece::Literal(text) if text.ends_with(b" "));
            if is_blank && client.is_some() && when.is_some() {
                // HAProxy fills up short fields with blanks.
                rest = skip_blanks(rest);
            }
            if at == self.client {
                client = Some(value);
            }
            if at == self.time {
                when = Some(time::parse_any(value).ok_or(Skipped::Time)?);
            }
            let detail = self.details.iter().find(|(place, _)| *place == at);
            if let Some(((_, detail), room)) =
                detail.and_then(|detail| Some((detail, room.next()?)))
            {
                *room = (Some(*detail), value);
            }
        }
        let (Some(client), Some(time)) = (client, when) else { return Err(Skipped::Format) };
        Ok(Cut { client, time, details: details(&found) })
    }

    /// Reads a line, without its end.
    ///
    /// # Errors
    ///
    /// If it is no request.
    pub fn request<'a>(
        &self,
        line: &'a [u8],
        addresses: Addresses,
    ) -> Result<Request<'a>, Skipped> {
        let cut = self.cut(line)?;
        Request::of(cut.client, cut.time, addresses, cut.details)
    }

    /// The value of the field at the start of `rest`, and what follows it.
    fn value<'a>(&self, at: usize, rest: &'a [u8]) -> Option<(&'a [u8], &'a [u8])> {
        let literal = |at: Option<usize>| match self.pieces.get(at?)? {
            Piece::Literal(text) => Some(text.as_slice()),
            Piece::Field(_) => None,
        };
        let Some(end) = literal(at.checked_add(1)) else {
            // The last field: what a server was told to append later is not a part of it.
            let whole = at == self.time && time::parse_any(rest).is_some();
            return Some(if whole { (rest, b"") } else { list(rest) });
        };
        let before = literal(at.checked_sub(1)).unwrap_or(b"");
        if before.ends_with(b"\"") && end.starts_with(b"\"") {
            let after = after_text(rest)?.len();
            return Some(rest.split_at(rest.len() - after - 1));
        }
        // An entry of a list is not the whole list.
        let found = memchr::memmem::find_iter(rest, end)
            .find(|&found| !rest[..found].ends_with(b",") || !end.starts_with(b" "))?;
        Some(rest.split_at(found))
    }
}

/// What the fields say together.
fn details<'a>(found: &[(Option<Detail>, &'a [u8])]) -> Details<'a> {
    let mut details = Details::default();
    let value =
        |wanted| found.iter().find(|(detail, _)| *detail == Some(wanted)).map(|(_, value)| *value);
    match (value(Detail::Request), value(Detail::Method), value(Detail::Path)) {
        (Some(line), ..) => details.request_line(line),
        (None, Some(method), Some(path)) if details.target(method == b"CONNECT", path) => {
            details.method(method);
        }
        _ => {}
    }
    details.host(value(Detail::Host).unwrap_or_default());
    details.user(value(Detail::User).unwrap_or_default());
    details.status(value(Detail::Status).unwrap_or_default());
    details
}
