//! Kind `sequence`: what happens to requests one after another.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};
use tollgate::{ManualClock, Timestamp};
use tollgate_http::{HttpLimiter, Policy};

use crate::request::{facts, headers};
use crate::{Checked, Policies, same};

pub(crate) fn check(policy: &str, policies: &Policies, input: &Value) -> Checked {
    let clock = ManualClock::new();
    let policy: Policy = policy.parse().map_err(|error| format!("{error}"))?;
    let wall = clock.clone();
    let limiter = HttpLimiter::builder(&policy)
        .clock(clock.clone())
        .wall_clock(move || wall_clock(&wall))
        .build()
        .map_err(|error| error.to_string())?;
    let steps = input["steps"].as_array().expect("steps");
    for (index, step) in steps.iter().enumerate() {
        let at = step["at_ms"].as_u64().expect("at_ms");
        clock.set(Timestamp::ZERO + Duration::from_millis(at));
        let checked = match step["reload"].as_str() {
            Some(name) => {
                let text = policies.get(name).ok_or_else(|| format!("no policy {name}"))?;
                let policy: Policy = text.parse().map_err(|error| format!("{error}"))?;
                limiter.reload(&policy).map(drop).map_err(|error| error.to_string())
            }
            None => requests(&limiter, step),
        };
        checked.map_err(|difference| format!("step {} at {at} ms: {difference}", index + 1))?;
    }
    Ok(())
}

fn wall_clock(clock: &ManualClock) -> SystemTime {
    use tollgate::Clock;
    UNIX_EPOCH + Duration::from_nanos(clock.now().as_nanos())
}

/// Sends the requests of a step. All have the expected status; the rest is expected of the last.
fn requests(limiter: &HttpLimiter, step: &Value) -> Checked {
    let (times, expect) = (step["times"].as_u64().unwrap_or(1), &step["expect"]);
    for sent in 1..=times {
        let headers = headers(step);
        let facts = facts(step, &headers);
        let mut decision = limiter.decide(&facts).now().expect("memory answers at once");
        let answer = step["answer"].as_u64().and_then(|status| u16::try_from(status).ok());
        let answer = answer.unwrap_or(200);
        if decision.is_allowed() {
            limiter.answered(&mut decision, answer);
        }
        let status = decision.status().unwrap_or(answer);
        same(&format!("status of request {sent}"), &json!(status), &expect["status"])?;
        if sent < times {
            continue;
        }
        let whole_seconds = |wait: Duration| {
            u64::try_from(wait.as_nanos().div_ceil(1_000_000_000)).unwrap_or(u64::MAX).max(1)
        };
        let retry_after = decision.retry_after().filter(|_| status != 403).map(whole_seconds);
        same("retry_after", &json!(retry_after), &expect["retry_after"])?;
        same("penalty", &decision.is_penalty(), &(expect["penalty"] == true))?;
        let refused_by: Vec<&str> = decision.refused_by().collect();
        // A refusal that begins a penalty is one by its limits too, which a case need not repeat.
        if expect["penalty"] != true || expect.get("refused_by").is_some() {
            same("refused_by", &json!(refused_by), expect.get("refused_by").unwrap_or(&json!([])))?;
        }
        let would_refuse: Vec<&str> = decision.would_refuse().collect();
        let expected = expect.get("would_refuse").cloned().unwrap_or(json!([]));
        same("would_refuse", &json!(would_refuse), &expected)?;
        for (name, left) in expect["remaining"].as_object().into_iter().flatten() {
            let limit = decision.limits().find(|limit| limit.name() == name);
            let limit = limit.ok_or_else(|| format!("{name} was not asked"))?;
            same(&format!("remaining of {name}"), &json!(limit.remaining()), left)?;
        }
        if let Some(expected) = expect["remaining"].as_object() {
            let enforced = decision.limits().filter(|limit| !limit.is_shadow()).count();
            same("number of enforced limits", &enforced, &expected.len())?;
        }
    }
    Ok(())
}
