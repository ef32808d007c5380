//! The settings of a table while it is built, and the places of a tree that was built.

use std::collections::HashSet;
use std::sync::Arc;

use crate::policy::code::Code;
use crate::policy::message::shown;
use crate::policy::print::key_text;
use crate::policy::problem::Place;
use crate::policy::problems::Problems;
use crate::policy::source::{Entry, Node, Value};

/// The place of a value until the whole tree is built.
const NOWHERE: Place = Place::Text { line: 0, column: 0 };

/// The settings of one table, in the order in which they were given.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Fields(Vec<Entry>);

impl Fields {
    /// Sets `key`. A later value replaces an earlier one.
    pub(super) fn set(&mut self, key: &str, value: impl Into<Value>) {
        self.unset(key);
        self.push(key, value);
    }

    pub(super) fn unset(&mut self, key: &str) {
        self.0.retain(|entry| entry.key != key);
    }

    /// Adds `key`, even if it is there already, which is a problem of the policy then.
    pub(super) fn push(&mut self, key: &str, value: impl Into<Value>) {
        let node = Node { value: value.into(), place: NOWHERE };
        self.0.push(Entry { key: key.into(), place: NOWHERE, node });
    }

    /// Adds `inner` to the table at `key`.
    pub(super) fn push_in(&mut self, key: &str, inner: &str, value: impl Into<Value>) {
        let mut table = Self::default();
        if let Some(at) = self.0.iter().position(|entry| entry.key == key)
            && let Value::Table(entries) = self.0.remove(at).node.value
        {
            table.0 = entries;
        }
        table.push(inner, value);
        self.push(key, table);
    }

    /// Adds all settings of `other`.
    pub(super) fn append(&mut self, mut other: Self) {
        self.0.append(&mut other.0);
    }

    /// Sorts the settings as `keys` are sorted, so that policies look alike.
    pub(super) fn sorted(mut self, keys: &[&str]) -> Self {
        self.0.sort_by_key(|entry| keys.iter().position(|key| *key == entry.key));
        self
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl From<Fields> for Value {
    fn from(fields: Fields) -> Self {
        Self::Table(fields.0)
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(text.into())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<bool> for Value {
    fn from(value: bool) -> Self {
        Self::Bool(value)
    }
}

impl From<u64> for Value {
    fn from(number: u64) -> Self {
        Self::Number { text: number.to_string(), integer: Some(number.into()) }
    }
}

impl<V: Into<Self>> FromIterator<V> for Value {
    fn from_iter<I: IntoIterator<Item = V>>(values: I) -> Self {
        let node = |value: V| Node { value: value.into(), place: NOWHERE };
        Self::List(values.into_iter().map(node).collect())
    }
}

/// Gives each value of a tree the way to it as its place, and reports keys that are there twice.
pub(super) fn placed(root: Fields, problems: &mut Problems) -> Node {
    let mut root = Node { value: root.into(), place: NOWHERE };
    Places { order: 0, problems }.node(&mut root, "");
    root
}

struct Places<'a> {
    order: u32,
    problems: &'a mut Problems,
}

impl Places<'_> {
    fn next(&mut self, path: &str) -> Place {
        self.order = self.order.saturating_add(1);
        Place::Code { order: self.order, path: Arc::from(path) }
    }

    fn node(&mut self, node: &mut Node, path: &str) {
        node.place = self.next(path);
        match &mut node.value {
            Value::List(items) => {
                for (index, item) in items.iter_mut().enumerate() {
                    self.node(item, &format!("{path}[{index}]"));
                }
            }
            Value::Table(entries) => {
                let mut seen = HashSet::new();
                entries.retain_mut(|entry| {
                    let dot = if path.is_empty() { "" } else { "." };
                    let path = format!("{path}{dot}{}", key_text(&entry.key));
                    entry.place = self.next(&path);
                    self.node(&mut entry.node, &path);
                    let is_new = seen.insert(entry.key.clone());
                    if !is_new {
                        let message = || format!("{} is there twice", shown(&entry.key));
                        self.problems.add(&entry.place, Code::DuplicateName, message);
                    }
                    is_new
                });
            }
            _ => {}
        }
    }
}
