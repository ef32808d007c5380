//! Reading `[[subjects]]`.

use std::collections::HashMap;

use super::Read;
use super::limit::{Algorithms, quotas};
use super::names::Names;
use super::network::network;
use super::table::{Table, found, text};
use super::time::time;
use crate::policy::code::Code;
use crate::policy::problem::Place;
use crate::policy::problems::Problems;
use crate::policy::settings::{Subject, Who};
use crate::policy::source::{Node, Value};

pub(in crate::policy) const SUBJECT: &[&str] =
    &["user", "api_key", "address", "tier", "limits", "exempt", "blocked", "until"];

/// How the SHA-256 of an API key begins.
pub(in crate::policy) const HASH: &str = "sha256:";

pub(super) fn subject<'a>(
    node: &'a Node,
    limits: &Names<'_>,
    tiers: &Names<'_>,
    algorithms: &Algorithms<'_>,
    problems: &mut Problems,
) -> Option<Read<'a, Subject>> {
    let table = Table::new(node, &node.place, SUBJECT, problems)?;
    let who = who(&table, problems);
    let tier = table
        .get("tier")
        .and_then(|node| Some((text(node, "tier", problems)?, node)))
        .filter(|(name, node)| tiers.check(name, &node.place, problems))
        .map(|(name, _)| name.to_owned());
    let limits = table.get("limits").and_then(|node| {
        Table::any(node, &node.place, problems)?;
        Some(quotas(node, limits, algorithms, problems))
    });
    let subject = Subject {
        // Any subject will do if this one cannot be read: the policy has a problem anyway.
        who: who.clone().unwrap_or(Who::User(String::new())),
        tier,
        limits: limits.unwrap_or_default(),
        exempt: table.bool("exempt", false, problems),
        blocked: table.bool("blocked", false, problems),
        until: table.get("until").and_then(|node| time(node, "until", problems)),
    };
    contradictions(&table, &subject, problems);
    who.map(|_| Read { value: subject, table })
}

/// Whom the entry is about. `None` if that cannot be read.
fn who(table: &Table<'_>, problems: &mut Problems) -> Option<Who> {
    let given: Vec<(&str, &Node)> = ["user", "api_key", "address"]
        .into_iter()
        .filter_map(|key| Some((key, table.get(key)?)))
        .collect();
    if let [(first, _), (second, node), ..] = given.as_slice() {
        problems.add(&node.place, Code::BothGiven, || {
            format!("`{first}` and `{second}` are both given: write one entry for each of them")
        });
    }
    let Some((key, node)) = given.first() else {
        problems.add(table.place, Code::MissingValue, || {
            "whom this is about is missing: write `user`, `api_key` or `address`".into()
        });
        return None;
    };
    match *key {
        "user" => match text(node, "user", problems)? {
            "" => {
                let message = || "`user` is the text ``: write the name of a user".into();
                problems.add(&node.place, Code::BadValue, message);
                None
            }
            user => Some(Who::User(user.into())),
        },
        "api_key" => api_key(node, problems).map(Who::ApiKey),
        _ => address(node, problems),
    }
}

/// The SHA-256 of an API key. What is found is never shown: it may be the key.
fn api_key(node: &Node, problems: &mut Problems) -> Option<[u8; 32]> {
    let hash = match &node.value {
        Value::Text(text) => text.strip_prefix(HASH).and_then(hash),
        _ => None,
    };
    if hash.is_none() {
        problems.add(&node.place, Code::RawApiKey, || {
            "an API key stands in a policy only as its SHA-256: write `sha256:` and 64 hexadecimal \
             digits, which `printf %s \"$KEY\" | sha256sum` prints"
                .into()
        });
    }
    hash
}

fn hash(digits: &str) -> Option<[u8; 32]> {
    let mut hash = [0; 32];
    if digits.len() != 2 * hash.len() {
        return None;
    }
    for (byte, pair) in hash.iter_mut().zip(digits.as_bytes().chunks_exact(2)) {
        let digit = |index: usize| char::from(*pair.get(index)?).to_digit(16);
        *byte = u8::try_from(digit(0)? * 16 + digit(1)?).ok()?;
    }
    Some(hash)
}

fn address(node: &Node, problems: &mut Problems) -> Option<Who> {
    let (code, message) = match &node.value {
        Value::Text(text) => match network(text) {
            Ok(network) => return Some(Who::Address(network)),
            Err(error) => error,
        },
        value => {
            let found = found(value);
            (Code::BadAddress, format!("`address` is {found}: write a text such as \"10.0.0.0/8\""))
        }
    };
    problems.add(&node.place, code, || message);
    None
}

fn contradictions(table: &Table<'_>, subject: &Subject, problems: &mut Problems) {
    let mut contradiction = |key: &str, message: &str| {
        let place = table.get(key).map_or(table.place, |node| &node.place);
        problems.add(place, Code::Contradiction, || message.into());
    };
    if subject.exempt && subject.blocked {
        contradiction("blocked", "the subject is exempt and blocked: write one of them");
    }
    if subject.exempt && table.get("limits").is_some() {
        contradiction("limits", "the subject is exempt, so no limit holds for it: remove `limits`");
    }
    if subject.exempt && table.get("tier").is_some() {
        contradiction("tier", "the subject is exempt, so no tier holds for it: remove `tier`");
    }
    if table.get("until").is_some() && !subject.blocked {
        contradiction("until", "`until` is the end of `blocked = true`, which is not there");
    }
    let is_false =
        |key: &str| table.get(key).is_none_or(|node| matches!(node.value, Value::Bool(false)));
    let says_nothing = ["exempt", "blocked"].into_iter().all(is_false)
        && ["tier", "until"].into_iter().all(|key| table.get(key).is_none())
        && table
            .get("limits")
            .is_none_or(|node| matches!(&node.value, Value::Table(limits) if limits.is_empty()));
    if says_nothing {
        contradiction(
            "",
            "the entry says nothing: write `tier`, `limits`, `exempt = true` or `blocked = true`",
        );
    }
}

/// Reports the second entry about the same subject.
pub(super) fn duplicates(subjects: &[Read<'_, Subject>], problems: &mut Problems) {
    let mut seen: HashMap<&Who, &Place> = HashMap::new();
    for subject in subjects {
        let place = ["user", "api_key", "address"]
            .into_iter()
            .find_map(|key| subject.table.get(key))
            .map_or(subject.table.place, |node| &node.place);
        let Some(first) = seen.get(&subject.value.who) else {
            seen.insert(&subject.value.who, place);
            continue;
        };
        problems.add(place, Code::DuplicateSubject, || {
            let who = match &subject.value.who {
                Who::User(user) => format!("the user {}", crate::policy::message::shown(user)),
                Who::ApiKey(_) => "this API key".into(),
                Who::Address(network) => format!("the address `{network}`"),
            };
            format!("{who} has an entry already, at {first}: write all of it there")
        });
    }
}
