//! Any bytes as the message of a request to Envoy's Rate Limit Service are answered with a message
//! or with a status of gRPC, and never with one that says that the service itself failed.
#![no_main]

use axum::body::Body;
use http::Request;
use libfuzzer_sys::fuzz_target;
use tollgate_http::address::Peer;
use tollgate_http::{HttpLimiter, Policy};
use tollgate_server::envoy::{Bounds, SHOULD_RATE_LIMIT, router};

mod support;

/// Rules of each kind.
const POLICY: &str = r#"
version = 1
[limits.users]
quota = "5/s burst 10"
key = "entry:user"
[limits.addresses]
quota = "60/min"
key = "address"
[limits.shadow]
quota = "1/day"
mode = "shadow"
[[descriptors]]
domain = "edge"
entries = ["user"]
limits = ["users", "shadow"]
[[descriptors]]
domain = "edge"
entries = ["remote_address"]
limits = ["addresses"]
owe = true
[[descriptors]]
domain = "edge"
entries = ["generic_key=block"]
blocked = true
[[descriptors]]
domain = "edge"
entries = ["generic_key=request", "path=/v1*", "remote_address"]
as_request = true
[[routes]]
name = "api"
path = "/v1/{*rest}"
limits = ["addresses"]
"#;

thread_local! {
    static SERVICE: support::Asked = support::Asked::new(|| {
        let policy: Policy = POLICY.parse().expect("a policy");
        router(HttpLimiter::new(&policy).expect("a limiter"), Bounds::default())
    });
}

/// The service fails, or has panicked: `UNKNOWN` and `DATA_LOSS`. (`INTERNAL` is what gRPC says of
/// a message that can't be read.)
const FAILURES: [&str; 2] = ["2", "15"];

fuzz_target!(|message: &[u8]| {
    let length = u32::try_from(message.len()).expect("the input is short").to_be_bytes();
    let body = [&[0][..], &length, message].concat();
    let request = Request::post(SHOULD_RATE_LIMIT)
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .body(Body::from(body))
        .expect("a request");
    SERVICE.with(|asked| {
        let (response, _) = asked.ask(request, Peer::Unix);
        // An error has its status in the head; an answer has it in trailers.
        if let Some(status) = response.headers().get("grpc-status") {
            assert!(!FAILURES.iter().any(|failure| status == failure), "{response:?}");
        }
    });
});
