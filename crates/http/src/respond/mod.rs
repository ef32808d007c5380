//! What is told to the client: header fields, bodies, gRPC statuses.
//!
//! All of it is made from plain values ([`Shown`], [`Refusal`]): nothing here reads a clock or
//! knows how a decision was made.
//!
//! | Told | By | Standard |
//! |---|---|---|
//! | `RateLimit`, `RateLimit-Policy` | [`Fields`] | ratelimit-headers, IETF draft 11 or 7 |
//! | `X-RateLimit-Limit`, `-Remaining`, `-Reset` | [`Fields`] | none; as most clients read them |
//! | `Retry-After`, `Cache-Control` | [`Refusal::write`] | RFC 9110, RFC 6585 |
//! | the body | [`Refusal::body`] | RFC 9457 |
//! | a gRPC status | `Refusal::write_grpc` (feature `grpc`) | gRPC over HTTP/2, gRFC A6 |

mod body;
mod fields;
#[cfg(feature = "grpc")]
mod grpc;
mod json;
mod names;
mod numbers;
mod refusal;
mod texts;

use std::time::Duration;

pub use fields::{Fields, is_shown_on};
#[cfg(feature = "grpc")]
#[cfg_attr(docsrs, doc(cfg(feature = "grpc")))]
pub use grpc::is_grpc;
pub use json::JsonText;
pub use names::EXPOSED_HEADERS;
pub use refusal::{Reason, Refusal, Wait};
pub use texts::LimitTexts;

/// One limit's state, as it is told to the client.
#[derive(Clone, Copy, Debug)]
pub struct Shown<'a> {
    /// The texts that were built once per policy.
    pub texts: &'a LimitTexts,
    /// Whole permits left.
    pub remaining: u64,
    /// The time until the bucket is full; zero if it is.
    pub full_after: Duration,
    /// The time until the next permit; only asked for if none is left.
    pub next_after: Duration,
    /// Whether this limit refused, and the wait: `Some(None)` if no wait helps.
    pub refused: Option<Option<Duration>>,
}
