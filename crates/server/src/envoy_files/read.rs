//! From the tree of a file to its domain and descriptors. What envoyproxy/ratelimit refuses is
//! refused here, too.

use tollgate_http::policy::{Code, instead, shown};

use super::notes::Notes;
use super::scalar::{Meaning, found, meaning};
use super::table::Table;
use super::tree::{Node, Spot, Value};

/// What a file says.
pub(super) struct File {
    pub(super) domain: String,
    pub(super) domain_spot: Spot,
    pub(super) descriptors: Vec<Descriptor>,
}

/// An item of `descriptors`.
pub(super) struct Descriptor {
    pub(super) spot: Spot,
    pub(super) key: String,
    pub(super) value: Option<String>,
    pub(super) share_threshold: bool,
    pub(super) limit: Option<RateLimit>,
    pub(super) descriptors: Vec<Descriptor>,
}

/// A `rate_limit`, with the settings beside it that are about it.
pub(super) struct RateLimit {
    pub(super) spot: Spot,
    pub(super) rate: Rate,
    pub(super) shadow_mode: bool,
}

/// How much passes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Rate {
    Unlimited,
    /// So many requests in a window of so many seconds.
    Requests {
        most: u32,
        seconds: u64,
    },
}

const ROOT: &[&str] = &["domain", "descriptors"];

const DESCRIPTOR: &[&str] = &[
    "key",
    "value",
    "rate_limit",
    "descriptors",
    "shadow_mode",
    "quota_mode",
    "detailed_metric",
    "value_to_metric",
    "share_threshold",
    "metadata",
];

const RATE_LIMIT: &[&str] = &["unit", "requests_per_unit", "unlimited", "name", "replaces"];

/// The units and their seconds.
pub(super) const UNITS: [(&str, u64); 7] = [
    ("second", 1),
    ("minute", 60),
    ("hour", 3600),
    ("day", 86_400),
    ("week", 7 * 86_400),
    ("month", 30 * 86_400),
    ("year", 365 * 86_400),
];

/// Whether a tree has a domain and nothing that only another file would have.
pub(super) fn is_a_file(root: &Node) -> bool {
    let Value::Table(pairs) = &root.value else { return false };
    let is_key =
        |key: &Node, name: &str| matches!(&key.value, Value::Scalar { text, .. } if text == name);
    pairs.iter().any(|(key, _)| is_key(key, "domain"))
        && pairs.iter().all(|(key, _)| ROOT.iter().any(|name| is_key(key, name)))
}

/// The file whose tree this is. `None` if it has no domain.
pub(super) fn file(root: &Node, notes: &mut Notes<'_>) -> Option<File> {
    if let Some(spot) = manifest(root) {
        let message = "this is a manifest of Kubernetes: write the text inside of it, which begins \
                       with `domain:`, to a file of its own";
        notes.error(spot, Code::Syntax, message);
        return None;
    }
    let table = Table::new(root, "the file", ROOT, notes)?;
    let descriptors = descriptors(&table, notes);
    let domain = table.text("domain", notes);
    if domain.is_none() && table.get("domain").is_none() {
        no_domain(table.spot, notes);
    }
    let domain_spot = table.spot_of("domain");
    Some(File { domain: domain?.to_owned(), domain_spot, descriptors })
}

/// The place of the key that all manifests of Kubernetes have: these files are often inside of one.
fn manifest(root: &Node) -> Option<Spot> {
    let Value::Table(pairs) = &root.value else { return None };
    let is_api =
        |key: &Node| matches!(&key.value, Value::Scalar { text, .. } if text == "apiVersion");
    pairs.iter().find(|(key, _)| is_api(key)).map(|(key, _)| key.spot)
}

/// Reports a file without domain.
pub(super) fn no_domain(spot: Spot, notes: &mut Notes<'_>) {
    let message = "`domain` is missing: write the one of the filter in Envoy's configuration";
    notes.error(spot, Code::MissingValue, message);
}

fn descriptors(table: &Table<'_>, notes: &mut Notes<'_>) -> Vec<Descriptor> {
    let items = table.list("descriptors", notes);
    items.into_iter().filter_map(|node| descriptor(node, notes)).collect()
}

fn descriptor(node: &Node, notes: &mut Notes<'_>) -> Option<Descriptor> {
    let table = Table::new(node, "a descriptor", DESCRIPTOR, notes)?;
    let key = table.text("key", notes);
    if key.is_none() && table.get("key").is_none_or(|(_, node)| meaning(node) == Meaning::Text) {
        let message = "`key` is missing: write the key of the descriptor's entry";
        notes.error(table.spot_of("key"), Code::MissingValue, message);
    }
    let value = table.text("value", notes);
    if let Some(key) = key.filter(|key| key.contains('*')) {
        let message = format!(
            "the key {} has an asterisk, which would stand for parts of keys in ratelimit: here it \
             is only possible in `value`",
            shown(key)
        );
        notes.error(table.spot_of("key"), Code::BadValue, message);
    }
    let share_threshold = table.bool("share_threshold", notes);
    if share_threshold && !value.is_some_and(|value| value.contains('*')) {
        let message = "`share_threshold` is only possible beside a `value` with an asterisk";
        notes.error(table.spot_of("share_threshold"), Code::Contradiction, message);
    }
    let limit = rate_limit(&table, notes);
    unused(&table, notes);
    let descriptors = descriptors(&table, notes);
    Some(Descriptor {
        spot: table.spot,
        key: key?.to_owned(),
        value: value.map(str::to_owned),
        share_threshold,
        limit,
        descriptors,
    })
}

/// Tells of settings that have no effect here.
fn unused(table: &Table<'_>, notes: &mut Notes<'_>) {
    for (key, message) in [
        (
            "detailed_metric",
            "metrics have the name of the limit and no value of a request, which a client could \
             choose",
        ),
        (
            "value_to_metric",
            "metrics have the name of the limit and no value of a request, which a client could \
             choose",
        ),
        (
            "quota_mode",
            "a descriptor that is over its limit refuses the request by itself, and does not wait \
             for all descriptors with `quota_mode` to be over theirs",
        ),
    ] {
        if table.bool(key, notes) {
            notes.unused(table.spot_of(key), key, message);
        }
    }
    if let Some((_, node)) = table.get("metadata") {
        if meaning(node) == Meaning::Table {
            let message = "it is not sent to Envoy as dynamic metadata";
            notes.unused(node.spot, "metadata", message);
        } else {
            let message = format!("`metadata` is {}: write a table", found(node));
            notes.error(node.spot, Code::BadValue, message);
        }
    }
}

fn rate_limit(descriptor: &Table<'_>, notes: &mut Notes<'_>) -> Option<RateLimit> {
    let shadow_mode = descriptor.bool("shadow_mode", notes);
    let Some((_, node)) = descriptor.get("rate_limit") else {
        if shadow_mode {
            let message = "there is no `rate_limit` beside it, so it has no effect";
            notes.unused(descriptor.spot_of("shadow_mode"), "shadow_mode", message);
        }
        return None;
    };
    let table = Table::new(node, "`rate_limit`", RATE_LIMIT, notes)?;
    let unlimited = table.bool("unlimited", notes);
    let requests = table.number("requests_per_unit", notes);
    let unit = unit(&table, unlimited, notes);
    replaces(&table, notes);
    let rate = if unlimited {
        Rate::Unlimited
    } else {
        if table.get("requests_per_unit").is_none() {
            let message = "`requests_per_unit` is missing, which is 0 for ratelimit: such \
                           descriptors are always refused";
            notes.warning(table.spot, Code::MissingValue, message);
        }
        Rate::Requests { most: requests.unwrap_or(0), seconds: unit? }
    };
    Some(RateLimit { spot: node.spot, rate, shadow_mode })
}

/// The seconds of the unit, which a limit has unless it is unlimited.
fn unit(table: &Table<'_>, unlimited: bool, notes: &mut Notes<'_>) -> Option<u64> {
    let unit = table.text("unit", notes);
    let lower = unit.map(str::to_ascii_lowercase).unwrap_or_default();
    let known = UNITS.iter().find(|(name, _)| *name == lower).map(|(_, seconds)| *seconds);
    if unlimited {
        // Another word, such as `UNKNOWN`, is the unit of those who write all settings.
        if known.is_some() {
            let message = "`unit` and `unlimited` are both given: remove one of them";
            notes.error(table.spot_of("unit"), Code::BothGiven, message);
        }
        return None;
    }
    let names = UNITS.map(|(name, _)| name);
    if unit.is_none() && table.get("unit").is_none_or(|(_, node)| meaning(node) == Meaning::Text) {
        let message = format!("`unit` is missing: {}", instead("", &names));
        notes.error(table.spot_of("unit"), Code::MissingValue, message);
    }
    if let Some(unit) = unit.filter(|_| known.is_none()) {
        let message = format!("`unit` is {}: {}", shown(unit), instead(&lower, &names));
        notes.error(table.spot_of("unit"), Code::BadValue, message);
    }
    known
}

/// Checks the names that a limit replaces, and tells that it replaces nothing here.
fn replaces(table: &Table<'_>, notes: &mut Notes<'_>) {
    let own = table.text("name", notes);
    let items = table.list("replaces", notes);
    for node in &items {
        let Some(item) = Table::new(node, "an item of `replaces`", &["name"], notes) else {
            continue;
        };
        match item.text("name", notes) {
            None => {
                let message = "`name` is missing: write the name of the limit that is replaced";
                notes.error(item.spot_of("name"), Code::MissingValue, message);
            }
            name if name == own => {
                let message = "`replaces` has the name of this limit itself: write that of another";
                notes.error(item.spot_of("name"), Code::Contradiction, message);
            }
            Some(_) => {}
        }
    }
    if let Some(first) = items.first() {
        let message = "nothing is replaced: a request that has both descriptors is counted by both \
                       limits, and each of them can refuse it";
        notes.unused(first.spot, "replaces", message);
    }
}

impl Descriptor {
    /// The name that ratelimit gives it: its key, and its value if it has one.
    pub(super) fn full_key(&self) -> String {
        match &self.value {
            Some(value) => format!("{}_{value}", self.key),
            None => self.key.clone(),
        }
    }
}
