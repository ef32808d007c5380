//! Reading names of limits and tiers, and the parts of keys.

use std::collections::HashSet;

use super::table::{found, list, once, text};
use crate::policy::code::Code;
use crate::policy::message::{instead, shown};
use crate::policy::problem::Place;
use crate::policy::problems::Problems;
use crate::policy::settings::KeyPart;
use crate::policy::source::{Node, Value};
use crate::policy::words;

/// The parts of a key: one word or a list.
pub(super) fn key(node: &Node, problems: &mut Problems) -> Vec<KeyPart> {
    let nodes = match &node.value {
        Value::List(items) => items.as_slice(),
        _ => std::slice::from_ref(node),
    };
    let parts: Vec<(KeyPart, &Node)> =
        nodes.iter().filter_map(|node| Some((key_part(node, problems)?, node))).collect();
    if nodes.is_empty() {
        problems.add(&node.place, Code::BadValue, || {
            "`key` is an empty list: leave the key out, for one bucket for all".into()
        });
    }
    once(parts, |part| shown(&words::key::word(part)), problems)
}

fn key_part(node: &Node, problems: &mut Problems) -> Option<KeyPart> {
    if let Value::Text(text) = &node.value
        && let Some(part) = words::key::of(text)
    {
        return Some(part);
    }
    problems.add(&node.place, Code::BadValue, || {
        let mut known: Vec<&str> = words::key::WORDS.iter().map(|(word, _)| *word).collect();
        known.extend(["header:NAME", "entry:NAME"]);
        let hint = match &node.value {
            Value::Text(text) => match text.to_ascii_lowercase().as_str() {
                "addr" | "client-ip" | "client_ip" | "ip" | "ipaddress" | "remote_addr"
                | "remote_address" => "write `address`".into(),
                "apikey" | "api_key" | "credential" => "write `api-key`".into(),
                "consumer" => "write `user` or `caller`".into(),
                "endpoint" | "path" | "service" | "uri" => "write `route`".into(),
                "header" => "write `header:` and the name of the header".into(),
                "global" | "none" | "" => "leave the key out, for one bucket for all".into(),
                "entry" | "entry:" => "write `entry:` and the name of the entry".into(),
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
    let names = once(names, |name| shown(name), problems);
    names.into_iter().map(str::to_owned).collect()
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
