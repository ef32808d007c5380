//! Lines in W3C's extended format, whose columns a `#Fields:` line names: IIS, `CloudFront`.

use super::client::Addresses;
use super::fields::fields;
use super::time;
use super::{Details, Request, Skipped};

/// How the line begins that names the columns.
pub const FIELDS: &[u8] = b"#Fields:";

/// Which columns hold what, as the newest `#Fields:` line says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Columns {
    /// The client's column by its name or its number (from 1).
    pub client: String,
    places: Option<Places>,
}

/// The place of each column, from 0.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Places {
    date: usize,
    time: usize,
    client: usize,
    method: Option<usize>,
    path: Option<usize>,
    host: Option<usize>,
    user: Option<usize>,
    status: Option<usize>,
}

impl Columns {
    /// Columns that no line has named yet. `client` is the client's column by its name or its
    /// number (from 1), instead of `c-ip`.
    #[must_use]
    pub fn new(client: Option<&str>) -> Self {
        Self { client: client.unwrap_or("c-ip").to_owned(), places: None }
    }

    /// Reads the next line, without its end.
    ///
    /// # Errors
    ///
    /// If it is no request.
    pub fn request<'a>(
        &mut self,
        line: &'a [u8],
        addresses: Addresses,
    ) -> Result<Request<'a>, Skipped> {
        if let Some(names) = line.strip_prefix(FIELDS) {
            self.places = self.find(names);
        }
        if line.starts_with(b"#") {
            return Err(Skipped::Comment);
        }
        if line.trim_ascii().is_empty() {
            return Err(Skipped::Empty);
        }
        let places = self.places.as_ref().ok_or(Skipped::Columns)?;
        let columns: Vec<_> = fields(line).collect();
        let column = |place: usize| columns.get(place).copied();
        let [date, clock, client] = [places.date, places.time, places.client].map(column);
        let (Some(date), Some(clock), Some(client)) = (date, clock, client) else {
            return Err(Skipped::Columns);
        };
        let time = time::parse_any(&[date, b"T", clock].concat()).ok_or(Skipped::Time)?;
        let mut details = Details::default();
        let text = |place: Option<usize>| place.and_then(column).unwrap_or_default();
        let method = text(places.method);
        if details.target(method == b"CONNECT", text(places.path)) {
            details.method(method);
        }
        details.host(text(places.host));
        details.user(text(places.user));
        details.status(text(places.status));
        Request::of(client, time, addresses, details)
    }

    fn find(&self, names: &[u8]) -> Option<Places> {
        let names: Vec<_> = fields(names).collect();
        let place = |wanted: &str| {
            names.iter().position(|name| name.eq_ignore_ascii_case(wanted.as_bytes()))
        };
        let client = match self.client.parse::<usize>() {
            Ok(number) => number.checked_sub(1)?,
            // `X-Forwarded-For` stands for `cs(X-Forwarded-For)` too.
            Err(_) => place(&self.client).or_else(|| place(&format!("cs({})", self.client)))?,
        };
        Some(Places {
            date: place("date")?,
            time: place("time")?,
            client,
            method: place("cs-method"),
            path: place("cs-uri-stem").or_else(|| place("cs-uri")),
            // In CloudFront's logs, `cs(Host)` is CloudFront's own name.
            host: ["x-host-header", "cs-host", "cs(host)"].into_iter().find_map(place),
            user: place("cs-username"),
            status: place("sc-status"),
        })
    }
}
