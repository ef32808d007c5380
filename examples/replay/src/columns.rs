//! Lines in W3C's extended format, whose columns a `#Fields:` line names: IIS, `CloudFront`.

use crate::client::Addresses;
use crate::fields::fields;
use crate::parse::{Request, Skipped};
use crate::time;

pub const FIELDS: &[u8] = b"#Fields:";

/// Which columns hold what, as the newest `#Fields:` line says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Columns {
    /// The client's column by its name or its number (from 1).
    pub client: String,
    /// The places (from 0) of date, time and client.
    places: Option<[usize; 3]>,
}

impl Columns {
    pub fn new(client: Option<&str>) -> Self {
        Self { client: client.unwrap_or("c-ip").to_owned(), places: None }
    }

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
        let places = self.places.ok_or(Skipped::Columns)?;
        let columns: Vec<_> = fields(line).collect();
        let [date, clock, client] = places.map(|place| columns.get(place).copied());
        let (Some(date), Some(clock), Some(client)) = (date, clock, client) else {
            return Err(Skipped::Columns);
        };
        let time = time::parse_any(&[date, b"T", clock].concat()).ok_or(Skipped::Time)?;
        Request::of(client, time, addresses)
    }

    fn find(&self, names: &[u8]) -> Option<[usize; 3]> {
        let names: Vec<_> = fields(names).collect();
        let place = |wanted: &str| {
            names.iter().position(|name| name.eq_ignore_ascii_case(wanted.as_bytes()))
        };
        let client = match self.client.parse::<usize>() {
            Ok(number) => number.checked_sub(1)?,
            // `X-Forwarded-For` stands for `cs(X-Forwarded-For)` too.
            Err(_) => place(&self.client).or_else(|| place(&format!("cs({})", self.client)))?,
        };
        Some([place("date")?, place("time")?, client])
    }
}
