//! Kind `address`: the key that a client has.

use serde_json::Value;
use tollgate_http::{Facts, HttpLimiter, Outcome, Policy};

use crate::request::{headers, peer};
use crate::{Checked, same};

pub(crate) fn check(config: &Value, input: &Value, expect: &Value) -> Checked {
    // The values of these settings are written alike in JSON and in TOML.
    let settings = config.as_object().into_iter().flatten();
    let settings: Vec<_> = settings.map(|(name, value)| format!("{name} = {value}")).collect();
    let settings = settings.join("\n");
    let policy = format!(
        "version = 1\nalways = [\"all\"]\n[client]\n{settings}\n\
         [limits.all]\nquota = \"1/s\"\nkey = \"address\"\n"
    );
    let policy: Policy = policy.parse().map_err(|error| format!("{error}"))?;
    let limiter = HttpLimiter::new(&policy).map_err(|error| error.to_string())?;
    let headers = headers(input);
    let mut facts = Facts::new("GET", "/").headers(&headers);
    if let Some(peer) = peer(input) {
        facts = facts.peer(peer);
    }
    let explained = limiter.explain(&facts).expect("memory answers at once");
    if let Some(error) = expect["error"].as_str() {
        let found = if explained.outcome() == Outcome::NoPeer { "no_peer" } else { "none" };
        return same("error", &found, &error);
    }
    let key = explained.limits().next().map(|limit| limit.key().to_string());
    let key = key.as_deref().and_then(|key| key.strip_prefix("address ")).unwrap_or("none");
    same("key", &key, &crate::word(&expect["key"]))
}
