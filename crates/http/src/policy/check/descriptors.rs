//! What must hold between the rules for descriptors and the limits.

use std::collections::HashMap;

use crate::policy::code::Code;
use crate::policy::message::shown;
use crate::policy::problem::Place;
use crate::policy::problems::Problems;
use crate::policy::read::{Draft, Read};
use crate::policy::settings::{DescriptorRule, EntryPattern, KeyPart, Limit, Missing};
use crate::policy::words;

/// Entries that are the client's address.
const ADDRESSES: [&str; 2] = ["remote_address", "masked_remote_address"];

/// Reports a rule that has the domain and the entries of another one.
pub(super) fn duplicates(draft: &Draft<'_>, problems: &mut Problems) {
    let mut seen: HashMap<(&str, &[EntryPattern]), &Place> = HashMap::new();
    for rule in &draft.descriptors {
        let what = (rule.value.domain.as_str(), rule.value.entries.as_slice());
        if let Some(first) = seen.get(&what) {
            let first = problems.seen_from(rule.place_of("entries"), first);
            problems.add(rule.place_of("entries"), Code::DuplicateName, || {
                format!("these entries have a rule already, at {first}: write all of it there")
            });
            continue;
        }
        seen.insert(what, rule.place_of("entries"));
    }
}

/// Reports a limit whose key has an entry that a request or a descriptor is without, and which does
/// not say what happens then.
pub(super) fn missing_parts(draft: &Draft<'_>, problems: &mut Problems) {
    let unset = |limit: &&Read<'_, Limit>| limit.value.missing.is_none();
    for limit in draft.limits.iter().filter(unset) {
        for part in &limit.value.key {
            let KeyPart::Entry(name) = part else { continue };
            let Some(whose) = without(name, &limit.value.name, draft) else { continue };
            problems.add(limit.place_of("key"), Code::MissingUnset, || {
                format!(
                    "{whose} are without {}, so `missing` must say what happens then: `address`, \
                     `skip`, `share` or `refuse`",
                    shown(&words::key::word(part))
                )
            });
            break;
        }
    }
}

/// Who has the limit and is without the entry.
fn without(entry: &str, limit: &str, draft: &Draft<'_>) -> Option<String> {
    let on_route = |route: &&Read<'_, _>| {
        let route: &crate::policy::settings::Route = &route.value;
        route.limits.iter().any(|name| name == limit)
    };
    if draft.is_always(limit) {
        return Some("requests".into());
    }
    if let Some(route) = draft.routes.iter().find(on_route) {
        return Some(format!("requests of the route {}", shown(&route.value.name)));
    }
    let rule = draft.descriptors.iter().find(|rule| {
        rule.value.limits.iter().any(|name| name == limit) && !has_entry(&rule.value, entry)
    });
    rule.map(|rule| format!("descriptors of the rule at {}", rule.place()))
}

fn has_entry(rule: &DescriptorRule, key: &str) -> bool {
    rule.entries.iter().any(|entry| entry.key == key)
}

/// Reports a limit that needs the address of a client, on a rule whose descriptors have none.
pub(super) fn addresses(draft: &Draft<'_>, problems: &mut Problems) {
    let limits: HashMap<&str, &Limit> =
        draft.limits.iter().map(|limit| (limit.value.name.as_str(), &limit.value)).collect();
    for rule in &draft.descriptors {
        if ADDRESSES.into_iter().any(|key| has_entry(&rule.value, key)) {
            continue;
        }
        let of_rule = rule.value.limits.iter().filter_map(|name| limits.get(name.as_str()));
        let mut in_need = of_rule.filter(|limit| needs_address(limit, &rule.value));
        if let Some(limit) = in_need.next() {
            problems.add(rule.place_of("limits"), Code::MissingValue, || {
                format!(
                    "the limit {} needs the client's address, which is not in `entries`: add \
                     `remote_address` there, or use a key such as `entry:NAME`",
                    shown(&limit.name)
                )
            });
        }
    }
}

fn needs_address(limit: &Limit, rule: &DescriptorRule) -> bool {
    limit.key.iter().any(|part| {
        let is_there = match part {
            KeyPart::Address => return true,
            KeyPart::Caller => {
                return !has_entry(rule, "user") && !has_entry(rule, "api_key");
            }
            KeyPart::User => has_entry(rule, "user"),
            KeyPart::ApiKey => has_entry(rule, "api_key"),
            KeyPart::Header(_) => false,
            KeyPart::Host => has_entry(rule, "host") || has_entry(rule, ":authority"),
            KeyPart::Entry(name) => has_entry(rule, name),
            KeyPart::Route | KeyPart::Method => true,
        };
        !is_there && limit.missing == Some(Missing::Address)
    })
}
