//! The hook for violations.

use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tollgate_http::Violation;
use tollgate_http::observe::ViolationCounts;

use crate::scene::wall_time;
use crate::until::until;
use crate::{builder, decide, facts, policy};

const POLICY: &str = r#"
    always = ["site"]
    default_tier = "free"
    [limits.site]
    quota = "100/h"
    [limits.calls]
    quota = "1/min"
    key = "caller"
    [limits.daily]
    quota = "1/day"
    key = ["user", "route"]
    missing = "address"
    [limits.trial]
    quota = "1/day"
    mode = "shadow"
    [tiers.free]
    calls = "1/min"
    [[routes]]
    name = "items"
    path = "/items"
    limits = ["calls", "daily"]
    [[routes]]
    name = "trial"
    path = "/trial"
    limits = ["trial"]
    [penalty]
    key = "caller"
    after = "1/h"
    block = "1h"
    max = "1h"
    forget = "1day"
"#;

/// Longer than any machine takes for a step of these tests.
const LONG: Duration = Duration::from_secs(60);

/// A hook that passes violations on.
fn passing_on() -> (impl Fn(&Violation) + Send + 'static, Receiver<Violation>) {
    let (sender, violations) = channel();
    (move |violation: &Violation| drop(sender.send(violation.clone())), violations)
}

#[test]
fn a_violation_tells_all_about_a_refusal() {
    let (builder, clock) = builder(&policy(POLICY));
    let (hook, violations) = passing_on();
    let limiter = builder.on_violation(hook).build().unwrap();
    clock.advance(Duration::from_secs(5));
    let request = || decide(&limiter, &facts("/items").user("alice"));
    assert!(request().is_allowed());
    let refused = request();
    let violation = violations.recv_timeout(LONG).unwrap();
    assert_eq!(violation.time(), wall_time(&clock));
    assert_eq!(violation.limits().collect::<Vec<_>>(), ["calls", "daily"]);
    assert_eq!((violation.route(), violation.tier()), (Some("items"), Some("free")));
    // The limit with the longest wait.
    assert_eq!(violation.key_kind(), "user+route");
    let daily = refused.limits().find(|limit| limit.name() == "daily").unwrap();
    assert_eq!(violation.key_hash(), limiter.hash_of_key(daily.key()));
    assert_eq!(violation.wait(), Some(Duration::from_secs(86_400)));
    assert_eq!((violation.is_penalty(), violation.begins_penalty()), (false, false));
    assert_eq!(violation.key(), None);

    // The next refusal begins a penalty, and the one after it is part of that.
    request();
    let violation = violations.recv_timeout(LONG).unwrap();
    assert_eq!((violation.is_penalty(), violation.begins_penalty()), (true, true));
    assert_eq!((violation.key_kind(), violation.wait()), ("user", Some(Duration::from_secs(3600))));
    assert_eq!(violation.limits().len(), 2);
    clock.advance(Duration::from_secs(600));
    request();
    let violation = violations.recv_timeout(LONG).unwrap();
    assert_eq!((violation.is_penalty(), violation.begins_penalty()), (true, false));
    assert_eq!((violation.key_kind(), violation.wait()), ("user", Some(Duration::from_secs(3000))));
    assert_eq!(violation.limits().len(), 0);
    assert_eq!(violation.key_hash(), limiter.hash_of_key(&limiter.penalties()[0].0));

    // Neither what a shadow limit would refuse nor another refusal is a violation.
    for path in ["/trial", "/trial", "/items/../trial"] {
        decide(&limiter, &facts(path).user("bob"));
    }
    until(|| limiter.violation_counts(), |counts| counts.seen == 3);
    drop(limiter);
    assert_eq!(violations.recv_timeout(LONG), Err(RecvTimeoutError::Disconnected));
}

#[test]
fn keys_are_told_if_they_are_asked_for_and_api_keys_never() {
    let (hook, violations) = passing_on();
    let builder = builder(&policy(POLICY)).0.on_violation(hook).violations_with_keys(true);
    let limiter = builder.build().unwrap();
    for _ in 0..2 {
        decide(&limiter, &facts("/items").user("alice"));
        decide(&limiter, &facts("/items").api_key("sesame-open"));
    }
    let keys: Vec<String> =
        (0..2).map(|_| violations.recv_timeout(LONG).unwrap().key().unwrap().to_string()).collect();
    // Without a user, the address stands in the key of the second one.
    assert_eq!(keys, ["user alice + route items", "address 127.0.0.1 + route items"]);
    decide(&limiter, &facts("/items").api_key("sesame-open"));
    let key = violations.recv_timeout(LONG).unwrap().key().unwrap().to_string();
    assert_eq!(key, format!("api-key {}", limiter.hash_of_api_key("sesame-open")));
}

/// A hook that waits until it may go on.
fn waiting(begun: Sender<()>) -> (impl Fn(&Violation) + Send + 'static, Sender<()>) {
    let (go_on, may_go_on) = channel::<()>();
    let hook = move |_: &Violation| {
        let _ = begun.send(());
        let _ = may_go_on.recv();
    };
    (hook, go_on)
}

#[test]
fn a_full_queue_drops_and_counts() {
    let (begun, has_begun) = channel();
    let (hook, go_on) = waiting(begun);
    let text = "always = ['calls']\n[limits.calls]\nquota = '1/day'\n";
    let builder = builder(&policy(text)).0.on_violation(hook).violation_queue(2);
    let limiter = builder.build().unwrap();
    let refuse = || decide(&limiter, &facts("/"));
    refuse();
    assert!(!refuse().is_allowed());
    // The hook has taken the first, two wait, and no request waits for it.
    has_begun.recv_timeout(LONG).unwrap();
    for _ in 0..5 {
        refuse();
    }
    let counts = limiter.violation_counts();
    assert_eq!((counts.seen, counts.dropped, counts.panics), (0, 3, 0));
    for _ in 0..3 {
        go_on.send(()).unwrap();
    }
    until(|| limiter.violation_counts().seen, |seen| *seen == 3);
    refuse();
    has_begun.recv_timeout(LONG).unwrap();
    assert_eq!(limiter.violation_counts().dropped, 3);
}

#[test]
fn a_panic_of_the_hook_is_counted_and_the_next_violation_told() {
    let text = "always = ['calls']\n[limits.calls]\nquota = '1/day'\n";
    let told = Arc::new(Mutex::new(0));
    let counted = Arc::clone(&told);
    let hook = move |_: &Violation| {
        let mut told = counted.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        *told += 1;
        assert!(*told != 2, "the second violation is too much for this hook");
    };
    let limiter = builder(&policy(text)).0.on_violation(hook).build().unwrap();
    for _ in 0..5 {
        decide(&limiter, &facts("/"));
    }
    let counts = until(|| limiter.violation_counts(), |counts| counts.seen == 4);
    assert_eq!((counts.dropped, counts.panics), (0, 1));
}

#[test]
fn the_thread_ends_with_the_last_clone_after_it_has_told_what_waits() {
    let (begun, has_begun) = channel();
    // Owned by the hook, so it is gone when the thread is.
    let (hook, go_on) = waiting(begun);
    let text = "always = ['calls']\n[limits.calls]\nquota = '1/day'\n";
    let limiter = builder(&policy(text)).0.on_violation(hook).build().unwrap();
    let clone = limiter.clone();
    for _ in 0..3 {
        decide(&limiter, &facts("/"));
    }
    drop(limiter);
    decide(&clone, &facts("/"));
    drop(clone);
    drop(go_on);
    for _ in 0..3 {
        assert_eq!(has_begun.recv_timeout(LONG), Ok(()));
    }
    assert_eq!(has_begun.recv_timeout(LONG), Err(RecvTimeoutError::Disconnected));
}

#[test]
fn without_a_hook_nothing_is_counted() {
    let text = "always = ['calls']\n[limits.calls]\nquota = '1/day'\n";
    let limiter = builder(&policy(text)).0.build().unwrap();
    for _ in 0..3 {
        decide(&limiter, &facts("/"));
    }
    assert_eq!(limiter.violation_counts(), ViolationCounts::default());
}

#[test]
fn what_a_handler_reports_is_told_if_it_begins_a_penalty() {
    use tollgate_http::{Caller, RateLimitHandle, RateLimitLayer};
    use tower::{Service, ServiceBuilder};

    let (hook, violations) = passing_on();
    let limiter = builder(&policy(POLICY)).0.on_violation(hook).build().unwrap();
    let service = ServiceBuilder::new().layer(RateLimitLayer::new(limiter.clone())).service_fn(
        async |request: http::Request<()>| {
            let limits = request.extensions().get::<RateLimitHandle>().expect("the layer is there");
            limits.violation();
            Ok::<_, std::convert::Infallible>(http::Response::new(String::new()))
        },
    );
    let mut request = http::Request::new(());
    request.extensions_mut().insert(Caller::user("alice"));
    request.extensions_mut().insert(std::net::SocketAddr::from(([127, 0, 0, 1], 80)));
    for _ in 0..2 {
        let response = service.clone().call(request.clone());
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        assert_eq!(runtime.block_on(response).unwrap().status(), 200);
    }
    let violation = violations.recv_timeout(LONG).unwrap();
    assert!(violation.begins_penalty() && violation.is_penalty());
    assert_eq!((violation.limits().len(), violation.route()), (0, None));
    assert_eq!(violation.key_hash(), limiter.hash_of_key(&limiter.penalties()[0].0));
    assert_eq!(violation.wait(), Some(Duration::from_secs(3600)));
}
