//! Routes that no request can reach, and names that two routes have.

use std::collections::HashMap;

use crate::policy::HostPattern;
use crate::policy::code::Code;
use crate::policy::message::shown;
use crate::policy::problems::Problems;
use crate::policy::read::Draft;
use crate::policy::settings::Route;

/// Reports a route whose name another route has. Routes without a name of their own are named
/// after their path, and may share it: they differ in method or host.
pub(super) fn names(draft: &Draft<'_>, problems: &mut Problems) {
    let mut seen: HashMap<&str, bool> = HashMap::new();
    for route in &draft.routes {
        let is_own = route.get("name").is_some();
        match seen.insert(&route.value.name, is_own) {
            Some(was_own) if is_own || was_own => {
                problems.add(route.place_of("name"), Code::DuplicateName, || {
                    format!("another route has the name {}", shown(&route.value.name))
                });
            }
            _ => {}
        }
    }
}

/// Reports a route whose requests all take an earlier route.
pub(super) fn routes(draft: &Draft<'_>, problems: &mut Problems) {
    for (index, route) in draft.routes.iter().enumerate() {
        let earlier = draft.routes.iter().take(index);
        let hidden_by = earlier.map(|earlier| &earlier.value).find(|e| covers(e, &route.value));
        if let Some(earlier) = hidden_by {
            problems.add(route.place_of("path"), Code::UnreachableRoute, || {
                format!(
                    "no request reaches the route {}, because the first match wins and the route \
                     {} before it takes them all: move this one before it",
                    shown(&route.value.name),
                    shown(&earlier.name)
                )
            });
        }
    }
}

/// Whether each request of `later` is one of `earlier`, too.
fn covers(earlier: &Route, later: &Route) -> bool {
    covers_methods(&earlier.methods, &later.methods)
        && covers_host(earlier.host.as_ref(), later.host.as_ref())
        && earlier.path.covers(&later.path)
}

fn covers_methods(earlier: &[String], later: &[String]) -> bool {
    let takes = |method: &str| earlier.iter().any(|known| known == method);
    earlier.is_empty()
        || (!later.is_empty()
            && later.iter().all(|method| takes(method) || (method == "HEAD" && takes("GET"))))
}

fn covers_host(earlier: Option<&HostPattern>, later: Option<&HostPattern>) -> bool {
    let is_below = |host: &str, domain: &str| {
        host.strip_suffix(domain).is_some_and(|rest| rest.len() > 1 && rest.ends_with('.'))
    };
    match (earlier, later) {
        (None, _) => true,
        (Some(_), None) | (Some(HostPattern::Exact(_)), Some(HostPattern::Below(_))) => false,
        (Some(HostPattern::Exact(earlier)), Some(HostPattern::Exact(later))) => earlier == later,
        (Some(HostPattern::Below(domain)), Some(HostPattern::Exact(host))) => {
            is_below(host, domain)
        }
        (Some(HostPattern::Below(earlier)), Some(HostPattern::Below(later))) => {
            earlier == later || is_below(later, earlier)
        }
    }
}
