//! The page and its parts, which are in the program, and the fields that keep everything else out.

use axum::extract::Request;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
    X_FRAME_OPTIONS,
};
use http::{HeaderName, HeaderValue};

/// Nothing is loaded, run, sent or framed but what comes from this listener. `trusted-types` makes
/// the browser refuse to turn any text into markup.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; \
    connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; \
    require-trusted-types-for 'script'; trusted-types 'none'";

const FIELDS: [(HeaderName, &str); 6] = [
    (CONTENT_SECURITY_POLICY, POLICY),
    (X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (X_FRAME_OPTIONS, "DENY"),
    (REFERRER_POLICY, "no-referrer"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    // After an update of the program, the parts must fit to each other.
    (CACHE_CONTROL, "no-store"),
];

/// The middleware: adds these fields to all that belongs to the page.
pub(super) async fn protect(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    let fields = FIELDS.map(|(name, value)| (name, HeaderValue::from_static(value)));
    response.headers_mut().extend(fields);
    response
}

/// A file of the page.
pub(super) struct File(&'static str, &'static str);

pub(super) const PAGE: File = File("text/html; charset=utf-8", include_str!("page/index.html"));
pub(super) const STYLE: File = File("text/css; charset=utf-8", include_str!("page/style.css"));
pub(super) const ICON: File = File("image/svg+xml", include_str!("page/icon.svg"));
pub(super) const APP: File = script(include_str!("page/app.js"));
pub(super) const CHART: File = script(include_str!("page/chart.js"));
pub(super) const DOM: File = script(include_str!("page/dom.js"));
pub(super) const FORMAT: File = script(include_str!("page/format.js"));
pub(super) const FEED: File = script(include_str!("page/feed.js"));
pub(super) const LIMITS: File = script(include_str!("page/limits.js"));
pub(super) const TABLES: File = script(include_str!("page/tables.js"));

const fn script(text: &'static str) -> File {
    File("text/javascript; charset=utf-8", text)
}

impl IntoResponse for File {
    fn into_response(self) -> Response {
        ([(CONTENT_TYPE, self.0)], self.1).into_response()
    }
}
