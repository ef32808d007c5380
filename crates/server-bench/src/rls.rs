//! Envoy's Rate Limit Service, beside a constant answer of tonic and beside that of another
//! service.

use std::convert::Infallible;
use std::net::SocketAddr;

use axum::Router;
use axum::body::Body;
use http::Request as HttpRequest;
use prost::Message as _;
use tollgate_server::envoy::SHOULD_RATE_LIMIT;
use tollgate_server::envoy::messages::{
    Code, DescriptorStatus, Entry, RateLimit, RateLimitDescriptor, RateLimitRequest,
    RateLimitResponse, Unit,
};
use tollgate_server::net::{Bounds, ListenAddress, Listener, Shutdown};
use tonic::Status;
use tonic::server::{Grpc, UnaryService};
use tonic_prost::ProstCodec;

use crate::contest::{self, Contestant};
use crate::load::{Client, Load, Request};
use crate::policies::PORTS;
use crate::process::Process;
use crate::speed::{Length, limitador};

const DOMAIN: &str = "bench";

/// A free port.
pub(crate) const ENVOY: &str = "[server.envoy]\nlisten = '127.0.0.1:0'\n";

/// One limit for each value of an entry.
fn policy() -> String {
    format!(
        "version = 1\n[limits.calls]\nquota = '100000000/s'\nkey = 'entry:user'\n\
         [[descriptors]]\ndomain = '{DOMAIN}'\nentries = ['user']\nlimits = ['calls']\n\
         {PORTS}{ENVOY}"
    )
}

/// A request with one descriptor, as it is sent.
pub(crate) fn request() -> Request {
    let entries = vec![Entry { key: "user".into(), value: "alice".into() }];
    let descriptor = RateLimitDescriptor { entries, ..RateLimitDescriptor::default() };
    let message =
        RateLimitRequest { domain: DOMAIN.into(), descriptors: vec![descriptor], hits_addend: 1 };
    let message = message.encode_to_vec();
    let length = u32::try_from(message.len()).expect("it is short");
    // Not compressed; the length; the message.
    let body = [&[0][..], &length.to_be_bytes(), &message].concat();
    let fields = vec![("content-type", "application/grpc".to_owned()), ("te", "trailers".into())];
    Request { method: "POST", path: SHOULD_RATE_LIMIT, fields, body, users: None }
}

/// The answer of the service to that request.
fn answer() -> RateLimitResponse {
    let limit = RateLimit {
        requests_per_unit: 100_000_000,
        unit: Unit::Second as i32,
        name: "calls".into(),
        unit_multiplier: None,
    };
    let status = DescriptorStatus {
        code: Code::Ok as i32,
        current_limit: Some(limit),
        limit_remaining: 99_999_999,
        duration_until_reset: Some(prost_types::Duration { seconds: 0, nanos: 1 }),
    };
    RateLimitResponse {
        overall_code: Code::Ok as i32,
        statuses: vec![status],
        response_headers_to_add: Vec::new(),
    }
}

/// Measures.
pub(crate) fn measure(length: Length) {
    let folder = tempfile::tempdir().expect("a folder");
    let client = Client::H2load { connections: 4, streams: 8 };
    let service = Process::service(&policy());
    let envoy = service.envoy.expect("the service listens for Envoy");
    let constant = Process::role(&["constant-rls"]);
    let mut contestants = Vec::new();
    let load = Load::new(client, checked(constant.address), &request());
    contestants.push(Contestant::new("a constant of tonic", constant, load, None));
    let load = Load::new(client, checked(envoy), &request());
    contestants.push(Contestant::new("tollgate", service, load, Some(0)));
    if let Some((process, _, rls)) = limitador(folder.path()) {
        let load = Load::new(client, checked(rls), &request());
        contestants.push(Contestant::new("limitador-server", process, load, None));
        let service = Process::service(&policy());
        let envoy = service.envoy.expect("the service listens for Envoy");
        let load = Load::new(client, checked(envoy), &request());
        contestants.push(Contestant::new("tollgate", service, load, Some(2)));
    }
    contest::run("Rate Limit Service", &mut contestants, length.rounds, length.seconds);
}

/// Asks once, and makes sure that the answer is OK: the status of HTTP says nothing of it.
fn checked(address: SocketAddr) -> SocketAddr {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.expect("a runtime").block_on(async {
        let stream = tokio::net::TcpStream::connect(address).await.expect("the server listens");
        let (client, connection) = h2::client::handshake(stream).await.expect("it speaks HTTP/2");
        let connection = tokio::spawn(connection);
        let Request { path, fields, body, .. } = request();
        let mut head = HttpRequest::post(format!("http://x{path}"));
        for (name, value) in fields {
            head = head.header(name, value);
        }
        let mut client = client.ready().await.expect("the connection is open");
        let (response, mut sending) =
            client.send_request(head.body(()).expect("a request"), false).expect("it is open");
        sending.send_data(body.into(), true).expect("it is open");
        let mut body = response.await.expect("an answer").into_body();
        let mut bytes = Vec::new();
        while let Some(part) = body.data().await {
            bytes.extend_from_slice(&part.expect("a part"));
        }
        let trailers = body.trailers().await.expect("trailers").expect("trailers");
        assert_eq!(trailers.get("grpc-status").expect("a status"), "0", "{trailers:?}");
        let answer = RateLimitResponse::decode(&bytes[5..]).expect("a message");
        assert_eq!(answer.overall_code, Code::Ok as i32, "{answer:?}");
        connection.abort();
    });
    address
}

/// Answers the constant.
#[derive(Clone, Debug)]
struct Constant;

impl UnaryService<RateLimitRequest> for Constant {
    type Response = RateLimitResponse;
    type Future = std::future::Ready<Result<tonic::Response<RateLimitResponse>, Status>>;

    fn call(&mut self, _: tonic::Request<RateLimitRequest>) -> Self::Future {
        std::future::ready(Ok(tonic::Response::new(answer())))
    }
}

/// Serves the constant until the process is killed; writes its address first.
pub(crate) fn serve_constant() {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    runtime.expect("a runtime").block_on(async {
        let service = tower::service_fn(|request: HttpRequest<Body>| async move {
            let mut grpc = Grpc::new(ProstCodec::<RateLimitResponse, RateLimitRequest>::default());
            Ok::<_, Infallible>(grpc.unary(Constant, request).await)
        });
        let router = Router::new().route_service(SHOULD_RATE_LIMIT, service);
        let address: ListenAddress = "127.0.0.1:0".parse().expect("an address");
        let listener = Listener::bind(&address).await.expect("a port");
        println!("{}", listener.address());
        listener.serve(router, Bounds::default(), Shutdown::default()).await;
    });
}
