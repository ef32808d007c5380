//! Any bytes as the body of a check or of a report are answered: with a decision, or with a problem
//! whose status is 4xx. `REPORT` in a report stands for the number of the last check.
#![no_main]

use std::cell::RefCell;

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
    static SERVICE: (support::Asked, RefCell<String>) = {
        let asked = support::Asked::new(|| {
            let policy: Policy = support::POLICY.parse().expect("a policy");
            let limiter = HttpLimiter::new(&policy).expect("a limiter");
            let (bounds, shutdown) = (Bounds::default(), Shutdown::default());
            Service::new(limiter, Callers::default(), bounds, shutdown).router()
        });
        (asked, RefCell::default())
    };
}

fuzz_target!(|input: &[u8]| {
    let Some((first, body)) = input.split_first() else { return };
    SERVICE.with(|(asked, report)| {
        let is_report = first % 4 == 0;
        let path = if is_report { "/v1/report" } else { "/v1/check" };
        let body = match std::str::from_utf8(body) {
            Ok(text) if is_report => text.replace("REPORT", &report.borrow()).into_bytes(),
            _ => body.to_vec(),
        };
        let request = Request::post(path).body(Body::from(body)).expect("a request");
        let (response, body) = asked.ask(request, Peer::Unix);
        let status = response.status();
        assert!(status == 200 || status.is_client_error(), "{response:?}");
        let answer: serde_json::Value = serde_json::from_slice(&body).expect("JSON");
        if let Some(number) = answer["report"].as_str() {
            number.clone_into(&mut report.borrow_mut());
        }
    });
});
