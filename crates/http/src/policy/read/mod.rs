//! From a tree to settings. What is wrong with one value or table is found here; what is wrong
//! between tables is found in `check`.

pub(super) mod answer;
pub(super) mod client;
pub(super) mod descriptor;
pub(super) mod limit;
mod names;
mod network;
mod quota;
pub(super) mod route;
pub(super) mod subject;
pub(super) mod table;
pub(super) mod time;

use std::collections::HashSet;

use names::{Names, names};
use table::{Table, found, list, text};

use super::code::Code;
use super::message::shown;
use super::print::key_text;
use super::problem::Place;
use super::problems::Problems;
use super::settings::{DescriptorRule, Limit, Penalty, Response, Route, Settings, Subject, Tier};
use super::source::{Entry, Node, Value};
use crate::address::ClientAddress;

/// The keys of a policy.
pub(super) const POLICY: &[&str] = &[
    "version",
    "mode",
    "always",
    "default_tier",
    "client",
    "limits",
    "tiers",
    "subjects",
    "routes",
    "descriptors",
    "response",
    "penalty",
];

/// Tables of other programs in the same file: that of the service `tollgate`.
pub(super) const OTHERS: &[&str] = &[super::beside::TABLE];

/// The most limits, tiers and routes. Checks compare each route with each other one.
const MOST: usize = 1000;

/// What was read, and the table that it was read from.
pub(super) struct Read<'a, T> {
    pub(super) value: T,
    table: Table<'a>,
}

impl<T> Read<'_, T> {
    /// The place of the value of `key`, or of the table if it has no such key.
    pub(super) fn place_of(&self, key: &str) -> &Place {
        self.table.get(key).map_or(self.table.place, |node| &node.place)
    }

    /// The node of `key`.
    pub(super) fn get(&self, key: &str) -> Option<&Node> {
        self.table.get(key)
    }

    /// The place of the table.
    pub(super) fn place(&self) -> &Place {
        self.table.place
    }
}

/// What was read of a policy. Tables that could not be read are left out.
pub(super) struct Draft<'a> {
    /// Without its limits, tiers, subjects, routes and descriptors.
    rest: Settings,
    always: HashSet<String>,
    pub(super) limits: Vec<Read<'a, Limit>>,
    pub(super) tiers: Vec<Read<'a, Tier>>,
    pub(super) subjects: Vec<Read<'a, Subject>>,
    pub(super) routes: Vec<Read<'a, Route>>,
    pub(super) descriptors: Vec<Read<'a, DescriptorRule>>,
}

impl Draft<'_> {
    /// The names of the limits of every request.
    pub(super) fn always(&self) -> &[String] {
        &self.rest.always
    }

    /// Whether this is a limit of every request.
    pub(super) fn is_always(&self, limit: &str) -> bool {
        self.always.contains(limit)
    }

    pub(super) fn default_tier(&self) -> Option<&str> {
        self.rest.default_tier.as_deref()
    }

    pub(super) fn into_settings(self) -> Settings {
        Settings {
            limits: self.limits.into_iter().map(|limit| limit.value).collect(),
            tiers: self.tiers.into_iter().map(|tier| tier.value).collect(),
            subjects: self.subjects.into_iter().map(|subject| subject.value).collect(),
            routes: self.routes.into_iter().map(|route| route.value).collect(),
            descriptors: self.descriptors.into_iter().map(|rule| rule.value).collect(),
            ..self.rest
        }
    }
}

/// Reads a policy. `None` if it is no table.
pub(super) fn read<'a>(root: &'a Node, problems: &mut Problems) -> Option<Draft<'a>> {
    let known = [POLICY, OTHERS].concat();
    let table = Table::new(root, &root.place, &known, problems)?;
    version(&table, problems);
    let limit_names = Names::new(table.get("limits"), "limit", Code::UnknownLimit);
    let tier_names = Names::new(table.get("tiers"), "tier", Code::UnknownTier);
    let limits: Vec<Read<'a, Limit>> = tables(&table, "limits", problems)
        .into_iter()
        .filter_map(|entry| limit::limit(entry, problems))
        .collect();
    let algorithms =
        limits.iter().map(|limit| (limit.value.name.as_str(), limit.value.algorithm)).collect();
    let tiers = tables(&table, "tiers", problems)
        .into_iter()
        .filter_map(|entry| limit::tier(entry, &limit_names, &algorithms, problems))
        .collect();
    let subjects: Vec<Read<'a, Subject>> = items(&table, "subjects", usize::MAX, problems)
        .iter()
        .filter_map(|node| subject::subject(node, &limit_names, &tier_names, &algorithms, problems))
        .collect();
    subject::duplicates(&subjects, problems);
    let routes = items(&table, "routes", MOST, problems)
        .iter()
        .filter_map(|node| route::route(node, &limit_names, problems))
        .collect();
    let descriptors = items(&table, "descriptors", usize::MAX, problems)
        .iter()
        .filter_map(|node| descriptor::descriptor(node, &limit_names, problems))
        .collect();
    let rest = Settings {
        mode: table.word("mode", problems),
        always: table
            .get("always")
            .map(|node| names(node, "always", &limit_names, problems))
            .unwrap_or_default(),
        default_tier: table
            .get("default_tier")
            .and_then(|node| Some((text(node, "default_tier", problems)?, node)))
            .filter(|(name, node)| tier_names.check(name, &node.place, problems))
            .map(|(name, _)| name.to_owned()),
        client: entry(root, "client", problems)
            .map_or_else(ClientAddress::default, |entry| client::client(entry, problems)),
        limits: Vec::new(),
        tiers: Vec::new(),
        subjects: Vec::new(),
        routes: Vec::new(),
        descriptors: Vec::new(),
        response: entry(root, "response", problems)
            .map_or_else(Response::default, |entry| answer::response(entry, problems)),
        penalty: entry(root, "penalty", problems)
            .and_then(|entry| -> Option<Penalty> { answer::penalty(entry, problems) }),
    };
    let always = rest.always.iter().cloned().collect();
    Some(Draft { rest, always, limits, tiers, subjects, routes, descriptors })
}

/// The table at `key`.
fn entry<'a>(root: &'a Node, key: &str, problems: &mut Problems) -> Option<&'a Entry> {
    let entry = root.entries().iter().find(|entry| entry.key == key)?;
    is_no_list(key, &entry.node, problems).then_some(entry)
}

/// Reports a list, such as `[[client]]`, in the place of the table `name`.
fn is_no_list(name: &str, node: &Node, problems: &mut Problems) -> bool {
    let is_list = matches!(node.value, Value::List(_));
    if is_list {
        problems.add(&node.place, Code::BadValue, || {
            let (name, table) = (shown(name), shown(&format!("[{name}]")));
            format!("{name} is a list: write one table, in TOML {table}")
        });
    }
    !is_list
}

fn version(table: &Table<'_>, problems: &mut Problems) {
    let Some(node) = table.get("version") else {
        problems.add(table.place, Code::BadVersion, || {
            "`version` is missing: write `version = 1`".into()
        });
        return;
    };
    if !matches!(node.value, Value::Number { integer: Some(1), .. }) {
        problems.add(&node.place, Code::BadVersion, || {
            format!("`version` is {}: this program knows version 1", found(&node.value))
        });
    }
}

/// The named tables at `key`.
fn tables<'a>(table: &Table<'a>, key: &str, problems: &mut Problems) -> Vec<&'a Entry> {
    let Some(node) = table.get(key) else { return Vec::new() };
    match &node.value {
        Value::Table(entries) => {
            let entries = at_most(entries, key, MOST, &node.place, problems).iter();
            entries
                .filter(|entry| {
                    is_no_list(&format!("{key}.{}", key_text(&entry.key)), &entry.node, problems)
                })
                .collect()
        }
        value => {
            problems.add(&node.place, Code::BadValue, || {
                let found = found(value);
                format!("`{key}` is {found}: write one table for each, such as `[{key}.NAME]`")
            });
            Vec::new()
        }
    }
}

/// The list of tables at `key`.
fn items<'a>(table: &Table<'a>, key: &str, most: usize, problems: &mut Problems) -> &'a [Node] {
    let Some(node) = table.get(key) else { return &[] };
    if let Value::Table(_) = node.value {
        problems.add(&node.place, Code::BadValue, || {
            format!("{} is one table: write a list, in TOML `[[{key}]]`", shown(key))
        });
        return &[];
    }
    let items = list(node, key, "[]", problems).unwrap_or_default();
    at_most(items, key, most, &node.place, problems)
}

fn at_most<'a, T>(
    all: &'a [T],
    key: &str,
    most: usize,
    place: &Place,
    problems: &mut Problems,
) -> &'a [T] {
    let Some(too_many) = all.get(..most).filter(|_| all.len() > most) else { return all };
    problems.add(place, Code::BadValue, || {
        format!("`{key}` has {} entries: at most {most} are possible", all.len())
    });
    too_many
}
