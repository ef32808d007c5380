//! Lines that are JSON objects: nginx, Caddy, Traefik, Envoy, Cloudflare and others.

use serde_json::Value;

use tollgate::Timestamp;

use super::client::{self, Addresses};
use super::time;
use super::{Details, Request, Skipped};

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

/// Keys that hold the first line of the request.
const REQUESTS: [&str; 3] = ["request", "request_line", "requestLine"];

/// Keys that hold the method, the likeliest first.
const METHODS: [&str; 12] = [
    "request_method",
    "request.method",
    "RequestMethod",
    "ClientRequestMethod",
    "method",
    "http.request.method",
    "httpRequest.requestMethod",
    "httpRequest.httpMethod",
    "httpMethod",
    "requestMethod",
    "http_method",
    "verb",
];

/// Keys that hold the path or the whole URI, the likeliest first.
const PATHS: [&str; 17] = [
    "request_uri",
    "request.uri",
    "RequestPath",
    "ClientRequestURI",
    "ClientRequestPath",
    "x_envoy_original_path",
    "path",
    "uri",
    "url.path",
    "url.original",
    "httpRequest.requestUrl",
    "httpRequest.uri",
    "requestPath",
    "request_path",
    "uri_path",
    "url",
    "requestURI",
];

/// Keys that hold the host, the likeliest first.
const HOSTS: [&str; 12] = [
    "http_host",
    "request.host",
    "RequestHost",
    "ClientRequestHost",
    "authority",
    "host",
    "url.domain",
    "requestContext.domainName",
    "domainName",
    "server_name",
    "vhost",
    "requestHost",
];

/// Keys that hold the user, the likeliest first.
const USERS: [&str; 7] =
    ["remote_user", "user_id", "ClientUsername", "user.name", "user", "username", "userName"];

/// Keys that hold the status, the likeliest first.
const STATUSES: [&str; 10] = [
    "status",
    "DownstreamStatus",
    "OriginStatus",
    "EdgeResponseStatus",
    "response_code",
    "http.response.status_code",
    "httpRequest.status",
    "status_code",
    "statusCode",
    "response_status",
];

/// Where in an object the client, the time and the rest stand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Keys {
    /// The key of the client.
    pub client: String,
    time: String,
    request: Option<String>,
    method: Option<String>,
    path: Option<String>,
    host: Option<String>,
    user: Option<String>,
    status: Option<String>,
    /// Keys beside the chosen one that hold an address in most lines.
    pub others: Vec<String>,
}

impl Keys {
    /// Finds the keys in a sample of lines, unless they are given.
    ///
    /// # Errors
    ///
    /// A message that says which key to name.
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
        let is_time = |value: &Value| moment(value).is_some_and(|time| time > EARLIEST);
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
        let text = |keys: &[&str]| {
            let is_text = |value: &Value| value.as_str().is_some_and(|text| !text.is_empty());
            most(keys, &is_text).map(|(_, key)| key)
        };
        Ok(Self {
            client,
            time,
            request: text(&REQUESTS),
            method: text(&METHODS),
            path: text(&PATHS),
            host: text(&HOSTS),
            user: text(&USERS),
            status: most(&STATUSES, &|value| status(value).is_some()).map(|(_, key)| key),
            others,
        })
    }

    /// Reads a line, without its end.
    ///
    /// # Errors
    ///
    /// If it is no request.
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
        let time = get(&object, &self.time).and_then(moment).ok_or(Skipped::Time)?;
        let details = self.details(&object).into_owned();
        let request = Request::of(client.as_bytes(), time, addresses, Details::default())?;
        let client = request.client.into_owned();
        Ok(Request { client, time, listed: request.listed, details })
    }

    fn details<'a>(&self, object: &'a Value) -> Details<'a> {
        let value = |key: &Option<String>| get(object, key.as_deref()?);
        let text = |key: &Option<String>| {
            value(key).and_then(Value::as_str).unwrap_or_default().as_bytes()
        };
        let mut details = Details::default();
        let (method, path) = (text(&self.method), text(&self.path));
        if method.is_empty() || path.is_empty() {
            details.request_line(text(&self.request));
        } else if details.target(method == b"CONNECT", path) {
            details.method(method);
        }
        details.host(text(&self.host));
        details.user(text(&self.user));
        details.status = value(&self.status).and_then(status);
        details
    }
}

/// Whether any key that usually names the client holds an address.
fn has_client(object: &Value) -> bool {
    CLIENTS.iter().any(|key| get(object, key).is_some_and(is_client))
}

fn is_client(value: &Value) -> bool {
    value.as_str().is_some_and(|text| client::is_address(text.as_bytes()))
}

/// Whether the line is a JSON object.
#[must_use]
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

/// Numbers that are no later than this, which is in 1973, are durations and not times.
const EARLIEST: Timestamp = Timestamp::from_nanos(100_000_000 * 1_000_000_000);

fn moment(value: &Value) -> Option<Timestamp> {
    match value {
        Value::String(text) => time::parse_any(text.as_bytes()),
        Value::Number(number) => time::parse_any(number.to_string().as_bytes()),
        _ => None,
    }
}

fn status(value: &Value) -> Option<u16> {
    let mut details = Details::default();
    match value {
        Value::String(text) => details.status(text.as_bytes()),
        Value::Number(number) => details.status(number.to_string().as_bytes()),
        _ => {}
    }
    details.status
}
