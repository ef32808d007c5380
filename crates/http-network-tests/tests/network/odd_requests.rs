//! Requests that no browser sends, and servers that are set up in unusual ways.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};

use axum::Router;
use axum::routing::get;
use tollgate_http::RateLimitLayer;
use tollgate_http_network_tests::{DEADLINE, Server, curl, frozen_limiter, left, needs, say, tell};

const POLICY: &str = r#"
    always = ["all"]
    [limits.all]
    quota = "1000/day"
    [limits.login]
    quota = "100/day"
    key = "address"
    [[routes]]
    host = "api.example.com"
    path = "/login"
    limits = ["login"]
    [[routes]]
    path = "/{*rest}"
"#;

fn site(policy: &str) -> (Router, tollgate_http::HttpLimiter) {
    let limiter = frozen_limiter(policy);
    let router = Router::new().fallback(tell).layer(RateLimitLayer::new(limiter.clone()));
    (router, limiter)
}

/// The answer to these bytes, after which the connection is closed.
fn exchange(address: SocketAddr, request: &[u8]) -> String {
    let mut connection = TcpStream::connect(address).expect("a connection");
    connection.set_read_timeout(Some(DEADLINE)).expect("a deadline");
    connection.write_all(request).expect("it is sent");
    let mut answer = Vec::new();
    connection.read_to_end(&mut answer).expect("an answer, and the end of the connection");
    String::from_utf8_lossy(&answer).into_owned()
}

/// Whatever the target of a request is, the request is answered and counted.
#[test]
fn odd_targets_are_counted() {
    let (router, limiter) = site(POLICY);
    let server = Server::start(router);
    let long = format!("/{}", "a/".repeat(10_000));
    let escapes = format!("/{}", "%2F%2e".repeat(1_000));
    let targets = [
        "/",
        "//",
        "/?",
        "/%",
        "/%f",
        "/%zz",
        "/%00",
        "/%ff%fe",
        "/%2e%2e%2f",
        "/..",
        "/../..",
        "/../../../etc/passwd",
        "/;/..;/",
        "/*",
        "/~",
        "/a?b?c=/../d",
        "/%25%32%65",
        &long,
        &escapes,
        "http://example.com",
        "http://example.com/x",
        "http://[::1]:80/x",
        "*",
    ];
    let mut counted = 0;
    for target in targets {
        let request = format!("GET {target} HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
        let answer = exchange(server.address(), request.as_bytes());
        assert!(answer.starts_with("HTTP/1.1 200 "), "{target:.40}: {answer}");
        counted += 1;
        assert_eq!(left(&limiter, "/"), [1000 - counted], "{target:.40}");
    }
}

/// Whatever the method of a request is, the request is answered and counted.
#[test]
fn odd_methods_are_counted() {
    let (router, limiter) = site(POLICY);
    let server = Server::start(router);
    let mut counted = 0;
    for line in [
        "CONNECT example.com:443",
        "CONNECT /login",
        "OPTIONS *",
        "TRACE /",
        "BREW /pot",
        "get /",
        "M-SEARCH *",
        "PRI *",
    ] {
        let request = format!("{line} HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
        let answer = exchange(server.address(), request.as_bytes());
        assert!(answer.starts_with("HTTP/1.1 200 "), "{line}: {answer}");
        counted += 1;
        assert_eq!(left(&limiter, "/"), [1000 - counted], "{line}");
    }
}

/// The host comes from the target if it has one (RFC 9112, section 3.2.2), from the `Host` field
/// otherwise; a request with two such fields is refused, and one without host is another route.
#[test]
fn the_host_of_odd_requests() {
    let (router, _) = site(POLICY);
    let server = Server::start(router);
    let ask = |text: &str| {
        let request = format!("{text}\r\nConnection: close\r\n\r\n");
        exchange(server.address(), request.as_bytes())
    };
    for request in [
        "GET http://api.example.com/login HTTP/1.1\r\nHost: other",
        "GET http://user@api.example.com:80/login HTTP/1.1\r\nHost: other",
        "GET /login HTTP/1.1\r\nhOST:  API.EXAMPLE.COM.:443  ",
        "GET /login HTTP/1.0\r\nHost: api.example.com",
    ] {
        let answer = ask(request);
        assert!(answer.contains("login address 127.0.0.1: "), "{request}: {answer}");
    }
    for request in
        ["GET /login HTTP/1.0", "GET http://other/login HTTP/1.1\r\nHost: api.example.com"]
    {
        let answer = ask(request);
        assert!(answer.contains("all : ") && !answer.contains("login"), "{request}: {answer}");
    }
    let twice = ask("GET /login HTTP/1.1\r\nHost: other\r\nHost: api.example.com");
    assert!(twice.starts_with("HTTP/1.1 400 "), "{twice}");
}

/// Requests that are sent at once, without waiting for answers, are counted one by one.
#[test]
fn pipelined_requests_are_counted_one_by_one() {
    let (router, limiter) = site("always = [\"all\"]\n[limits.all]\nquota = \"30/day\"");
    let server = Server::start(router);
    let one = "GET / HTTP/1.1\r\nHost: h\r\n\r\n";
    let last = "GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n";
    let answers = exchange(server.address(), format!("{}{last}", one.repeat(49)).as_bytes());
    assert_eq!(answers.matches("HTTP/1.1 200 ").count(), 30);
    assert_eq!(answers.matches("HTTP/1.1 429 ").count(), 20);
    assert_eq!(left(&limiter, "/"), [0]);
}

/// A socket for both families shows IPv4 peers as IPv6 addresses.
#[test]
fn a_peer_that_is_mapped_to_ipv6() {
    let test = "odd_requests::a_peer_that_is_mapped_to_ipv6";
    if !needs(test, &["curl"]) {
        return;
    }
    let mapped = "[::ffff:127.0.0.1]:0";
    if std::net::TcpListener::bind(mapped).is_err() {
        say(&format!("SKIPPED: {test}, because this machine maps no IPv4 addresses"));
        return;
    }
    let (router, _) = site(
        r#"
        always = ["calls"]
        [client]
        header = "x-forwarded-for"
        trusted_proxies = ["127.0.0.1/32"]
        [limits.calls]
        quota = "10/day"
        key = "address"
        "#,
    );
    let server = Server::start_on(mapped, router);
    let url = format!("http://127.0.0.1:{}/", server.address().port());
    let forwarded = "X-Forwarded-For: ::ffff:127.0.0.9";
    for (client, key, left) in [
        ("127.0.0.2", "127.0.0.2", 9),
        ("127.0.0.3", "127.0.0.3", 9),
        ("127.0.0.2", "127.0.0.2", 8),
        // The proxy, which is mapped too, is trusted.
        ("127.0.0.1", "127.0.0.9", 9),
    ] {
        let answer = curl(&["--interface", client, "--header", forwarded, &url]);
        assert_eq!(answer.body, format!("calls address {key}: {left}"));
    }
}

/// A server that does not say who the peer is can't count by address; that is an error of whoever
/// set it up, and the answer says what to do.
#[test]
fn a_server_that_knows_no_peer() {
    if !needs("odd_requests::a_server_that_knows_no_peer", &["curl"]) {
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let socket = folder.path().join("service");
    let (router, _) =
        site("always = [\"calls\"]\n[limits.calls]\nquota = \"10/day\"\nkey = \"address\"");
    let _server = Server::start_on_unix(&socket, router);
    let socket = socket.to_str().expect("a path in UTF-8");
    let answer = curl(&["--unix-socket", socket, "http://test/"]);
    assert_eq!(answer.status, 500);
    assert!(answer.body.contains("into_make_service_with_connect_info"), "{}", answer.body);
}

/// A layer within a nested router: axum takes the prefix off the path before it gets there.
#[test]
fn a_layer_within_a_nested_router_sees_the_whole_path() {
    let test = "odd_requests::a_layer_within_a_nested_router_sees_the_whole_path";
    if !needs(test, &["curl"]) {
        return;
    }
    let policy = r#"
        [limits.items]
        quota = "10/day"
        [[routes]]
        path = "/api/items"
        limits = ["items"]
    "#;
    let (inner, _) = site(policy);
    let server = Server::start(Router::new().nest("/api", inner));
    assert_eq!(curl(&[&server.url("/api/items")]).body, "items : 9");
}

/// With `by_matched_path`, the route is the one that axum has matched, also in a nested router. If
/// axum has matched none, or only the prefix of a nested router, it is found by the path.
#[test]
fn routes_that_axum_has_matched() {
    let test = "odd_requests::routes_that_axum_has_matched";
    if !needs(test, &["curl"]) {
        return;
    }
    let policy = r#"
        [limits.item]
        quota = "10/day"
        [limits.other]
        quota = "10/day"
        [[routes]]
        path = "/api/items/{id}"
        limits = ["item"]
        [[routes]]
        path = "/{*rest}"
        limits = ["other"]
    "#;
    let items = || Router::new().route("/items/{number}", get(tell));
    let layer = || RateLimitLayer::new(frozen_limiter(policy)).by_matched_path();
    let whole = Router::new().route("/api/items/{number}", get(tell));
    for router in [
        whole.fallback(tell).layer(layer()),
        Router::new()
            .nest("/api", items().layer(layer()))
            .fallback_service(Router::new().fallback(tell).layer(layer())),
        Router::new().nest("/api", items()).fallback(tell).layer(layer()),
    ] {
        let server = Server::start(router);
        let ask = |path: &str| curl(&["--path-as-is", &server.url(path)]).body;
        assert_eq!(ask("/api/items/7"), "item : 9");
        assert_eq!(ask("/api/items/a%2Fb"), "item : 8");
        assert_eq!(ask("/nothing"), "other : 9");
    }
}
