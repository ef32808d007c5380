//! Pace, order, and one queue for each host.

use std::time::Duration;

use tollgate::Quota;
use tollgate_http::client::{ByHost, WaitLayer};
use tower::{Layer, Service, ServiceExt, service_fn};

use super::support::{Client, all, around, builder, get, spawn_many};

#[tokio::test(start_paused = true)]
async fn requests_keep_to_the_pace_exactly() {
    let client = Client::new();
    let service = around(&client, builder("4/s burst 2"));
    all(spawn_many(&service, 6).await).await;
    assert_eq!(client.times(), [0, 0, 250, 500, 750, 1_000]);
}

#[tokio::test(start_paused = true)]
async fn requests_are_sent_in_the_order_in_which_they_came() {
    let client = Client::new();
    let service = around(&client, builder("10/s burst 1"));
    all(spawn_many(&service, 50).await).await;
    let uris: Vec<String> = client.sent().into_iter().map(|sent| sent.uri).collect();
    let in_order: Vec<String> = (0..50).map(|n| format!("http://a.test/{n}")).collect();
    assert_eq!(uris, in_order);
}

#[tokio::test(start_paused = true)]
async fn hosts_do_not_hold_each_other_up() {
    let client = Client::new();
    let service =
        around(&client, builder("1/s burst 1").quota_for("B.test:80", Quota::per_hour(1)));
    for uri in ["http://b.test/", "http://a.test/", "http://a.test:8080/", "https://A.test/"] {
        assert!(get(&service, uri).await.is_ok());
    }
    // The last one is the same host as the second.
    assert_eq!(client.times(), [0, 0, 0, 1_000]);
    assert!(get(&service, "http://b.test/").await.is_ok());
    assert_eq!(client.times_of("b.test"), [0, 3_600_000]);
}

#[tokio::test(start_paused = true)]
async fn clones_of_a_layer_share_their_hosts() {
    let client = Client::new();
    let layer = WaitLayer::per_host(Quota::per_second(1)).expect("a valid quota");
    let services = [layer.layer(client.clone()), layer.clone().layer(client.clone())];
    for service in &services {
        assert!(get(service, "http://a.test/").await.is_ok());
    }
    assert_eq!(client.times(), [0, 1_000]);
}

#[tokio::test(start_paused = true)]
async fn the_service_that_was_polled_ready_is_called() {
    // The scripted client panics if it is called without being ready, and its clones are not.
    let client = Client::new();
    let mut service = around(&client, builder("1/s"));
    for _ in 0..3 {
        let request = http::Request::get("http://a.test/").body(()).expect("a request");
        let future = service.ready().await.expect("ready").call(request);
        assert!(future.await.is_ok());
    }
    assert_eq!(client.times(), [0, 1_000, 2_000]);
}

/// Types of another HTTP client, which does not use those of the crate `http`.
struct Ask(&'static str);
struct Reply(http::StatusCode, http::HeaderMap);

#[tokio::test(start_paused = true)]
async fn other_types_are_read_by_closures() {
    let layer = WaitLayer::builder(Quota::per_second(1))
        .key(|ask: &Ask| ask.0.to_owned())
        .answer(|reply: &Reply| (reply.0, &reply.1))
        .quota_for("Slow", Quota::per_minute(1))
        .build()
        .expect("valid settings");
    let service = layer.layer(service_fn(|_: Ask| async {
        let fields = [(http::header::RETRY_AFTER, http::HeaderValue::from_static("7"))];
        let reply = Reply(http::StatusCode::TOO_MANY_REQUESTS, fields.into_iter().collect());
        Ok::<_, std::convert::Infallible>(reply)
    }));
    let begin = tokio::time::Instant::now();
    let mut times = Vec::new();
    for key in ["fast", "fast", "Slow", "Slow"] {
        assert!(service.clone().oneshot(Ask(key)).await.is_ok());
        times.push(begin.elapsed());
    }
    assert_eq!(times, [0, 7, 7, 67].map(Duration::from_secs));
}

#[test]
fn invalid_settings_are_refused() {
    assert!(WaitLayer::per_host(Quota::per_second(0)).is_err());
    assert!(builder("1/s").quota_for("a.test", Quota::per_second(0)).build().is_err());
    assert!(builder("1/s").max_hosts(0).build().is_err());
}

#[test]
fn everything_can_be_shared_between_threads() {
    fn is_shared<T: Clone + Send + Sync + 'static>(_: &T) {}
    let layer: WaitLayer<ByHost> = WaitLayer::per_host(Quota::per_second(1)).expect("valid");
    is_shared(&layer);
    is_shared(&layer.layer(service_fn(|(): ()| async { Ok::<_, std::io::Error>(()) })));
}
