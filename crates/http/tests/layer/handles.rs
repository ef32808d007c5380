//! Handles: what handlers do with the limits of their requests, in time and later.

use std::sync::mpsc;
use std::time::Duration;

use http::Request;
use tollgate::ManualClock;
use tollgate_http::{HttpLimiter, RateLimitHandle};

use crate::probe::{Probe, answer, behind, field, left, request, send};
use crate::scene::{limiter, policy};

const POLICY: &str = "[limits.calls]\nquota = '10/1000s burst 10'\nkey = 'address'\n\
     [limits.site]\nquota = '1000/1000s burst 1000'\n\
     [[routes]]\npath = '/'\nlimits = ['calls', 'site']\n\
     [[routes]]\npath = '/failures'\nlimits = ['calls', 'site']\ncharge = [401]\n\
     [penalty]\nkey = 'address'\nafter = '1/1000s'\nblock = '1min'\nmax = '1h'\nforget = '1day'\n";

fn scene() -> (HttpLimiter, ManualClock) {
    limiter(&policy(POLICY))
}

/// The handle of a request, and the response that is made after `work` with it.
fn serve(
    limiter: &HttpLimiter,
    path: &str,
    work: impl Fn(&RateLimitHandle) + Send + Sync,
) -> (RateLimitHandle, http::Response<tollgate_http::layer::ResponseBody<String>>) {
    let (sender, handles) = mpsc::channel();
    let probe = Probe::new(|request: Request<String>| {
        let handle = request.extensions().get::<RateLimitHandle>().expect("a handle").clone();
        work(&handle);
        sender.send(handle).expect("the test waits");
        answer(200)
    });
    let response = send(&mut behind(limiter, probe), request(path)).expect("a response");
    (handles.try_recv().expect("the probe was called"), response)
}

fn left_of(limiter: &HttpLimiter, name: &str) -> u64 {
    let facts = crate::scene::facts("/");
    let explained = limiter.explain(&facts).expect("memory");
    explained.limits().find(|limit| limit.name() == name).expect("a limit").remaining()
}

#[test]
fn what_a_handler_changes_is_told_in_the_response() {
    let (limiter, _clock) = scene();
    let (handle, response) = serve(&limiter, "/", |handle| handle.charge(3));
    assert_eq!(left(&response), 6);
    assert_eq!(left_of(&limiter, "site"), 996);
    // The handle tells what was known before the handler was called.
    assert_eq!(handle.limits().map(|limit| limit.remaining()).collect::<Vec<_>>(), [9, 999]);
    let (_, response) = serve(&limiter, "/", |handle| {
        assert!(handle.give_back_limit("calls", 2));
        assert!(!handle.give_back_limit("nobody", 2) && !handle.charge_limit("", 2));
    });
    assert_eq!(left(&response), 7);
    assert_eq!(left_of(&limiter, "site"), 995);
    let (_, response) = serve(&limiter, "/", |handle| handle.give_back(u64::MAX));
    assert_eq!(left(&response), 10, "never above full");
    assert_eq!(left_of(&limiter, "site"), 1000);
}

/// In debt, the limit was said to have refused, and the route gave nothing back.
#[test]
fn a_handler_that_charges_more_than_there_is_makes_debt() {
    let (limiter, clock) = scene();
    let (_, response) = serve(&limiter, "/", |handle| assert!(handle.charge_limit("calls", 30)));
    assert_eq!((response.status().as_u16(), left(&response)), (200, 0));
    // 21 are owed: 22 permits later there is one, 31 later all are there.
    let state = field(&response, "ratelimit").unwrap();
    assert!(state.starts_with("\"calls\";r=0;t=2200"), "{state}");
    assert_eq!(field(&response, "x-ratelimit-reset"), Some("3100"));
    let mut service = behind(&limiter, Probe::new(|_| answer(200)));
    let refused = send(&mut service, request("/")).unwrap();
    assert_eq!(field(&refused, "retry-after"), Some("2200"));
    clock.advance(Duration::from_secs(3100));
    let (_, response) = serve(&limiter, "/failures", |handle| {
        assert!(handle.charge_limit("calls", 30));
    });
    // The request's own permit is given back: 30 of 10 are used.
    assert_eq!(field(&response, "x-ratelimit-reset"), Some("3000"));
}

#[test]
fn a_handle_works_after_the_response_and_on_other_threads() {
    let (limiter, _clock) = scene();
    let (handle, response) = serve(&limiter, "/", |_| ());
    assert_eq!(left(&response), 9);
    drop(response);
    let threads: Vec<_> = (0..4)
        .map(|_| {
            let handle = handle.clone();
            std::thread::spawn(move || handle.charge(1))
        })
        .collect();
    for thread in threads {
        thread.join().unwrap();
    }
    assert_eq!(left_of(&limiter, "calls"), 5);
    handle.give_back(2);
    assert_eq!(left_of(&limiter, "calls"), 7);
    assert!((handle.used_share() - 0.1).abs() < 1e-9 && !handle.near_limit(0.2));
    assert_eq!((handle.route(), handle.tier()), (Some("/"), None));
}

#[test]
fn violations_that_a_handler_reports_begin_a_penalty() {
    let (limiter, clock) = scene();
    let (handle, response) = serve(&limiter, "/", |handle| assert!(handle.violation().is_none()));
    assert_eq!(response.status(), 200);
    // Later, such as when the background job of the request has ended.
    assert_eq!(handle.violation(), Some(Duration::from_secs(60)));
    clock.advance(Duration::from_secs(15));
    // During the block, a violation counts nothing, and tells the rest.
    handle.violation();
    assert_eq!(handle.violation(), Some(Duration::from_secs(45)));
    let mut service = behind(&limiter, Probe::new(|_| answer(200)));
    let refused = send(&mut service, request("/")).unwrap();
    assert_eq!((refused.status().as_u16(), field(&refused, "retry-after")), (429, Some("45")));
}

#[test]
fn a_handle_of_an_earlier_policy_works() {
    let (limiter, _clock) = scene();
    let (handle, _) = serve(&limiter, "/", |_| ());
    let other = policy(
        "[limits.site]\nquota = '100/1000s burst 100'\n\
         [[routes]]\npath = '/'\nlimits = ['site']\n",
    );
    limiter.reload(&other).expect("memory");
    // `calls` has ended, `site` is the same limit with another quota.
    handle.charge(499);
    handle.give_back(0);
    assert!(handle.violation().is_none());
    assert_eq!(left_of(&limiter, "site"), 50);
}
