//! `/v1/check` and `/v1/report`.

use http::Request;
use serde_json::json;

use crate::support::{Running, THREE_A_DAY};

#[tokio::test]
async fn requests_are_counted_to_the_permit() {
    let service = Running::with(THREE_A_DAY, "").await;
    let check = json!({"method": "GET", "path": "/", "user": "alice"});
    for left in (0..3).rev() {
        let answer = service.check(&check).await;
        assert_eq!(answer.status, 200);
        assert_eq!(answer.field("x-ratelimit-remaining"), Some(&*left.to_string()));
        let answer = answer.json();
        assert_eq!(answer["allowed"], true);
        assert_eq!(answer["outcome"], "allowed");
        assert_eq!(answer["limits"][0]["remaining"], left);
        assert_eq!(answer["headers"]["x-ratelimit-remaining"], left.to_string());
    }
    let refused = service.check(&check).await;
    assert_eq!(refused.status, 429);
    assert_eq!(refused.field("content-type"), Some("application/json"));
    let wait: u64 = refused.field("retry-after").expect("a wait").parse().expect("a number");
    assert!((86_400 / 3 - 60..=86_400 / 3).contains(&wait), "{wait}");
    let answer = refused.json();
    assert_eq!((&answer["allowed"], &answer["status"]), (&json!(false), &json!(429)));
    assert_eq!(answer["limits"][0]["refuses"], true);
    let body: serde_json::Value =
        serde_json::from_str(answer["body"].as_str().expect("a body")).expect("JSON");
    assert_eq!(body["violated-policies"], json!(["calls"]));
    let other = service.check(&json!({"method": "GET", "path": "/", "user": "bob"})).await;
    assert_eq!(other.status, 200);
}

#[tokio::test]
async fn everything_that_a_policy_asks_for_can_be_sent() {
    let policy = "
        default_tier = 'free'
        [client]
        header = 'x-forwarded-for'
        trusted_proxies = ['10.0.0.0/8']
        [limits.a]
        quota = '10/day'
        key = ['address', 'header:x-tenant', 'api-key']
        missing = 'refuse'
        [tiers.free]
        [tiers.gold]
        a = '20/day'
        [[routes]]
        name = 'items'
        method = 'PUT'
        host = 'api.example.com'
        path = '/items/{id}'
        limits = ['a']
    ";
    let service = Running::with(policy, "").await;
    let answer = service
        .check(&json!({
            "method": "PUT", "path": "/items/7?x=1", "host": "API.example.com:443",
            "address": "10.0.0.1:4711", "api_key": "k-1", "tier": "gold",
            "headers": {"X-Forwarded-For": ["198.51.100.1", "203.0.113.7"], "x-tenant": "t"},
        }))
        .await
        .json();
    assert_eq!((&answer["route"], &answer["tier"]), (&json!("items"), &json!("gold")));
    assert_eq!(answer["limits"][0]["quota"], "20/day");
    let listed = service.operator("GET", "/rate_limit/status?address=203.0.113.7").await;
    assert_eq!(listed.status, 200, "{}", listed.text());
}

#[tokio::test]
async fn what_is_not_a_check_is_told() {
    let service = Running::with(THREE_A_DAY, "").await;
    let cases = [
        (json!({}), "missing field `method`"),
        (json!({"method": "GET", "path": "/", "usr": "a"}), "unknown field `usr`"),
        (json!({"method": "GET", "path": "/", "address": "1.2.3"}), "is not an address"),
        (json!({"method": "GET", "path": "/", "headers": {"a b": "c"}}), "not one of a header"),
        (json!({"method": "GET", "path": "/", "headers": {"a": "b\nc"}}), "`a` is not one"),
        (json!({"method": "GET", "path": "/", "headers": ["a"]}), "an object of headers"),
        (json!({"method": "GET", "path": "/"}), "send it as `address`"),
        (json!({"method": "get", "path": "/"}), "write `GET`"),
        (json!({"method": "GET", "path": "http://a/b"}), "without the host"),
        (json!([]), "invalid length"),
    ];
    for (check, expected) in cases {
        let answer = service.check(&check).await;
        assert_eq!(answer.status, 400, "{check}");
        assert_eq!(answer.field("content-type"), Some("application/problem+json"));
        let detail = answer.json()["detail"].as_str().unwrap_or_default().to_owned();
        assert!(detail.contains(expected), "{check}: {detail}");
    }
    let get = service.send(Request::get(format!("{}/v1/check", service.checks())), "").await;
    assert_eq!(get.status, 405);
    let other = service.send(Request::get(format!("{}/v2/x", service.checks())), "").await;
    assert_eq!(other.status, 404);
}

#[tokio::test]
async fn a_status_that_is_not_charged_is_given_back_once() {
    let policy = "
        [limits.login]
        quota = '2/day'
        [[routes]]
        path = '/login'
        limits = ['login']
        charge = [401]
    ";
    let service = Running::with(policy, "").await;
    let check = json!({"method": "POST", "path": "/login"});
    let report = async |id: &str, status: u16| {
        let url = format!("{}/v1/report", service.checks());
        let body = json!({"report": id, "status": status}).to_string();
        service.send(Request::post(url), body).await
    };
    let id = async || service.check(&check).await.json()["report"].as_str().map(str::to_owned);
    let first = id().await.expect("the route waits for a status");
    let reported = report(&first, 200).await;
    assert_eq!(reported.status, 200);
    assert_eq!(reported.json()["limits"][0]["remaining"], 2);
    assert_eq!(report(&first, 200).await.status, 404);
    let second = id().await.expect("an id");
    assert_eq!(report(&second, 401).await.json()["limits"][0]["remaining"], 1);
    assert_eq!(report("no-such-id", 200).await.status, 404);
    assert_eq!(report(&id().await.expect("an id"), 1).await.status, 400);
    assert_eq!(id().await, None, "nothing is left, so nothing can be given back");
}
