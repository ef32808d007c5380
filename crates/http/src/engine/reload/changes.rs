//! What is different between two policies.

use std::collections::HashMap;
use std::fmt;
use std::hash::Hash;

use tollgate::Quota;

use crate::policy::Policy;
use crate::policy::settings::{Limit, Settings, Tier};

/// How many names and quotas are shown of each list.
const MOST_SHOWN: usize = 8;

/// What a reload has changed; returned by [`HttpLimiter::reload`](crate::HttpLimiter::reload).
///
/// It is displayed as one line, such as `limits: 2 kept, 1 new (export); routes: 1 added`, or
/// `nothing has changed`. Long lists are shortened there.
///
/// ```
/// use tollgate_http::Policy;
/// use tollgate_http::reload::Changes;
///
/// let before: Policy = "version = 1\n[limits.a]\nquota = '1/s'".parse()?;
/// let after = "version = 1\n[limits.a]\nquota = '2/s'\n[limits.b]\nquota = '1/s'";
/// let after: Policy = after.parse()?;
/// let changes = Changes::between(&before, &after);
/// assert_eq!(changes.new_limits().collect::<Vec<_>>(), ["b"]);
/// assert_eq!(changes.quotas()[0].to, "2/s".parse()?);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    kept: Vec<String>,
    new: Vec<String>,
    ended: Vec<String>,
    restarted: Vec<String>,
    quotas: Vec<QuotaChange>,
    limit_settings: Changed,
    routes: Changed,
    tiers: Changed,
    subjects: Changed,
    descriptors: Changed,
    others: Vec<&'static str>,
}

/// How many entries of a list are different.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Changed {
    /// Entries that were not there before.
    pub added: usize,
    /// Entries that are not there any more.
    pub removed: usize,
    /// Entries that say something else.
    pub changed: usize,
}

/// A quota that is different.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct QuotaChange {
    /// The limit's name.
    pub limit: String,
    /// The tier for which the quota is different; `None` for the limit's own quota.
    pub tier: Option<String>,
    /// The quota before.
    pub from: Quota,
    /// The quota now.
    pub to: Quota,
}

impl Changes {
    /// What is different in `after`.
    #[must_use]
    pub fn between(before: &Policy, after: &Policy) -> Self {
        let (before, after) = (before.settings(), after.settings());
        let mut changes = Self::default();
        changes.compare_limits(before, after);
        let old_tiers = by(&before.tiers, |tier: &Tier| tier.name.as_str());
        for tier in &after.tiers {
            if let Some(old) = old_tiers.get(tier.name.as_str()) {
                changes.compare_quotas(old, tier, before, after);
            }
        }
        let route = |route: &crate::policy::settings::Route| route.name.clone();
        changes.routes = changed(&before.routes, &after.routes, route);
        changes.tiers = changed(&before.tiers, &after.tiers, |tier| tier.name.clone());
        changes.subjects = changed(&before.subjects, &after.subjects, |entry| entry.who.clone());
        let rule = |rule: &crate::policy::settings::DescriptorRule| {
            (rule.domain.clone(), rule.entries.clone())
        };
        changes.descriptors = changed(&before.descriptors, &after.descriptors, rule);
        let order = |settings: &Settings| -> Vec<String> {
            settings.routes.iter().map(|route| route.name.clone()).collect()
        };
        let is_reordered = changes.routes.added == 0
            && changes.routes.removed == 0
            && order(before) != order(after);
        changes.others = [
            ("mode", before.mode != after.mode),
            ("always", before.always != after.always),
            ("default_tier", before.default_tier != after.default_tier),
            ("client", before.client != after.client),
            ("order of routes", is_reordered),
            ("response", before.response != after.response),
            ("penalty", before.penalty != after.penalty),
        ]
        .into_iter()
        .filter_map(|(name, is_changed)| is_changed.then_some(name))
        .collect();
        changes
    }

    fn compare_limits(&mut self, before: &Settings, after: &Settings) {
        let old_limits = by(&before.limits, |limit: &Limit| limit.name.as_str());
        let new_limits = by(&after.limits, |limit: &Limit| limit.name.as_str());
        for limit in &after.limits {
            let name = limit.name.clone();
            let Some(old) = old_limits.get(limit.name.as_str()) else {
                self.new.push(name);
                continue;
            };
            if old.quota != limit.quota {
                let (from, to) = (old.quota, limit.quota);
                self.quotas.push(QuotaChange { limit: name.clone(), tier: None, from, to });
            }
            let other_quota = Limit { quota: limit.quota, ..(*old).clone() };
            if is_same(old, before, limit, after) {
                self.kept.push(name);
                self.limit_settings.changed += usize::from(other_quota != *limit);
            } else {
                self.restarted.push(name);
            }
        }
        let is_gone = |limit: &&Limit| !new_limits.contains_key(limit.name.as_str());
        self.ended = before.limits.iter().filter(is_gone).map(|limit| limit.name.clone()).collect();
    }

    /// Notes the quotas that a tier has changed, for limits that were there before.
    fn compare_quotas(&mut self, old: &Tier, new: &Tier, before: &Settings, after: &Settings) {
        let old_quotas: HashMap<_, _> = old.quotas.iter().map(|(name, q)| (name, *q)).collect();
        let new_quotas: HashMap<_, _> = new.quotas.iter().map(|(name, q)| (name, *q)).collect();
        let mut names: Vec<&String> = new_quotas.keys().chain(old_quotas.keys()).copied().collect();
        names.sort();
        names.dedup();
        for name in names {
            let own = |settings: &Settings| {
                let limit = settings.limits.iter().find(|limit| limit.name == *name)?;
                Some(limit.quota)
            };
            let from = old_quotas.get(name).copied().or_else(|| own(before));
            let to = new_quotas.get(name).copied().or_else(|| own(after));
            // The limit must be there before and after.
            let both = own(before).and(own(after)).and(from.zip(to));
            if let Some((from, to)) = both.filter(|(from, to)| from != to) {
                let (limit, tier) = (name.clone(), Some(new.name.clone()));
                self.quotas.push(QuotaChange { limit, tier, from, to });
            }
        }
    }

    /// Whether nothing has changed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self { kept: self.kept.clone(), ..Self::default() }
    }

    /// The limits that keep their levels.
    pub fn kept(&self) -> impl ExactSizeIterator<Item = &str> {
        self.kept.iter().map(String::as_str)
    }

    /// The limits that were not there before. They begin full.
    pub fn new_limits(&self) -> impl ExactSizeIterator<Item = &str> {
        self.new.iter().map(String::as_str)
    }

    /// The limits that are not there any more.
    pub fn ended(&self) -> impl ExactSizeIterator<Item = &str> {
        self.ended.iter().map(String::as_str)
    }

    /// The limits that begin full, because their key, their algorithm, their prefixes or what they
    /// do without room for a new key is different.
    pub fn restarted(&self) -> impl ExactSizeIterator<Item = &str> {
        self.restarted.iter().map(String::as_str)
    }

    /// The quotas that are different: those of limits, then those of tiers. Quotas of subjects are
    /// counted in [`subjects`](Self::subjects).
    #[must_use]
    pub fn quotas(&self) -> &[QuotaChange] {
        &self.quotas
    }

    /// How many limits that keep their levels have other settings beside their quota.
    #[must_use]
    pub fn limit_settings(&self) -> usize {
        self.limit_settings.changed
    }

    /// How many routes are different. Routes are compared by their names.
    #[must_use]
    pub fn routes(&self) -> Changed {
        self.routes
    }

    /// How many tiers are different.
    #[must_use]
    pub fn tiers(&self) -> Changed {
        self.tiers
    }

    /// How many subjects are different.
    #[must_use]
    pub fn subjects(&self) -> Changed {
        self.subjects
    }

    /// How many rules for descriptors are different. Rules are compared by their domains and
    /// entries.
    #[must_use]
    pub fn descriptors(&self) -> Changed {
        self.descriptors
    }

    /// The other parts of the policy that are different: `mode`, `always`, `default_tier`,
    /// `client`, `order of routes`, `response`, `penalty`.
    #[must_use]
    pub fn others(&self) -> &[&'static str] {
        &self.others
    }
}

/// Whether a limit keeps its levels (rule L3). What a limiter does without room for a key can't be
/// changed, so such a limit begins full too.
fn is_same(old: &Limit, before: &Settings, new: &Limit, after: &Settings) -> bool {
    let prefixes = |limit: &Limit, settings: &Settings| {
        let usual = settings.client.prefixes;
        (limit.ipv4_prefix.unwrap_or(usual.ipv4), limit.ipv6_prefix.unwrap_or(usual.ipv6))
    };
    old.key == new.key
        && old.algorithm == new.algorithm
        && prefixes(old, before) == prefixes(new, after)
        && old.when_full == new.when_full
}

fn by<'a, T, N: Eq + Hash>(list: &'a [T], name: impl Fn(&'a T) -> N) -> HashMap<N, &'a T> {
    list.iter().map(|entry| (name(entry), entry)).collect()
}

/// Compares two lists, entry by entry with the same name.
fn changed<T: PartialEq, N: Eq + Hash>(
    before: &[T],
    after: &[T],
    name: impl Fn(&T) -> N,
) -> Changed {
    let mut old = by(before, &name);
    let mut changed = Changed::default();
    for entry in after {
        match old.remove(&name(entry)) {
            None => changed.added += 1,
            Some(other) if other != entry => changed.changed += 1,
            Some(_) => {}
        }
    }
    changed.removed = old.len();
    changed
}

impl fmt::Display for Changes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_empty() {
            return f.write_str("nothing has changed");
        }
        write!(f, "limits: {} kept", self.kept.len())?;
        for (names, what) in
            [(&self.new, "new"), (&self.ended, "ended"), (&self.restarted, "restarted")]
        {
            if !names.is_empty() {
                write!(f, ", {} {what} ({})", names.len(), List(names))?;
            }
        }
        if self.limit_settings.changed > 0 {
            write!(f, ", {} with other settings", self.limit_settings.changed)?;
        }
        for change in self.quotas.iter().take(MOST_SHOWN) {
            write!(f, "; {change}")?;
        }
        if self.quotas.len() > MOST_SHOWN {
            write!(f, "; {} further quotas", self.quotas.len() - MOST_SHOWN)?;
        }
        let lists = [
            ("routes", self.routes),
            ("tiers", self.tiers),
            ("subjects", self.subjects),
            ("descriptors", self.descriptors),
        ];
        for (what, changed) in lists {
            if changed != Changed::default() {
                write!(f, "; {what}: {changed}")?;
            }
        }
        if !self.others.is_empty() {
            write!(f, "; changed: {}", self.others.join(", "))?;
        }
        Ok(())
    }
}

/// The first names of a list, and the number of the others.
struct List<'a>(&'a [String]);

impl fmt::Display for List<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, name) in self.0.iter().take(MOST_SHOWN).enumerate() {
            let joint = if index == 0 { "" } else { ", " };
            write!(f, "{joint}{name}")?;
        }
        match self.0.len().checked_sub(MOST_SHOWN) {
            Some(more) if more > 0 => write!(f, ", and {more} more"),
            _ => Ok(()),
        }
    }
}

impl fmt::Display for Changed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let counts = [(self.added, "added"), (self.removed, "removed"), (self.changed, "changed")];
        let mut joint = "";
        for (count, what) in counts.into_iter().filter(|(count, _)| *count > 0) {
            write!(f, "{joint}{count} {what}")?;
            joint = ", ";
        }
        Ok(())
    }
}

impl fmt::Display for QuotaChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "quota of `{}`", self.limit)?;
        if let Some(tier) = &self.tier {
            write!(f, " in the tier `{tier}`")?;
        }
        write!(f, ": {} -> {}", self.from, self.to)
    }
}
