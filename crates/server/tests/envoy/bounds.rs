//! What a request may have, and requests that are none.

use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client as HttpClient;
use hyper_util::rt::TokioExecutor;
use tollgate_server::envoy::messages::{Code as Answer, Entry, RateLimitDescriptor};
use tollgate_server::envoy::{Bounds, SHOULD_RATE_LIMIT, router};
use tonic::Code;

use crate::client::{Client, descriptor, request};
use crate::server::{Running, builder, policy};

const POLICY: &str = "
    [limits.all]
    quota = '1000/day'
    [[descriptors]]
    domain = 'edge'
    entries = ['k']
    limits = ['all']
";

#[tokio::test]
async fn a_domain_and_a_descriptor_are_needed() {
    let mut client = Client::of(POLICY).await;
    for (domain, descriptors, text) in [
        ("", vec![descriptor(&[("k", "v")])], "the domain must not be empty"),
        ("edge", vec![], "there must be a descriptor"),
    ] {
        let error = client.ask(request(domain, descriptors)).await.expect_err("a bad request");
        assert_eq!((error.code(), error.message()), (Code::InvalidArgument, text));
    }
}

#[tokio::test]
async fn descriptors_entries_and_bytes_have_a_most() {
    let mut client = Client::of(POLICY).await;
    let many = |count: usize| vec![descriptor(&[("k", "v")]); count];
    let most = client.edge(many(64)).await;
    assert_eq!(most.statuses.len(), 64);
    assert_eq!(most.statuses[63].limit_remaining, 1000 - 64);
    let wide =
        |count: usize| -> Vec<RateLimitDescriptor> { vec![descriptor(&vec![("k", "v"); count])] };
    client.edge(wide(32)).await;
    for (descriptors, text) in [(many(65), "65 descriptors"), (wide(33), "33 entries")] {
        let error = client.ask(request("edge", descriptors)).await.expect_err("too many");
        assert_eq!(error.code(), Code::InvalidArgument);
        assert!(error.message().contains(text), "{error}");
    }
    let long = |length: usize| vec![descriptor(&[("k", &"v".repeat(length))])];
    client.edge(long(4_000_000)).await;
    let error = client.ask(request("edge", long(4_200_000))).await.expect_err("too long");
    assert_eq!(error.code(), Code::OutOfRange);
    // What was refused has taken nothing, and the connection is still of use.
    assert_eq!(client.edge(many(1)).await.statuses[0].limit_remaining, 1000 - 64 - 1 - 1);
}

/// Envoy sends the bytes of a path as they are. An error would let all descriptors through.
#[tokio::test]
async fn a_value_that_is_not_utf_8_is_one_of_its_own() {
    let mut client = Client::of(&POLICY.replace("1000", "1")).await;
    let entries = vec![Entry { key: b"k".to_vec(), value: b"/items?\xff".to_vec() }];
    let odd = RateLimitDescriptor { entries, ..RateLimitDescriptor::default() };
    assert_eq!(client.edge(vec![odd.clone()]).await.overall_code(), Answer::Ok);
    assert_eq!(client.edge(vec![odd]).await.overall_code(), Answer::OverLimit);
}

#[tokio::test]
async fn another_method_is_unimplemented() {
    let mut client = Client::of(POLICY).await;
    for path in [
        "/envoy.service.ratelimit.v2.RateLimitService/ShouldRateLimit",
        "/envoy.service.ratelimit.v3.RateLimitService/Other",
    ] {
        let asked = request("edge", vec![descriptor(&[("k", "v")])]);
        let error = client.call(path, asked).await.expect_err("there is no such method");
        assert_eq!(error.code(), Code::Unimplemented);
    }
}

/// Sends a body as it is; returns the gRPC status.
async fn send(server: &Running, body: Vec<u8>) -> Option<i32> {
    let client: HttpClient<_, Full<Bytes>> =
        HttpClient::builder(TokioExecutor::new()).http2_only(true).build_http();
    let request = Request::post(format!("http://{}{SHOULD_RATE_LIMIT}", server.address))
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .body(Full::new(Bytes::from(body)))
        .expect("a request");
    let response = client.request(request).await.expect("a response");
    let in_head = response.headers().get("grpc-status").cloned();
    let trailers = response.into_body().collect().await.expect("a body").trailers().cloned();
    let status = in_head.or_else(|| trailers?.get("grpc-status").cloned())?;
    status.to_str().ok()?.parse().ok()
}

#[tokio::test]
async fn bytes_that_are_no_message_are_an_error_and_no_panic() {
    let server = Running::of(builder(&policy(POLICY)).build().expect("memory")).await;
    let framed = |flag: u8, message: &[u8]| {
        let length = u32::try_from(message.len()).expect("a short message").to_be_bytes();
        [&[flag][..], &length, message].concat()
    };
    // A domain, and a descriptor with an entry `k`.
    let right = b"\x0a\x04edge\x12\x08\x0a\x06\x0a\x01k\x12\x01v";
    assert_eq!(send(&server, framed(0, right)).await, Some(0));
    for body in [
        framed(0, b"\xff\xff\xff"),
        framed(0, b"\x0a\xff\x04edge"),
        framed(0, b"\x0a\x02\xff\xfe"),
        framed(1, right),
        framed(7, right),
        framed(0, right)[..9].to_vec(),
        vec![0, 255, 255, 255, 255],
        Vec::new(),
    ] {
        let status = send(&server, body.clone()).await;
        assert!(matches!(status, Some(1..=16)), "{body:?} {status:?}");
    }
    assert_eq!(send(&server, framed(0, right)).await, Some(0));
}

/// A client that sends a part of its request, and then nothing.
#[tokio::test(start_paused = true)]
async fn a_request_that_does_not_arrive_ends() {
    use tower::ServiceExt as _;

    let bounds = Bounds::default();
    let router = router(builder(&policy(POLICY)).build().expect("memory"), bounds);
    let never = http_body_util::StreamBody::new(tokio_stream::pending::<
        Result<http_body::Frame<Bytes>, std::convert::Infallible>,
    >());
    let request = Request::post(SHOULD_RATE_LIMIT)
        .header("content-type", "application/grpc")
        .body(axum::body::Body::new(never))
        .expect("a request");
    let begin = tokio::time::Instant::now();
    let response = router.oneshot(request).await.expect("a response");
    assert_eq!(response.headers()["grpc-status"], "4");
    assert_eq!(begin.elapsed(), bounds.time);
}
