//! Mistakes that the engine once made.

#[path = "support/scene.rs"]
mod scene;

use scene::{facts, limiter, policy};
use tollgate_http::{Decision, HttpLimiter, Outcome};

fn decide(limiter: &HttpLimiter) -> Decision {
    scene::decide(limiter, &facts("/"))
}

/// It got permits back that it had not given, and so refused less than it would have.
#[test]
fn a_shadow_limit_that_would_refuse_gets_nothing_back() {
    let text = "[limits.trial]\nquota = '2/day'\nmode = 'shadow'\n\
         [[routes]]\npath = '/'\nlimits = ['trial']\ncharge = [401]\n";
    let (limiter, _clock) = limiter(&policy(text));
    let answer = |status: u16| {
        let mut decision = decide(&limiter);
        let would_refuse = decision.would_refuse().count() == 1;
        limiter.answered(&mut decision, status);
        would_refuse
    };
    assert_eq!([answer(401), answer(401), answer(200)], [false, false, true]);
    assert!(answer(401), "the third failure");
    assert!(answer(401), "and the fourth");
}

/// The limits before the one without a key were told as empty, although nobody had asked them.
#[test]
fn a_request_without_a_key_has_no_limits() {
    let text = "always = ['site', 'users']\n[limits.site]\nquota = '9/day'\n\
         [limits.users]\nquota = '9/day'\nkey = 'user'\nmissing = 'refuse'\n";
    let (limiter, _clock) = limiter(&policy(text));
    let decision = decide(&limiter);
    assert_eq!(decision.outcome(), Outcome::MissingKey);
    assert_eq!(decision.limits().count(), 0);
}

/// After a handler has charged more than there is, the limit looked as if it had refused the
/// request, and so did not get the request's own permits back.
#[test]
fn a_limit_in_debt_gets_back_what_is_not_charged() {
    use tollgate_http::{Caller, RateLimitHandle, RateLimitLayer};
    use tower::{Service, ServiceBuilder};

    let text = "[limits.calls]\nquota = '10/day'\nkey = 'user'\nmissing = 'share'\n\
                [[routes]]\npath = '/'\nlimits = ['calls']\ncost = 4\ncharge = [401]\n";
    let (limiter, clock) = limiter(&policy(text));
    let mut service = ServiceBuilder::new().layer(RateLimitLayer::new(limiter.clone())).service_fn(
        async |request: http::Request<()>| {
            let handle = request.extensions().get::<RateLimitHandle>().expect("the layer");
            handle.charge(16);
            Ok::<_, std::convert::Infallible>(http::Response::new(String::new()))
        },
    );
    let mut request = http::Request::new(());
    request.extensions_mut().insert(Caller::user("alice"));
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    let response = runtime.block_on(service.call(request)).expect("no error is possible");
    assert_eq!(response.status(), 200);
    // 4 and 16 of 10 were taken, and 4 came back: the debt of 6 is gone after 0.6 days.
    clock.advance(std::time::Duration::from_secs(86_400 / 10 * 6));
    let left = limiter.explain(&facts("/").user("alice")).expect("memory answers at once");
    let limit = left.limits().next().expect("one limit");
    assert_eq!((limit.remaining(), limit.reset_after().as_secs()), (0, 86_400));
}
