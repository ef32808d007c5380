//! The layers under measurement, ours and those of the peers, each before the service that does
//! nothing.

use axum_governor::extractor::{Extension, Global, PeerIp};
use tollgate_http::policy::{BodyForm, Dialect, KeyPart, Limit, Mode, Response};
use tollgate_http::{HttpLimiter, Policy, RateLimitLayer};
use tower::Layer;
use tower_governor::GovernorLayer;
use tower_governor::governor::GovernorConfigBuilder;

use crate::driver::Prompt;
use crate::pace::Pace;
use crate::requests::{NoOp, User};

/// Ours, one limit per address, as `per_ip` makes it.
pub(crate) fn ours(pace: Pace) -> impl Prompt {
    RateLimitLayer::per_ip(pace.quota()).expect("a valid quota").layer(NoOp)
}

/// Ours, one limit per address, with these fields and bodies.
pub(crate) fn ours_telling(pace: Pace, fields: &[Dialect], body: BodyForm) -> impl Prompt + use<> {
    let limit = Limit::new("requests", pace.quota()).key([KeyPart::Address]);
    let response = Response::new().headers(fields.iter().copied()).body(body);
    let policy = Policy::builder().limit(limit).always(["requests"]).response(response);
    under(&policy.build().expect("a valid policy"))
}

/// Ours under any policy.
pub(crate) fn under(policy: &Policy) -> impl Prompt + use<> {
    RateLimitLayer::new(HttpLimiter::new(policy).expect("memory keeps any limit")).layer(NoOp)
}

/// Ours with three limits: by address, by caller, and one for all. `modes` says which of them
/// only tell.
pub(crate) fn ours_three(pace: Pace, modes: [Mode; 3], response: Response) -> impl Prompt {
    let keys = [vec![KeyPart::Address], vec![KeyPart::Caller], vec![]];
    let names = ["address", "caller", "all"];
    let quotas = [pace, pace, Pace::Endless];
    let mut policy = Policy::builder().always(names).response(response);
    for (at, key) in keys.into_iter().enumerate() {
        let limit = Limit::new(names[at], quotas[at].quota()).mode(modes[at]);
        policy = policy.limit(if key.is_empty() { limit } else { limit.key(key) });
    }
    let policy = policy.build().expect("a valid policy");
    let limiter = HttpLimiter::new(&policy).expect("memory keeps any limit");
    RateLimitLayer::new(limiter)
        .user(|parts| Some(parts.extensions.get::<User>()?.0.clone()))
        .layer(NoOp)
}

/// `tower_governor` as its README has it: no fields on allowed responses.
pub(crate) fn tower_governor(pace: Pace) -> impl Prompt {
    let mut config = GovernorConfigBuilder::default();
    config.period(pace.period()).burst_size(pace.burst());
    GovernorLayer::new(config.finish().expect("a valid quota")).layer(NoOp)
}

/// `tower_governor` with `x-ratelimit-limit` and `x-ratelimit-remaining`.
pub(crate) fn tower_governor_telling(pace: Pace) -> impl Prompt {
    let mut config = GovernorConfigBuilder::default();
    config.period(pace.period()).burst_size(pace.burst());
    GovernorLayer::new(config.use_headers().finish().expect("a valid quota")).layer(NoOp)
}

/// `axum-governor` as its README has it, with the IETF's fields and `x-ratelimit-*`.
pub(crate) fn axum_governor(pace: Pace) -> impl Prompt {
    let config = axum_governor::GovernorConfigBuilder::default()
        .with_extractor(PeerIp::default())
        .expect_connect_info()
        .quota_default(pace.axum_governor())
        .finish();
    axum_governor::GovernorLayer::new(config.expect("a valid configuration")).layer(NoOp)
}

/// `axum-governor` with three limits: by address, by user, and one for all.
pub(crate) fn axum_governor_three(pace: Pace) -> impl Prompt {
    let config = axum_governor::GovernorConfigBuilder::default()
        .with_extractor(PeerIp::default())
        .expect_connect_info()
        .quota_default(pace.axum_governor())
        .stack("caller", Extension::<User>::new(), pace.axum_governor())
        .stack("all", Global, Pace::Endless.axum_governor())
        .finish();
    axum_governor::GovernorLayer::new(config.expect("a valid configuration")).layer(NoOp)
}

/// `tower-rate-limiter` as its README has it: a fixed window, and the IETF's fields.
#[cfg(feature = "tower-rate-limiter")]
pub(crate) fn tower_rate_limiter() -> impl Prompt {
    tower_rate_limiter::RateLimitLayer::builder(tower_rate_limiter::IpKeyExtractor::new())
        .policy_name("requests")
        // A window does not refill, so what is left can't have as few digits.
        .limit(1_000_000_000)
        .window(std::time::Duration::from_hours(1))
        .with_store(tower_rate_limiter::MemoryStore::new())
        .build()
        .expect("a valid policy")
        .layer(NoOp)
}
