//! Several layers before one service.

use http::Request;
use tollgate_http::RateLimitHandle;

use crate::probe::{Probe, answer, behind, field, left, request, send};
use crate::scene::{limiter, policy};

fn limits(name: &str, quota: u64) -> tollgate_http::Policy {
    policy(&format!("always = ['{name}']\n[limits.{name}]\nquota = '{quota}/1000days'\n"))
}

#[test]
fn the_same_limiter_twice_charges_once() {
    let (limiter, _clock) = limiter(&limits("calls", 10));
    let mut service = behind(&limiter, behind(&limiter, Probe::new(|_| answer(200))));
    for expected in [9, 8, 7] {
        let response = send(&mut service, request("/")).unwrap();
        assert_eq!(left(&response), expected);
        assert_eq!(response.headers().get_all("ratelimit").iter().count(), 1);
    }
}

#[test]
fn two_limiters_both_charge_and_the_inner_one_is_told() {
    let ((outer, _), (inner, _)) = (limiter(&limits("outer", 10)), limiter(&limits("inner", 3)));
    let probe = Probe::new(|request: Request<String>| async move {
        let handle = request.extensions().get::<RateLimitHandle>().expect("a handle");
        let names: Vec<&str> = handle.limits().map(|limit| limit.name()).collect();
        assert_eq!(names, ["inner"]);
        answer(200).await
    });
    // The outer limiter stands inside a third time: it has charged already.
    let stack = behind(&outer, behind(&inner, behind(&outer, behind(&inner, probe.clone()))));
    let mut service = stack;
    for expected in [2, 1, 0] {
        let response = send(&mut service, request("/")).unwrap();
        assert_eq!(left(&response), expected);
        assert!(field(&response, "ratelimit-policy").unwrap().contains("inner"));
    }
    // The outer limiter has let it pass, and stays charged.
    let response = send(&mut service, request("/")).unwrap();
    assert_eq!((response.status().as_u16(), probe.calls()), (429, 3));
    let mut outer = behind(&outer, Probe::new(|_| answer(200)));
    assert_eq!(left(&send(&mut outer, request("/")).unwrap()), 5);
}

#[test]
fn clones_and_services_of_one_layer_share_the_limiter() {
    let (limiter, _clock) = limiter(&limits("calls", 4));
    let probe = Probe::new(|_| answer(200));
    let mut one = behind(&limiter, probe.clone());
    let (mut clone, mut other) = (one.clone(), behind(&limiter, probe));
    let mut served = 0;
    for _ in 0..3 {
        for service in [&mut one, &mut clone, &mut other] {
            served += u32::from(send(service, request("/")).unwrap().status().is_success());
        }
    }
    assert_eq!(served, 4);
}
