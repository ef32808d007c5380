//! API keys: bearer tokens that say who the user is.

use axum::extract::Request;
use axum::http::header::{AUTHORIZATION, WWW_AUTHENTICATE};
use axum::http::{HeaderMap, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use tollgate_http::Caller;

/// A user of the server.
#[derive(Clone, Copy)]
pub(crate) struct User {
    pub(crate) name: &'static str,
    pub(crate) tier: &'static str,
}

/// The users by key. A real server has a database, with hashes of keys.
const USERS: [(&str, User); 4] = [
    ("key-of-fay", User { name: "fay", tier: "free" }),
    ("key-of-ben", User { name: "ben", tier: "basic" }),
    ("key-of-pia", User { name: "pia", tier: "premium" }),
    ("key-of-eve", User { name: "eve", tier: "enterprise" }),
];

/// Lets only users through, and says who they are: to the limiter, and to the tools.
pub(crate) async fn authenticate(mut request: Request, next: Next) -> Response {
    let Some(user) = user_of(request.headers()) else {
        return (StatusCode::UNAUTHORIZED, [(WWW_AUTHENTICATE, "Bearer")]).into_response();
    };
    request.extensions_mut().insert(Caller::user(user.name).in_tier(user.tier));
    request.extensions_mut().insert(user);
    next.run(request).await
}

fn user_of(headers: &HeaderMap) -> Option<User> {
    let key = headers.get(AUTHORIZATION)?.to_str().ok()?.strip_prefix("Bearer ")?;
    USERS.into_iter().find(|(known, _)| *known == key).map(|(_, user)| user)
}
