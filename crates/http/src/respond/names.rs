//! The names of all that is sent, in one place.
//!
//! The IETF's draft is not finished. These are the names of its version 11 (May 2026). A change
//! that is still open ([ratelimit-headers#166]) would rename the parameter `r` to `a` and `t` to
//! `w`, and add a parameter `c` and a field `RateLimit-Partition`.
//!
//! [ratelimit-headers#166]: https://github.com/ietf-wg-httpapi/ratelimit-headers/pull/166

use http::header::{HeaderName, RETRY_AFTER};

/// `RateLimit` of drafts 7 and 11.
pub(super) const RATELIMIT: HeaderName = HeaderName::from_static("ratelimit");
/// `RateLimit-Policy` of drafts 7 and 11.
pub(super) const RATELIMIT_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");

/// Draft 11: the permits that a policy has at most.
pub(super) const QUOTA: &str = ";q=";
/// Drafts 7 and 11: the seconds of a policy's window.
pub(super) const WINDOW: &str = ";w=";
/// Draft 11: the permits that are left.
pub(super) const REMAINING: &str = ";r=";
/// Draft 11: the seconds until there are more.
pub(super) const RESET: &str = ";t=";

/// Draft 7: the permits that a policy has at most.
pub(super) const LIMIT_07: &str = "limit=";
/// Draft 7: the permits that are left.
pub(super) const REMAINING_07: &str = ", remaining=";
/// Draft 7: the seconds until all are back.
pub(super) const RESET_07: &str = ", reset=";

/// What parts the members of a list (RFC 9651, section 4.1.1).
pub(super) const LIST_SEPARATOR: &str = ", ";

/// `X-RateLimit-Limit`, which no standard describes.
pub(super) const X_LIMIT: HeaderName = HeaderName::from_static("x-ratelimit-limit");
/// `X-RateLimit-Remaining`.
pub(super) const X_REMAINING: HeaderName = HeaderName::from_static("x-ratelimit-remaining");
/// `X-RateLimit-Reset`.
pub(super) const X_RESET: HeaderName = HeaderName::from_static("x-ratelimit-reset");

/// Whether a field could be one of ours that tell of limits, by the beginning of its name.
pub(super) fn may_be_ours(name: &HeaderName) -> bool {
    let name = name.as_str();
    name.strip_prefix("x-").unwrap_or(name).starts_with("ratelimit")
}

/// All header fields that this crate may add to a response, for `Access-Control-Expose-Headers`.
///
/// A script in a browser can read them in a response from another origin only if the response
/// lists them there ([Fetch], "CORS-safelisted response-header name"). Put the CORS layer outside
/// of the rate limits, so that it also sees refusals:
///
/// ```
/// use tollgate_http::respond::EXPOSED_HEADERS;
/// use tower_http::cors::{Any, CorsLayer};
///
/// let cors = CorsLayer::new().allow_origin(Any).expose_headers(EXPOSED_HEADERS);
/// # let _ = cors;
/// ```
///
/// [Fetch]: https://fetch.spec.whatwg.org/#cors-safelisted-response-header-name
pub const EXPOSED_HEADERS: [HeaderName; 6] =
    [RETRY_AFTER, RATELIMIT, RATELIMIT_POLICY, X_LIMIT, X_REMAINING, X_RESET];
