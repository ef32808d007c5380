//! Proxies in front of a service: which client a request is counted for.
//!
//! Clients have the addresses 127.0.0.2, 127.0.0.3 and so on, and the last proxy has 127.0.0.1.

mod haproxy;
mod nginx;

use axum::Router;
use tollgate_http::RateLimitLayer;
use tollgate_http_network_tests::{Server, curl, limiter, tell};

/// Ten requests a day for each address, under these settings of `[client]`.
fn policy(client: &str) -> String {
    format!(
        r#"
        always = ["calls"]
        [client]
        {client}
        [limits.calls]
        quota = "10/day"
        key = "address"
        "#
    )
}

fn site(layer: RateLimitLayer) -> Router {
    Router::new().fallback(tell).layer(layer)
}

fn start(client: &str) -> Server {
    Server::start(site(RateLimitLayer::new(limiter(&policy(client)))))
}

/// Headers by which a client may try to be counted as somebody else; each item is what one request
/// sends.
const FORGED: &[&[&str]] = &[
    &[],
    &["X-Forwarded-For: 203.0.113.9"],
    &["X-Forwarded-For: 127.0.0.1"],
    &["X-Forwarded-For: 203.0.113.9, 127.0.0.1", "X-Forwarded-For: 127.0.0.1"],
    &["X-Forwarded-For;"],
    &["X-Forwarded-For: \"", "Forwarded: for=203.0.113.9"],
    &["X-Forwarded-For: unknown, ,,", "X-Real-IP: 203.0.113.9"],
    &["X-Forwarded-For: [2001:db8::1]:443", "CF-Connecting-IP: 203.0.113.9"],
    &["Forwarded: for=127.0.0.1;by=127.0.0.1, for=127.0.0.1", "True-Client-IP: 203.0.113.9"],
    &["Forwarded: for=_hidden;proto=http", "Forwarded: for=\"[::1]:80\"", "X-Real-IP: 127.0.0.1"],
];

/// Asks `url` from `address`.
fn ask(url: &str, address: &str, headers: &[&str]) -> (u16, String) {
    let mut args = vec!["--interface", address];
    for header in headers {
        args.extend(["--header", header]);
    }
    args.push(url);
    let answer = curl(&args);
    (answer.status, answer.body)
}

/// Clients get their ten requests each.
fn a_client_is_counted_by_its_own_address(url: &str, forged: &[&[&str]]) {
    for client in ["127.0.0.2", "127.0.0.3"] {
        gets_ten_requests(url, client, client, forged);
    }
}

/// The client at `address` gets its ten requests to the permit, under its own `key`, whatever
/// headers it sends.
fn gets_ten_requests(url: &str, address: &str, key: &str, forged: &[&[&str]]) {
    let mut headers = forged.iter().cycle();
    for left in (0..10).rev() {
        let sent = headers.next().expect("a cycle has no end");
        let expected = (200, format!("calls address {key}: {left}"));
        assert_eq!(ask(url, address, sent), expected, "{sent:?}");
    }
    for sent in forged {
        assert_eq!(ask(url, address, sent).0, 429, "{sent:?}");
    }
}

/// A client that connects to the service itself is its peer, which no header changes.
fn a_direct_client_is_counted_as_the_peer(server: &Server) {
    let url = server.url("/");
    for (sent, left) in FORGED.iter().zip((0..10).rev()) {
        let expected = (200, format!("calls address 127.0.0.4: {left}"));
        assert_eq!(ask(&url, "127.0.0.4", sent), expected, "{sent:?}");
    }
    // This one has used its permits through the proxy.
    assert_eq!(ask(&url, "127.0.0.2", &["X-Forwarded-For: 203.0.113.9"]).0, 429);
}

/// The value of a header that is longer than any that a client needs.
fn long_list() -> String {
    format!("X-Forwarded-For: {}", "203.0.113.9, ".repeat(200))
}
