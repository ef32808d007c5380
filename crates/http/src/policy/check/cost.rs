//! Costs that a limit could never pay: the request would be refused for ever.

use std::collections::HashMap;

use tollgate::Quota;

use crate::policy::Who;
use crate::policy::code::Code;
use crate::policy::message::shown;
use crate::policy::problems::Problems;
use crate::policy::read::{Draft, Read};
use crate::policy::settings::Route;

/// The smallest burst of a limit, and whose it is: empty if it is the limit's own.
type Smallest<'a> = HashMap<&'a str, (u64, String)>;

/// Checks the cost of each limit on each route under each quota that the limit can have.
pub(super) fn costs(draft: &Draft<'_>, problems: &mut Problems) {
    let smallest = smallest(draft);
    for route in &draft.routes {
        for name in limits(&route.value, draft) {
            let Some((burst, whose)) = smallest.get(name) else { continue };
            let own = route.value.costs.iter().find(|(limit, _)| limit == name);
            let cost = own.map_or(route.value.cost, |(_, cost)| *cost);
            if cost <= *burst {
                continue;
            }
            let node = match own {
                Some(_) => route.get("costs").and_then(|costs| costs.get(name)),
                None => route.get("cost"),
            };
            let place = node.map_or(route.place(), |node| &node.place);
            problems.add(place, Code::CostOverBurst, || {
                format!(
                    "a request of the route {} costs {cost}, but the limit {} has a burst of \
                     {burst}{whose}: such a request would never pass",
                    shown(&route.value.name),
                    shown(name)
                )
            });
        }
    }
}

/// The names of the limits of a route's requests, each once.
pub(super) fn limits<'a>(route: &'a Route, draft: &'a Draft<'_>) -> impl Iterator<Item = &'a str> {
    let always = if route.always { draft.always() } else { &[] };
    let own = route.limits.iter().filter(move |name| !(route.always && draft.is_always(name)));
    always.iter().chain(own).map(String::as_str)
}

fn smallest<'a>(draft: &'a Draft<'_>) -> Smallest<'a> {
    let mut smallest: Smallest<'a> = HashMap::new();
    let mut note = |name: &'a str, quota: Quota, whose: &dyn Fn() -> String| {
        if quota.is_unlimited() {
            return;
        }
        let burst = quota.burst_size();
        if smallest.get(name).is_none_or(|(least, _)| burst < *least) {
            smallest.insert(name, (burst, whose()));
        }
    };
    for Read { value: limit, .. } in &draft.limits {
        note(&limit.name, limit.quota, &String::new);
    }
    for Read { value: tier, .. } in &draft.tiers {
        for (name, quota) in &tier.quotas {
            note(name, *quota, &|| format!(" in the tier {}", shown(&tier.name)));
        }
    }
    for Read { value: subject, .. } in &draft.subjects {
        for (name, quota) in &subject.limits {
            note(name, *quota, &|| match &subject.who {
                Who::User(user) => format!(" for the user {}", shown(user)),
                Who::ApiKey(_) => " for an API key".into(),
                Who::Address(network) => format!(" for the address `{network}`"),
            });
        }
    }
    smallest
}
