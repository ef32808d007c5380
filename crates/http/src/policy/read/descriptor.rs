//! Reading `[[descriptors]]`.

use super::Read;
use super::limit::readable_name;
use super::names::{Names, names};
use super::table::{Table, found, list, text};
use crate::policy::code::Code;
use crate::policy::message::shown;
use crate::policy::problems::Problems;
use crate::policy::settings::{DescriptorRule, EntryPattern, ValuePattern};
use crate::policy::source::{Node, Value};

pub(in crate::policy) const DESCRIPTOR: &[&str] =
    &["domain", "entries", "limits", "blocked", "as_request", "owe"];

/// An entry that is written as a table.
pub(in crate::policy) const ENTRY: &[&str] = &["key", "value", "like"];

/// The most entries of one rule.
const MOST_ENTRIES: usize = 32;

/// A rule. `None` if its domain or its entries cannot be read, so that it causes no further
/// problems.
pub(super) fn descriptor<'a>(
    node: &'a Node,
    limits: &Names<'_>,
    problems: &mut Problems,
) -> Option<Read<'a, DescriptorRule>> {
    let table = Table::new(node, &node.place, DESCRIPTOR, problems)?;
    let domain = table
        .required("domain", "write the domain of Envoy's configuration", problems)
        .and_then(|node| Some((text(node, "domain", problems)?, node)))
        .filter(|(name, node)| readable_name(name, "domain", &node.place, problems))
        .map(|(name, _)| name.to_owned());
    let why = "write those that a descriptor must have, such as `[\"remote_address\"]`";
    let entries = table.required("entries", why, problems).and_then(|node| entries(node, problems));
    let limits =
        table.get("limits").map(|node| names(node, "limits", limits, problems)).unwrap_or_default();
    let rule = DescriptorRule {
        domain: domain.clone().unwrap_or_default(),
        entries: entries.clone().unwrap_or_default(),
        limits,
        blocked: table.bool("blocked", false, problems),
        as_request: table.bool("as_request", false, problems),
        owe: table.bool("owe", false, problems),
    };
    contradictions(&table, &rule, problems);
    domain.and(entries).map(|_| Read { value: rule, table })
}

fn entries(node: &Node, problems: &mut Problems) -> Option<Vec<EntryPattern>> {
    let items = list(node, "entries", "[\"remote_address\"]", problems)?;
    if items.is_empty() || items.len() > MOST_ENTRIES {
        problems.add(&node.place, Code::BadValue, || {
            format!("`entries` has {} entries: write 1 to {MOST_ENTRIES}", items.len())
        });
        return None;
    }
    // Each is read, so that all mistakes are found.
    let entries: Vec<Option<EntryPattern>> =
        items.iter().map(|item| entry(item, problems)).collect();
    entries.into_iter().collect()
}

/// One entry: `key`, `key=value`, `key=prefix*`, or a table.
fn entry(node: &Node, problems: &mut Problems) -> Option<EntryPattern> {
    let (key, value) = match &node.value {
        Value::Text(text) => match text.split_once('=') {
            None => (text.as_str(), ValuePattern::Any),
            Some((key, value)) if value.contains('*') => (key, ValuePattern::Like(value.into())),
            Some((key, value)) => (key, ValuePattern::Exact(value.into())),
        },
        Value::Table(_) => return entry_table(node, problems),
        value => {
            problems.add(&node.place, Code::BadValue, || {
                format!(
                    "an entry is {}: write a text such as `key`, `key=value` or `key=prefix*`",
                    found(value)
                )
            });
            return None;
        }
    };
    let hint = if key.is_empty() {
        "the key is missing: write `key`, `key=value` or `key=prefix*`"
    } else if key.contains('*') {
        "an asterisk is only possible in the value: write `{ key = \"...\" }` if it is part of the \
         key"
    } else if value == ValuePattern::Exact(String::new()) {
        "the value is missing: leave `=` out for any value"
    } else {
        return Some(EntryPattern { key: key.into(), value });
    };
    problems
        .add(&node.place, Code::BadValue, || format!("an entry is {}: {hint}", found(&node.value)));
    None
}

/// An entry as a table, in which `=` and `*` have no meaning but in `like`.
fn entry_table(node: &Node, problems: &mut Problems) -> Option<EntryPattern> {
    let table = Table::new(node, &node.place, ENTRY, problems)?;
    let key = table.required("key", "write the key of the entry", problems);
    let key = key.and_then(|node| not_empty(node, "key", problems));
    let [value, like] = ["value", "like"]
        .map(|name| table.get(name).map(|node| (node, not_empty(node, name, problems))));
    let value = match (value, like) {
        (None, None) => Some(ValuePattern::Any),
        (Some((_, value)), None) => value.map(ValuePattern::Exact),
        (None, Some((_, like))) => like.map(ValuePattern::Like),
        (Some(_), Some((node, _))) => {
            problems.add(&node.place, Code::BothGiven, || {
                "`value` and `like` are both given: write one of them".into()
            });
            None
        }
    };
    Some(EntryPattern { key: key?, value: value? })
}

fn not_empty(node: &Node, name: &str, problems: &mut Problems) -> Option<String> {
    let text = text(node, name, problems)?;
    if text.is_empty() {
        problems.add(&node.place, Code::BadValue, || {
            format!("`{name}` is {}: leave it out for any value", shown(text))
        });
    }
    Some(text.to_owned()).filter(|text| !text.is_empty())
}

fn contradictions(table: &Table<'_>, rule: &DescriptorRule, problems: &mut Problems) {
    let has_limits = !rule.limits.is_empty();
    let mut contradiction = |key: &str, message: &str| {
        let place = table.get(key).map_or(table.place, |node| &node.place);
        problems.add(place, Code::Contradiction, || message.into());
    };
    if rule.blocked && has_limits {
        contradiction("limits", "the rule is blocked, so no limit holds for it: remove `limits`");
    }
    if rule.as_request && has_limits {
        contradiction(
            "limits",
            "the rule is decided as a request, so its limits are those of the route: remove `limits`",
        );
    }
    if rule.blocked && rule.as_request {
        contradiction("as_request", "the rule is blocked and as a request: write one of them");
    }
    if rule.owe && !has_limits {
        problems.warn(table.node.place_of("owe"), Code::UnusedSetting, || {
            "`owe` has no effect: the rule has no limits of its own".into()
        });
    }
}
