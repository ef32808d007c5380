//! A pool of API keys under the clients that people use.
//!
//! ```text
//! async-openai     rig           the client, which knows the API and no limit
//!       |           |
//! OpenAiTransport  RigTransport  adapters: the client's requests become `http::Request`s
//!       |           |
//!     Journal::asked             remembers when the client asked
//!           |
//!        LlmLayer                the limits: waits, chooses a key, learns, settles, tries again
//!           |
//!      Journal::sent             notes what was sent, with which key, and what became of it
//!           |
//!        Reqwest                 sends
//! ```
//!
//! All of them are [`tower::Service`]s of the same request, so each can be left out or replaced.
//! [`LlmLayer`](tollgate_http::llm::LlmLayer) is the only one that knows of limits.

#[cfg(feature = "openai")]
mod async_openai;
mod journal;
mod reqwest;
#[cfg(feature = "rig")]
mod rig;

pub use self::reqwest::Reqwest;
#[cfg(feature = "openai")]
pub use async_openai::OpenAiTransport;
pub use journal::{AskedService, Journal, Sent, SentService};
#[cfg(feature = "rig")]
pub use rig::RigTransport;

/// A request as the services here see it: its body is in memory, so it can be sent again.
pub type Request = http::Request<http_body_util::Full<bytes::Bytes>>;

/// Whatever can go wrong on the way.
pub type Failure = tower::BoxError;
