//! Requests that are dropped, in each state, and clients that panic.

use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use http::{Request, Response};
use tower::{Layer, Service, ServiceExt, service_fn};

use super::support::{Answer, Client, all, around, at, builder, get, spawn, spawn_many};

const WAIT_5: Answer = (429, &[("retry-after", "5")]);

fn request() -> Request<()> {
    Request::get("http://a.test/").body(()).expect("a valid request")
}

#[tokio::test(start_paused = true)]
async fn a_future_that_is_never_polled_takes_nothing() {
    let client = Client::new();
    let mut service = around(&client, builder("1/s"));
    for _ in 0..3 {
        drop(service.ready().await.expect("ready").call(request()));
    }
    assert!(get(&service, "http://a.test/").await.is_ok());
    assert_eq!(client.times(), [0]);
}

#[tokio::test(start_paused = true)]
async fn a_request_that_is_dropped_while_it_waits_gives_its_place_back() {
    let client = Client::new();
    let service = around(&client, builder("1/s"));
    let tasks = spawn_many(&service, 6).await;
    at(500, &client).await;
    for n in [1, 2, 4] {
        tasks[n].abort();
    }
    for task in tasks {
        let _ = task.await;
    }
    let uris: Vec<String> = client.sent().into_iter().map(|sent| sent.uri).collect();
    assert_eq!(uris, ["http://a.test/0", "http://a.test/3", "http://a.test/5"]);
    assert_eq!(client.times(), [0, 1_000, 2_000]);
}

#[tokio::test(start_paused = true)]
async fn a_request_that_is_dropped_when_its_turn_has_come_gives_it_back() {
    let client = Client::new();
    let service = around(&client, builder("1/s"));
    assert!(get(&service, "http://a.test/0").await.is_ok());
    {
        // It waits, its turn comes, and it is dropped without being polled again.
        let mut waits = pin!(service.clone().oneshot(request()));
        let mut context = Context::from_waker(Waker::noop());
        assert!(waits.as_mut().poll(&mut context).is_pending());
        at(1_000, &client).await;
    }
    assert!(get(&service, "http://a.test/1").await.is_ok());
    assert_eq!(client.times(), [0, 1_000]);
}

#[tokio::test(start_paused = true)]
async fn a_request_that_is_dropped_in_a_pause_gives_its_place_back() {
    let client = Client::new().script([(0, WAIT_5)]);
    let service = around(&client, builder("1/s"));
    let mut tasks = spawn_many(&service, 4).await;
    at(3_000, &client).await;
    for dropped in tasks.drain(1..3) {
        dropped.abort();
    }
    all(tasks).await;
    assert_eq!(client.times(), [0, 5_000]);
}

#[tokio::test(start_paused = true)]
async fn a_request_that_is_dropped_on_its_way_counts() {
    let client = Client::new().answers_after(10_000);
    let service = around(&client, builder("1/s"));
    let sent = spawn(&service, "http://a.test/0").await;
    assert_eq!(client.times(), [0]);
    sent.abort();
    let next = spawn(&service, "http://a.test/1").await;
    at(1_500, &client).await;
    assert_eq!(client.times(), [0, 1_000]);
    next.abort();
}

#[tokio::test(start_paused = true)]
async fn a_client_that_panics_does_no_harm() {
    let layer = builder("1/s").build().expect("valid settings");
    let panics = |request: Request<()>| async move {
        assert_ne!(request.uri().path(), "/panics", "as scripted");
        Ok::<_, std::convert::Infallible>(Response::new(()))
    };
    let service = layer.layer(service_fn(panics));
    let begin = tokio::time::Instant::now();
    let bad = Request::get("http://a.test/panics").body(()).expect("a request");
    assert!(tokio::spawn(service.clone().oneshot(bad)).await.is_err());
    assert!(service.clone().oneshot(request()).await.is_ok());
    assert_eq!(begin.elapsed(), Duration::from_secs(1));
}

#[tokio::test(start_paused = true)]
async fn a_future_that_is_polled_after_its_end_does_not_panic_if_nothing_was_sent() {
    let client = Client::new();
    let service = around(&client, builder("1/s").max_wait(Duration::ZERO));
    assert!(get(&service, "http://a.test/").await.is_ok());
    let mut service = service;
    let mut future = pin!(service.ready().await.expect("ready").call(request()));
    let mut context = Context::from_waker(Waker::noop());
    assert!(matches!(future.as_mut().poll(&mut context), Poll::Ready(Err(_))));
    assert!(future.as_mut().poll(&mut context).is_pending());
}
