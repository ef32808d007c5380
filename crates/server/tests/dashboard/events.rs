//! The events of the dashboard, as any client of HTTP sees them.

use bytes::Bytes;
use http::{Request, StatusCode};
use http_body_util::{BodyExt as _, Empty};
use hyper::body::Incoming;
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use serde_json::{Value, json};

use crate::support::Running;

/// An open page.
struct Page {
    body: Incoming,
    text: String,
}

impl Page {
    /// Opens a page; the status if it is refused.
    async fn open(service: &Running) -> Result<Self, StatusCode> {
        let client = Client::builder(TokioExecutor::new()).build_http::<Empty<Bytes>>();
        let url = format!("{}/dashboard/events", service.admin());
        let request = Request::get(url).body(Empty::new()).expect("a request");
        let response = client.request(request).await.expect("the service answers");
        if response.status() != StatusCode::OK {
            return Err(response.status());
        }
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        Ok(Self { body: response.into_body(), text: String::new() })
    }

    /// The next event: its name and its data. `None` at the end.
    async fn event(&mut self) -> Option<(String, Value)> {
        loop {
            if let Some((event, rest)) = self.text.split_once("\n\n") {
                let (name, data) = event.split_once('\n').expect("two lines");
                let name = name.strip_prefix("event: ").expect("a name").to_owned();
                let data = data.strip_prefix("data: ").expect("data");
                let data = serde_json::from_str(data).expect("JSON");
                let read = self.text.len() - rest.len();
                self.text.drain(..read);
                return Some((name, data));
            }
            let frame = self.body.frame().await?.expect("a frame");
            let data = frame.into_data().expect("data");
            self.text.push_str(std::str::from_utf8(&data).expect("text"));
        }
    }

    /// The first moment that has something.
    async fn moment(&mut self, has: impl Fn(&Value) -> bool) -> Value {
        loop {
            let (name, data) = self.event().await.expect("the stream goes on");
            if name == "now" && has(&data) {
                return data;
            }
        }
    }
}

fn policy(limit: &str) -> String {
    format!(
        "always = ['{limit}']
        [limits.{limit}]
        quota = '3/day'
        key = 'user'
        missing = 'skip'
        max_keys = 50
        [penalty]
        key = 'caller'
        after = '2/h'
        block = '10min'"
    )
}

async fn ask(service: &Running, user: &str) {
    let check = json!({ "method": "GET", "path": "/", "address": "203.0.113.7", "user": user });
    service.check(&check).await;
}

fn limit<'a>(now: &'a Value, name: &str) -> &'a Value {
    let limits = now["limits"].as_array().expect("a list");
    limits.iter().find(|limit| limit["name"] == name).expect("the limit")
}

#[tokio::test]
async fn a_page_is_told_the_history_and_then_each_moment() {
    let service = Running::with(&policy("told"), "").await;
    for _ in 0..4 {
        ask(&service, "mallory").await;
    }
    let mut page = Page::open(&service).await.expect("there is a place");
    let (name, history) = page.event().await.expect("an event");
    assert_eq!((name.as_str(), &history["step_s"]), ("history", &json!(5)));
    assert_eq!(history["limits"][0]["name"], "told");
    let now = page.moment(|now| limit(now, "told")["refused"] == 1).await;
    let told = limit(&now, "told");
    assert_eq!(
        (&told["allowed"], &told["keys"], &told["keys_max"]),
        (&json!(3), &json!(1), &json!(50))
    );
    assert_eq!((&told["quota"], &told["key"]), (&json!("3/day"), &json!("user")));
    let metrics = service.operator("GET", "/metrics").await.text();
    assert!(metrics.contains("tollgate_decisions_total{limit=\"told\",result=\"refused\"} 1"));
    assert_eq!(now["policy"]["hash"], service.server.limiter().policy().hash());
    assert!(now["store"].is_null());
}

#[tokio::test]
async fn keys_are_hashed_as_elsewhere() {
    let service = Running::with(&policy("hashed"), "").await;
    for _ in 0..7 {
        ask(&service, "mallory-the-user").await;
    }
    let mut page = Page::open(&service).await.expect("there is a place");
    let now =
        page.moment(|now| now["violations"].as_array().is_some_and(|all| !all.is_empty())).await;
    assert!(!now.to_string().contains("mallory"), "{now}");
    let listed = service.operator("GET", "/rate_limit/penalties").await.json();
    let hash = &listed["penalties"][0]["key_hash"];
    assert_eq!(&now["penalties"]["callers"][0]["key_hash"], hash);
    assert_eq!(&limit(&now, "hashed")["most_limited"][0]["key_hash"], hash);
    assert_eq!(now["penalties"]["active"], 1);

    let path = format!("/rate_limit/penalties/{}", hash.as_str().expect("a text"));
    assert_eq!(service.operator("DELETE", &path).await.status, 204);
    let now = page.moment(|now| now["penalties"]["active"] == 0).await;
    assert_eq!(now["penalties"]["callers"], json!([]));
}

#[tokio::test]
async fn a_key_can_be_shown_and_not_turn_the_text_around_it() {
    let shown = "[server.admin]\nshow_keys = true\n";
    let service = Running::with(&policy("shown"), shown).await;
    for _ in 0..4 {
        ask(&service, "a\u{202e}<b>\n").await;
    }
    let mut page = Page::open(&service).await.expect("there is a place");
    let now = page.moment(|now| limit(now, "shown")["most_limited"][0].is_object()).await;
    assert_eq!(limit(&now, "shown")["most_limited"][0]["key"], "user a\\u{202e}<b>\\u{a}");
}

#[tokio::test]
async fn pages_are_bounded_and_a_place_is_given_back() {
    let service = Running::with(&policy("bounded"), "").await;
    let mut pages = Vec::new();
    for _ in 0..32 {
        pages.push(Page::open(&service).await.expect("there is a place"));
    }
    let refused = service.operator("GET", "/dashboard/events").await;
    assert_eq!((refused.status.as_u16(), refused.field("retry-after")), (503, Some("5")));
    for page in &mut pages {
        page.event().await.expect("all are told");
    }
    pages.pop();
    // The service notices that a connection is closed when it comes to know it.
    while Page::open(&service).await.is_err() {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn the_end_of_the_service_ends_the_events() {
    let service = Running::with(&policy("ending"), "").await;
    let mut page = Page::open(&service).await.expect("there is a place");
    page.event().await.expect("an event");
    let reading = tokio::spawn(async move { while page.event().await.is_some() {} });
    // It would wait for `drain_time` for a request that does not end.
    service.server.stop().await;
    reading.await.expect("the stream ends properly");
}

#[tokio::test]
async fn a_page_of_another_site_gets_no_place() {
    let service = Running::with(&policy("foreign"), "").await;
    for site in ["cross-site", "same-site", "odd"] {
        let url = format!("{}/dashboard/events", service.admin());
        let request = Request::get(url).header("sec-fetch-site", site);
        assert_eq!(service.send(request, "").await.status, 403, "{site}");
    }
}
