//! Any headers and any query of a forwarded request are answered. The first line is the method and
//! the query, and each further one is a header.
#![no_main]

use axum::body::Body;
use http::Request;
use libfuzzer_sys::fuzz_target;
use tollgate_http::address::Peer;
use tollgate_http::{HttpLimiter, Policy};
use tollgate_server::net::{Bounds, Shutdown};
use tollgate_server::service::Service;
use tollgate_server::settings::Callers;

mod support;

thread_local! {
    static SERVICE: support::Asked = support::Asked::new(|| {
        let policy: Policy = support::POLICY.parse().expect("a policy");
        let limiter = HttpLimiter::new(&policy).expect("a limiter");
        let header = |name: &'static str| Some(http::HeaderName::from_static(name));
        let callers =
            Callers { user: header("x-user"), api_key: header("authorization"), tier: header("x-tier") };
        Service::new(limiter, callers, Bounds::default(), Shutdown::default()).router()
    });
}

fuzz_target!(|input: &[u8]| {
    let mut lines = input.split(|byte| *byte == b'\n');
    let first = lines.next().and_then(|line| std::str::from_utf8(line).ok()).unwrap_or_default();
    let (method, query) = first.split_once(' ').unwrap_or(("GET", first));
    let mut request = Request::builder().method(method).uri(format!("/v1/forward-auth?{query}"));
    for line in lines {
        let middle = line.iter().position(|byte| *byte == b':').unwrap_or(line.len());
        let (name, value) = line.split_at(middle);
        request = request.header(name, value.get(1..).unwrap_or_default());
    }
    // What is no request does not come through hyper.
    let Ok(request) = request.body(Body::empty()) else { return };
    SERVICE.with(|asked| asked.ask(request, Peer::Ip([127, 0, 0, 1].into())));
});
