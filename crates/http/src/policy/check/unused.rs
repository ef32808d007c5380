//! Warnings about what no request can meet.

use std::collections::HashSet;

use super::cost;
use crate::policy::code::Code;
use crate::policy::message::shown;
use crate::policy::problems::Problems;
use crate::policy::read::Draft;
use crate::policy::settings::Tier;
use crate::policy::source::Node;

/// Warns about limits that are not in `always`, on no route and on no descriptor.
pub(super) fn limits(draft: &Draft<'_>, problems: &mut Problems) {
    let on_routes = draft.routes.iter().flat_map(|route| &route.value.limits);
    let on_descriptors = draft.descriptors.iter().flat_map(|rule| &rule.value.limits);
    let others = on_routes.chain(on_descriptors);
    let used: HashSet<&String> = draft.always().iter().chain(others).collect();
    for limit in draft.limits.iter().filter(|limit| !used.contains(&limit.value.name)) {
        problems.warn(limit.place(), Code::UnusedLimit, || {
            format!(
                "nobody uses the limit {}: it is not in `always` and on no route",
                shown(&limit.value.name)
            )
        });
    }
}

/// Warns about tiers without quotas that neither `default_tier` nor a subject names: they change
/// nothing. (A tier with quotas may be one that the application gives to requests.)
pub(super) fn tiers(draft: &Draft<'_>, problems: &mut Problems) {
    let of_subjects = draft.subjects.iter().filter_map(|subject| subject.value.tier.as_deref());
    let used: HashSet<&str> = draft.default_tier().into_iter().chain(of_subjects).collect();
    let is_unused = |tier: &Tier| tier.quotas.is_empty() && !used.contains(tier.name.as_str());
    for tier in draft.tiers.iter().filter(|tier| is_unused(&tier.value)) {
        problems.warn(tier.place(), Code::UnusedTier, || {
            format!(
                "the tier {} changes nothing: it has no quota, it is not the default tier, and no \
                 subject has it",
                shown(&tier.value.name)
            )
        });
    }
}

/// Warns about costs of limits that the route does not have.
pub(super) fn costs(draft: &Draft<'_>, problems: &mut Problems) {
    for route in draft.routes.iter().filter(|route| !route.value.costs.is_empty()) {
        let limits: HashSet<&str> = cost::limits(&route.value, draft).collect();
        let costs = route.get("costs").map(Node::entries).unwrap_or_default();
        for entry in costs.iter().filter(|entry| !limits.contains(entry.key.as_str())) {
            problems.warn(&entry.place, Code::UnusedSetting, || {
                format!(
                    "this cost has no effect: the limit {} is not on the route {}",
                    shown(&entry.key),
                    shown(&route.value.name)
                )
            });
        }
    }
}

/// Warns about `charge` on routes without limits of their own: those of every request stay
/// charged.
pub(super) fn charges(draft: &Draft<'_>, problems: &mut Problems) {
    for route in draft.routes.iter().filter(|route| route.value.charge.is_some()) {
        let is_own = |name: &String| !route.value.always || !draft.is_always(name);
        if !route.value.limits.iter().any(is_own) {
            problems.warn(route.place_of("charge"), Code::UnusedSetting, || {
                format!(
                    "`charge` has no effect: the route {} has no limits of its own, and those of \
                     every request stay charged",
                    shown(&route.value.name)
                )
            });
        }
    }
}
