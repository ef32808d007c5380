//! Web pages elsewhere, which a browser on the service's machine has opened: they take no permit.

use http::Request;
use serde_json::json;

use crate::support::{Running, THREE_A_DAY};

const CHECK: &str = r#"{"method":"GET","path":"/","user":"alice"}"#;

/// What browsers say of the page that makes them send a request: Chromium and Firefox to a name
/// of this machine, an older Safari, a page in a sandbox, and a page whose name its owner lets
/// point to this machine.
const PAGES: [&[(&str, &str)]; 6] = [
    &[("sec-fetch-site", "cross-site"), ("origin", "https://evil.example")],
    &[("sec-fetch-site", "same-site"), ("origin", "http://localhost:3000")],
    &[("origin", "https://evil.example")],
    &[("origin", "null")],
    &[("sec-fetch-site", "cross-site")],
    &[
        ("host", "rebound.example:8080"),
        ("origin", "http://rebound.example:8080"),
        ("sec-fetch-site", "same-origin"),
    ],
];

fn post(url: &str, headers: &[(&str, &str)]) -> http::request::Builder {
    headers.iter().fold(Request::post(url), |request, (name, value)| request.header(*name, *value))
}

/// What a page can send without asking the server first: a form, or `fetch` in the mode
/// `no-cors`.
#[tokio::test]
async fn a_page_spends_no_permit_and_reports_nothing() {
    let service = Running::with(THREE_A_DAY, "").await;
    let body = json!({"report": "0", "status": 200}).to_string();
    for page in PAGES {
        for (resource, body) in [("check", CHECK), ("report", &*body)] {
            let url = format!("{}/v1/{resource}", service.checks());
            let request = post(&url, page).header("content-type", "text/plain");
            let answer = service.send(request, body.to_owned()).await;
            assert_eq!(answer.status, 403, "{page:?} {resource}");
            assert_eq!(answer.field("content-type"), Some("application/problem+json"));
            assert_eq!(answer.json()["title"], "The request comes from a web page");
        }
    }
    let left = service.check(&json!({"method": "GET", "path": "/", "user": "alice"})).await;
    assert_eq!(left.field("x-ratelimit-remaining"), Some("2"), "no page has taken a permit");
}

/// What `curl -d`, Python's `urllib`, `fetch` of Node and axios send with a text, without an
/// option.
#[tokio::test]
async fn programs_may_send_any_type_or_none() {
    let service = Running::with(&THREE_A_DAY.replace("3/day", "9/day"), "").await;
    let url = format!("{}/v1/check", service.checks());
    let types =
        ["application/x-www-form-urlencoded", "text/plain;charset=UTF-8", "application/json"];
    for of_program in types.map(|name| post(&url, &[("content-type", name)])) {
        assert_eq!(service.send(of_program, CHECK).await.status, 200);
    }
    // `fetch` of Node sends the first, and a reader who types an address sends the second.
    for field in [("sec-fetch-mode", "cors"), ("sec-fetch-site", "none")] {
        assert_eq!(service.send(post(&url, &[field]), CHECK).await.status, 200, "{field:?}");
    }
    assert_eq!(service.send(post(&url, &[]), CHECK).await.status, 200, "without a type");
}

/// A page can't set `X-Forwarded-Method` without asking first, and is never told that it may.
#[tokio::test]
async fn a_page_gets_nothing_from_forward_auth_either() {
    let service = Running::with("always = ['all']\n[limits.all]\nquota = '1/day'\n", "").await;
    let url = format!("{}/v1/forward-auth", service.checks());
    for page in PAGES {
        assert_eq!(service.send(post(&url, page), "").await.status, 400, "{page:?}");
        let first = page.iter().fold(
            Request::options(&url)
                .header("access-control-request-method", "GET")
                .header("access-control-request-headers", "x-forwarded-method,x-forwarded-uri"),
            |request, (name, value)| request.header(*name, *value),
        );
        let answer = service.send(first, "").await;
        assert_eq!(answer.status, 400, "{page:?}");
        assert_eq!(answer.field("access-control-allow-origin"), None);
    }
    // A proxy passes on what its client's browser has said of the page: that is no reason to refuse.
    let proxied = [PAGES[0], &[("x-forwarded-method", "POST"), ("x-forwarded-uri", "/items")]];
    assert_eq!(service.send(post(&url, &proxied.concat()), "").await.status, 200);
    assert_eq!(service.send(post(&url, &proxied.concat()), "").await.status, 429);
}

/// The listener of Envoy's protocol speaks HTTP/1.1 too, which is what a browser speaks.
#[tokio::test]
async fn a_page_is_no_envoy() {
    let policy = "
        [limits.all]
        quota = '2/day'
        [[descriptors]]
        domain = 'edge'
        entries = ['k']
        limits = ['all']
    ";
    let service = Running::with(policy, "[server.envoy]\nlisten = '127.0.0.1:0'\n").await;
    let address = service.server.envoy().expect("a listener").to_string();
    let url = format!("http://{address}{}", tollgate_server::envoy::SHOULD_RATE_LIMIT);
    // The domain `edge`, and a descriptor with the entry `k` whose value is `v`.
    let message = b"\0\0\0\0\x10\x0a\x04edge\x12\x08\x0a\x06\x0a\x01k\x12\x01v";
    for page in PAGES {
        let request = post(&url, page).header("content-type", "text/plain");
        let answer = service.send(request, &message[..]).await;
        assert_eq!(answer.field("grpc-status"), Some("7"), "{page:?}: PERMISSION_DENIED");
    }
    let left = service.operator("GET", "/rate_limit/status?user=alice").await.json();
    assert_eq!(left["limits"][0]["remaining"], 2, "no page has taken a permit");
}
