//! Log formats as servers are told them: nginx's `log_format`, Apache's `LogFormat`, Envoy's
//! `text_format`, read into a plan of literal texts and fields.

use tollgate::Timestamp;

use super::client::Addresses;
use super::fields::{after_text, list, skip_blanks};
use super::time;
use super::{Details, Request, Skipped};

/// Fields that name the client, the likeliest first, in the spelling of [`plain`].
const CLIENTS: [&str; 17] = [
    "remoteaddr",
    "h",
    "a",
    "ca",
    "downstreamremoteaddress",
    "downstreamremoteaddresswithoutport",
    "downstreamdirectremoteaddress",
    "downstreamdirectremoteaddresswithoutport",
    "proxyprotocoladdr",
    "xforwardedfor",
    "xrealip",
    "cfconnectingip",
    "trueclientip",
    "xclientip",
    "forwarded",
    "realipremoteaddr",
    "remotehost",
];

/// Fields that hold the time in a form that can be read.
const TIMES: [&str; 10] =
    ["timelocal", "timeiso8601", "msec", "t", "sect", "msect", "usect", "st", "starttime", "time"];

/// Fields that hold the first line of the request.
const REQUESTS: [&str; 2] = ["request", "r"];

/// Fields that hold the method.
const METHODS: [&str; 3] = ["requestmethod", "m", "method"];

/// Fields that hold the path, with or without the query. Capitals are Apache's.
const PATHS: [&str; 7] =
    ["requesturi", "uri", "documenturi", "U", "path", "xenvoyoriginalpath", "requestpath"];

/// Fields that hold the host.
const HOSTS: [&str; 6] = ["host", "authority", "servername", "V", "v", "xforwardedhost"];

/// Fields that hold the user.
const USERS: [&str; 3] = ["remoteuser", "u", "user"];

/// Fields that hold the status.
const STATUSES: [&str; 3] = ["status", "s", "responsecode"];

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

#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Literal(Vec<u8>),
    Field(String),
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
        let pieces = pieces(&directive(format))?;
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

/// The format itself, without the directive of the configuration around it.
fn directive(text: &str) -> String {
    let text = text.trim().trim_end_matches(';').trim_end();
    let Some(name) = text.split_whitespace().next() else { return String::new() };
    if !(name.eq_ignore_ascii_case("log_format") || name.eq_ignore_ascii_case("logformat")) {
        return text.replace("\\\"", "\"");
    }
    // The texts in quotes, one behind the other.
    let (mut format, mut quote, mut escaped) = (String::new(), None, false);
    for c in text.chars() {
        match quote {
            None if c == '"' || c == '\'' => quote = Some(c),
            None => {}
            Some(_) if escaped => {
                if c != '"' && c != '\'' {
                    format.push('\\');
                }
                format.push(c);
                escaped = false;
            }
            Some(_) if c == '\\' => escaped = true,
            Some(open) if c == open => quote = None,
            Some(_) => format.push(c),
        }
    }
    format
}

fn pieces(format: &str) -> Result<Vec<Piece>, String> {
    let mut pieces = Vec::new();
    let mut rest = format;
    while let Some(c) = rest.chars().next() {
        let (field, after) = match c {
            '$' => nginx(&rest[1..]),
            '%' => percent(&rest[1..]),
            _ => None,
        }
        .map_or((None, &rest[c.len_utf8()..]), |(name, after)| (Some(name), after));
        match field.as_deref() {
            None => literal(&mut pieces, &rest[..rest.len() - after.len()]),
            Some("%") => literal(&mut pieces, "%"),
            // Apache and Envoy: only the former writes brackets around it.
            Some("t") => {
                literal(&mut pieces, "[");
                pieces.push(Piece::Field("t".into()));
                literal(&mut pieces, "]");
            }
            Some(name) => pieces.push(Piece::Field(name.to_owned())),
        }
        rest = after;
    }
    if pieces.iter().all(|piece| matches!(piece, Piece::Literal(_))) {
        return Err("the format has no fields such as `$remote_addr` or `%h`".into());
    }
    Ok(pieces)
}

fn literal(pieces: &mut Vec<Piece>, text: &str) {
    // Apache writes a tab as `\t`.
    let text = text.as_bytes();
    match pieces.last_mut() {
        Some(Piece::Literal(before)) => {
            before.extend(text);
            if before.ends_with(b"\\t") {
                before.truncate(before.len() - 2);
                before.push(b'\t');
            }
        }
        _ => pieces.push(Piece::Literal(text.to_owned())),
    }
}

/// The name of a field after `$`, and what follows it.
fn nginx(text: &str) -> Option<(String, &str)> {
    if let Some(text) = text.strip_prefix('{') {
        let (name, after) = text.split_once('}')?;
        return Some((name.to_owned(), after));
    }
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let end = text.find(|c| !is_name(c)).unwrap_or(text.len());
    (end > 0).then(|| (text[..end].to_owned(), &text[end..]))
}

/// The name of a field after `%`, and what follows it: Envoy's `NAME(...)%`, Apache's
/// `{name}i` and `>s`.
fn percent(text: &str) -> Option<(String, &str)> {
    if let Some(after) = text.strip_prefix('%') {
        return Some(("%".into(), after));
    }
    if let Some((name, after)) = text.split_once('%') {
        let upper = name.split('(').next().unwrap_or(name);
        let is_name = upper.len() > 1 && upper.chars().all(|c| c.is_ascii_uppercase() || c == '_');
        if is_name {
            let argument = name.split_once('(').and_then(|(_, text)| text.split_once(')'));
            let name = match (upper, argument) {
                ("REQ" | "RESP" | "TRAILER", Some((argument, _))) => {
                    argument.split('?').next().unwrap_or(argument)
                }
                _ => upper,
            };
            return Some((name.to_owned(), after));
        }
    }
    // Conditions on the status, as in `%!200,304{Referer}i`, and the choice of the request.
    let text = text.trim_start_matches(|c: char| "!<>,".contains(c) || c.is_ascii_digit());
    let (argument, rest) = match text.strip_prefix('{').and_then(|text| text.split_once('}')) {
        Some((argument, rest)) => (Some(argument), rest),
        None => (None, text),
    };
    let rest = rest.strip_prefix('^').map_or(rest, |rest| rest.get(1..).unwrap_or(rest));
    let letter = rest.chars().next().filter(char::is_ascii_alphabetic)?;
    let after = &rest[1..];
    Some((
        match (argument, letter) {
            (Some(argument), 'i' | 'o' | 'e' | 'n') => argument.to_owned(),
            (Some(argument), letter) => format!("{argument} {letter}"),
            (None, letter) => letter.to_string(),
        },
        after,
    ))
}

/// The field of this name or number.
fn field(names: &[(usize, &str)], wanted: &str) -> Option<usize> {
    if let Ok(number) = wanted.parse::<usize>() {
        return names.get(number.checked_sub(1)?).map(|(at, _)| *at);
    }
    let plain = plain(wanted);
    let fits = |name: &str| if wanted.len() == 1 { is(name, wanted) } else { is(name, &plain) };
    names.iter().find(|(_, name)| fits(name)).map(|(at, _)| *at)
}

/// Whether the field `name` is the one that is `wanted`, which is in the spelling of [`plain`] or
/// a capital alone: that is another of Apache's fields.
fn is(name: &str, wanted: &str) -> bool {
    name == wanted || plain(name) == wanted && (name.len() > 1 || name != name.to_uppercase())
}

/// A name without signs, capitals, and what nginx writes before the name of a header.
fn plain(name: &str) -> String {
    let name: String = name.chars().filter(char::is_ascii_alphanumeric).collect();
    let name = name.to_ascii_lowercase();
    name.strip_prefix("http").map_or(name.clone(), str::to_owned)
}
