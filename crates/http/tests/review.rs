//! Mistakes that a review found.

#[path = "support/scene.rs"]
mod scene;
#[cfg(all(feature = "watch", unix))]
#[path = "support/until.rs"]
mod until;

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use scene::{decide, facts, limiter, policy};
use tollgate_http::address::Peer;
use tollgate_http::engine::Key;
use tollgate_http::engine::store::{
    Buckets, Charge, LimitSpec, Memory, Reply, Store, StoreError, Verb,
};
use tollgate_http::{Caller, Facts, Outcome, RateLimitHandle, RateLimitLayer};
#[cfg(all(feature = "watch", unix))]
use until::until;

/// The facts of a request printed the API key and the values of all headers.
#[test]
fn facts_do_not_print_secrets() {
    let mut headers = http::HeaderMap::new();
    headers.insert("authorization", http::HeaderValue::from_static("Bearer hunter2"));
    let printed = format!("{:?}", Facts::new("GET", "/").api_key("s3cret").headers(&headers));
    assert!(!printed.contains("s3cret") && !printed.contains("hunter2"), "{printed}");
    assert!(printed.contains("authorization"), "{printed}");
}

/// A policy that blocks a caller for ten minutes at the second refusal in an hour.
const WITH_PENALTY: &str = "[limits.calls]\nquota = '1/h'\nkey = 'caller'\n\
    [[routes]]\npath = '/limited'\nlimits = ['calls']\n\
    [penalty]\nkey = 'caller'\nafter = '1/h'\nblock = '10min'\ngrowth = 1\nmax = '1h'\n\
    forget = '1day'\n";

/// It said that the request would pass, although `decide` refused it.
#[test]
fn an_explanation_knows_of_penalties() {
    let (limiter, clock) = limiter(&policy(WITH_PENALTY));
    for _ in 0..3 {
        decide(&limiter, &facts("/limited"));
    }
    clock.advance(std::time::Duration::from_secs(60));
    let explanation = limiter.explain(&facts("/other")).expect("memory answers at once");
    let decision = decide(&limiter, &facts("/other"));
    assert_eq!((decision.outcome(), decision.status()), (Outcome::Penalty, Some(429)));
    assert_eq!(explanation.outcome(), decision.outcome());
    assert_eq!(explanation.status(), decision.status());
    assert_eq!(explanation.retry_after(), decision.retry_after());
}

/// Who only asks what would be decided is not punished for it.
#[test]
fn an_explanation_counts_nothing_against_the_caller() {
    let (limiter, _clock) = limiter(&policy(WITH_PENALTY));
    assert!(decide(&limiter, &facts("/limited")).is_allowed());
    for _ in 0..9 {
        let explanation = limiter.explain(&facts("/limited")).expect("memory answers at once");
        assert_eq!(explanation.outcome(), Outcome::Refused);
    }
    assert!(limiter.penalties().is_empty());
}

/// A store whose answer misses all that it was asked.
#[derive(Clone, Default)]
struct Forgetful(Arc<()>);

impl Store for Forgetful {
    fn open(&self, _: &[LimitSpec]) -> Result<Arc<dyn Buckets>, StoreError> {
        Ok(Arc::new(self.clone()))
    }
}

impl Buckets for Forgetful {
    fn ask(&self, _: Verb, _: &mut [Charge]) -> Reply {
        Reply::Later(Box::pin(async { Ok(Vec::new()) }))
    }

    fn keys(&self, _: usize) -> usize {
        0
    }

    fn most_limited(&self, _: usize, _: usize) -> Vec<(Key, u64)> {
        Vec::new()
    }
}

/// A limit without an answer counted as one that had let the request pass.
#[tokio::test(flavor = "current_thread")]
async fn a_store_that_leaves_answers_out_has_failed() {
    let calls = policy("always = ['calls']\n[limits.calls]\nquota = '1/h'\n");
    let (builder, _clock) = scene::builder(&calls);
    let limiter = builder.store(Forgetful::default()).fail_closed(true).build().expect("a limiter");
    let decision = limiter.decide(&facts("/")).await;
    assert_eq!((decision.outcome(), decision.status()), (Outcome::StoreFailed, Some(503)));
}

/// These panicked.
#[test]
fn a_limit_that_memory_does_not_have_has_no_keys() {
    let buckets = Memory::new().open(&[]).expect("memory keeps no limits");
    assert_eq!(buckets.keys(0), 0);
    assert!(buckets.most_limited(7, 1).is_empty());
}

/// After a handler had charged more than there was, the response to an allowed request told only of
/// the limit in debt, as if that had refused it, and told when its debt would be repaid instead of
/// when it would have the next permit (rule F2).
#[tokio::test(flavor = "current_thread")]
async fn a_limit_in_debt_is_told_as_empty_and_not_as_refusing() {
    use tower::{Service, ServiceBuilder};

    let text = "always = ['site', 'calls']\n[limits.site]\nquota = '1000/h'\n\
        [limits.calls]\nquota = '10/h'\n[response]\nheaders = ['ratelimit']\n";
    let (limiter, _clock) = limiter(&policy(text));
    let layer = RateLimitLayer::new(limiter);
    let mut service =
        ServiceBuilder::new().layer(layer).service_fn(async |request: http::Request<()>| {
            let handle = request.extensions().get::<RateLimitHandle>().expect("the layer");
            assert!(handle.charge_limit("calls", 16));
            Ok::<_, std::convert::Infallible>(http::Response::new(String::new()))
        });
    let response = service.call(http::Request::new(())).await.expect("it cannot fail");
    assert_eq!(response.status(), http::StatusCode::OK);
    // 17 of 10 are taken, and one comes every 360 seconds: the next when 8 have come.
    assert_eq!(response.headers()["ratelimit"], r#""site";r=999;t=4, "calls";r=0;t=2880"#);
}

/// During a block nothing counts (rule P9): what a handler reported of a request that had begun
/// before the block was counted against the time after it.
#[tokio::test(flavor = "current_thread")]
async fn a_report_during_a_block_tells_of_the_block_and_counts_nothing() {
    use tower::{Service, ServiceBuilder};

    let (limiter, clock) = limiter(&policy(WITH_PENALTY));
    let layer = RateLimitLayer::new(limiter.clone());
    let asked = limiter.clone();
    let mut service =
        ServiceBuilder::new().layer(layer).service_fn(async |request: http::Request<()>| {
            let handle = request.extensions().get::<RateLimitHandle>().expect("the layer");
            // Meanwhile, other requests of the caller begin a block.
            for _ in 0..3 {
                decide(&asked, &facts("/limited"));
            }
            let block = std::time::Duration::from_secs(600);
            assert_eq!([handle.violation(), handle.violation()], [Some(block), Some(block)]);
            Ok::<_, std::convert::Infallible>(http::Response::new(String::new()))
        });
    let mut request = http::Request::new(());
    request.extensions_mut().insert(Peer::from(IpAddr::V4(Ipv4Addr::LOCALHOST)));
    service.call(request).await.expect("it cannot fail");
    clock.advance(std::time::Duration::from_secs(601));
    assert_eq!(decide(&limiter, &facts("/limited")).outcome(), Outcome::Refused);
    assert!(limiter.penalties().is_empty(), "one refusal is put up with after the block");
}

/// Values that clients choose were kept whole, so a million keys could take as much memory as there
/// is.
#[test]
fn long_values_are_kept_as_their_hashes() {
    let text = "always = ['tenants']\n[limits.tenants]\nquota = '1/h'\n\
        key = ['header:x-tenant', 'host', 'method']\nmissing = 'refuse'\n";
    let (limiter, _clock) = limiter(&policy(text));
    let ask = |tenant: &str, host: &str, method: &str| {
        let [tenant, host, method] = [tenant, host, method].map(|end| "x".repeat(5_000) + end);
        let mut headers = http::HeaderMap::new();
        headers.insert("x-tenant", tenant.parse().expect("a value"));
        decide(&limiter, &Facts::new(&method, "/").host(&host).headers(&headers))
    };
    for (tenant, host, method) in [("", "", ""), ("a", "", ""), ("", "a", ""), ("", "", "a")] {
        assert!(ask(tenant, host, method).is_allowed());
    }
    let refused = ask("", "", "");
    assert_eq!(refused.outcome(), Outcome::Refused);
    let key = refused.limits().next().expect("the limit").key().to_string();
    assert!(key.len() < 200, "{key}");
}

/// The buckets of the policy before stayed in memory until the next reload.
#[test]
fn a_reload_frees_the_policy_before() {
    let (first, second) = (policy("mode = 'shadow'"), policy("mode = 'off'"));
    let store = Forgetful::default();
    let (builder, _clock) = scene::builder(&first);
    let limiter = builder.store(store.clone()).build().expect("a limiter");
    let used = Arc::strong_count(&store.0);
    limiter.reload(&second).expect("a policy");
    assert_eq!(Arc::strong_count(&store.0), used);
    // A request that goes on keeps its policy.
    let decision = decide(&limiter, &facts("/"));
    limiter.reload(&first).expect("a policy");
    assert_eq!(Arc::strong_count(&store.0), used + 1);
    drop(decision);
    limiter.reload(&second).expect("a policy");
    assert_eq!(Arc::strong_count(&store.0), used);
}

/// The charges of a handler to a limit in a tier: what is left of 300 afterwards.
async fn left_of_300(seconds: u64, permits: u64) -> u64 {
    use tower::{Service, ServiceBuilder};

    let text = "always = ['calls']\n[limits.calls]\nquota = '10/min'\nkey = 'user'\n\
        missing = 'skip'\n[tiers.premium]\ncalls = '300/min'\n";
    let (limiter, clock) = limiter(&policy(text));
    let layer = RateLimitLayer::new(limiter.clone());
    let mut service =
        ServiceBuilder::new().layer(layer).service_fn(async |request: http::Request<()>| {
            clock.advance(std::time::Duration::from_secs(seconds));
            let handle = request.extensions().get::<RateLimitHandle>().expect("the layer");
            handle.charge(permits);
            Ok::<_, std::convert::Infallible>(http::Response::new(String::new()))
        });
    let mut request = http::Request::new(());
    request.extensions_mut().insert(Caller::user("alice").in_tier("premium"));
    service.call(request).await.expect("it cannot fail");
    let facts = facts("/").user("alice").tier("premium");
    let explanation = limiter.explain(&facts).expect("memory answers at once");
    explanation.limits().next().expect("the limit").remaining()
}

/// If the bucket was full again when the handler charged, the charge was one under the limit's own
/// quota: 100 permits were ten times 10, and so ten times 300.
#[tokio::test(flavor = "current_thread")]
async fn a_handler_charges_under_the_quota_of_the_request() {
    assert_eq!(left_of_300(0, 100).await, 199);
    assert_eq!(left_of_300(1, 100).await, 200, "the bucket was full again");
    assert_eq!(left_of_300(1, 300).await, 0);
}

/// It was not charged at all if it could not be repaid within centuries, so a client that made a
/// handler compute such a cost had its request for nothing.
#[tokio::test(flavor = "current_thread")]
async fn a_huge_charge_is_not_forgotten() {
    for permits in [1 << 45, u64::MAX] {
        assert_eq!(left_of_300(0, permits).await, 0);
    }
}

/// Each time, the limits got their permits back.
#[test]
fn only_the_first_status_of_an_answer_counts() {
    let text = "[limits.logins]\nquota = '10/h'\n\
        [[routes]]\npath = '/'\nlimits = ['logins']\ncharge = [401]\n";
    let (limiter, _clock) = limiter(&policy(text));
    let mut decisions = [(); 5].map(|()| decide(&limiter, &facts("/")));
    let [.., last] = &mut decisions;
    limiter.answered(last, 200);
    limiter.answered(last, 200);
    assert_eq!(last.limits().next().expect("the limit").remaining(), 6);
}

/// The thread that watches waited for ever for somebody to write into the pipe, and did not end
/// with the limiter.
#[cfg(all(feature = "watch", unix))]
#[test]
fn a_pipe_in_the_place_of_a_policy_is_an_error() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("limits.toml");
    let made = std::process::Command::new("mkfifo").arg(&path).status();
    assert!(made.expect("a program `mkfifo`").success());
    let (builder, _clock) = scene::builder(&policy(""));
    let limiter = builder.watch(&path).build().expect("a limiter");
    let status = until(|| limiter.reload_status(), |status| status.failures() > 0);
    assert!(status.last_error().is_some_and(|error| error.contains("not a file")), "{status:?}");
    std::fs::remove_file(&path).expect("the pipe");
    std::fs::write(&path, "version = 1\nmode = 'off'\n").expect("a file");
    until(|| limiter.reload_status(), |status| status.reloads() == 1);
}
