//! The pages for operators.

use http::Request;
use serde_json::json;
use tempfile::tempdir;
use tollgate_http::Policy;

use crate::support::{Answer, Running, THREE_A_DAY, config};

async fn post_config(service: &Running, query: &str, tag: &str, policy: &str) -> Answer {
    let request = Request::post(format!("{}/rate_limit/config{query}", service.admin()));
    let request = request.header("content-type", "application/toml");
    let request = if tag.is_empty() { request } else { request.header("if-match", tag) };
    service.send(request, policy.to_owned()).await
}

#[tokio::test]
async fn a_policy_is_shown_checked_and_replaced() {
    let service = Running::with(THREE_A_DAY, "").await;
    let check = json!({"method": "GET", "path": "/", "user": "alice"});
    service.check(&check).await;
    let shown = service.operator("GET", "/rate_limit/config").await;
    assert_eq!(shown.field("content-type"), Some("application/toml"));
    let tag = shown.field("etag").expect("a tag").to_owned();
    let request = Request::get(format!("{}/rate_limit/config", service.admin()));
    let same = service.send(request.header("if-none-match", &tag), "").await;
    assert_eq!((same.status.as_u16(), same.body.len()), (304, 0));

    let six = shown.text().replace("3/day", "6/day");
    let checked = post_config(&service, "?check", &tag, &six).await.json();
    assert_eq!(checked["in_force"], false);
    assert_eq!(checked["changes"]["quotas"], json!(["quota of `calls`: 3/day -> 6/day"]));
    let unchanged = service.check(&check).await;
    assert_eq!(unchanged.field("x-ratelimit-remaining"), Some("1"), "a check changes nothing");

    let replaced = post_config(&service, "", &tag, &six).await;
    assert_eq!(replaced.status, 200);
    assert_eq!(replaced.json()["changes"]["kept"], json!(["calls"]));
    // Two of three were used, so four of six are.
    assert_eq!(service.check(&check).await.field("x-ratelimit-remaining"), Some("1"));
    let late = post_config(&service, "", &tag, &six).await;
    assert_eq!(late.status, 412, "another policy is in force");
    assert_eq!(late.field("content-type"), Some("application/problem+json"));
}

/// Of two operators who have both seen the same policy, one replaces it.
#[tokio::test]
async fn the_policy_that_was_seen_is_replaced_once() {
    let service = Running::with(THREE_A_DAY, "").await;
    let shown = service.operator("GET", "/rate_limit/config").await;
    let (tag, text) = (shown.field("etag").expect("a tag"), shown.text());
    let (four, five) = (text.replace("3/day", "4/day"), text.replace("3/day", "5/day"));
    let (first, second) =
        tokio::join!(post_config(&service, "", tag, &four), post_config(&service, "", tag, &five));
    let mut statuses = [first.status.as_u16(), second.status.as_u16()];
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 412]);
}

#[tokio::test]
async fn what_is_wrong_with_a_policy_is_told_and_changes_nothing() {
    let service = Running::with(THREE_A_DAY, "").await;
    let before = service.operator("GET", "/rate_limit/config").await.text();
    let wrong = "version = 1\nalways = ['cals']\n[limits.calls]\nquota = '0/s'\n";
    let answer = post_config(&service, "", "", wrong).await;
    assert_eq!(answer.status, 422);
    let problems = answer.json()["problems"].clone();
    let places: Vec<&str> =
        problems.as_array().expect("a list").iter().filter_map(|p| p["place"].as_str()).collect();
    assert_eq!(places, ["2:11", "4:9"]);
    assert_eq!(problems[0]["code"], "unknown-limit");
    let request = Request::post(format!("{}/rate_limit/config", service.admin()));
    assert_eq!(service.send(request, before.clone()).await.status, 415, "without a format");
    let long = "#".repeat((4 << 20) + 1);
    assert_eq!(post_config(&service, "", "", &long).await.status, 413);
    assert_eq!(post_config(&service, "?chek", "", &before).await.status, 400);
    assert_eq!(service.operator("GET", "/rate_limit/config").await.text(), before);
}

#[tokio::test]
async fn refusals_and_penalties_are_listed_and_lifted() {
    let policy = format!("{THREE_A_DAY}\n[penalty]\nafter = '2/day'\nblock = '1h'\n");
    let service = Running::with(&policy, "[server.admin]\nshow_keys = true\n").await;
    let check = json!({"method": "GET", "path": "/", "user": "<script>alert(1)</script>"});
    for _ in 0..7 {
        service.check(&check).await;
    }
    let refused = service.check(&check).await.json();
    assert_eq!(refused["outcome"], "penalty");
    // The hook is told by a thread of its own, one refusal after another.
    let mut violations = json!({});
    while violations["violations"].as_array().map_or(0, Vec::len) < 5 {
        violations = service.operator("GET", "/rate_limit/violations?n=10").await.json();
    }
    assert_eq!(violations["violations"][0]["penalty"], true);
    assert_eq!(violations["violations"][4]["limits"], json!(["calls"]));
    let listed = service.operator("GET", "/rate_limit/penalties").await.json();
    assert_eq!(listed["penalties"][0]["key"], "user <script>alert(1)</script>");
    let status = "/rate_limit/status?user=%3Cscript%3Ealert(1)%3C/script%3E";
    let status = service.operator("GET", status).await.json();
    assert_eq!(status["outcome"], "penalty");
    assert_eq!(status["limits"][0]["remaining"], 0);

    let hash = listed["penalties"][0]["key_hash"].as_str().expect("a hash");
    let path = format!("/rate_limit/penalties/{hash}");
    assert_eq!(service.operator("DELETE", &path).await.status, 204);
    assert_eq!(service.operator("DELETE", &path).await.status, 404);
    assert_eq!(service.check(&check).await.json()["outcome"], "refused");
}

/// A recorder never forgets a line, so each policy left one behind.
#[tokio::test]
async fn only_the_policy_in_force_has_a_line_in_the_metrics() {
    let service = Running::with(THREE_A_DAY, "").await;
    let limiter = service.server.limiter();
    let policy = |permits: u32| -> Policy {
        let limits = THREE_A_DAY.replace("3/day", &format!("{permits}/day"));
        format!("version = 1\n{limits}").parse().expect("a policy")
    };
    for permits in 1..=1_000 {
        limiter.reload(&policy(permits)).expect("the policy is replaced");
    }
    let metrics = service.operator("GET", "/metrics").await.text();
    let hash = limiter.policy().hash().to_owned();
    let lines: Vec<&str> =
        metrics.lines().filter(|line| line.starts_with("tollgate_policy_info")).collect();
    assert_eq!(lines, [format!("tollgate_policy_info{{version=\"1\",hash=\"{hash}\"}} 1")]);
    assert_eq!(metrics.matches("# TYPE tollgate_policy_info gauge\n").count(), 1);
    assert_eq!(metrics.matches("# HELP tollgate_policy_info ").count(), 1);
}

/// The answer said `allowed` of a user of whom every request was refused.
#[tokio::test]
async fn a_subject_without_permits_is_not_allowed() {
    let policy = "
        [limits.calls]
        quota = '1/day'
        key = 'caller'
        [limits.trial]
        quota = '1/day'
        key = 'caller'
        mode = 'shadow'
        [[routes]]
        path = '/'
        limits = ['calls']
        [[routes]]
        path = '/trial'
        limits = ['trial']
    ";
    let service = Running::with(policy, "").await;
    let status = async |user: &str| {
        service.operator("GET", &format!("/rate_limit/status?user={user}")).await
    };
    for (user, path) in [("alice", "/"), ("bob", "/trial")] {
        service.check(&json!({"method": "GET", "path": path, "user": user})).await;
    }
    let alice = status("alice").await.json();
    assert_eq!(alice["outcome"], "refused", "{alice}");
    assert_eq!(
        (&alice["limits"][0]["refuses"], &alice["limits"][0]["remaining"]),
        (&json!(true), &json!(0))
    );
    let wait = alice["retry_after_ms"].as_u64().expect("a wait");
    assert!((86_000_000..=86_400_000).contains(&wait), "{wait}");
    assert_eq!(alice["limits"][1]["refuses"], false);
    // What a shadow limit would refuse is not refused.
    let bob = status("bob").await.json();
    assert_eq!((&bob["outcome"], &bob["limits"][1]["refuses"]), (&json!("allowed"), &json!(true)));
    let carol = status("carol").await.json();
    assert_eq!((&carol["outcome"], &carol["retry_after_ms"]), (&json!("allowed"), &json!(null)));
}

#[tokio::test]
async fn levels_are_those_of_one_subject() {
    let service = Running::with(THREE_A_DAY, "").await;
    let with_key = json!({"method": "GET", "path": "/", "api_key": "k-1"});
    service.check(&with_key).await;
    let hash = service.server.limiter().hash_of_api_key("k-1");
    let path = format!("/rate_limit/status?api_key_hash={hash}");
    let status = service.operator("GET", &path).await.json();
    assert_eq!(status["limits"][0]["remaining"], 2);
    assert_eq!(status["limits"][0]["key_hash"].as_str().map(str::len), Some(32));
    for query in ["", "?user=", "?user=a&address=1.2.3.4", "?api_key_hash=1", "?address=x", "?a=b"]
    {
        let answer = service.operator("GET", &format!("/rate_limit/status{query}")).await;
        assert_eq!(answer.status, 400, "{query}");
    }
}

#[tokio::test]
async fn a_file_is_read_again() {
    let folder = tempdir().expect("a folder");
    let path = folder.path().join("tollgate.toml");
    std::fs::write(&path, config(THREE_A_DAY, "")).expect("the file is written");
    let service = Running::of_file(&path).await;
    let before = service.operator("GET", "/rate_limit/config").await;
    let text = config(&THREE_A_DAY.replace("3/day", "6/day"), "");
    std::fs::write(&path, text).expect("the file is written");
    // The watcher waits for further changes.
    while service.operator("GET", "/rate_limit/config").await.field("etag") == before.field("etag")
    {
        tokio::task::yield_now().await;
    }
    assert!(service.operator("GET", "/rate_limit/config").await.text().contains("6/day"));
}

#[tokio::test]
async fn the_description_names_every_resource() {
    let service = Running::with(THREE_A_DAY, "").await;
    let description = service.operator("GET", "/openapi.json").await.json();
    assert_eq!(description["openapi"], "3.1.0");
    let paths = description["paths"].as_object().expect("an object");
    for (path, methods) in paths {
        let on_admin = methods["servers"][0]["url"] == "http://127.0.0.1:8081";
        for method in methods.as_object().expect("an object").keys() {
            if !matches!(method.as_str(), "get" | "post" | "delete") {
                continue;
            }
            let path = path.replace("{key}", "x");
            let base = if on_admin { service.admin() } else { service.checks() };
            let request = Request::builder().method(&*method.to_uppercase());
            let answer = service.send(request.uri(format!("{base}{path}")), "").await;
            let is_there = answer.status != 405 && !answer.text().contains("no such resource");
            assert!(is_there, "{method} {path}: {}", answer.text());
        }
    }
}
