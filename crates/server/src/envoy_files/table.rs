//! The settings of one table, as Go's `yaml.v2` finds them: merge keys are followed, and of a key
//! that is there twice, the last one counts.

use std::collections::{HashMap, HashSet};

use tollgate_http::policy::{Code, instead, shown};

use super::notes::Notes;
use super::scalar::{Meaning, found, meaning};
use super::tree::{Node, Spot, Value};

/// All keys that the files have anywhere.
const KEYS: &[&str] = &[
    "domain",
    "key",
    "value",
    "descriptors",
    "rate_limit",
    "unit",
    "requests_per_unit",
    "unlimited",
    "shadow_mode",
    "quota_mode",
    "name",
    "replaces",
    "detailed_metric",
    "value_to_metric",
    "share_threshold",
    "metadata",
];

/// The settings of one table.
pub(super) struct Table<'a> {
    settings: HashMap<&'a str, (Spot, &'a Node)>,
    pub(super) spot: Spot,
}

/// A merge key, `<<`.
#[derive(Clone, Copy)]
struct Merge<'b, 'a> {
    spot: Spot,
    /// The keys that stand before it in its table.
    before: &'b HashSet<&'a str>,
}

impl<'a> Table<'a> {
    /// The table in `node`, which may have the keys `own`. `what` names it. `None` if it is no
    /// table.
    pub(super) fn new(
        node: &'a Node,
        what: &str,
        own: &[&str],
        notes: &mut Notes<'_>,
    ) -> Option<Self> {
        if meaning(node) != Meaning::Table {
            let message =
                format!("{what} is {}: write a table, with `KEY: VALUE` lines", found(node));
            notes.error(node.spot, Code::BadValue, message);
            return None;
        }
        let mut table = Self { settings: HashMap::new(), spot: node.spot };
        table.add(node, None, notes);
        table.check(what, own, notes);
        Some(table)
    }

    /// Adds what a table has, or what a merge key brings. Each replaces what was there before.
    fn add(&mut self, node: &'a Node, merge: Option<Merge<'_, 'a>>, notes: &mut Notes<'_>) {
        let Value::Table(pairs) = &node.value else {
            let message = format!("`<<` is {}: write a table, or a list of tables", found(node));
            let spot = merge.map_or(node.spot, |merge| merge.spot);
            notes.error(spot, Code::BadValue, message);
            return;
        };
        let mut own = HashSet::new();
        for (key, value) in pairs {
            let Value::Scalar { text, plain } = &key.value else {
                notes.error(key.spot, Code::UnknownKey, format!("a key is {}", found(key)));
                continue;
            };
            if text == "<<" && *plain {
                let inner = Merge { spot: key.spot, before: &own };
                self.merge(value, merge.unwrap_or(inner), notes);
                continue;
            }
            if !own.insert(text.as_str()) {
                let message = format!("{} is there twice: the last one counts", shown(text));
                notes.warning(key.spot, Code::DuplicateName, message);
            }
            if let Some(merge) = merge.filter(|merge| merge.before.contains(text.as_str())) {
                let message = format!("`<<` replaces {}, which stands before it", shown(text));
                notes.warning(merge.spot, Code::DuplicateName, message);
            }
            self.settings.insert(text, (merge.map_or(key.spot, |merge| merge.spot), value));
        }
    }

    /// Follows a merge key. Of a list, the first table counts most. What stands before the merge key
    /// is replaced, which differs from what YAML says.
    fn merge(&mut self, value: &'a Node, merge: Merge<'_, 'a>, notes: &mut Notes<'_>) {
        match &value.value {
            Value::List(items) => {
                for item in items.iter().rev() {
                    self.add(item, Some(merge), notes);
                }
            }
            _ => self.add(value, Some(merge), notes),
        }
    }

    /// Notes keys that do not belong here.
    fn check(&self, what: &str, own: &[&str], notes: &mut Notes<'_>) {
        let mut others: Vec<_> =
            self.settings.iter().filter(|(key, _)| !own.contains(key)).collect();
        others.sort_by_key(|(_, (spot, _))| *spot);
        for (key, (spot, _)) in others {
            if KEYS.contains(key) {
                let message = format!(
                    "{} has no effect in {what}, neither here nor in ratelimit: possible are {}",
                    shown(key),
                    own.iter().map(|key| shown(key)).collect::<Vec<_>>().join(", ")
                );
                notes.warning(*spot, Code::UnusedSetting, message);
            } else {
                let message =
                    format!("{} is not a key of {what}: {}", shown(key), instead(key, own));
                notes.error(*spot, Code::UnknownKey, message);
            }
        }
    }

    /// The value of a key, and the place of the key. Nothing if it is empty.
    pub(super) fn get(&self, key: &str) -> Option<(Spot, &'a Node)> {
        self.settings.get(key).copied().filter(|(_, node)| meaning(node) != Meaning::Null)
    }

    /// The place of the value of a key, or of the table.
    pub(super) fn spot_of(&self, key: &str) -> Spot {
        self.get(key).map_or(self.spot, |(_, node)| node.spot)
    }

    /// The text of a key, which is not empty. A plain number with a fraction, or of more than 64
    /// bits, is refused, as in ratelimit.
    pub(super) fn text(&self, key: &str, notes: &mut Notes<'_>) -> Option<&'a str> {
        let (_, node) = self.get(key)?;
        let is_text = match meaning(node) {
            Meaning::Text | Meaning::Bool(_) => true,
            Meaning::Integer(number) => i64::try_from(number).is_ok(),
            Meaning::Null | Meaning::Float | Meaning::List | Meaning::Table => false,
        };
        if let Value::Scalar { text, .. } = &node.value
            && is_text
        {
            return Some(text.as_str()).filter(|text| !text.is_empty());
        }
        let message = format!("`{key}` is {}: write a text in quotes", found(node));
        notes.error(node.spot, Code::BadValue, message);
        None
    }

    pub(super) fn bool(&self, key: &str, notes: &mut Notes<'_>) -> bool {
        let Some((_, node)) = self.get(key) else { return false };
        if let Meaning::Bool(value) = meaning(node) {
            return value;
        }
        let message = format!("`{key}` is {}: write true or false", found(node));
        notes.error(node.spot, Code::BadValue, message);
        false
    }

    /// A whole number of at most 32 bits.
    pub(super) fn number(&self, key: &str, notes: &mut Notes<'_>) -> Option<u32> {
        let (_, node) = self.get(key)?;
        if let Meaning::Integer(number) = meaning(node)
            && let Ok(number) = u32::try_from(number)
        {
            return Some(number);
        }
        let most = u32::MAX;
        let message = format!("`{key}` is {}: write a whole number from 0 to {most}", found(node));
        notes.error(node.spot, Code::BadValue, message);
        None
    }

    /// The tables in the list of a key.
    pub(super) fn list(&self, key: &str, notes: &mut Notes<'_>) -> Vec<&'a Node> {
        let Some((_, node)) = self.get(key) else { return Vec::new() };
        if let Value::List(items) = &node.value {
            return items.iter().map(|item| &**item).collect();
        }
        let message =
            format!("`{key}` is {}: write a list, with `-` before each item", found(node));
        notes.error(node.spot, Code::BadValue, message);
        Vec::new()
    }
}
