//! Reading `[limits.NAME]` and `[tiers.NAME]`.

use std::collections::HashMap;

use tollgate::Quota;

use super::Read;
use super::names::{Names, key};
use super::quota::quota;
use super::table::{Table, word_of};
use crate::policy::code::Code;
use crate::policy::message::shown;
use crate::policy::problem::Place;
use crate::policy::problems::Problems;
use crate::policy::settings::{Algorithm, KeyPart, Limit, Missing, Mode, Tier};
use crate::policy::source::{Entry, Node, Value};
use crate::policy::words;

pub(in crate::policy) const LIMIT: &[&str] = &[
    "quota",
    "key",
    "missing",
    "algorithm",
    "status",
    "mode",
    "ipv4_prefix",
    "ipv6_prefix",
    "max_keys",
    "when_full",
];

/// The most keys that a limit can be told to hold.
const MOST_KEYS: usize = u32::MAX as usize;

/// A limit. A quota that is wrong becomes `unlimited`, so that it does not cause further problems.
pub(super) fn limit<'a>(entry: &'a Entry, problems: &mut Problems) -> Option<Read<'a, Limit>> {
    name(entry, problems);
    let table = Table::new(&entry.node, &entry.place, LIMIT, problems)?;
    let algorithm: Algorithm = table.word("algorithm", problems);
    let why = "write the rate, such as `quota = \"600/min burst 100\"`";
    let quota = table
        .required("quota", why, problems)
        .and_then(|node| quota(node, algorithm, problems))
        .unwrap_or(Quota::unlimited());
    let parts = table.get("key").map(|node| key(node, problems)).unwrap_or_default();
    let missing =
        table.get("missing").and_then(|node| super::table::word(node, "missing", problems));
    if let Some(part) = parts.iter().find(|part| is_often_missing(part))
        && table.get("missing").is_none()
    {
        problems.add(table.node.place_of("key"), Code::MissingUnset, || {
            format!(
                "a request can be without {}, so `missing` must say what happens then: `address`, \
                 `skip`, `share` or `refuse`",
                shown(&words::key::word(part))
            )
        });
    }
    let limit = Limit {
        name: entry.key.clone(),
        quota,
        missing,
        algorithm,
        status: status(&table, problems),
        mode: mode(&table, problems),
        ipv4_prefix: table.number("ipv4_prefix", 8..=32, Code::BadPrefix, problems),
        ipv6_prefix: table.number("ipv6_prefix", 32..=128, Code::BadPrefix, problems),
        max_keys: table.number("max_keys", 1..=MOST_KEYS, Code::BadValue, problems),
        when_full: table.word("when_full", problems),
        key: parts,
    };
    without_effect(&table, &limit, problems);
    Some(Read { value: limit, table })
}

/// Whether requests are often without this part, so that the policy must say what happens then.
fn is_often_missing(part: &KeyPart) -> bool {
    matches!(part, KeyPart::User | KeyPart::ApiKey | KeyPart::Header(_))
}

/// Whether a request can be without this part. Only HTTP/1.0 allows a request without host; all of
/// them share a bucket unless the policy says otherwise. Whether an entry can be missing depends on
/// who has the limit, which is checked once all is read.
fn can_be_missing(part: &KeyPart) -> bool {
    is_often_missing(part) || matches!(part, KeyPart::Host | KeyPart::Entry(_))
}

/// The mode of a limit, which can't be `off`.
fn mode(table: &Table<'_>, problems: &mut Problems) -> Mode {
    const MODES: &[(&str, Mode)] = &[("enforce", Mode::Enforce), ("shadow", Mode::Shadow)];
    let Some(node) = table.get("mode") else { return Mode::default() };
    if matches!(&node.value, Value::Text(text) if text == "off") {
        problems.add(&node.place, Code::BadValue, || {
            "`mode` of a limit is the text `off`: write `enforce` or `shadow`, or leave the limit \
             out of the routes"
                .into()
        });
        return Mode::default();
    }
    word_of(MODES, node, "mode", problems).unwrap_or_default()
}

fn status(table: &Table<'_>, problems: &mut Problems) -> u16 {
    const DEFAULT: u16 = 429;
    let Some(node) = table.get("status") else { return DEFAULT };
    match node.value {
        Value::Number { integer: Some(429), .. } => 429,
        Value::Number { integer: Some(503), .. } => 503,
        ref value => {
            problems.add(&node.place, Code::BadStatus, || {
                let found = super::table::found(value);
                format!("`status` is {found}: a limit refuses with 429 or 503")
            });
            DEFAULT
        }
    }
}

/// The name of a limit, which appears in header fields and metrics.
fn name(entry: &Entry, problems: &mut Problems) {
    let is_start = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let is_name = entry.key.len() <= 64
        && entry.key.starts_with(is_start)
        && entry.key.chars().all(|c| is_start(c) || "_.-".contains(c));
    if !is_name {
        problems.add(&entry.place, Code::BadValue, || {
            format!(
                "{} can't be the name of a limit: write 1 to 64 small letters, digits, `_`, `.` \
                 and `-`, with a letter or digit first",
                shown(&entry.key)
            )
        });
    }
}

/// Warns about settings without effect.
fn without_effect(table: &Table<'_>, limit: &Limit, problems: &mut Problems) {
    let has_key = !limit.key.is_empty();
    let has_address = limit.missing == Some(Missing::Address)
        || limit.key.iter().any(|part| matches!(part, KeyPart::Address | KeyPart::Caller));
    let settings = [
        ("missing", limit.key.iter().any(can_be_missing), "no part of the key can be missing"),
        ("max_keys", has_key, "the limit has no key"),
        ("when_full", has_key, "the limit has no key"),
        ("ipv4_prefix", has_address, "the key has no address"),
        ("ipv6_prefix", has_address, "the key has no address"),
    ];
    for (setting, has_effect, why) in settings {
        if let Some(node) = table.get(setting).filter(|_| !has_effect) {
            problems.warn(&node.place, Code::UnusedSetting, || {
                format!("`{setting}` has no effect: {why}")
            });
        }
    }
}

/// The algorithm of each limit, by which the quotas of tiers and subjects are checked.
pub(super) type Algorithms<'a> = HashMap<&'a str, Algorithm>;

/// A tier.
pub(super) fn tier<'a>(
    entry: &'a Entry,
    limits: &Names<'_>,
    algorithms: &Algorithms<'_>,
    problems: &mut Problems,
) -> Option<Read<'a, Tier>> {
    readable_name(&entry.key, "tier", &entry.place, problems);
    let table = Table::any(&entry.node, &entry.place, problems)?;
    let quotas = quotas(&entry.node, limits, algorithms, problems);
    Some(Read { value: Tier { name: entry.key.clone(), quotas }, table })
}

/// The quotas in a table of a tier or subject.
pub(super) fn quotas(
    node: &Node,
    limits: &Names<'_>,
    algorithms: &Algorithms<'_>,
    problems: &mut Problems,
) -> Vec<(String, Quota)> {
    let mut quotas = Vec::new();
    for entry in node.entries() {
        let algorithm = algorithms.get(entry.key.as_str()).copied().unwrap_or_default();
        if !limits.check(&entry.key, &entry.place, problems) {
            continue;
        }
        if let Some(quota) = quota(&entry.node, algorithm, problems) {
            quotas.push((entry.key.clone(), quota));
        }
    }
    quotas
}

/// A name that appears in metrics and logs, but is otherwise free.
pub(super) fn readable_name(
    name: &str,
    what: &str,
    place: &Place,
    problems: &mut Problems,
) -> bool {
    let is_name = !name.trim().is_empty() && name.len() <= 256 && !name.contains(char::is_control);
    if !is_name {
        problems.add(place, Code::BadValue, || {
            format!(
                "{} can't be the name of a {what}: write 1 to 256 bytes without control characters",
                shown(name)
            )
        });
    }
    is_name
}
