//! Warnings about limits that never are the reason of a refusal, because another one always is.

use std::collections::{HashMap, HashSet};

use tollgate::Quota;

use super::cost;
use crate::policy::code::Code;
use crate::policy::message::shown;
use crate::policy::problems::Problems;
use crate::policy::read::Draft;
use crate::policy::settings::{Algorithm, Limit, Mode, Route};

/// So many limits of one route are compared with each other, and so many pairs in all.
const MOST_LIMITS: usize = 16;
const MOST_PAIRS: usize = 2000;

/// Warns about each limit that is never stricter than another one with the same key.
pub(super) fn limits(draft: &Draft<'_>, problems: &mut Problems) {
    let by_name: HashMap<&str, usize> = draft
        .limits
        .iter()
        .enumerate()
        .map(|(index, limit)| (limit.value.name.as_str(), index))
        .collect();
    let (mut seen, mut told) = (HashSet::new(), HashSet::new());
    for route in &draft.routes {
        let limits: Vec<usize> = cost::limits(&route.value, draft.always())
            .filter_map(|name| by_name.get(name).copied())
            .take(MOST_LIMITS)
            .collect();
        for (&loose, &strict) in limits.iter().flat_map(|a| limits.iter().map(move |b| (a, b))) {
            if loose == strict || seen.len() >= MOST_PAIRS || !seen.insert((loose, strict)) {
                continue;
            }
            let (Some(at), Some(other)) = (draft.limits.get(loose), draft.limits.get(strict))
            else {
                continue;
            };
            // Of two equal limits, the later one is redundant.
            let is_never_stricter = is_never_stricter(&at.value, &other.value, draft)
                && (strict < loose || !is_never_stricter(&other.value, &at.value, draft));
            if is_never_stricter && told.insert(loose) {
                problems.warn(at.place(), Code::RedundantLimit, || {
                    format!(
                        "the limit {} is never the reason of a refusal: wherever it holds, {} has \
                         the same key and refuses first",
                        shown(&at.value.name),
                        shown(&other.value.name)
                    )
                });
            }
        }
    }
}

/// Whether `strict` refuses whenever `loose` does, and at the latest by its own count.
fn is_never_stricter(loose: &Limit, strict: &Limit, draft: &Draft<'_>) -> bool {
    let is_bucket =
        |limit: &Limit| limit.algorithm == Algorithm::TokenBucket && limit.mode == Mode::Enforce;
    let counts_the_same = loose.key == strict.key
        && loose.missing == strict.missing
        && loose.ipv4_prefix == strict.ipv4_prefix
        && loose.ipv6_prefix == strict.ipv6_prefix
        && loose.max_keys == strict.max_keys
        && loose.when_full == strict.when_full;
    is_bucket(loose)
        && is_bucket(strict)
        && counts_the_same
        && is_looser_for_all(loose, strict, draft)
        && draft.routes.iter().all(|route| is_charged_with(loose, strict, &route.value, draft))
        && (!draft.always().contains(&loose.name) || draft.always().contains(&strict.name))
}

/// Whether, for all tiers and subjects, `loose` has at least the rate and the burst of `strict`.
fn is_looser_for_all(loose: &Limit, strict: &Limit, draft: &Draft<'_>) -> bool {
    let find = |quotas: &[(String, Quota)], limit: &Limit| {
        quotas.iter().find(|(name, _)| *name == limit.name).map(|(_, quota)| *quota)
    };
    let tiers = draft.tiers.iter().map(|tier| tier.value.quotas.as_slice());
    let of_tiers: Vec<(Quota, Quota)> = std::iter::once(&[] as &[_])
        .chain(tiers)
        .map(|quotas| {
            let of = |limit| find(quotas, limit).unwrap_or(limit.quota);
            (of(loose), of(strict))
        })
        .collect();
    let of_subjects = draft.subjects.iter().filter_map(|subject| {
        let quotas = &subject.value.limits;
        let (loose, strict) = (find(quotas, loose), find(quotas, strict));
        (loose.is_some() || strict.is_some()).then_some((loose, strict))
    });
    of_tiers.iter().all(|(loose, strict)| is_looser(*loose, *strict))
        && of_subjects.into_iter().all(|(own_loose, own_strict)| {
            of_tiers.iter().all(|(loose, strict)| {
                is_looser(own_loose.unwrap_or(*loose), own_strict.unwrap_or(*strict))
            })
        })
}

fn is_looser(loose: Quota, strict: Quota) -> bool {
    if loose.is_unlimited() || strict.is_unlimited() {
        return loose.is_unlimited();
    }
    let rate = |quota: Quota, other: Quota| {
        u128::from(quota.permits()).checked_mul(other.period().as_nanos())
    };
    let is_faster = match (rate(loose, strict), rate(strict, loose)) {
        (Some(loose), Some(strict)) => loose >= strict,
        _ => false,
    };
    is_faster && loose.burst_size() >= strict.burst_size()
}

/// Whether each request of this route that is charged for `loose` is charged at least as much for
/// `strict`, and gets nothing of it back alone.
fn is_charged_with(loose: &Limit, strict: &Limit, route: &Route, draft: &Draft<'_>) -> bool {
    let is_always = |limit: &Limit| route.always && draft.always().contains(&limit.name);
    let has = |limit: &Limit| is_always(limit) || route.limits.contains(&limit.name);
    let cost = |limit: &Limit| {
        let own = route.costs.iter().find(|(name, _)| *name == limit.name);
        own.map_or(route.cost, |(_, cost)| *cost)
    };
    let is_given_back = |limit: &Limit| route.charge.is_some() && !is_always(limit);
    !has(loose)
        || (has(strict)
            && cost(strict) >= cost(loose)
            && (is_given_back(loose) || !is_given_back(strict)))
}
