//! Any requests of operators are answered: posted policies in each format, with and without
//! `?check`, and any paths and queries.
#![no_main]

use axum::body::Body;
use http::Request;
use http::header::{CONTENT_TYPE, HOST};
use libfuzzer_sys::fuzz_target;
use metrics_exporter_prometheus::PrometheusBuilder;
use tollgate_http::address::Peer;
use tollgate_http::{HttpLimiter, Policy};
use tollgate_server::admin::{Admin, AdminParts, Violations};
use tollgate_server::net::{Bounds, Shutdown};

mod support;

thread_local! {
    static ADMIN: support::Asked = support::Asked::new(|| {
        let policy: Policy = support::POLICY.parse().expect("a policy");
        let limiter = HttpLimiter::new(&policy).expect("a limiter");
        let metrics = PrometheusBuilder::new().build_recorder().handle();
        let (bounds, shutdown) = (Bounds::default(), Shutdown::default());
        let (violations, token) = (Violations::default(), None);
        let parts =
            AdminParts { limiter, violations, metrics, token, show_keys: true, bounds, shutdown };
        Admin::new(parts).router()
    });
}

fuzz_target!(|input: &[u8]| {
    let Some((first, rest)) = input.split_first() else { return };
    let (method, uri, kind) = match first % 8 {
        0 => ("POST", "/rate_limit/config".to_owned(), "application/toml"),
        1 => ("POST", "/rate_limit/config?check".to_owned(), "application/toml"),
        2 => ("POST", "/rate_limit/config?check".to_owned(), "application/yaml"),
        3 => ("POST", "/rate_limit/config?check".to_owned(), "application/json"),
        4 => ("DELETE", format!("/rate_limit/penalties/{}", String::from_utf8_lossy(rest)), ""),
        5 => ("GET", format!("/rate_limit/status?{}", String::from_utf8_lossy(rest)), ""),
        6 => ("GET", format!("/rate_limit/violations?{}", String::from_utf8_lossy(rest)), ""),
        _ => ("GET", format!("/{}", String::from_utf8_lossy(rest)), ""),
    };
    if uri.starts_with("/dashboard/events") {
        // This answer has no end.
        return;
    }
    let request = Request::builder().method(method).uri(uri).header(HOST, "localhost");
    let request = request.header(CONTENT_TYPE, kind).body(Body::from(rest.to_vec()));
    // What is no request does not come through hyper.
    let Ok(request) = request else { return };
    ADMIN.with(|asked| asked.ask(request, Peer::Unix));
});
