//! What an error amounts to, as its body says it.

mod codes;
mod phrases;
mod signals;

use std::time::Duration;

use http::StatusCode;

use signals::Signals;

/// What the body of an error says: which status the error amounts to, and how long to wait.
///
/// The status of an answer often says less than its body, or something else. A 429 can mean that
/// the account is out of money, that the model is overloaded, or that the request is larger than
/// the limit and never can pass; a 400 can mean that the key is not valid; and a stream can fail
/// after its 200. `ErrorBody` reads JSON in the forms of OpenAI, Anthropic, Gemini, Azure, Bedrock
/// and those like them, and also plain text.
///
/// # What it amounts to
///
/// | status | such as |
/// |---|---|
/// | 401: the key is not accepted | `authentication_error`, `invalid_api_key`, `API_KEY_INVALID` |
/// | 402: the key is spent | `insufficient_quota`, `billing_error`, `credit balance is too low` |
/// | 403: this request is not allowed | `permission_error`, `PERMISSION_DENIED` |
/// | 413: the request is too large for the limit | `Request too large for gpt-4o ... Limit 30000` |
/// | 429: a limit was reached | `rate_limit_error`, `rate_limit_exceeded`, `RESOURCE_EXHAUSTED` |
/// | 500: the server failed | `api_error`, `server_error`, `INTERNAL` |
/// | 503, 529: overloaded | `overloaded_error`, `server_is_overloaded`, `UNAVAILABLE` |
///
/// Codes that leave no doubt count more than the status of the answer, and vague ones, such as
/// `invalid_request_error`, less. Whatever is not known leaves the status as it is.
///
/// # What clients can write into it
///
/// Some servers repeat parts of the request in their errors. Only the fields in which servers write
/// codes and messages are read, and quoted parts of messages are not, so that a user of your
/// program cannot easily make a key look spent.
///
/// # Cost
///
/// At most 64 KiB of a body are read, and no body causes a panic.
///
/// ```
/// use std::time::Duration;
/// use http::StatusCode;
/// use tollgate_http::llm::ErrorBody;
///
/// let body = br#"{"error":{"message":"Rate limit reached for gpt-4o on tokens per min (TPM):
///     Limit 30000, Used 28039, Requested 3906. Please try again in 3.89s.",
///     "type":"tokens","param":null,"code":"rate_limit_exceeded"}}"#;
/// let error = ErrorBody::read(StatusCode::TOO_MANY_REQUESTS, body);
/// assert_eq!(error.status, StatusCode::TOO_MANY_REQUESTS);
/// assert_eq!(error.wait, Some(Duration::from_millis(3_890)));
///
/// let body = br#"{"error":{"message":"You exceeded your current quota, please check your plan.",
///     "type":"insufficient_quota","param":null,"code":"insufficient_quota"}}"#;
/// let error = ErrorBody::read(StatusCode::TOO_MANY_REQUESTS, body);
/// assert_eq!(error.status, StatusCode::PAYMENT_REQUIRED);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ErrorBody {
    /// What the error amounts to. Never a success.
    pub status: StatusCode,
    /// How long to wait before the next request, as the body says it.
    pub wait: Option<Duration>,
}

/// No more of a body is read than this.
pub(super) const MOST_BYTES: usize = 64 * 1024;

impl ErrorBody {
    /// Reads the body of an answer with this status.
    ///
    /// The status of an event inside of a stream is that of the stream: a success. If it is a
    /// success or a redirect, and the body does not say what the error is, the error amounts to a
    /// 500.
    #[must_use]
    pub fn read(status: StatusCode, body: &[u8]) -> Self {
        let body = &body[..body.len().min(MOST_BYTES)];
        let signals = Signals::read(body);
        let is_error = status.is_client_error() || status.is_server_error();
        let meant = signals.meaning(is_error.then_some(status.as_u16()));
        let meant = meant.and_then(|meant| StatusCode::from_u16(meant).ok());
        let fallback = if is_error { status } else { StatusCode::INTERNAL_SERVER_ERROR };
        Self { status: meant.unwrap_or(fallback), wait: signals.wait() }
    }
}
