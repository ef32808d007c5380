//! A browser: what a script can read of the answers of another origin.

use std::sync::mpsc;

use axum::Router;
use axum::extract::State;
use axum::response::Html;
use axum::routing::{get, post};
use serde_json::{Value, json};
use tollgate_http::RateLimitLayer;
use tollgate_http::respond::EXPOSED_HEADERS;
use tollgate_http_network_tests::{
    Calls, DEADLINE, Program, Server, count_statuses, frozen_limiter, needs, tell,
};
use tower_http::cors::{Any, CorsLayer};

/// Asks each origin four times, one after the other, and sends what it could read to its own
/// origin. The header of its own makes the browser ask for permission each time.
const PAGE: &str = r#"<!doctype html><meta charset="utf-8"><script>
const names = ["ratelimit", "ratelimit-policy", "x-ratelimit-remaining", "retry-after"];
async function ask(origin) {
  try {
    const response = await fetch(origin, { headers: { "x-custom": "1" } });
    const seen = { status: response.status };
    for (const name of names) seen[name] = response.headers.get(name);
    const body = await response.text();
    if (!response.ok) seen.title = JSON.parse(body)["violated-policies"].join();
    return seen;
  } catch (error) {
    return { error: error.name };
  }
}
async function run() {
  const answers = [];
  for (const origin of ORIGINS) {
    const seen = [];
    for (let i = 0; i < 4; i++) seen.push(await ask(origin));
    answers.push(seen);
  }
  await fetch("/seen", { method: "POST", body: JSON.stringify(answers) });
}
run();
</script>"#;

const POLICY: &str = r#"
    always = ["calls"]
    [limits.calls]
    quota = "3/min"
    key = "address"
    [response]
    headers = ["ratelimit", "x-ratelimit"]
"#;

/// An API, with the number of its answers of each status. Preflights are never cached.
fn api(layers: impl FnOnce(Router, CorsLayer, RateLimitLayer) -> Router) -> (Server, Calls) {
    let limit = RateLimitLayer::new(frozen_limiter(POLICY));
    let cors =
        CorsLayer::new().allow_origin(Any).allow_headers(Any).max_age(std::time::Duration::ZERO);
    let router = layers(Router::new().route("/", get(tell)), cors, limit);
    let (router, calls) = count_statuses(router);
    (Server::start(router), calls)
}

/// What a script sees in three answers and a refusal, if all fields are exposed.
fn all_is_readable() -> Value {
    let policy = r#""calls";q=3;w=60"#;
    let allowed = |left: u64, after: u64| {
        json!({
            "status": 200,
            "ratelimit": format!(r#""calls";r={left};t={after}"#),
            "ratelimit-policy": policy,
            "x-ratelimit-remaining": left.to_string(),
            "retry-after": null,
        })
    };
    let refused = json!({
        "status": 429,
        "ratelimit": r#""calls";r=0;t=20"#,
        "ratelimit-policy": policy,
        "x-ratelimit-remaining": "0",
        "retry-after": "20",
        "title": "calls",
    });
    json!([allowed(2, 20), allowed(1, 40), allowed(0, 20), refused])
}

#[test]
fn a_script_of_another_origin_reads_the_fields() {
    if !needs("browser::a_script_of_another_origin_reads_the_fields", &["chromium"]) {
        return;
    }
    // As documented: CORS outside, and all fields exposed.
    let (documented, documented_calls) =
        api(|router, cors, limit| router.layer(limit).layer(cors.expose_headers(EXPOSED_HEADERS)));
    // Nothing exposed.
    let (hidden, _) = api(|router, cors, limit| router.layer(limit).layer(cors));
    // The limits outside: they see the preflights, and CORS does not see the refusals.
    let (inside_out, inside_out_calls) =
        api(|router, cors, limit| router.layer(cors.expose_headers(EXPOSED_HEADERS)).layer(limit));

    let seen = visit(&[&documented, &hidden, &inside_out]);

    let readable = all_is_readable();
    assert_eq!(seen[0], readable);
    // The four preflights are not charged.
    assert_eq!(documented_calls.statuses(), [(200, 7), (429, 1)]);

    let statuses: Vec<_> = (0..4).map(|at| &seen[1][at]["status"]).collect();
    assert_eq!(statuses, [200, 200, 200, 429]);
    for at in 0..4 {
        assert!(seen[1][at]["ratelimit"].is_null() && seen[1][at]["retry-after"].is_null());
    }

    for at in 0..3 {
        assert_eq!(seen[2][at], readable[at]);
    }
    assert_eq!(seen[2][3], json!({ "error": "TypeError" }), "the refusal is not readable");
    assert_eq!(inside_out_calls.statuses(), [(200, 7), (429, 1)]);
}

/// Shows the page to a browser, and waits for what its script has seen.
fn visit(apis: &[&Server]) -> Value {
    let origins: Vec<_> = apis.iter().map(|api| api.url("/")).collect();
    let page = PAGE.replace("ORIGINS", &json!(origins).to_string());
    let (sender, seen) = mpsc::channel();
    let router = Router::new()
        .route("/", get(move || async move { Html(page) }))
        .route("/seen", post(report))
        .with_state(sender);
    let site = Server::start(router);
    let folder = tempfile::tempdir().expect("a folder");
    let profile = format!("--user-data-dir={}", folder.path().join("profile").display());
    let args = [
        "--headless",
        // The sandbox does not work as root and in containers; the page is ours.
        "--no-sandbox",
        "--disable-dev-shm-usage",
        "--disable-gpu",
        "--no-proxy-server",
        // Nothing is asked of its maker.
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
        "--no-first-run",
        // Without this it would leave when the page is loaded, before the script is done.
        "--remote-debugging-port=0",
        &profile,
        &site.url("/"),
    ];
    let browser = Program::start("chromium", &args, folder.path());
    let text = seen.recv_timeout(DEADLINE).expect("the script sends what it saw");
    drop(browser);
    serde_json::from_str(&text).expect("JSON")
}

async fn report(State(sender): State<mpsc::Sender<String>>, body: String) {
    sender.send(body).expect("the test waits for it");
}
