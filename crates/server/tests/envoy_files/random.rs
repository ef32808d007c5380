//! Random trees: the policy that a file becomes finds the limits, and counts in the buckets, that a
//! walk through the tree does as envoyproxy/ratelimit walks.

use std::collections::HashMap;
use std::fmt::Write as _;

use proptest::prelude::*;
use tollgate_http::HttpLimiter;

use crate::{policy, told};

/// An item of `descriptors`.
#[derive(Clone, Debug)]
struct Node {
    key: &'static str,
    value: Option<&'static str>,
    share: bool,
    limit: Limit,
    inner: Vec<Node>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Limit {
    None,
    Unlimited,
    /// So many requests; each limit of a tree has a number of its own.
    Requests(u32),
}

fn node(inner: impl Strategy<Value = Vec<Node>>) -> impl Strategy<Value = Node> {
    let values = vec![
        None,
        None,
        Some("x"),
        Some("xy"),
        Some("y"),
        Some("x*"),
        Some("*"),
        Some("*y"),
        Some("x*y"),
        Some("x*x*y"),
    ];
    let limits = vec![
        Limit::None,
        Limit::Unlimited,
        Limit::Requests(0),
        Limit::Requests(1),
        Limit::Requests(1),
        Limit::Requests(1),
    ];
    let key = prop::sample::select(vec!["a", "b", "c"]);
    let value = prop::sample::select(values);
    let limit = prop::sample::select(limits);
    (key, value, any::<bool>(), limit, inner).prop_map(|(key, value, share, limit, inner)| Node {
        key,
        value,
        share: share && value.is_some_and(|value| value.contains('*')),
        limit,
        inner,
    })
}

fn trees() -> impl Strategy<Value = Vec<Node>> {
    let leaves = prop::collection::vec(node(Just(Vec::new())), 0..4);
    let middle = prop::collection::vec(node(leaves), 0..4);
    prop::collection::vec(node(middle), 1..6)
}

/// Removes what is there twice, and gives each limit a number of its own.
fn tidy(nodes: &mut Vec<Node>, next: &mut u32) {
    let mut seen = Vec::new();
    nodes.retain(|node| {
        let is_new = !seen.contains(&(node.key, node.value));
        seen.push((node.key, node.value));
        is_new
    });
    for node in nodes {
        if let Limit::Requests(1..) = node.limit {
            *next += 1;
            node.limit = Limit::Requests(*next);
        }
        tidy(&mut node.inner, next);
    }
}

fn yaml(nodes: &[Node], indent: usize, out: &mut String) {
    let pad = " ".repeat(indent);
    for node in nodes {
        let _ = writeln!(out, "{pad}- key: {}", node.key);
        if let Some(value) = node.value {
            let _ = writeln!(out, "{pad}  value: \"{value}\"");
        }
        if node.share {
            let _ = writeln!(out, "{pad}  share_threshold: true");
        }
        match node.limit {
            Limit::None => {}
            Limit::Unlimited => {
                let _ = writeln!(out, "{pad}  rate_limit: {{ unlimited: true }}");
            }
            Limit::Requests(most) => {
                let _ =
                    writeln!(out, "{pad}  rate_limit: {{ unit: day, requests_per_unit: {most} }}");
            }
        }
        if !node.inner.is_empty() {
            let _ = writeln!(out, "{pad}  descriptors:");
            yaml(&node.inner, indent + 4, out);
        }
    }
}

/// Whether a name matches a pattern in which `*` stands for any text.
fn matches(pattern: &str, name: &str) -> bool {
    let Some((start, rest)) = pattern.split_once('*') else { return pattern == name };
    let Some(name) = name.strip_prefix(start) else { return false };
    (0..=name.len()).any(|at| name.is_char_boundary(at) && matches(rest, &name[at..]))
}

/// The limit of a descriptor and the key of its counter, by a walk through the tree: at each level
/// the exact value, else the first pattern that matches, else the key alone. What was chosen stays
/// chosen, and only a limit at the last entry counts.
fn walk(nodes: &[Node], entries: &[(&str, &str)]) -> Option<(Limit, Vec<String>)> {
    let mut level = nodes;
    let mut key = Vec::new();
    for (index, (name, value)) in entries.iter().enumerate() {
        let of_key = || level.iter().filter(|node| node.key == *name);
        let exact = of_key().find(|node| node.value == Some(*value));
        let like = || {
            let patterns = of_key().filter(|node| node.value.is_some_and(|v| v.contains('*')));
            patterns.into_iter().find(|node| matches(node.value.unwrap_or_default(), value))
        };
        let node = exact.or_else(like).or_else(|| of_key().find(|node| node.value.is_none()))?;
        key.push(if node.share { node.value.unwrap_or_default() } else { value }.to_owned());
        if index + 1 == entries.len() {
            return Some((node.limit, key)).filter(|(limit, _)| *limit != Limit::None);
        }
        level = &node.inner;
    }
    None
}

fn descriptors() -> impl Strategy<Value = Vec<Vec<(&'static str, &'static str)>>> {
    let entry = (
        prop::sample::select(vec!["a", "b", "c"]),
        prop::sample::select(vec!["", "x", "xy", "y", "xx", "xxy", "xyxy", "*", "z"]),
    );
    prop::collection::vec(prop::collection::vec(entry, 1..5), 40)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn a_policy_does_what_a_walk_through_the_tree_does(
        tree in trees(), descriptors in descriptors()
    ) {
        let mut tree = tree;
        tidy(&mut tree, &mut 1);
        let mut text = String::from("domain: d\ndescriptors:\n");
        yaml(&tree, 2, &mut text);
        let policy = match policy(&text) {
            Ok(policy) => policy,
            Err(error) => {
                // The one thing that can't be kept.
                let is_known = |told: &str| told.contains("`share_threshold` can't be kept here");
                prop_assert!(error.to_string().lines().all(is_known), "{text}\n{error}");
                return Ok(());
            }
        };
        let limiter = HttpLimiter::new(&policy).unwrap();
        let mut buckets: HashMap<String, (Limit, Vec<String>)> = HashMap::new();
        for entries in descriptors {
            let told = told(&limiter, "d", &entries);
            match walk(&tree, &entries) {
                None => prop_assert!(
                    told == "nothing" || told == "unlimited" || told == "unknown domain",
                    "{entries:?} gets {told}:\n{text}"
                ),
                Some((Limit::None | Limit::Unlimited, _)) => {
                    prop_assert_eq!(told, "unlimited", "{:?}:\n{}", entries, text);
                }
                Some((Limit::Requests(0), _)) => {
                    prop_assert_eq!(told, "blocked", "{:?}:\n{}", entries, text);
                }
                Some((Limit::Requests(most), key)) => {
                    let start = format!("{most}/day ");
                    prop_assert!(told.starts_with(&start), "{entries:?} gets {told}:\n{text}");
                    // One bucket is one counter, and the other way round.
                    let counter = (Limit::Requests(most), key);
                    let known = buckets.entry(told.clone()).or_insert_with(|| counter.clone());
                    prop_assert_eq!(&*known, &counter, "{:?}:\n{}", entries, text);
                    let same = buckets.iter().filter(|(_, other)| **other == counter).count();
                    prop_assert_eq!(same, 1, "{:?} has {}:\n{}", entries, told, text);
                }
            }
        }
    }
}
