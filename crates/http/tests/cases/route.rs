//! Kind `route`: the route, the tier and the limits of a request.

use serde_json::{Value, json};
use tollgate_http::{HttpLimiter, Outcome, Policy};

use crate::request::{facts, headers};
use crate::{Checked, same};

pub(crate) fn check(policy: &str, input: &Value, expect: &Value) -> Checked {
    let policy: Policy = policy.parse().map_err(|error| format!("{error}"))?;
    let limiter = HttpLimiter::new(&policy).map_err(|error| error.to_string())?;
    let headers = headers(input);
    let facts = facts(input, &headers);
    let explained = limiter.explain(&facts).expect("memory answers at once");
    let outcome = match explained.outcome() {
        Outcome::Allowed => "limited",
        Outcome::Exempt => "exempt",
        Outcome::Blocked => "blocked",
        _ => "refused",
    };
    same("outcome", &json!(outcome), &expect["outcome"])?;
    if let Some(route) = expect.get("route") {
        same("route", &json!(explained.route()), route)?;
    }
    if let Some(tier) = expect.get("tier") {
        same("tier", &json!(explained.tier()), tier)?;
    }
    if let Some(status) = expect.get("status") {
        same("status", &json!(explained.status()), status)?;
    }
    let Some(expected) = expect["limits"].as_array() else { return Ok(()) };
    let limits: Vec<_> = explained.limits().collect();
    same("number of limits", &limits.len(), &expected.len())?;
    for (limit, expected) in limits.iter().zip(expected) {
        same("limit", &json!(limit.name()), &expected["limit"])?;
        let key = in_plain(&limit.key().to_string(), &limiter, input);
        same("key", &key, &without_header_names(crate::word(&expected["key"])))?;
        same("quota", &json!(limit.quota().to_string()), &expected["quota"])?;
        same("cost", &json!(limit.cost()), &expected["cost"])?;
        let mode = if limit.is_shadow() { "shadow" } else { "enforce" };
        same("mode", &json!(mode), expected.get("mode").unwrap_or(&json!("enforce")))?;
    }
    Ok(())
}

/// The text of a key with the API key of the input where the limiter has the hash of it.
fn in_plain(key: &str, limiter: &HttpLimiter, input: &Value) -> String {
    match input["api_key"].as_str() {
        Some(plain) => key.replace(&limiter.hash_of_api_key(plain).to_string(), plain),
        None => key.to_owned(),
    }
}

/// The text of a key in which a header is only named as such: a part of a key does not repeat the
/// name, which the limit has.
fn without_header_names(key: &str) -> String {
    let parts = key.split(" + ").map(|part| match part.strip_prefix("header:") {
        Some(named) => format!("header {}", named.split_once(' ').map_or("", |(_, value)| value)),
        None => part.to_owned(),
    });
    parts.collect::<Vec<_>>().join(" + ")
}
