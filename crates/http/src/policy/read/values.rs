//! Reading single values: quotas, durations, networks, times, names.

use std::collections::HashSet;
use std::net::{IpAddr, Ipv6Addr};
use std::time::{Duration, SystemTime};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use tollgate::algorithm::{FixedWindow, GreedyRefill, SlidingWindow, StrictWindow};
use tollgate::{ParseQuotaError, Quota, QuotaError};

use super::table::{found, list, once, text};
use crate::policy::problem::{Code, Place, Problems, instead, shown};
use crate::policy::settings::{Algorithm, KeyPart};
use crate::policy::source::{Node, Value};
use crate::policy::words::{self, Word};

/// How a quota is written.
const FORM: &str = "the form is `600/min burst 100`, the burst may be left out";

/// A quota that a limit with this algorithm accepts.
pub(super) fn quota(node: &Node, algorithm: Algorithm, problems: &mut Problems) -> Option<Quota> {
    let result = match &node.value {
        Value::Text(text) => parse_quota(text, algorithm),
        value => Err(format!("found {}, where a quota is expected: {FORM}", found(value))),
    };
    result.map_err(|message| problems.add(&node.place, Code::BadQuota, || message)).ok()
}

fn parse_quota(text: &str, algorithm: Algorithm) -> Result<Quota, String> {
    let shown = shown(text);
    let quota: Quota = match text.parse() {
        Ok(quota) if is_our_form(text) => quota,
        Ok(quota) => return Err(format!("{shown} is written `{quota}` in a policy: {FORM}")),
        Err(ParseQuotaError::Invalid(QuotaError::ZeroRate | QuotaError::ZeroBurst)) => {
            return Err(format!(
                "{shown} would let nothing pass: write `blocked = true` for a subject that may \
                 not pass, or `unlimited` for no limit; else {FORM}"
            ));
        }
        Err(ParseQuotaError::Several { .. }) => {
            return Err(format!(
                "{shown} is several quotas: write a limit for each of them; {FORM}"
            ));
        }
        Err(error @ ParseQuotaError::Form) => {
            return Err(format!("{shown} is not a quota: {error}"));
        }
        Err(error) => return Err(format!("{shown} is not a quota: {error}; {FORM}")),
    };
    let checked = match algorithm {
        Algorithm::TokenBucket => GreedyRefill::try_from(quota).map(|_| ()),
        Algorithm::FixedWindow => FixedWindow::try_from(quota).map(|_| ()),
        Algorithm::SlidingWindow => SlidingWindow::try_from(quota).map(|_| ()),
        Algorithm::Strict => StrictWindow::try_from(quota).map(|_| ()),
    };
    match checked {
        Ok(()) => Ok(quota),
        Err(QuotaError::BurstUnsupported) => Err(format!(
            "{shown} is not possible with `{}`, whose limit is its burst: leave the burst out, the \
             form is `600/min`; only `token-bucket` has quotas such as `600/min burst 100`",
            algorithm.word()
        )),
        Err(error) => {
            let algorithm = algorithm.word();
            Err(format!("{shown} is not possible with `{algorithm}`: {error}; {FORM}"))
        }
    }
}

/// Whether a quota has the form in which quotas are printed. `Quota` also reads the forms of other
/// programs; in a policy there is only one, so that all policies look alike.
fn is_our_form(text: &str) -> bool {
    let is_count = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'_');
    let is_rate = |text: &str| {
        text.split_once('/').is_some_and(|(permits, period)| {
            is_count(permits) && period.bytes().all(|byte| byte.is_ascii_alphanumeric())
        })
    };
    let words: Vec<&str> = text.split_whitespace().take(4).collect();
    match words.as_slice() {
        ["unlimited"] => true,
        [rate] => is_rate(rate),
        [rate, "burst", burst] => is_rate(rate) && is_count(burst),
        _ => false,
    }
}

/// A time span such as `1min`, `90s` or `250ms`.
pub(super) fn duration(node: &Node, key: &str, problems: &mut Problems) -> Option<Duration> {
    let parsed = match &node.value {
        Value::Text(text) => parse_duration(text),
        _ => Err(String::new()),
    };
    let why = match parsed {
        Ok(duration) => return Some(duration),
        Err(why) => why,
    };
    problems.add(&node.place, Code::BadValue, || {
        let found = found(&node.value);
        format!("`{key}` is {found}: {why}write a time such as `1min`, `90s` or `250ms`")
    });
    None
}

fn parse_duration(text: &str) -> Result<Duration, String> {
    let is_form = text.starts_with(|c: char| c.is_ascii_digit())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric());
    if !is_form {
        return Err(String::new());
    }
    match format!("1/{text}").parse::<Quota>() {
        Ok(quota) => Ok(quota.period()),
        Err(ParseQuotaError::Invalid(QuotaError::ZeroPeriod)) => {
            Err("this is no time at all: ".into())
        }
        Err(error) => Err(format!("{error}: ")),
    }
}

/// A point in time with its offset from UTC: RFC 3339, section 5.6.
pub(super) fn time(node: &Node, key: &str, problems: &mut Problems) -> Option<SystemTime> {
    let parsed = match &node.value {
        Value::Time(text) | Value::Text(text) => parse_time(text),
        _ => Err(String::new()),
    };
    let why = match parsed {
        Ok(time) => return Some(time),
        Err(why) => why,
    };
    problems.add(&node.place, Code::BadValue, || {
        let found = found(&node.value);
        format!("`{key}` is {found}: {why}write a time such as `2027-01-01T00:00:00Z`")
    });
    None
}

fn parse_time(text: &str) -> Result<SystemTime, String> {
    let parsed: toml_datetime::Datetime = text.parse().map_err(|_| String::new())?;
    let (Some(date), Some(time)) = (parsed.date, parsed.time) else {
        return Err("date and time are needed: ".into());
    };
    let offset = match parsed.offset {
        Some(toml_datetime::Offset::Z) => 0,
        Some(toml_datetime::Offset::Custom { minutes }) => i64::from(minutes) * 60,
        None => return Err("the offset from UTC is missing, such as `Z` at the end: ".into()),
    };
    let days = days_since_1970(date.year.into(), date.month.into(), date.day.into());
    let second = time.second.unwrap_or(0);
    let of_day = (i64::from(time.hour) * 60 + i64::from(time.minute)) * 60 + i64::from(second);
    let seconds = u64::try_from(days * 86_400 + of_day - offset)
        .map_err(|_| String::from("this is before 1970: "))?;
    let since = Duration::new(seconds, time.nanosecond.unwrap_or(0));
    SystemTime::UNIX_EPOCH.checked_add(since).filter(is_printable).ok_or_else(String::new)
}

/// Whether the time can be written with four digits for the year.
fn is_printable(time: &SystemTime) -> bool {
    const YEAR_10000: u64 = 253_402_300_800;
    let since = time.duration_since(SystemTime::UNIX_EPOCH);
    since.is_ok_and(|since| since.as_secs() < YEAR_10000)
}

/// The text of a time, which [`time`] reads.
pub(in crate::policy) fn time_text(time: SystemTime) -> String {
    if is_printable(&time) {
        humantime::format_rfc3339(time).to_string()
    } else {
        "outside of the years 1970 to 9999".into()
    }
}

/// The days from 1970-01-01 to a date of the Gregorian calendar. Months and days may be out of
/// range. (Howard Hinnant, "chrono-compatible low-level date algorithms", `days_from_civil`.)
fn days_since_1970(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let month_from_march = (month + 9) % 12;
    let day_of_year = (153 * month_from_march + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

/// A network: an address, or an address and the length of its prefix. IPv4 addresses that are
/// written as IPv6 become IPv4, as those of clients do (rule A1).
pub(super) fn network(text: &str) -> Result<IpNet, (Code, String)> {
    let bad = |why: &str| {
        let text = shown(text);
        let form = "write an address or a network, such as `203.0.113.7` or `10.0.0.0/8`";
        Err((Code::BadAddress, format!("{text} is not an address or a network{why}: {form}")))
    };
    let (address, prefix) = match text.split_once('/') {
        Some((address, prefix)) => (address, Some(prefix)),
        None => (text, None),
    };
    let Ok(address) = address.parse::<IpAddr>() else {
        return bad(if text.contains('%') { ", it has a zone" } else { "" });
    };
    let longest: u8 = if address.is_ipv4() { 32 } else { 128 };
    let prefix = match prefix {
        None => longest,
        Some(digits) if digits.bytes().all(|byte| byte.is_ascii_digit()) => {
            match digits.parse::<u8>() {
                Ok(prefix) if prefix <= longest => prefix,
                _ => return bad(&format!(", its prefix is at most {longest} bits")),
            }
        }
        Some(_) => return bad(", its prefix is not a number of bits"),
    };
    let Ok(network) = IpNet::new(address, prefix) else { return bad("") };
    if network.trunc() != network {
        let message = format!(
            "{} has bits behind its prefix: write the network `{}` or the address `{address}`",
            shown(text),
            network.trunc()
        );
        return Err((Code::HostBits, message));
    }
    Ok(as_ipv4(network))
}

/// The IPv4 network that an IPv6 network stands for: IPv4-mapped addresses (RFC 4291, section
/// 2.5.5.2) and NAT64's well-known prefix (RFC 6052, section 2.1).
fn as_ipv4(network: IpNet) -> IpNet {
    const MAPPED: Ipv6Addr = Ipv6Addr::new(0, 0, 0, 0, 0, 0xffff, 0, 0);
    const NAT64: Ipv6Addr = Ipv6Addr::new(0x64, 0xff9b, 0, 0, 0, 0, 0, 0);
    let IpNet::V6(v6) = network else { return network };
    let is_ipv4 = [MAPPED, NAT64]
        .into_iter()
        .any(|start| Ipv6Net::new(start, 96).is_ok_and(|ipv4| ipv4.contains(&v6)));
    let [.., a, b, c, d] = v6.addr().octets();
    let ipv4 = Ipv4Net::new([a, b, c, d].into(), v6.prefix_len().saturating_sub(96));
    ipv4.ok().filter(|_| is_ipv4).map_or(network, IpNet::V4)
}

/// The parts of a key: one word or a list.
pub(super) fn key(node: &Node, problems: &mut Problems) -> Vec<KeyPart> {
    let nodes = match &node.value {
        Value::List(items) => items.as_slice(),
        _ => std::slice::from_ref(node),
    };
    let parts: Vec<(KeyPart, &Node)> =
        nodes.iter().filter_map(|node| Some((key_part(node, problems)?, node))).collect();
    once(&parts, |part| shown(&words::key::word(part)), problems);
    if nodes.is_empty() {
        problems.add(&node.place, Code::BadValue, || {
            "`key` is an empty list: leave the key out, for one bucket for all".into()
        });
    }
    parts.into_iter().map(|(part, _)| part).collect()
}

fn key_part(node: &Node, problems: &mut Problems) -> Option<KeyPart> {
    if let Value::Text(text) = &node.value
        && let Some(part) = words::key::of(text)
    {
        return Some(part);
    }
    problems.add(&node.place, Code::BadValue, || {
        let mut known: Vec<&str> = words::key::WORDS.iter().map(|(word, _)| *word).collect();
        known.push("header:NAME");
        let hint = match &node.value {
            Value::Text(text) => match text.to_ascii_lowercase().as_str() {
                "addr" | "client-ip" | "client_ip" | "ip" | "ipaddress" | "remote_addr"
                | "remote_address" => "write `address`".into(),
                "apikey" | "api_key" | "credential" => "write `api-key`".into(),
                "consumer" => "write `user` or `caller`".into(),
                "endpoint" | "path" | "service" | "uri" => "write `route`".into(),
                "header" => "write `header:` and the name of the header".into(),
                "global" | "none" | "" => "leave the key out, for one bucket for all".into(),
                start if start.starts_with("header:") => {
                    "what follows `header:` is not the name of a header".into()
                }
                _ => instead(text, &known),
            },
            _ => instead("", &known),
        };
        format!("a part of the key is {}: {hint}", found(&node.value))
    });
    None
}

/// The names in the list at `node`, all of which must be `known`. `what` is the kind of thing.
pub(super) fn names(
    node: &Node,
    key: &str,
    known: &Names<'_>,
    problems: &mut Problems,
) -> Vec<String> {
    let Some(items) = list(node, key, "[\"calls\"]", problems) else { return Vec::new() };
    let names: Vec<(&str, &Node)> = items
        .iter()
        .filter_map(|item| {
            let name = text(item, key, problems)?;
            known.check(name, &item.place, problems).then_some((name, item))
        })
        .collect();
    once(&names, |name| shown(name), problems);
    names.into_iter().map(|(name, _)| name.to_owned()).collect()
}

/// The names of the limits or of the tiers.
pub(super) struct Names<'a> {
    pub(super) known: HashSet<&'a str>,
    /// In the order of the file, for messages.
    pub(super) in_order: Vec<&'a str>,
    pub(super) what: &'static str,
    pub(super) code: Code,
}

impl<'a> Names<'a> {
    /// The keys of a table.
    pub(super) fn new(node: Option<&'a Node>, what: &'static str, code: Code) -> Self {
        let entries = node.map(Node::entries).unwrap_or_default();
        let in_order: Vec<&str> = entries.iter().map(|entry| entry.key.as_str()).collect();
        Self { known: in_order.iter().copied().collect(), in_order, what, code }
    }

    /// Whether there is such a name; if not, there is a problem.
    pub(super) fn check(&self, name: &str, place: &Place, problems: &mut Problems) -> bool {
        let is_known = self.known.contains(name);
        if !is_known {
            problems.add(place, self.code, || {
                let hint = instead(name, &self.in_order);
                format!("there is no {} {}: {hint}", self.what, shown(name))
            });
        }
        is_known
    }
}
