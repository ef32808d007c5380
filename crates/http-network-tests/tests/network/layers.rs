//! The layer more than once before a service.

use axum::Router;
use tollgate_http::RateLimitLayer;
use tollgate_http_network_tests::{Server, curl, frozen_limiter, left, limiter, needs, tell};

const ROUTE: &str = r#"
    always = ["calls"]
    [limits.calls]
    quota = "10/day"
    key = "address"
"#;

fn asked(server: &Server) -> Vec<String> {
    (0..2).map(|_| curl(&[&server.url("/")]).body).collect()
}

#[test]
fn the_same_limiter_twice_charges_once() {
    if !needs("layers::the_same_limiter_twice_charges_once", &["curl"]) {
        return;
    }
    let limiter = frozen_limiter(ROUTE);
    let router = Router::new()
        .fallback(tell)
        .layer(RateLimitLayer::new(limiter.clone()))
        .layer(RateLimitLayer::new(limiter));
    let server = Server::start(router);
    let expected = ["calls address 127.0.0.1: 9", "calls address 127.0.0.1: 8"];
    assert_eq!(asked(&server), expected);
    // One set of fields, too.
    let third = curl(&[&server.url("/")]);
    assert_eq!(third.field("ratelimit"), Some(r#""calls";r=7;t=25920"#));
}

/// Two layers of one limiter, with a layer of another limiter between them.
#[test]
fn two_limiters_charge_once_each() {
    if !needs("layers::two_limiters_charge_once_each", &["curl"]) {
        return;
    }
    let (outer, inner) = (limiter(ROUTE), limiter(&ROUTE.replace("10/day", "5/day")));
    let router = Router::new()
        .fallback(tell)
        .layer(RateLimitLayer::new(outer.clone()))
        .layer(RateLimitLayer::new(inner.clone()))
        .layer(RateLimitLayer::new(outer.clone()));
    let server = Server::start(router);
    // The handler has the limits of the innermost limiter that has charged.
    assert_eq!(asked(&server), ["calls address 127.0.0.1: 4", "calls address 127.0.0.1: 3"]);
    assert_eq!((left(&outer, "/"), left(&inner, "/")), (vec![8], vec![3]));
    // The inner one refuses the sixth request, which the outer one has charged already.
    let statuses = (0..4).map(|_| curl(&[&server.url("/")]).status).collect::<Vec<_>>();
    assert_eq!(statuses, [200, 200, 200, 429]);
    assert_eq!((left(&outer, "/"), left(&inner, "/")), (vec![4], vec![0]));
}
