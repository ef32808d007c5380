//! Reading `[[routes]]`.

use super::Read;
use super::limit::readable_name;
use super::names::{Names, names};
use super::table::{Table, found, list, once, text};
use crate::policy::code::Code;
use crate::policy::message::{instead, shown};
use crate::policy::path::PathPattern;
use crate::policy::problems::Problems;
use crate::policy::settings::{HostPattern, Route};
use crate::policy::source::{Node, Value};

pub(in crate::policy) const ROUTE: &[&str] =
    &["name", "method", "host", "path", "limits", "cost", "costs", "charge", "always"];

/// The methods of the registry that RFC 9110, section 16.1, describes (state of 2025), but for `*`
/// and `PRI`, which no request has.
const METHODS: &[&str] = &[
    "ACL",
    "BASELINE-CONTROL",
    "BIND",
    "CHECKIN",
    "CHECKOUT",
    "CONNECT",
    "COPY",
    "DELETE",
    "GET",
    "HEAD",
    "LABEL",
    "LINK",
    "LOCK",
    "MERGE",
    "MKACTIVITY",
    "MKCALENDAR",
    "MKCOL",
    "MKREDIRECTREF",
    "MKWORKSPACE",
    "MOVE",
    "OPTIONS",
    "ORDERPATCH",
    "PATCH",
    "POST",
    "PROPFIND",
    "PROPPATCH",
    "PUT",
    "QUERY",
    "REBIND",
    "REPORT",
    "SEARCH",
    "TRACE",
    "UNBIND",
    "UNCHECKOUT",
    "UNLINK",
    "UNLOCK",
    "UPDATE",
    "UPDATEREDIRECTREF",
    "VERSION-CONTROL",
];

/// The most methods of a route. Checks compare those of all routes with each other.
const MOST_METHODS: usize = 100;

/// A route. `None` if its path cannot be read, so that it causes no further problems.
pub(super) fn route<'a>(
    node: &'a Node,
    limits: &Names<'_>,
    problems: &mut Problems,
) -> Option<Read<'a, Route>> {
    let table = Table::new(node, &node.place, ROUTE, problems)?;
    let why = "write one, such as `/v1/exports/{id}`, or `/{*rest}` for all";
    let path = table.required("path", why, problems).and_then(|node| path(node, problems));
    let name = table
        .get("name")
        .and_then(|node| Some((text(node, "name", problems)?, node)))
        .filter(|(name, node)| readable_name(name, "route", &node.place, problems))
        .map(|(name, _)| name.to_owned());
    let methods = table.get("method").map(|node| methods(node, problems)).unwrap_or_default();
    let host = table.get("host").and_then(|node| host(node, problems));
    let route_limits =
        table.get("limits").map(|node| names(node, "limits", limits, problems)).unwrap_or_default();
    let cost = table.get("cost").and_then(|node| cost(node, "cost", problems)).unwrap_or(1);
    let costs = table.get("costs").map(|node| costs(node, limits, problems)).unwrap_or_default();
    let charge = table.get("charge").and_then(|node| charge(node, problems));
    let always = table.bool("always", true, problems);
    let path = path?;
    let route = Route {
        name: name.unwrap_or_else(|| path.text.clone()),
        methods,
        host,
        path,
        limits: route_limits,
        cost,
        costs,
        charge,
        always,
    };
    Some(Read { value: route, table })
}

fn path(node: &Node, problems: &mut Problems) -> Option<PathPattern> {
    let message = match &node.value {
        Value::Text(text) => match text.parse::<PathPattern>() {
            Ok(path) => return Some(path),
            Err(error) => error.to_string(),
        },
        value => {
            let found = found(value);
            format!("`path` is {found}: write one text such as \"/v1/exports/{{id}}\"")
        }
    };
    problems.add(&node.place, Code::BadPath, || message);
    None
}

fn methods(node: &Node, problems: &mut Problems) -> Vec<String> {
    let nodes = match &node.value {
        Value::List(items) => items.as_slice(),
        _ => std::slice::from_ref(node),
    };
    if nodes.is_empty() {
        problems.add(&node.place, Code::BadMethod, || {
            "`method` is an empty list: leave it out for all methods".into()
        });
    }
    let methods: Vec<(&str, &Node)> =
        nodes.iter().filter_map(|node| Some((method(node, problems)?, node))).collect();
    let methods = once(methods, |method| shown(method), problems);
    if methods.len() > MOST_METHODS {
        problems.add(&node.place, Code::BadMethod, || {
            format!("`method` has {} methods: at most {MOST_METHODS} are possible", methods.len())
        });
    }
    methods.into_iter().take(MOST_METHODS).map(str::to_owned).collect()
}

fn method<'a>(node: &'a Node, problems: &mut Problems) -> Option<&'a str> {
    let Value::Text(text) = &node.value else {
        problems.add(&node.place, Code::BadMethod, || {
            format!("`method` is {}: write a text such as \"GET\"", found(&node.value))
        });
        return None;
    };
    let is_upper = |byte: u8| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'-';
    if text.starts_with(|c: char| c.is_ascii_uppercase()) && text.bytes().all(is_upper) {
        if !METHODS.contains(&text.as_str()) {
            problems.warn(&node.place, Code::UnknownMethod, || {
                let hint = instead(text, METHODS);
                let hint =
                    if hint.starts_with("did") { format!(": {hint}") } else { String::new() };
                format!("{} is not a registered method{hint}", shown(text))
            });
        }
        return Some(text);
    }
    problems.add(&node.place, Code::BadMethod, || {
        let upper = text.to_ascii_uppercase();
        let hint = match upper.as_str() {
            "*" | "ANY" | "ALL" | "" => "leave `method` out for all methods".into(),
            _ if METHODS.contains(&upper.as_str()) => {
                format!("methods are upper case, write `{upper}`")
            }
            _ if upper.contains([',', '|', ' ']) => {
                "write a list, such as `[\"GET\", \"POST\"]`".into()
            }
            _ => instead(&upper, METHODS),
        };
        format!("{} is not a method: {hint}", shown(text))
    });
    None
}

/// A host, without case and final dot.
fn host(node: &Node, problems: &mut Problems) -> Option<HostPattern> {
    let text = text(node, "host", problems)?;
    let lower = text.to_ascii_lowercase();
    let lower = lower.strip_suffix('.').unwrap_or(&lower);
    let (name, below) = match lower.strip_prefix("*.") {
        Some(name) => (name, true),
        None => (lower, false),
    };
    let hint = if name.is_empty() || name == "*" {
        "leave `host` out for all hosts"
    } else if name.contains("://") || name.contains('/') {
        "write the host alone, without scheme and path"
    } else if name.contains('*') {
        "an asterisk is only possible as `*.` at the beginning"
    } else if is_ipv6(name) && !below {
        return Some(HostPattern::Exact(name.into()));
    } else if name.contains(':') {
        "write the host without port: a route matches all ports"
    } else if !name.is_ascii() {
        "write the name in ASCII, such as `xn--mnchen-3ya.example`"
    } else if name.split('.').any(str::is_empty) || !name.bytes().all(is_host_byte) {
        "write a name such as `api.example.com`, or `*.example.com` for all hosts below it"
    } else if below {
        return Some(HostPattern::Below(name.into()));
    } else {
        return Some(HostPattern::Exact(name.into()));
    };
    problems.add(&node.place, Code::BadValue, || format!("{} is not a host: {hint}", shown(text)));
    None
}

/// Whether the host is an IPv6 address in brackets.
fn is_ipv6(host: &str) -> bool {
    host.strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'))
        .is_some_and(|address| address.parse::<std::net::Ipv6Addr>().is_ok())
}

fn is_host_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-_.".contains(&byte)
}

fn cost(node: &Node, key: &str, problems: &mut Problems) -> Option<u64> {
    if let Value::Number { integer: Some(integer), .. } = node.value
        && let Ok(cost @ 1..) = u64::try_from(integer)
    {
        return Some(cost);
    }
    problems.add(&node.place, Code::BadCost, || {
        let found = found(&node.value);
        format!("the cost {} is {found}: write a whole number from 1 up to 2^64 - 1", shown(key))
    });
    None
}

fn costs(node: &Node, limits: &Names<'_>, problems: &mut Problems) -> Vec<(String, u64)> {
    if Table::any(node, &node.place, problems).is_none() {
        return Vec::new();
    }
    let mut costs = Vec::new();
    for entry in node.entries() {
        let is_known = limits.check(&entry.key, &entry.place, problems);
        if let Some(cost) = cost(&entry.node, &entry.key, problems).filter(|_| is_known) {
            costs.push((entry.key.clone(), cost));
        }
    }
    costs
}

/// The statuses after which a request stays charged, sorted and merged; `None` for all.
fn charge(node: &Node, problems: &mut Problems) -> Option<Vec<(u16, u16)>> {
    if let Value::Text(text) = &node.value {
        if text == "always" {
            return None;
        }
        if class(text).is_none() {
            problems.add(&node.place, Code::BadValue, || {
                let found = found(&node.value);
                format!(
                    "`charge` is {found}: write `\"always\"`, or a list such as `[401, \"4xx\"]`"
                )
            });
            return None;
        }
    }
    let items = list(node, "charge", "[401, 403, \"5xx\"]", problems)?;
    if items.is_empty() {
        problems.add(&node.place, Code::BadValue, || {
            "`charge` is an empty list, so nothing would ever be charged: leave it out, or write \
             statuses such as `[401, \"5xx\"]`"
                .into()
        });
    }
    let ranges = items.iter().filter_map(|item| statuses(item, problems)).collect();
    Some(merged(ranges))
}

fn statuses(node: &Node, problems: &mut Problems) -> Option<(u16, u16)> {
    match &node.value {
        Value::Number { integer: Some(status @ 100..=599), .. } => {
            let status = u16::try_from(*status).ok()?;
            return Some((status, status));
        }
        Value::Text(text) => {
            if let Some(class) = class(text) {
                return Some(class);
            }
        }
        _ => {}
    }
    problems.add(&node.place, Code::BadStatus, || {
        let found = found(&node.value);
        format!("found {found}, where a status such as 401 or a class such as \"4xx\" is expected")
    });
    None
}

/// The first and the last status of a class such as `4xx`.
fn class(text: &str) -> Option<(u16, u16)> {
    let mut classes = ["1xx", "2xx", "3xx", "4xx", "5xx"].iter().zip(1..);
    let (_, class) = classes.find(|(class, _)| **class == text)?;
    Some((class * 100, class * 100 + 99))
}

/// The same statuses in as few ranges as possible, in their order.
fn merged(mut ranges: Vec<(u16, u16)>) -> Vec<(u16, u16)> {
    ranges.sort_unstable();
    let mut merged: Vec<(u16, u16)> = Vec::new();
    for (first, last) in ranges {
        match merged.last_mut() {
            Some((_, end)) if first <= end.saturating_add(1) => *end = last.max(*end),
            _ => merged.push((first, last)),
        }
    }
    merged
}
