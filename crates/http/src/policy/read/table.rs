//! Reading the settings of one table: unknown keys, wrong types, words out of a set.

use std::collections::HashSet;
use std::hash::Hash;

use crate::policy::code::Code;
use crate::policy::message::{instead, shown};
use crate::policy::problem::Place;
use crate::policy::problems::Problems;
use crate::policy::source::{Node, Value};
use crate::policy::words::Word;

/// The settings of one table.
#[derive(Clone, Copy)]
pub(in crate::policy) struct Table<'a> {
    pub(in crate::policy) node: &'a Node,
    /// Of the table's name; what is missing in the table is reported here.
    pub(in crate::policy) place: &'a Place,
}

impl<'a> Table<'a> {
    /// The table in `node`, whose keys must be out of `known`. `None` if it is no table.
    pub(in crate::policy) fn new(
        node: &'a Node,
        place: &'a Place,
        known: &[&str],
        problems: &mut Problems,
    ) -> Option<Self> {
        let table = Self::any(node, place, problems)?;
        for entry in node.entries().iter().filter(|entry| !known.contains(&entry.key.as_str())) {
            problems.add(&entry.place, Code::UnknownKey, || {
                format!(
                    "{} is not a setting here: {}",
                    shown(&entry.key),
                    other_programs(&entry.key, known).unwrap_or_else(|| instead(&entry.key, known))
                )
            });
        }
        Some(table)
    }

    /// The table in `node`, with any keys.
    pub(in crate::policy) fn any(
        node: &'a Node,
        place: &'a Place,
        problems: &mut Problems,
    ) -> Option<Self> {
        if let Value::Table(_) = node.value {
            return Some(Self { node, place });
        }
        problems.add(&node.place, Code::BadValue, || {
            format!("found {}, where a table of settings is expected", found(&node.value))
        });
        None
    }

    pub(in crate::policy) fn get(&self, key: &str) -> Option<&'a Node> {
        self.node.get(key)
    }

    /// The value of `key`; if it is missing, a problem.
    pub(in crate::policy) fn required(
        &self,
        key: &str,
        why: &str,
        problems: &mut Problems,
    ) -> Option<&'a Node> {
        let node = self.get(key);
        if node.is_none() {
            problems.add(self.place, Code::MissingValue, || format!("`{key}` is missing: {why}"));
        }
        node
    }

    /// The word at `key`, or the default.
    pub(in crate::policy) fn word<W: Word + Default>(
        &self,
        key: &str,
        problems: &mut Problems,
    ) -> W {
        self.get(key).and_then(|node| word(node, key, problems)).unwrap_or_default()
    }

    pub(in crate::policy) fn bool(
        &self,
        key: &str,
        default: bool,
        problems: &mut Problems,
    ) -> bool {
        let Some(node) = self.get(key) else { return default };
        if let Value::Bool(value) = node.value {
            return value;
        }
        problems.add(&node.place, Code::BadValue, || {
            format!("`{key}` is {}: write true or false", found(&node.value))
        });
        default
    }

    /// A whole number in `range` at `key`.
    pub(in crate::policy) fn number<N>(
        &self,
        key: &str,
        range: std::ops::RangeInclusive<N>,
        code: Code,
        problems: &mut Problems,
    ) -> Option<N>
    where
        N: TryFrom<i128> + PartialOrd + std::fmt::Display,
    {
        number(self.get(key)?, key, range, code, problems)
    }
}

/// Settings of other programs (Envoy, Kong, Traefik, Limitador, APISIX, express-rate-limit), the
/// setting that has their meaning here, and what to write.
const OTHER_PROGRAMS: &[(&[&str], &str, &str)] = &[
    (
        &["average", "count", "limit", "max", "max_value", "rate", "requests", "requests_per_unit"],
        "quota",
        "write `quota = \"600/min burst 100\"`",
    ),
    (
        &[
            "burst",
            "duration",
            "interval",
            "per",
            "period",
            "seconds",
            "time_window",
            "unit",
            "window",
            "windowms",
        ],
        "quota",
        "write rate, period and burst in one text, `quota = \"600/min burst 100\"`",
    ),
    (
        &["second", "minute", "hour", "day"],
        "quota",
        "write the number and the period in one text, `quota = \"600/min\"`",
    ),
    (&["by", "identifier", "key_by", "key_type", "limit_by", "source"], "key", "write `key`"),
    (&["rejected_code", "error_code", "statuscode", "status_code"], "status", "write `status`"),
    (
        &["dry_run", "dryrun", "enabled", "shadow_mode"],
        "mode",
        "write `mode`, which is `enforce` or `shadow`",
    ),
    (&["methods", "verb"], "method", "write `method`, with one method or a list"),
    (&["paths", "pattern", "prefix", "uri", "url"], "path", "write `path`, with one pattern"),
    (&["domain", "domains", "hosts"], "host", "write `host`, with one host"),
    (&["limit", "policies", "policy"], "limits", "write `limits`"),
    (&["addr", "cidr", "ip", "network"], "address", "write `address`"),
    (&["apikey", "api-key", "token"], "api_key", "write `api_key`, with the SHA-256 of the key"),
    (&["banned", "deny", "denied"], "blocked", "write `blocked = true`"),
    (&["allow", "allowlist", "skip", "whitelist"], "exempt", "write `exempt = true`"),
    (&["proxies", "trusted", "trusted_ips"], "trusted_proxies", "write `trusted_proxies`"),
    (&["depth", "hops", "num_trusted_hops"], "trusted_hops", "write `trusted_hops`"),
    (
        &["key", "value", "rate_limit", "descriptors", "shadow_mode", "replaces"],
        "entries",
        "this is a setting of envoyproxy/ratelimit: write `entries` and `limits`",
    ),
    (
        &["descriptors", "domain", "middlewares", "namespace", "plugins"],
        "routes",
        "this is a setting of another program: write `[limits.NAME]` and `[[routes]]`",
    ),
];

/// What to write instead of a setting of another program.
fn other_programs(key: &str, known: &[&str]) -> Option<String> {
    let key = key.to_ascii_lowercase();
    let found = OTHER_PROGRAMS
        .iter()
        .find(|(others, ours, _)| others.contains(&key.as_str()) && known.contains(ours))?;
    Some(found.2.into())
}

/// What kind of value it is, for a message. Texts are shown, so this is not for secrets.
pub(in crate::policy) fn found(value: &Value) -> String {
    match value {
        Value::Null => "nothing (null)".into(),
        Value::Bool(value) => format!("`{value}`"),
        Value::Number { text, .. } => format!("the number {}", shown(text)),
        Value::Text(text) => format!("the text {}", shown(text)),
        Value::Time(text) => format!("the time {}", shown(text)),
        Value::List(_) => "a list".into(),
        Value::Table(_) => "a table".into(),
    }
}

pub(in crate::policy) fn text<'a>(
    node: &'a Node,
    key: &str,
    problems: &mut Problems,
) -> Option<&'a str> {
    if let Value::Text(text) = &node.value {
        return Some(text);
    }
    problems.add(&node.place, Code::BadValue, || {
        format!("`{key}` is {}: write a text in quotes", found(&node.value))
    });
    None
}

pub(in crate::policy) fn word<W: Word>(
    node: &Node,
    key: &str,
    problems: &mut Problems,
) -> Option<W> {
    word_of(W::WORDS, node, key, problems)
}

/// The value of the word in `node`, which must be out of `words`.
pub(in crate::policy) fn word_of<W: Word>(
    words: &[(&str, W)],
    node: &Node,
    key: &str,
    problems: &mut Problems,
) -> Option<W> {
    if let Value::Text(text) = &node.value
        && let Some((_, value)) = words.iter().find(|(word, _)| word == text)
    {
        return Some(*value);
    }
    problems.add(&node.place, Code::BadValue, || {
        let words: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
        let hint = match &node.value {
            Value::Text(text) => instead(text, &words),
            _ => instead("", &words),
        };
        format!("`{key}` is {}: {hint}", found(&node.value))
    });
    None
}

pub(in crate::policy) fn number<N>(
    node: &Node,
    key: &str,
    range: std::ops::RangeInclusive<N>,
    code: Code,
    problems: &mut Problems,
) -> Option<N>
where
    N: TryFrom<i128> + PartialOrd + std::fmt::Display,
{
    if let Value::Number { integer: Some(integer), .. } = node.value
        && let Ok(number) = N::try_from(integer)
        && range.contains(&number)
    {
        return Some(number);
    }
    problems.add(&node.place, code, || {
        let (least, most) = range.into_inner();
        format!("`{key}` is {}: write a whole number from {least} to {most}", found(&node.value))
    });
    None
}

/// The items of a list. A single value is no list.
pub(in crate::policy) fn list<'a>(
    node: &'a Node,
    key: &str,
    example: &str,
    problems: &mut Problems,
) -> Option<&'a [Node]> {
    if let Value::List(items) = &node.value {
        return Some(items);
    }
    problems.add(&node.place, Code::BadValue, || {
        let list = match &node.value {
            Value::Text(text) => format!("[\"{}\"]", text.escape_debug()),
            Value::Number { text, .. } => format!("[{text}]"),
            _ => example.into(),
        };
        format!("`{key}` is {}: write a list, such as {}", found(&node.value), shown(&list))
    });
    None
}

/// The items of a list, each once. Those that are there already are reported; `what` names an
/// item.
pub(in crate::policy) fn once<T: Eq + Hash + Clone>(
    items: Vec<(T, &Node)>,
    what: impl Fn(&T) -> String,
    problems: &mut Problems,
) -> Vec<T> {
    let mut seen = HashSet::new();
    let mut is_new = |item: &T, node: &Node| {
        let is_new = seen.insert(item.clone());
        if !is_new {
            problems.add(&node.place, Code::DuplicateName, || {
                format!("{} is in this list twice", what(item))
            });
        }
        is_new
    };
    items.into_iter().filter(|(item, node)| is_new(item, node)).map(|(item, _)| item).collect()
}
