//! `/v1/forward-auth`: the check that a proxy sends in the name of its client, with the client's
//! headers and without its body.
//!
//! The request itself is in `X-Forwarded-Method`, `X-Forwarded-Host` and `X-Forwarded-Uri`. Traefik
//! and Caddy set them; nginx and haproxy set them if they are told to. No other header says the
//! method or the path, because a proxy passes on what it does not set, as the client wrote it.
//!
//! Among these headers are those by which a browser says that a page has sent the request, so
//! they are no reason to refuse a request. A page that asks this resource itself must send the
//! required headers, and a browser lets a page of another site do so only after an answer to
//! OPTIONS that this service never gives.

use axum::extract::State;
use axum::response::Response;
use http::header::HOST;
use http::{HeaderMap, HeaderName, StatusCode};
use serde::Deserialize;
use tollgate_http::Facts;
use tollgate_http::address::Peer;

use super::{Service, answer};
use crate::settings::only_text;
use crate::web::{Asked, Problem, bad_query};

const METHOD: HeaderName = HeaderName::from_static("x-forwarded-method");
const URI: HeaderName = HeaderName::from_static("x-forwarded-uri");
const FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");

/// The status that the client should get, for a proxy that was told to get another one.
const LIMIT_STATUS: HeaderName = HeaderName::from_static("x-ratelimit-status");

/// How the proxy wants to be answered. Other parameters are no mistake: Caddy's `forward_auth`
/// appends the client's query. A client can thereby choose the status with which it is refused, but
/// not whether it is.
#[derive(Deserialize)]
pub(super) struct Options {
    /// The status of every refusal. nginx's `auth_request` passes on 401 and 403 only.
    deny: Option<u16>,
}

pub(super) async fn forward_auth(
    State(service): State<Service>,
    Asked(options): Asked<Options>,
    axum::Extension(peer): axum::Extension<Peer>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let deny = options.deny.map(denial).transpose()?;
    let facts = facts(&headers)?.peer(peer).headers(&headers);
    let facts = service.0.callers.read(&headers, facts).map_err(not_one_text)?;
    service.0.told.untrusted_proxy(&service.0.limiter, &facts, peer, &headers);
    let decision = service.0.limiter.decide(&facts).await;
    let (status, mut fields, body) = answer::told(&service.0.limiter, &decision);
    if decision.is_allowed() && decision.may_give_back() {
        service.0.told.no_status(&decision);
    }
    let status = match deny {
        Some(deny) if !decision.is_allowed() => {
            fields.insert(LIMIT_STATUS, status.as_u16().into());
            deny
        }
        _ => status,
    };
    Ok(answer::response(status, fields, body))
}

/// The status for every refusal.
fn denial(status: u16) -> Result<StatusCode, Problem> {
    let status = StatusCode::from_u16(status).ok().filter(StatusCode::is_client_error);
    status.ok_or_else(|| bad_query("`deny` is not a status from 400 to 499"))
}

/// What the headers say of the client's request.
fn facts(headers: &HeaderMap) -> Result<Facts<'_>, Problem> {
    let method = required(headers, &METHOD)?;
    let uri = required(headers, &URI)?;
    let facts = Facts::new(method, path_of(uri));
    let host = only(headers, &FORWARDED_HOST)?.or(only(headers, &HOST)?);
    Ok(match host {
        Some(host) => facts.host(host),
        None => facts,
    })
}

/// The path of a URI that may be absolute.
fn path_of(uri: &str) -> &str {
    let Some((_, rest)) = uri.split_once("://").filter(|_| !uri.starts_with('/')) else {
        return uri;
    };
    rest.find('/').and_then(|path| rest.get(path..)).unwrap_or("/")
}

fn required<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Result<&'a str, Problem> {
    only(headers, name)?.filter(|value| !value.is_empty()).ok_or_else(|| {
        let detail = format!("the proxy must set `{name}` to that of the client's request");
        Problem::new(400, "The request is not forwarded", detail)
    })
}

/// The only value of a header.
fn only<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Result<Option<&'a str>, Problem> {
    only_text(headers, name).map_err(not_one_text)
}

/// Two values are an error: one of them may be the client's.
fn not_one_text(name: &HeaderName) -> Problem {
    let detail = format!("`{name}` is there twice, or is not text");
    Problem::new(400, "The request is not forwarded", detail)
}
