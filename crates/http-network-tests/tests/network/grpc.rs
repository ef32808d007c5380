//! gRPC: a server and a client of tonic.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use tokio_stream::StreamExt as _;
use tokio_stream::wrappers::TcpListenerStream;
use tollgate_http::{Facts, HttpLimiter, RateLimitLayer};
use tollgate_http_network_tests::{Server, frozen_limiter};
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Response, Status};
use tonic_health::ServingStatus;
use tonic_health::pb::health_client::HealthClient;
use tonic_health::pb::{HealthCheckRequest, HealthCheckResponse};
use tonic_health::server::{HealthReporter, health_reporter};
use tonic_types::StatusExt as _;

const CHECK: &str = "/grpc.health.v1.Health/Check";

const POLICY: &str = r#"
    [limits.calls]
    quota = "2/min"
    key = "address"
    [[subjects]]
    address = "127.0.0.3"
    blocked = true
    [[routes]]
    method = "POST"
    path = "/grpc.health.v1.Health/{method}"
    limits = ["calls"]
"#;

/// A health service behind the limiter, and what changes the health.
fn serve(limiter: &HttpLimiter) -> (Server, HealthReporter) {
    let (reporter, service) = health_reporter();
    let layer = RateLimitLayer::new(limiter.clone());
    let server = Server::run(|listener| async move {
        tonic::transport::Server::builder()
            .layer(layer)
            .add_service(service)
            .serve_with_incoming(TcpListenerStream::new(listener))
            .await
            .expect("it serves for ever");
    });
    (server, reporter)
}

/// A client at the address 127.0.0.`last`.
async fn client(server: &Server, last: u8) -> HealthClient<Channel> {
    let endpoint = Endpoint::from_shared(server.url("")).expect("a URL");
    let endpoint = endpoint.local_address(Some(address(last)));
    HealthClient::new(endpoint.connect().await.expect("a connection"))
}

fn address(last: u8) -> IpAddr {
    Ipv4Addr::new(127, 0, 0, last).into()
}

type Answer = Result<Response<HealthCheckResponse>, Status>;

async fn check(client: &mut HealthClient<Channel>) -> Answer {
    client.check(HealthCheckRequest::default()).await
}

/// What is left for the client at 127.0.0.`last`.
fn left(limiter: &HttpLimiter, last: u8) -> u64 {
    let explanation = limiter.explain(&Facts::new("POST", CHECK).peer(address(last)));
    let explanation = explanation.expect("memory answers at once");
    explanation.limits().map(|limit| limit.remaining()).next().expect("one limit")
}

/// The wait that a status tells twice: as `RetryInfo`, and as `grpc-retry-pushback-ms`.
fn wait(status: &Status) -> Duration {
    let info = status.get_details_retry_info().expect("RetryInfo");
    let wait = info.retry_delay.expect("a delay");
    let pushback = status.metadata().get("grpc-retry-pushback-ms").expect("pushback");
    assert_eq!(pushback.to_str().expect("a number"), wait.as_millis().to_string());
    wait
}

#[tokio::test]
async fn a_refusal_is_resource_exhausted_with_the_wait() {
    let limiter = frozen_limiter(POLICY);
    let (server, _reporter) = serve(&limiter);
    let mut client = client(&server, 2).await;
    for _ in 0..2 {
        let answer = check(&mut client).await.expect("it is allowed");
        assert_eq!(answer.get_ref().status, ServingStatus::Serving as i32);
    }
    for _ in 0..3 {
        let status = check(&mut client).await.expect_err("the quota is used");
        assert_eq!(status.code(), Code::ResourceExhausted, "{status:?}");
        assert_eq!(wait(&status), Duration::from_secs(30));
        assert!(!status.message().is_empty());
    }
    assert_eq!(left(&limiter, 2), 0);
}

#[tokio::test]
async fn each_address_has_a_bucket_of_its_own() {
    let limiter = frozen_limiter(POLICY);
    let (server, _reporter) = serve(&limiter);
    let (mut one, mut other) = (client(&server, 2).await, client(&server, 4).await);
    for _ in 0..2 {
        check(&mut one).await.expect("it is allowed");
    }
    check(&mut other).await.expect("it is allowed");
    check(&mut one).await.expect_err("the quota is used");
    assert_eq!([2, 4, 5].map(|last| left(&limiter, last)), [0, 1, 2]);
}

#[tokio::test]
async fn a_blocked_client_has_no_permission() {
    let limiter = frozen_limiter(POLICY);
    let (server, _reporter) = serve(&limiter);
    let status = check(&mut client(&server, 3).await).await.expect_err("it is blocked");
    assert_eq!(status.code(), Code::PermissionDenied);
    assert!(status.get_details_retry_info().is_none());
    assert!(!status.metadata().contains_key("retry-after"));
}

/// A call that is answered by a stream is charged when it begins, and not by message.
#[tokio::test]
async fn a_stream_is_charged_once() {
    let limiter = frozen_limiter(POLICY);
    let (server, reporter) = serve(&limiter);
    let mut client = client(&server, 2).await;
    let watch = client.watch(HealthCheckRequest::default()).await.expect("it is allowed");
    let mut messages = watch.into_inner();
    let mut expected = ServingStatus::Serving;
    for _ in 0..20 {
        let message = messages.next().await.expect("a message").expect("no error");
        assert_eq!(message.status, expected as i32);
        expected = match expected {
            ServingStatus::Serving => ServingStatus::NotServing,
            _ => ServingStatus::Serving,
        };
        reporter.set_service_status("", expected).await;
        assert_eq!(left(&limiter, 2), 1);
    }
    check(&mut client).await.expect("the second call");
    let status = client.watch(HealthCheckRequest::default()).await.expect_err("the third call");
    assert_eq!(status.code(), Code::ResourceExhausted);
    assert_eq!(wait(&status), Duration::from_secs(30));
    // The first call goes on.
    assert!(messages.next().await.expect("a message").is_ok());
}
