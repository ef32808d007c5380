//! `GET /openapi.json`: the resources of both listeners, for programs.

use axum::response::IntoResponse;
use http::header::CONTENT_TYPE;

/// The description of both listeners in `OpenAPI` 3.1.
pub(super) const OPENAPI: &str = include_str!("openapi.json");

pub(super) async fn openapi() -> impl IntoResponse {
    ([(CONTENT_TYPE, "application/json")], OPENAPI)
}
