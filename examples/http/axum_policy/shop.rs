//! The application: a shop's API with users, of which the limits know nothing but names and tiers.

use axum::Router;
use axum::extract::{Path, Request};
use axum::http::StatusCode;
use axum::http::header::AUTHORIZATION;
use axum::middleware::{Next, from_fn};
use axum::response::Response;
use axum::routing::{get, post};
use tollgate_http::{Caller, HttpLimiter, RateLimitHandle, RateLimitLayer};

/// The users: token, name, tier. A real shop has them in a database.
const USERS: [(&str, &str, &str); 4] = [
    ("token-of-alice", "alice", "free"),
    ("token-of-bob", "bob", "basic"),
    ("token-of-carol", "carol", "premium"),
    ("token-of-dave", "dave", "enterprise"),
];
pub(crate) const PASSWORD: &str = "correct horse battery staple";

/// The shop behind its limits.
pub(crate) fn app(limiter: &HttpLimiter) -> Router {
    Router::new()
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/login", post(login))
        .route("/search", get(search))
        .route("/items/{id}", get(|Path(id): Path<u32>| async move { format!("item {id}\n") }))
        .route("/exports/{id}", post(|Path(id): Path<u32>| async move { format!("export {id}\n") }))
        .layer(RateLimitLayer::new(limiter.clone()))
        // The last layer is the outermost: callers are known before they are limited.
        .layer(from_fn(authenticate))
}

/// Says who the caller is, if the request has a token. A token that nobody has is an error.
async fn authenticate(mut request: Request, next: Next) -> Result<Response, StatusCode> {
    if let Some(value) = request.headers().get(AUTHORIZATION) {
        let token = value.to_str().ok().and_then(|value| value.strip_prefix("Bearer "));
        let (_, name, tier) = USERS
            .into_iter()
            .find(|(known, ..)| Some(*known) == token)
            .ok_or(StatusCode::UNAUTHORIZED)?;
        request.extensions_mut().insert(Caller::user(name).in_tier(tier));
    }
    Ok(next.run(request).await)
}

async fn login(password: String) -> Result<&'static str, StatusCode> {
    if password == PASSWORD { Ok("welcome\n") } else { Err(StatusCode::UNAUTHORIZED) }
}

/// Answers less to a caller who has used up most of a limit.
async fn search(limits: RateLimitHandle) -> String {
    let results = if limits.near_limit(0.8) { 10 } else { 100 };
    format!("{results} results\n")
}
