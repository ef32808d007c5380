//! Whether a browser has sent a request for a web page.
//!
//! A page of any site can make a browser send requests to a service on the browser's machine or
//! in its network, and can't read the answers. The browser says so in two headers, which no page
//! can set or remove: `Origin`, with each request that is not a GET or HEAD, and
//! `Sec-Fetch-Site`.

use axum::extract::FromRequestParts;
use http::header::ORIGIN;
use http::request::Parts;
use http::{HeaderMap, HeaderName};

use super::Problem;

/// How the page is related to this service: `none`, if the request is the reader's own.
const SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// Whether a page of another site has sent the request.
pub(crate) fn is_of_another_site(headers: &HeaderMap) -> bool {
    let site = headers.get(&SITE);
    site.is_some_and(|site| !matches!(site.as_bytes(), b"none" | b"same-origin"))
}

/// Whether any page has sent the request, also one that calls itself a page of this service: its
/// owner can let the page's name point to this machine.
pub(crate) fn is_of_a_page(headers: &HeaderMap) -> bool {
    headers.contains_key(ORIGIN) || headers.get(&SITE).is_some_and(|site| site != "none")
}

/// A request that no page has sent. One of a page is refused with 403.
pub(crate) struct OfAProgram;

impl<S: Sync> FromRequestParts<S> for OfAProgram {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        if !is_of_a_page(&parts.headers) {
            return Ok(Self);
        }
        let detail = "it has `Origin` or `Sec-Fetch-Site`, which browsers send: only programs are \
                      answered here. A program that passes on headers of its clients must leave \
                      these two out";
        Err(Problem::new(403, "The request comes from a web page", detail))
    }
}
