//! Envoy's Rate Limit Service against a service that always answers the same, by h2load on
//! loopback: requests a second and the 99th percentile, medians of rounds in turns. Asked is a
//! ratio of 0.85 at least, and a percentile of twice as much at most.
//!
//! `cargo bench -p tollgate-server --bench rls`

use std::io::Write as _;
use std::net::SocketAddr;
use std::process::Command;

use prost::Message as _;
use tollgate_http::{HttpLimiter, Policy};
use tollgate_server::envoy::messages::{
    Code, DescriptorStatus, Entry, RateLimit, RateLimitDescriptor, RateLimitRequest,
    RateLimitResponse,
};
use tollgate_server::envoy::{Bounds, SHOULD_RATE_LIMIT, router};
use tollgate_server::net::{ListenAddress, Listener, Shutdown};

/// A limit for each address, and one for all, which never refuse here.
const POLICY: &str = "
    version = 1
    [limits.per_client]
    quota = '1000000000/s'
    key = 'entry:remote_address'
    [limits.all]
    quota = '1000000000/s'
    [[descriptors]]
    domain = 'edge'
    entries = ['remote_address']
    limits = ['per_client']
    [[descriptors]]
    domain = 'edge'
    entries = ['generic_key=all']
    limits = ['all']
    [response]
    headers = []
";

const ROUNDS: usize = 7;

/// Requests of one round.
const REQUESTS: &str = "60000";

mod constant {
    //! The service that always answers the same, with the same codec.

    use std::convert::Infallible;
    use std::future::{Ready, ready};
    use std::pin::Pin;
    use std::task::{Context, Poll};

    use tollgate_server::envoy::messages::{RateLimitRequest, RateLimitResponse};
    use tonic::server::{Grpc, UnaryService};
    use tonic_prost::ProstCodec;

    #[derive(Clone)]
    pub(crate) struct Constant(pub(crate) RateLimitResponse);

    impl UnaryService<RateLimitRequest> for Constant {
        type Response = RateLimitResponse;
        type Future = Ready<Result<tonic::Response<RateLimitResponse>, tonic::Status>>;

        fn call(&mut self, _: tonic::Request<RateLimitRequest>) -> Self::Future {
            ready(Ok(tonic::Response::new(self.0.clone())))
        }
    }

    impl tower::Service<http::Request<axum::body::Body>> for Constant {
        type Response = http::Response<tonic::body::Body>;
        type Error = Infallible;
        type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

        fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
            Poll::Ready(Ok(()))
        }

        fn call(&mut self, request: http::Request<axum::body::Body>) -> Self::Future {
            let service = self.clone();
            Box::pin(
                async move { Ok(Grpc::new(ProstCodec::default()).unary(service, request).await) },
            )
        }
    }
}

fn request() -> RateLimitRequest {
    let descriptor = |key: &str, value: &str| RateLimitDescriptor {
        entries: vec![Entry { key: key.into(), value: value.into() }],
        ..Default::default()
    };
    let descriptors =
        vec![descriptor("remote_address", "203.0.113.7"), descriptor("generic_key", "all")];
    RateLimitRequest { domain: "edge".into(), descriptors, hits_addend: 0 }
}

/// As long as the answer of the service.
fn response() -> RateLimitResponse {
    let status = |name: &str| DescriptorStatus {
        code: Code::Ok.into(),
        current_limit: Some(RateLimit {
            requests_per_unit: 1_000_000_000,
            unit: 1,
            name: name.into(),
            unit_multiplier: None,
        }),
        limit_remaining: 999_999_999,
        duration_until_reset: Some(prost_types::Duration { seconds: 1, nanos: 0 }),
    };
    RateLimitResponse {
        overall_code: Code::Ok.into(),
        statuses: vec![status("per_client"), status("all")],
        response_headers_to_add: Vec::new(),
    }
}

async fn serve(router: axum::Router) -> SocketAddr {
    let any = ListenAddress::Tcp(([127, 0, 0, 1], 0).into());
    let listener = Listener::bind(&any).await.expect("a port is free");
    let ListenAddress::Tcp(address) = *listener.address() else { panic!("not TCP") };
    let bounds = tollgate_server::net::Bounds::default();
    tokio::spawn(listener.serve(router, bounds, Shutdown::default()));
    address
}

/// Requests a second, and the 99th percentile of their times in microseconds.
fn round(address: SocketAddr, body: &str, log: &str) -> (f64, f64) {
    let output = Command::new("h2load")
        .args(["-n", REQUESTS, "-c", "4", "-m", "8", "-t", "1", "-d", body])
        .args(["--header", "content-type: application/grpc", "--header", "te: trailers"])
        .arg(format!("--log-file={log}"))
        .arg(format!("http://{address}{SHOULD_RATE_LIMIT}"))
        .output()
        .expect("h2load runs");
    let text = String::from_utf8_lossy(&output.stdout);
    let ok = format!("{REQUESTS} succeeded, 0 failed, 0 errored");
    assert!(text.contains(&ok), "{text}");
    let rate = text.lines().find_map(|line| line.strip_prefix("finished in ")?.split(", ").nth(1));
    let rate = rate.and_then(|rate| rate.strip_suffix(" req/s")).expect("a rate");
    let mut times: Vec<u64> = std::fs::read_to_string(log)
        .expect("the times of all requests")
        .lines()
        .filter_map(|line| line.split('\t').nth(2)?.parse().ok())
        .collect();
    std::fs::remove_file(log).expect("the log can be removed");
    times.sort_unstable();
    let percentile = times[times.len() * 99 / 100];
    (rate.parse().expect("a number"), f64::from(u32::try_from(percentile).expect("a time")))
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn main() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = |name: &str| folder.path().join(name).display().to_string();
    let message = request().encode_to_vec();
    let length = u32::try_from(message.len()).expect("a short message").to_be_bytes();
    let mut body = std::fs::File::create(path("body")).expect("a file");
    body.write_all(&[&[0][..], &length, &message].concat()).expect("the file can be written");
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .expect("a runtime");
    let policy: Policy = POLICY.parse().expect("a policy");
    let limiter = HttpLimiter::new(&policy).expect("memory");
    let constant =
        axum::Router::new().route_service(SHOULD_RATE_LIMIT, constant::Constant(response()));
    let (ours, constant) = runtime.block_on(async {
        (serve(router(limiter, Bounds::default())).await, serve(constant).await)
    });
    let (mut of_ours, mut of_constant) = (Vec::new(), Vec::new());
    for n in 0..=ROUNDS {
        let pair = (
            round(constant, &path("body"), &path("log")),
            round(ours, &path("body"), &path("log")),
        );
        // The first round warms up.
        if n > 0 {
            of_constant.push(pair.0);
            of_ours.push(pair.1);
        }
    }
    let row = |name: &str, rounds: &[(f64, f64)]| {
        let rate = median(rounds.iter().map(|(rate, _)| *rate));
        let slowest = median(rounds.iter().map(|(_, time)| *time));
        println!("{name:<10} {rate:>9.0} requests/s   p99 {slowest:>6.0} us");
        (rate, slowest)
    };
    let (rate, slowest) = row("constant", &of_constant);
    let (our_rate, our_slowest) = row("tollgate", &of_ours);
    let ratios = of_ours.iter().zip(&of_constant).map(|(ours, constant)| ours.0 / constant.0);
    println!(
        "ratio of rates {:.3} (asked 0.85), median of the rounds' ratios {:.3}",
        our_rate / rate,
        median(ratios)
    );
    println!("ratio of p99 {:.2} (asked 2)", our_slowest / slowest);
}
