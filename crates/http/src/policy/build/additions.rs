//! Limits and rules for descriptors that other files add to a policy.

use std::collections::HashMap;
use std::fmt;

use super::{DescriptorRule, Limit};
use crate::policy::code::Code;
use crate::policy::message::shown;
use crate::policy::problem::Place;
use crate::policy::problems::Problems;
use crate::policy::source::{Entry, Node, Value};

/// Limits and rules for descriptors that other files add to a policy, and what is wrong with those
/// files. Each part has its place there, a [`Place::File`], so problems name the right file.
///
/// ```
/// use tollgate_http::Quota;
/// use tollgate_http::policy::{Additions, DescriptorRule, Format, Limit, Place, Policy};
/// use tollgate_http::policy::SettingsReader;
///
/// let mut additions = Additions::default();
/// let place = Place::File { name: "edge.yaml".into(), line: 3, column: 5 };
/// additions.limit(&place, Limit::new("calls", Quota::per_minute(10)));
/// additions.descriptor(&place, DescriptorRule::new("edge").entry("user").limits(["calls"]));
///
/// let parse = |text: &str| {
///     let read = |_: Option<SettingsReader<'_>>| ((), additions.clone());
///     Policy::parse_with_additions(Format::Toml, text, "app.toml", &[], read)
/// };
/// assert!(parse("version = 1")?.0.to_string().contains("[limits.calls]"));
/// let error = parse("version = 1\n[limits.calls]\nquota = '1/s'").unwrap_err();
/// assert_eq!(
///     error.to_string(),
///     "edge.yaml:3:5: the limit `calls` is there already, at app.toml:2:9 [duplicate-name]",
/// );
/// # Ok::<(), tollgate_http::policy::PolicyError>(())
/// ```
#[derive(Clone)]
pub struct Additions {
    limits: Vec<Entry>,
    descriptors: Vec<Node>,
    problems: Problems,
}

impl Default for Additions {
    fn default() -> Self {
        Self { limits: Vec::new(), descriptors: Vec::new(), problems: Problems::new("") }
    }
}

impl Additions {
    /// Adds a limit. It is an error of the policy if there is one of this name.
    pub fn limit(&mut self, place: &Place, limit: Limit) {
        let node = at(place, Value::from(limit.fields));
        self.limits.push(Entry { key: limit.name, place: place.clone(), node });
    }

    /// Adds a rule behind those of the policy.
    pub fn descriptor(&mut self, place: &Place, rule: DescriptorRule) {
        self.descriptors.push(at(place, Value::from(rule.into_fields())));
    }

    /// Notes what is wrong.
    pub fn error(&mut self, place: &Place, code: Code, message: impl Into<String>) {
        self.problems.add(place, code, || message.into());
    }

    /// Notes what is no mistake, but should be known: it becomes one of the policy's
    /// [warnings](crate::policy::Policy::warnings).
    pub fn warning(&mut self, place: &Place, code: Code, message: impl Into<String>) {
        self.problems.warn(place, code, || message.into());
    }

    /// Adds everything to the tree of a policy. `None` stands for a text with syntax errors.
    pub(in crate::policy) fn add_to(self, root: Option<&mut Node>, problems: &mut Problems) {
        problems.append(self.problems);
        let Some(Value::Table(entries)) = root.map(|root| &mut root.value) else { return };
        if let Some(first) = self.limits.first().map(|limit| limit.place.clone())
            && let Value::Table(limits) = value_of("limits", Value::Table(vec![]), &first, entries)
        {
            add_limits(limits, self.limits, problems);
        }
        if let Some(first) = self.descriptors.first().map(|rule| rule.place.clone())
            && let Value::List(rules) =
                value_of("descriptors", Value::List(vec![]), &first, entries)
        {
            rules.extend(self.descriptors);
        }
    }
}

fn add_limits(limits: &mut Vec<Entry>, more: Vec<Entry>, problems: &mut Problems) {
    let place_of = |limit: &Entry| (limit.key.clone(), limit.place.clone());
    let mut places: HashMap<String, Place> = limits.iter().map(place_of).collect();
    for limit in more {
        if let Some(other) = places.get(&limit.key) {
            let other = problems.seen_from(&limit.place, other);
            problems.add(&limit.place, Code::DuplicateName, || {
                format!("the limit {} is there already, at {other}", shown(&limit.key))
            });
            continue;
        }
        let (key, place) = place_of(&limit);
        places.insert(key, place);
        limits.push(limit);
    }
}

/// The value of `key` in a table, which becomes `empty` if there is none.
fn value_of<'a>(
    key: &str,
    empty: Value,
    place: &Place,
    entries: &'a mut Vec<Entry>,
) -> &'a mut Value {
    let index = entries.iter().position(|entry| entry.key == key).unwrap_or_else(|| {
        let node = Node { value: empty, place: place.clone() };
        entries.push(Entry { key: key.into(), place: place.clone(), node });
        entries.len() - 1
    });
    &mut entries[index].node.value
}

/// A value whose parts all have this place.
fn at(place: &Place, value: Value) -> Node {
    let mut node = Node { value, place: place.clone() };
    put_at(place, &mut node);
    node
}

fn put_at(place: &Place, node: &mut Node) {
    node.place = place.clone();
    match &mut node.value {
        Value::List(items) => items.iter_mut().for_each(|item| put_at(place, item)),
        Value::Table(entries) => {
            for entry in entries {
                entry.place = place.clone();
                put_at(place, &mut entry.node);
            }
        }
        _ => {}
    }
}

impl fmt::Debug for Additions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Additions")
            .field("limits", &self.limits.iter().map(|limit| &limit.key).collect::<Vec<_>>())
            .field("descriptors", &self.descriptors.len())
            .finish_non_exhaustive()
    }
}
