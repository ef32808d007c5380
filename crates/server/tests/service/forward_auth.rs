//! `/v1/forward-auth`, as proxies ask it. Real proxies are in `tests/proxies`.

use http::Request;

use crate::support::{Answer, Running};

const POLICY: &str = "
always = ['calls']
[client]
header = 'x-forwarded-for'
trusted_proxies = ['127.0.0.0/8']
[limits.calls]
quota = '2/day'
key = ['caller', 'method', 'host']
missing = 'share'
[[routes]]
name = 'open'
path = '/open/{*rest}'
always = false
";

async fn ask(service: &Running, query: &str, headers: &[(&str, &str)]) -> Answer {
    let mut request = Request::get(format!("{}/v1/forward-auth{query}", service.checks()));
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    service.send(request, "").await
}

const USUAL: [(&str, &str); 4] = [
    ("x-forwarded-method", "GET"),
    ("x-forwarded-uri", "/items?q=1"),
    ("x-forwarded-host", "api.example.com"),
    ("x-forwarded-for", "203.0.113.7"),
];

#[tokio::test]
async fn clients_of_a_proxy_are_counted_apart() {
    let service = Running::with(POLICY, "").await;
    for left in ["1", "0"] {
        let answer = ask(&service, "", &USUAL).await;
        assert_eq!((answer.status.as_u16(), answer.body.len()), (200, 0));
        assert_eq!(answer.field("x-ratelimit-remaining"), Some(left));
    }
    let refused = ask(&service, "", &USUAL).await;
    assert_eq!(refused.status, 429);
    assert!(refused.field("retry-after").is_some());
    assert_eq!(refused.field("content-type"), Some("application/problem+json"));
    let mut other = USUAL;
    other[3].1 = "203.0.113.8";
    assert_eq!(ask(&service, "", &other).await.status, 200);
}

#[tokio::test]
async fn a_proxy_can_choose_the_status_of_refusals() {
    let service = Running::with(POLICY, "").await;
    for _ in 0..2 {
        assert_eq!(ask(&service, "?deny=403", &USUAL).await.status, 200);
    }
    let refused = ask(&service, "?deny=403", &USUAL).await;
    assert_eq!(refused.status, 403);
    assert_eq!(refused.field("x-ratelimit-status"), Some("429"));
    assert!(refused.field("retry-after").is_some());
    for query in ["?deny=200", "?deny=x", "?deny=", "?deny=403&deny=404"] {
        assert_eq!(ask(&service, query, &USUAL).await.status, 400, "{query}");
    }
    // Caddy's `forward_auth` appends the query of its client.
    for query in ["?x=403", "?a[]=%ff&&b"] {
        assert_eq!(ask(&service, query, &USUAL).await.status, 429, "{query}");
    }
}

#[tokio::test]
async fn what_is_missing_or_there_twice_is_told() {
    let service = Running::with(POLICY, "").await;
    for index in 0..2 {
        let mut headers = USUAL.to_vec();
        let name = headers.remove(index).0;
        let answer = ask(&service, "", &headers).await;
        assert_eq!(answer.status, 400);
        assert!(answer.text().contains(name), "{}", answer.text());
        headers.extend([(name, "/a"), (name, "/b")]);
        let answer = ask(&service, "", &headers).await;
        assert_eq!(answer.status, 400);
        assert!(answer.text().contains("twice"), "{}", answer.text());
    }
    // Nothing was counted.
    assert_eq!(ask(&service, "", &USUAL).await.field("x-ratelimit-remaining"), Some("1"));
}

#[tokio::test]
async fn the_path_is_that_of_the_client() {
    let service = Running::with(POLICY, "").await;
    for uri in ["/open/x", "/open/x?y=/z", "https://api.example.com/open/x", "//open/x"] {
        let mut headers = USUAL;
        headers[1].1 = uri;
        let answer = ask(&service, "", &headers).await;
        assert_eq!(answer.field("x-ratelimit-remaining"), None, "{uri} has no limit");
    }
    let mut headers = USUAL;
    headers[1].1 = "/open/../items";
    assert_eq!(ask(&service, "", &headers).await.status, 400, "the path is ambiguous");
}

#[tokio::test]
async fn the_headers_of_the_proxy_say_who_the_caller_is() {
    let callers = "[server.callers]\nuser = 'x-user'\napi_key = 'authorization'\n";
    let service = Running::with(POLICY, callers).await;
    let remaining = async |name: &'static str, value: &'static str| {
        let headers = [&USUAL[..], &[(name, value)]].concat();
        ask(&service, "", &headers).await.field("x-ratelimit-remaining").map(str::to_owned)
    };
    assert_eq!(remaining("x-user", "alice").await.as_deref(), Some("1"));
    assert_eq!(remaining("x-user", "bob").await.as_deref(), Some("1"));
    assert_eq!(remaining("x-user", "alice").await.as_deref(), Some("0"));
    assert_eq!(remaining("authorization", "Bearer k-1").await.as_deref(), Some("1"));
    assert_eq!(remaining("authorization", "bearer k-1").await.as_deref(), Some("0"));
    // A key that a limit would not find: a backend may still read one of the two.
    let twice = [("authorization", "Bearer k-1"), ("authorization", "Bearer k-2")];
    let answer = ask(&service, "", &[&USUAL[..], &twice[..]].concat()).await;
    assert_eq!(answer.status, 400);
    assert!(answer.text().contains("`authorization` is there twice"), "{}", answer.text());
}
