//! The files of envoyproxy/ratelimit: those of others, random ones, and hostile ones.

#![allow(clippy::unwrap_used, reason = "a test that fails shall panic")]

mod hostile;
mod meanings;
mod page;
mod random;
mod recorded;
mod reload;

use tollgate_http::engine::{Descriptor, Matched};
use tollgate_http::policy::PolicyError;
use tollgate_http::{HttpLimiter, Policy};
use tollgate_server::envoy_files;

/// The policy that one file becomes.
fn policy(text: &str) -> Result<Policy, PolicyError> {
    envoy_files::policy(envoy_files::additions([("file.yaml", text.as_bytes())]))
}

/// What a limiter has for a descriptor: its quota, the name of the limit, and the values of its
/// key.
fn told(limiter: &HttpLimiter, domain: &str, entries: &[(&str, &str)]) -> String {
    let asked = [Descriptor::new(entries)];
    let decision = limiter.decide_descriptors(domain, &asked).now().expect("memory");
    let decision = &decision.descriptors()[0];
    match decision.matched() {
        Matched::UnknownDomain => "unknown domain".into(),
        Matched::Nothing => "nothing".into(),
        Matched::Blocked => "blocked".into(),
        Matched::Limits => {
            let Some(limit) = decision.decision().limits().next() else {
                return "unlimited".into();
            };
            let key =
                limit.key().parts().iter().map(|part| part.to_string().replacen("entry ", "", 1));
            let key = key.collect::<Vec<_>>().join(", ");
            let key = if key.is_empty() { "nothing" } else { &key };
            let mode = if limit.is_shadow() { "shadow " } else { "" };
            format!("{mode}{} {} by {key}", limit.quota(), limit.name())
        }
        other => panic!("{other:?}"),
    }
}
