//! API keys: bearer tokens that say who the user is.

use axum::extract::Request;
use axum::http::header::{AUTHORIZATION, WWW_AUTHENTICATE};
use axum::http::{HeaderMap, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use tollgate_http::Caller;

/// Keys, users and tiers. A real server has a database, with hashes of keys.
const USERS: [(&str, &str, &str); 4] = [
    ("key-of-fay", "fay", "free"),
    ("key-of-ben", "ben", "basic"),
    ("key-of-pia", "pia", "premium"),
    ("key-of-eve", "eve", "enterprise"),
];

/// Lets only users through, and says who they are: to the limiter, and to the tools.
pub(crate) async fn authenticate(mut request: Request, next: Next) -> Response {
    let Some(caller) = caller(request.headers()) else {
        return (StatusCode::UNAUTHORIZED, [(WWW_AUTHENTICATE, "Bearer")]).into_response();
    };
    request.extensions_mut().insert(caller);
    next.run(request).await
}

fn caller(headers: &HeaderMap) -> Option<Caller> {
    let key = headers.get(AUTHORIZATION)?.to_str().ok()?.strip_prefix("Bearer ")?;
    let (_, user, tier) = USERS.into_iter().find(|(known, ..)| *known == key)?;
    Some(Caller::user(user).in_tier(tier))
}
