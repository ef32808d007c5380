//! What can go wrong, and what the server says then: the bodies have the form of recorded ones.

use std::time::Duration;

use hyper::StatusCode;
use serde_json::{Value, json};

use crate::dialect::go;

/// What goes wrong with a request, on order: see [`Server::fail_next`](crate::Server::fail_next).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// 401: the key is not accepted.
    Unauthorized,
    /// 402: the account has no money left.
    Unpaid,
    /// 403: this request is not allowed, whatever the key.
    Forbidden,
    /// 429 whatever the limits say, with `retry-after` if a wait is given.
    Limited {
        /// How long the client should wait.
        retry_after: Option<Duration>,
    },
    /// 429, but waiting does not help: the quota of the account is used up.
    QuotaSpent,
    /// 500: the server has failed.
    Failed,
    /// 529: the provider is overloaded.
    Overloaded,
    /// 200, and after some words of a streamed answer an event that says that the provider is
    /// overloaded. A request that does not stream gets a 529.
    ErrorEvent,
}

/// An error as the client gets it.
pub(crate) struct Told {
    pub(crate) status: StatusCode,
    pub(crate) body: Value,
    /// In whole seconds.
    pub(crate) retry_after: Option<u64>,
}

impl Fault {
    pub(crate) fn told(self) -> Told {
        let (status, kind, code, message) = match self {
            Self::Unauthorized => {
                (401, "invalid_request_error", "invalid_api_key", "Incorrect API key provided.")
            }
            Self::Unpaid => {
                (402, "invalid_request_error", "insufficient_credits", "Insufficient credits.")
            }
            Self::Forbidden => {
                (403, "invalid_request_error", "unsupported_country", "Country not supported.")
            }
            Self::Limited { retry_after } => return limited(retry_after),
            Self::QuotaSpent => (
                429,
                "insufficient_quota",
                "insufficient_quota",
                "You exceeded your current quota, please check your plan and billing details.",
            ),
            Self::Failed => {
                (500, "server_error", "", "The server had an error while processing your request.")
            }
            Self::Overloaded | Self::ErrorEvent => (529, "overloaded_error", "", "Overloaded"),
        };
        let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        Told { status, body: error(kind, code, message), retry_after: None }
    }
}

/// The answer to a request beyond the limit.
pub(crate) fn limited(retry_after: Option<Duration>) -> Told {
    let message = match retry_after {
        Some(wait) => format!("Rate limit reached. Please try again in {}.", go(wait)),
        None => "Rate limit reached.".to_owned(),
    };
    Told {
        status: StatusCode::TOO_MANY_REQUESTS,
        body: error("requests", "rate_limit_exceeded", &message),
        retry_after: retry_after.map(|wait| {
            // Rounded up, so that a client that waits this long does not come too early.
            wait.as_secs().saturating_add(u64::from(wait.subsec_nanos() > 0))
        }),
    }
}

/// The answer to what is not a request for a chat completion.
pub(crate) fn unreadable() -> Told {
    let body = error("invalid_request_error", "", "This is no request for a chat completion.");
    Told { status: StatusCode::BAD_REQUEST, body, retry_after: None }
}

pub(crate) fn error(kind: &str, code: &str, message: &str) -> Value {
    let code = if code.is_empty() { Value::Null } else { code.into() };
    json!({"error": {"message": message, "type": kind, "param": null, "code": code}})
}
