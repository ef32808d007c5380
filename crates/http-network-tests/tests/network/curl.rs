//! What a user of curl sees.

use axum::Router;
use axum::routing::any;
use serde_json::{Value, json};
use tollgate_http::{HttpLimiter, RateLimitLayer};
use tollgate_http_network_tests::{
    Answer, Server, count_statuses, curl, curl_text, frozen_limiter, left, limiter, needs, output,
    tell,
};

fn serve(limiter: &HttpLimiter) -> Server {
    Server::start(Router::new().fallback(tell).layer(RateLimitLayer::new(limiter.clone())))
}

/// The fields of an answer that the layer has written, as one text.
fn ours(answer: &Answer) -> String {
    let names = ["ratelimit", "retry-after", "cache-control", "content-type"];
    let is_ours = |name: &str| names.contains(&name) || name.contains("ratelimit-");
    let fields = answer.fields.iter().filter(|(name, _)| is_ours(name));
    let mut lines: Vec<_> = fields.map(|(name, value)| format!("{name}: {value}")).collect();
    lines.sort_unstable();
    lines.join("\n")
}

const TWO_LIMITS: &str = r#"
    always = ["site", "calls"]
    [limits.site]
    quota = "1000/h"
    [limits.calls]
    quota = "2/min"
    key = "address"
    [response]
    headers = ["ratelimit", "x-ratelimit"]
"#;

#[test]
fn the_fields_of_an_answer_and_of_a_refusal() {
    if !needs("curl::the_fields_of_an_answer_and_of_a_refusal", &["curl"]) {
        return;
    }
    for version in ["--http1.0", "--http1.1", "--http2-prior-knowledge"] {
        let server = serve(&frozen_limiter(TWO_LIMITS));
        let ask = |method: &str| curl(&[version, method, &server.url("/")]);
        let allowed = ask("--get");
        assert_eq!(allowed.status, 200);
        assert_eq!(
            ours(&allowed),
            r#"content-type: text/plain; charset=utf-8
ratelimit-policy: "site";q=1000;w=3600, "calls";q=2;w=60
ratelimit: "site";r=999;t=4, "calls";r=1;t=30
x-ratelimit-limit: 2
x-ratelimit-remaining: 1
x-ratelimit-reset: 30"#
        );
        // A HEAD request is charged too.
        let head = ask("--head");
        assert_eq!((head.status, head.body.as_str()), (200, ""));
        assert_eq!(head.field("ratelimit"), Some(r#""site";r=998;t=8, "calls";r=0;t=30"#));

        let refused = ask("--get");
        assert_eq!(refused.status, 429);
        assert_eq!(
            ours(&refused),
            r#"cache-control: no-store
content-type: application/problem+json
ratelimit-policy: "site";q=1000;w=3600, "calls";q=2;w=60
ratelimit: "calls";r=0;t=30
retry-after: 30
x-ratelimit-limit: 2
x-ratelimit-remaining: 0
x-ratelimit-reset: 60"#
        );
        let body: Value = serde_json::from_str(&refused.body).expect("a body in JSON");
        assert_eq!(body["status"], 429);
        assert_eq!(body["violated-policies"], json!(["calls"]));
        assert_eq!(body["type"], "https://iana.org/assignments/http-problem-types#quota-exceeded");

        let head = ask("--head");
        assert_eq!((head.status, head.body.as_str()), (429, ""));
        assert_eq!(ours(&head), ours(&refused));
        assert_eq!(head.field("content-length"), refused.field("content-length"));
    }
}

/// Refusals leave the connection usable: of GET, of HEAD, and again of GET.
#[test]
fn a_connection_outlives_refusals() {
    if !needs("curl::a_connection_outlives_refusals", &["curl"]) {
        return;
    }
    let server = serve(&frozen_limiter(TWO_LIMITS));
    let url = server.url("/");
    let get = ["--output", "/dev/null", "--write-out", "%{http_code} %{num_connects}\n", &url];
    let head = [&["--head"], &get[..]].concat();
    let next = &["--next"][..];
    let args = [&get[..], next, &get, next, &get, next, &head, next, &get].concat();
    assert_eq!(curl_text(&args), "200 1\n200 0\n429 0\n429 0\n429 0\n");
}

/// curl waits as long as `Retry-After` says, and then passes. (Without that field, it would wait
/// for one second, and be refused again.)
#[test]
fn retry_after_is_long_enough() {
    if !needs("curl::retry_after_is_long_enough", &["curl"]) {
        return;
    }
    let policy = "always = [\"calls\"]\n[limits.calls]\nquota = \"1/2s\"";
    let limit = RateLimitLayer::new(limiter(policy));
    let (router, calls) = count_statuses(Router::new().fallback(tell).layer(limit));
    let server = Server::start(router);
    let folder = tempfile::tempdir().expect("a folder");
    let body = folder.path().join("body");
    let body = body.to_str().expect("a path in UTF-8");
    // A pause of this machine between two requests lets the second pass at once, so it may take
    // several requests until one is refused.
    for asked in 1..=20 {
        let url = server.url("/");
        let args = ["--retry", "1", "--output", body, "--write-out", "%{http_code}", &url];
        assert_eq!(curl_text(&args), "200");
        // Each refusal was followed by a success.
        let retries = calls.of(429);
        assert_eq!(calls.of(200), asked);
        if retries == 1 {
            return;
        }
    }
    panic!("no request was refused");
}

const LOGIN: &str = r#"
    [limits.login]
    quota = "100/day"
    [limits.rest]
    quota = "100/day"
    [[routes]]
    name = "login"
    method = "POST"
    path = "/login/now"
    limits = ["login"]
    [[routes]]
    name = "rest"
    path = "/{*rest}"
    limits = ["rest"]
"#;

#[test]
fn other_spellings_of_a_path_are_the_same_route() {
    if !needs("curl::other_spellings_of_a_path_are_the_same_route", &["curl"]) {
        return;
    }
    let server = serve(&limiter(LOGIN));
    let ask = |path: &str| curl(&["--path-as-is", "--data", "x=1", &server.url(path)]);
    let spellings = [
        "/login/now",
        "/login/now/",
        "//login///now",
        "/%6Cogin/n%6fw",
        "/login/now?path=/other",
        "/login/now?../../other",
        "/login/%6e%6F%77#fragment",
    ];
    for (path, left) in spellings.iter().zip((0..100).rev()) {
        assert_eq!(ask(path).body, format!("login : {left}"), "{path}");
    }
    // One segment, not two; and other names.
    for (path, left) in ["/login%2Fnow", "/Login/now", "/login/now;x=1"].iter().zip((0..100).rev())
    {
        assert_eq!(ask(path).body, format!("rest : {left}"), "{path}");
    }
}

#[test]
fn a_path_whose_dots_change_its_route_is_refused() {
    if !needs("curl::a_path_whose_dots_change_its_route_is_refused", &["curl"]) {
        return;
    }
    let limiter = limiter(LOGIN);
    let server = serve(&limiter);
    let dotted = [
        "/login/./now",
        "/login/x/../now",
        "/x/../login/now",
        "/login/%2e/now",
        "/x/%2E%2e/login/now",
        "/./login/now",
        "/x/..//login/now",
    ];
    for version in ["--http1.1", "--http2-prior-knowledge"] {
        for path in dotted {
            let answer = curl(&[version, "--path-as-is", "--data", "", &server.url(path)]);
            assert_eq!(answer.status, 400, "{path}");
            let fields = "cache-control: no-store\ncontent-type: application/problem+json";
            assert_eq!(ours(&answer), fields, "{path}");
        }
    }
    assert_eq!(left(&limiter, "/other"), [100]);
    // The same route either way.
    let plain = curl(&["--path-as-is", &server.url("/a/../b/./c")]);
    assert_eq!((plain.status, plain.body.as_str()), (200, "rest : 99"));
}

/// The host is that of the `Host` field in HTTP/1.1, and of `:authority` in HTTP/2.
#[test]
fn hosts_in_both_versions_of_http() {
    if !needs("curl::hosts_in_both_versions_of_http", &["curl"]) {
        return;
    }
    let limiter = limiter(
        r#"
        [limits.api]
        quota = "100/day"
        key = "host"
        missing = "share"
        [[routes]]
        path = "/{*rest}"
        host = "*.example.com"
        limits = ["api"]
        "#,
    );
    let server = serve(&limiter);
    let mut left = (0..100).rev();
    for version in ["--http1.1", "--http2-prior-knowledge"] {
        for host in ["api.example.com", "API.Example.COM:8080", "api.example.com."] {
            let field = format!("Host: {host}");
            let answer = curl(&[version, "--header", &field, &server.url("/")]);
            let left = left.next().expect("enough");
            assert_eq!(answer.body, format!("api host api.example.com: {left}"), "{host}");
        }
        let answer = curl(&[version, "--header", "Host: example.com", &server.url("/")]);
        assert_eq!(answer.body, "", "the host itself is not below it");
    }
}

/// Many streams of few connections at the same time.
#[test]
fn streams_of_http_2_are_counted_one_by_one() {
    if !needs("curl::streams_of_http_2_are_counted_one_by_one", &["h2load"]) {
        return;
    }
    let policy = "always = [\"calls\"]\n[limits.calls]\nquota = \"1/day burst 700\"";
    let limit = RateLimitLayer::new(limiter(policy));
    let (router, calls) =
        count_statuses(Router::new().route("/", any(|| async { "served" })).layer(limit));
    let server = Server::start(router);
    let text = output("h2load", &["-n", "1000", "-c", "4", "-m", "50", &server.url("/")]);
    assert!(text.contains("status codes: 700 2xx, 0 3xx, 300 4xx, 0 5xx"), "{text}");
    assert_eq!(calls.statuses(), [(200, 700), (429, 300)]);
}
