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
