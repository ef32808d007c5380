//! Lines that are JSON objects: nginx, Caddy, Traefik, Envoy, Cloudflare and others.

use serde_json::Value;

use crate::client::{self, Addresses};
use crate::parse::{Request, Skipped};
use crate::time;

/// Keys that name the client, the likeliest first. A point leads into an object.
const CLIENTS: [&str; 31] = [
    "remote_addr",
    "request.client_ip",
    "request.remote_ip",
    "request.remote_addr",
    "ClientHost",
    "ClientAddr",
    "downstream_remote_address",
    "downstream_direct_remote_address",
    "ClientIP",
    "client_ip",
    "clientip",
    "clientIp",
    "client-ip",
    "remote_ip",
    "remoteIp",
    "remote_address",
    "remoteAddr",
    "remoteAddress",
    "httpRequest.remoteIp",
    "httpRequest.clientIp",
    "client.ip",
    "client.address",
    "source.ip",
    "source.address",
    "requestContext.identity.sourceIp",
    "sourceIPAddress",
    "client",
    "ip",
    "x_forwarded_for",
    "http_x_forwarded_for",
    "x-forwarded-for",
];

/// Keys that hold the time, the likeliest first.
const TIMES: [&str; 24] = [
    "time_iso8601",
    "time_local",
    "msec",
    "StartUTC",
    "start_time",
    "EdgeStartTimestamp",
    "ts",
    "time",
    "timestamp",
    "@timestamp",
    "StartLocal",
    "datetime",
    "date",
    "time_msec",
    "timeStamp",
    "eventTime",
    "event_time",
    "request_start",
    "requestTime",
    "request_time",
    "start",
    "t",
    "Time",
    "Timestamp",
];

/// Where in an object the client and the time stand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Keys {
    pub client: String,
    time: String,
    /// Keys beside the chosen one that hold an address in most lines.
    pub others: Vec<String>,
}

impl Keys {
    /// Finds the keys in a sample of lines, unless they are given.
    pub fn find(
        sample: &[&[u8]],
        client: Option<&str>,
        time: Option<&str>,
    ) -> Result<Self, String> {
        let objects: Vec<Value> = sample.iter().filter_map(|line| object(line)).collect();
        let most = |keys: &[&str], fits: &dyn Fn(&Value) -> bool| {
            let hits = |key: &str| {
                objects.iter().filter(|object| get(object, key).is_some_and(fits)).count()
            };
            let mut best = keys.iter().map(|key| (hits(key), *key)).filter(|(hits, _)| *hits > 0);
            let first = best.next();
            best.fold(
                first,
                |best, next| if Some(next.0) > best.map(|best| best.0) { Some(next) } else { best },
            )
            .map(|(hits, key)| (hits, key.to_owned()))
        };
        let unknown = |what: &str| {
            let keys: Vec<_> = objects
                .first()
                .and_then(Value::as_object)
                .map(|object| {
                    object.keys().take(20).map(|key| key.escape_debug().to_string()).collect()
                })
                .unwrap_or_default();
            format!(
                "the JSON lines have no known key for the {what}: name it with `--{what} KEY`; \
                 the first line has the keys {}",
                keys.join(", ")
            )
        };
        let is_time = |value: &Value| seconds(value).is_some_and(|time| time > 100_000_000);
        let mut others = Vec::new();
        let client = if let Some(key) = client {
            key.to_owned()
        } else {
            let (hits, key) = most(&CLIENTS, &is_client).ok_or_else(|| unknown("client"))?;
            let often = |other: &&&str| {
                **other != key
                    && most(&[other], &is_client).is_some_and(|(other, _)| other * 2 > hits)
            };
            others = CLIENTS.iter().filter(often).map(ToString::to_string).collect();
            key
        };
        let time = match time {
            Some(key) => key.to_owned(),
            None => most(&TIMES, &is_time).ok_or_else(|| unknown("time"))?.1,
        };
        Ok(Self { client, time, others })
    }

    pub fn request(&self, line: &[u8], addresses: Addresses) -> Result<Request<'static>, Skipped> {
        if line.trim_ascii().is_empty() {
            return Err(Skipped::Empty);
        }
        let object = object(line).ok_or(Skipped::Json)?;
        let client = match get(&object, &self.client) {
            None if has_client(&object) => return Err(Skipped::OtherField),
            None => return Err(Skipped::Message),
            Some(Value::Null) => return Err(Skipped::NoClient),
            Some(Value::String(text)) => text.clone(),
            Some(number @ Value::Number(_)) => number.to_string(),
            Some(_) => return Err(Skipped::Client),
        };
        let time = get(&object, &self.time).and_then(seconds).ok_or(Skipped::Time)?;
        let request = Request::of(client.as_bytes(), time, addresses)?;
        Ok(Request { client: request.client.into_owned().into(), time, listed: request.listed })
    }
}

/// Whether any key that usually names the client holds an address.
fn has_client(object: &Value) -> bool {
    CLIENTS.iter().any(|key| get(object, key).is_some_and(is_client))
}

fn is_client(value: &Value) -> bool {
    value.as_str().is_some_and(|text| client::is_address(text.as_bytes()))
}

pub fn is_object(line: &[u8]) -> bool {
    object(line).is_some()
}

fn object(line: &[u8]) -> Option<Value> {
    let line = line.trim_ascii();
    if !line.starts_with(b"{") {
        return None;
    }
    // A client may send bytes that are no UTF-8, and a server may write them as they are.
    let text = String::from_utf8_lossy(line);
    serde_json::from_str(&text).ok().filter(Value::is_object)
}

/// The value at a key, or at a path of keys with points between them.
fn get<'a>(object: &'a Value, path: &str) -> Option<&'a Value> {
    if let Some(value) = object.get(path) {
        return Some(value);
    }
    let (key, rest) = path.split_once('.')?;
    get(object.get(key)?, rest)
}

fn seconds(value: &Value) -> Option<u64> {
    match value {
        Value::String(text) => time::parse_any(text.as_bytes()),
        Value::Number(number) => time::parse_any(number.to_string().as_bytes()),
        _ => None,
    }
}
