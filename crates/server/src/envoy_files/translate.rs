//! From the tree of descriptors to limits and rules of a policy.

use std::collections::HashMap;
use std::time::Duration;

use tollgate_http::Quota;
use tollgate_http::policy::{Algorithm, Code, DescriptorRule, KeyPart, Limit, Mode, Place, shown};

use super::name::Names;
use super::notes::Notes;
use super::read::{Descriptor, File, Rate, RateLimit};

/// The longest text that all rules together may have: that of a policy.
const LONGEST: usize = 4 << 20;

/// What was made of the files so far.
#[derive(Default)]
pub(super) struct Translation {
    names: Names,
    domains: HashMap<String, Domain>,
    /// How long all rules are.
    length: usize,
}

/// A domain, which may be in several files.
struct Domain {
    place: Place,
    descriptors: Level,
}

/// The places of the descriptors in one list, by the names that ratelimit gives them.
type Level = HashMap<String, Place>;

impl Translation {
    /// Adds what a file says.
    pub(super) fn add(&mut self, file: &File, notes: &mut Notes<'_>) {
        let place = notes.place(file.domain_spot);
        let mut level = match self.domains.remove(&file.domain) {
            Some(known) => {
                let message = format!(
                    "the domain {} is also at {}: all descriptors of both hold, as in ratelimit \
                     with MERGE_DOMAIN_CONFIG",
                    shown(&file.domain),
                    known.place
                );
                notes.warning(file.domain_spot, Code::DuplicateName, message);
                known.descriptors
            }
            None => Level::new(),
        };
        let mut path = Vec::new();
        self.level(&file.domain, &file.descriptors, &mut level, &mut path, notes);
        self.domains.insert(file.domain.clone(), Domain { place, descriptors: level });
    }

    /// Adds the descriptors of one list, which stand below those of `path`.
    fn level<'a>(
        &mut self,
        domain: &str,
        descriptors: &'a [Descriptor],
        level: &mut Level,
        path: &mut Vec<&'a Descriptor>,
        notes: &mut Notes<'_>,
    ) {
        for descriptor in descriptors {
            let full_key = descriptor.full_key();
            if let Some(first) = level.get(&full_key) {
                let message = format!(
                    "ratelimit calls this descriptor {}, and the one at {first} too: write all of \
                     it there",
                    shown(&full_key)
                );
                notes.error(descriptor.spot, Code::DuplicateName, message);
                continue;
            }
            level.insert(full_key, notes.place(descriptor.spot));
            path.push(descriptor);
            if descriptor.limit.is_some() || descriptor.descriptors.is_empty() {
                self.rule(domain, path, descriptor, notes);
            }
            self.level(domain, &descriptor.descriptors, &mut Level::new(), path, notes);
            path.pop();
        }
    }

    /// Adds the rule for the descriptor at the end of the path.
    fn rule(
        &mut self,
        domain: &str,
        path: &[&Descriptor],
        last: &Descriptor,
        notes: &mut Notes<'_>,
    ) {
        let value = |descriptor: &Descriptor| descriptor.value.as_ref().map_or(0, String::len);
        let lengths = path.iter().map(|descriptor| descriptor.key.len() + value(descriptor));
        let was_short = self.length <= LONGEST;
        self.length += domain.len() + lengths.sum::<usize>();
        if self.length > LONGEST {
            if was_short {
                let message = format!("the policy is too long up to here: at most {LONGEST} bytes");
                notes.error(last.spot, Code::BadValue, message);
            }
            return;
        }
        let rule = path.iter().fold(DescriptorRule::new(domain), |rule, descriptor| {
            let key = &descriptor.key;
            match &descriptor.value {
                None => rule.entry(key),
                Some(value) if value.contains('*') => rule.entry_like(key, value),
                Some(value) => rule.entry_is(key, value),
            }
        });
        let rule = match last.limit.as_ref().map(|limit| (limit, limit.rate)) {
            None | Some((_, Rate::Unlimited)) => rule,
            Some((limit, Rate::Requests { most: 0, .. })) => {
                if limit.shadow_mode {
                    let message = "a limit of 0 with `shadow_mode` refuses nothing, and what it \
                                   would refuse is not counted here";
                    notes.warning(limit.spot, Code::UnusedSetting, message);
                    rule
                } else {
                    rule.blocked()
                }
            }
            Some((limit, Rate::Requests { most, seconds })) => {
                let name = self.names.give(&full_key(domain, path));
                let quota = Quota::per(most.into(), Duration::from_secs(seconds));
                let key = key(path, notes);
                notes.limit(limit.spot, self::limit(&name, quota, limit, key));
                rule.limits([name])
            }
        };
        notes.rule(last.spot, rule);
    }
}

fn limit(name: &str, quota: Quota, settings: &RateLimit, key: Vec<KeyPart>) -> Limit {
    let limit = Limit::new(name, quota).key(key).algorithm(Algorithm::FixedWindow);
    if settings.shadow_mode { limit.mode(Mode::Shadow) } else { limit }
}

/// What has a bucket of its own: in ratelimit each descriptor, but for values that share a
/// threshold. A value that is the same in all descriptors of a rule makes no difference.
fn key(path: &[&Descriptor], notes: &mut Notes<'_>) -> Vec<KeyPart> {
    let mut parts: Vec<KeyPart> = Vec::new();
    let is_own = |descriptor: &Descriptor| match &descriptor.value {
        Some(value) => value.contains('*') && !descriptor.share_threshold,
        None => true,
    };
    for descriptor in path.iter().filter(|descriptor| is_own(descriptor)) {
        let part = KeyPart::Entry(descriptor.key.as_str().into());
        let is_shared = |other: &&&Descriptor| other.share_threshold && other.key == descriptor.key;
        if let Some(shared) = path.iter().find(is_shared) {
            let message = format!(
                "`share_threshold` can't be kept here: a key of a limit has all values of {}, and \
                 another entry of that key is not shared",
                shown(&descriptor.key)
            );
            notes.error(shared.spot, Code::BadValue, message);
        }
        if !parts.contains(&part) {
            parts.push(part);
        }
    }
    parts
}

/// The name of a limit in the statistics of ratelimit.
fn full_key(domain: &str, path: &[&Descriptor]) -> String {
    let entries = path.iter().map(|descriptor| descriptor.full_key());
    std::iter::once(domain.to_owned()).chain(entries).collect::<Vec<_>>().join(".")
}
