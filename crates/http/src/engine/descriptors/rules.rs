//! The rules of a policy for descriptors: a tree for each domain.
//!
//! For each entry of a descriptor, the exact value is tried first, then the patterns in the order
//! of the policy, then the key alone. What was chosen stays chosen, as in envoyproxy/ratelimit.

use hashbrown::HashMap;

use crate::policy::settings::{DescriptorRule, ValuePattern};

/// All rules of a policy.
#[derive(Default)]
pub(crate) struct Rules {
    /// The root of each domain, by its index in `nodes`.
    domains: HashMap<Box<str>, usize, ahash::RandomState>,
    nodes: Vec<Node>,
}

/// What is known after some entries of a descriptor.
#[derive(Default)]
struct Node {
    /// The rule for descriptors that end here.
    rule: Option<Rule>,
    /// By the key of the next entry.
    next: HashMap<Box<str>, Next, ahash::RandomState>,
}

/// Where the next entry leads, by its value.
#[derive(Default)]
struct Next {
    exact: HashMap<Box<str>, usize, ahash::RandomState>,
    like: Vec<(Box<str>, usize)>,
    any: Option<usize>,
}

/// What holds for a descriptor.
pub(super) struct Rule {
    pub(super) what: What,
    /// Whether hits above what is left become debt, as long as a permit is left.
    pub(super) owes: bool,
}

pub(super) enum What {
    /// These limits.
    Limits(Box<[u16]>),
    /// It is always over its limit.
    Blocked,
    /// It is decided as a request.
    Request,
}

/// What was found for a descriptor.
pub(super) enum Found<'a> {
    UnknownDomain,
    Nothing,
    Rule(&'a Rule),
}

impl Rules {
    /// The rules with the indices of their limits, which `limits` finds by their names.
    pub(crate) fn new(
        settings: &[DescriptorRule],
        limits: impl Fn(&[String]) -> Box<[u16]>,
    ) -> Self {
        let mut rules = Self::default();
        for rule in settings {
            let root = rules.domains.get(rule.domain.as_str()).copied();
            let mut at = root.unwrap_or_else(|| {
                let root = rules.add_node();
                rules.domains.insert(rule.domain.as_str().into(), root);
                root
            });
            for entry in &rule.entries {
                at = rules.step(at, &entry.key, &entry.value);
            }
            let what = if rule.blocked {
                What::Blocked
            } else if rule.as_request {
                What::Request
            } else {
                What::Limits(limits(&rule.limits))
            };
            if let Some(node) = rules.nodes.get_mut(at) {
                node.rule = Some(Rule { what, owes: rule.owe });
            }
        }
        rules
    }

    fn add_node(&mut self) -> usize {
        self.nodes.push(Node::default());
        self.nodes.len() - 1
    }

    /// The node behind an entry, which is added if it is new.
    fn step(&mut self, from: usize, key: &str, value: &ValuePattern) -> usize {
        let new = self.nodes.len();
        let Some(node) = self.nodes.get_mut(from) else { return new };
        let next = node.next.entry(key.into()).or_default();
        let to = match value {
            ValuePattern::Any => *next.any.get_or_insert(new),
            ValuePattern::Exact(value) => *next.exact.entry(value.as_str().into()).or_insert(new),
            ValuePattern::Like(like) => {
                let known = next.like.iter().find(|(pattern, _)| **pattern == **like);
                let known = known.map(|(_, to)| *to);
                if known.is_none() {
                    next.like.push((like.as_str().into(), new));
                }
                known.unwrap_or(new)
            }
        };
        if to == new {
            self.add_node();
        }
        to
    }

    /// The rule for a descriptor of a domain.
    pub(super) fn find(&self, domain: &str, entries: &[(&str, &str)]) -> Found<'_> {
        let Some(root) = self.domains.get(domain) else { return Found::UnknownDomain };
        let mut node = self.nodes.get(*root);
        for (key, value) in entries {
            let next = node.and_then(|node| node.next.get(*key)).and_then(|next| next.of(value));
            node = next.and_then(|to| self.nodes.get(to));
        }
        match node.and_then(|node| node.rule.as_ref()) {
            Some(rule) => Found::Rule(rule),
            None => Found::Nothing,
        }
    }

    /// The names of the domains.
    #[cfg(feature = "tracing")]
    pub(crate) fn domains(&self) -> impl Iterator<Item = &str> {
        self.domains.keys().map(|name| &**name)
    }
}

impl Next {
    fn of(&self, value: &str) -> Option<usize> {
        let like = || self.like.iter().find(|(pattern, _)| is_like(value, pattern));
        let like = || like().map(|(_, to)| *to);
        self.exact.get(value).copied().or_else(like).or(self.any)
    }
}

/// Whether a value matches a pattern, in which an asterisk stands for any text.
fn is_like(value: &str, pattern: &str) -> bool {
    let mut parts = pattern.split('*');
    let Some(rest) = parts.next().and_then(|first| value.strip_prefix(first)) else {
        return false;
    };
    // Without an asterisk, all of the value is the first part.
    let Some(last) = parts.next_back() else { return rest.is_empty() };
    let Some(mut rest) = rest.strip_suffix(last) else { return false };
    for part in parts {
        let Some((_, after)) = rest.split_once(part) else { return false };
        rest = after;
    }
    true
}

#[cfg(test)]
mod tests {
    use super::is_like;

    #[test]
    fn an_asterisk_stands_for_any_text() {
        for (pattern, value) in [
            ("a*", "a"),
            ("a*", "abc"),
            ("*c", "abc"),
            ("a*c", "ac"),
            ("a*b*c", "a.b.b.c"),
            ("*", ""),
            ("**", "x"),
            ("a**b", "ab"),
            ("ab", "ab"),
            ("/*/é*", "/x/éa"),
        ] {
            assert!(is_like(value, pattern), "{pattern} {value}");
        }
        for (pattern, value) in [
            ("a*", "b"),
            ("a*", ""),
            ("ab*ba", "aba"),
            ("a*b*c", "a.c.b"),
            ("a*b*c", "a.bc.b"),
            ("ab", "abc"),
            ("", "a"),
        ] {
            assert!(!is_like(value, pattern), "{pattern} {value}");
        }
    }
}
