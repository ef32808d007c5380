//! Gives each call of a tool a path of its own, by which the policy can tell tools apart.
//!
//! All messages of MCP are posted to one path, and the tool's name is in the body. There are three
//! places where a server can look at it:
//!
//! * The header `Mcp-Name`, since MCP 2026-07-28. It needs no body, but older clients don't send
//!   it, and until a server has compared it with the body, it is only a claim.
//! * The tool's own code, which could ask an `HttpLimiter`. It can't answer with a status and
//!   fields of HTTP any more, and each tool has to remember to ask.
//! * A middleware that reads the body before the limiter, as here. Every message is covered, and
//!   the limiter's answer is one of HTTP. The body must be read in any case, because it is a single
//!   message, and its size is bounded.

use axum::body::{Body, to_bytes};
use axum::extract::Request;
use axum::http::{Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;

/// The longest message in bytes.
const LONGEST: usize = 256 * 1024;

/// What is read of a message of JSON-RPC. A message in which one of these fields stands twice is an
/// error, so the limiter and the server can't read different names. So is a batch, which MCP does
/// not have any more.
#[derive(Deserialize)]
struct Message {
    method: Option<String>,
    params: Option<Params>,
}

#[derive(Deserialize)]
struct Params {
    name: Option<serde_json::Value>,
}

/// The path of a tool, if its name has only the characters, and the length, that names of tools may
/// have.
pub(crate) fn of(tool: &str) -> Option<String> {
    let is_usual = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
    (tool.len() <= 128 && tool.bytes().all(is_usual)).then(|| format!("/mcp/tools/{tool}"))
}

/// The path by which the policy knows a request that calls a tool: an extension of the request.
#[derive(Clone)]
pub(crate) struct ToolPath(pub(crate) String);

/// Notes the path of a request that calls a tool.
pub(crate) async fn note(request: Request, next: Next) -> Response {
    if request.method() != Method::POST {
        return next.run(request).await;
    }
    let (mut parts, body) = request.into_parts();
    let Ok(body) = to_bytes(body, LONGEST).await else {
        return (StatusCode::PAYLOAD_TOO_LARGE, "The message is too long.").into_response();
    };
    let Ok(message) = serde_json::from_slice(&body) else {
        return (StatusCode::BAD_REQUEST, "This is not one message of JSON-RPC.").into_response();
    };
    if let Some(path) = path_of(&message) {
        parts.extensions.insert(ToolPath(path));
    }
    next.run(Request::from_parts(parts, Body::from(body))).await
}

fn path_of(message: &Message) -> Option<String> {
    if message.method.as_deref() != Some("tools/call") {
        return None;
    }
    let name = message.params.as_ref().and_then(|params| params.name.as_ref()?.as_str());
    // A tool that can't be is one that there is not: see the route `unknown-tool`.
    name.and_then(of).or_else(|| of(""))
}
