//! Warnings about limits that never are the reason of a refusal, because another one always is.

use std::collections::{HashMap, HashSet};

use tollgate::Quota;

use super::cost;
use crate::policy::code::Code;
use crate::policy::message::shown;
use crate::policy::problems::Problems;
use crate::policy::read::Draft;
use crate::policy::settings::{Algorithm, Limit, Mode, Route};

/// So many limits of one route are compared with each other, so many pairs in all, and for each of
/// them so many combinations of tiers and subjects. Beyond that, a warning may be missing.
const MOST_LIMITS: usize = 16;
const MOST_PAIRS: usize = 200;
const MOST_COMBINATIONS: usize = 100_000;

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
        let limits: Vec<usize> = cost::limits(&route.value, draft)
            .filter_map(|name| by_name.get(name).copied())
            .take(MOST_LIMITS)
            .collect();
        for (&loose, &strict) in limits.iter().flat_map(|a| limits.iter().map(move |b| (a, b))) {
            let (Some(at), Some(other)) = (draft.limits.get(loose), draft.limits.get(strict))
            else {
                continue;
            };
            if loose == strict
                || !counts_the_same(&at.value, &other.value)
                || seen.len() >= MOST_PAIRS
                || !seen.insert((loose, strict))
            {
                continue;
            }
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

/// Whether both limits refuse by a token bucket, and have a bucket for each of the same keys.
fn counts_the_same(a: &Limit, b: &Limit) -> bool {
    let is_bucket =
        |limit: &Limit| limit.algorithm == Algorithm::TokenBucket && limit.mode == Mode::Enforce;
    is_bucket(a)
        && is_bucket(b)
        && a.key == b.key
        && a.missing == b.missing
        && a.ipv4_prefix == b.ipv4_prefix
        && a.ipv6_prefix == b.ipv6_prefix
        && a.max_keys == b.max_keys
        && a.when_full == b.when_full
}

/// Whether `strict`, which counts the same, refuses whenever `loose` does.
fn is_never_stricter(loose: &Limit, strict: &Limit, draft: &Draft<'_>) -> bool {
    is_looser_for_all(loose, strict, draft)
        && draft.routes.iter().all(|route| is_charged_with(loose, strict, &route.value, draft))
        && draft.descriptors.iter().all(|rule| {
            let has = |limit: &Limit| rule.value.limits.contains(&limit.name);
            !has(loose) || has(strict)
        })
        && (!draft.is_always(&loose.name) || draft.is_always(&strict.name))
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
    let of_subjects: Vec<(Option<Quota>, Option<Quota>)> = draft
        .subjects
        .iter()
        .map(|subject| {
            let quotas = &subject.value.limits;
            (find(quotas, loose), find(quotas, strict))
        })
        .filter(|(loose, strict)| loose.is_some() || strict.is_some())
        .collect();
    of_tiers.len().saturating_mul(of_subjects.len()) <= MOST_COMBINATIONS
        && of_tiers.iter().all(|(loose, strict)| is_looser(*loose, *strict))
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
    let is_always = |limit: &Limit| route.always && draft.is_always(&limit.name);
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
