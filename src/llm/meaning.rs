//! What the status of a response means for the key that the request was sent with.

use super::ServerLimits;

/// What a response means for the key that the request was sent with, and for the limits.
///
/// | status | meaning |
/// |---|---|
/// | 200 to 299 | [`Success`](Self::Success) |
/// | 429 | [`Limited`](Self::Limited), or [`KeySpent`](Self::KeySpent) if a limit is 0 of 0 |
/// | 402 | [`KeySpent`](Self::KeySpent) |
/// | 401 | [`KeyRefused`](Self::KeyRefused) |
/// | 403 with `retry-after` or nothing remaining | [`Limited`](Self::Limited) |
/// | other 403 | [`RequestRefused`](Self::RequestRefused) |
/// | 503, 529 | [`Overloaded`](Self::Overloaded) |
/// | 408, and all others from 500 to 599 but 501 and 505 | [`Failed`](Self::Failed) |
/// | others | [`RequestRefused`](Self::RequestRefused) |
///
/// ```
/// use std::time::SystemTime;
/// use tollgate::llm::{Meaning, ServerLimits};
/// let nothing = ServerLimits::default();
/// assert_eq!(Meaning::of(403, &nothing), Meaning::RequestRefused);
/// let wait = ServerLimits::from_headers([("retry-after", "20")], SystemTime::now());
/// assert_eq!(Meaning::of(403, &wait), Meaning::Limited);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Meaning {
    /// The server accepted the request. `retry-after` says nothing about the key then: Anthropic
    /// sends it to say when a batch can be polled again.
    Success,
    /// A limit is exceeded: the key's account is paused for as long as the response asks for, or
    /// with a growing backoff.
    Limited,
    /// The server has too much to do. The key's account is paused for as long as the response asks
    /// for; without that, this is like [`Failed`](Self::Failed).
    Overloaded,
    /// The server failed. Other keys are preferred until a request of this one succeeds. From the
    /// second failure in a row on, the key's account rests for a growing time.
    Failed,
    /// The account has no credit or no quota left. It rests for a growing time, since only its
    /// owner can change that.
    KeySpent,
    /// The server does not accept the key: it is disabled.
    KeyRefused,
    /// Something is wrong with the request, and nothing with the key: a moderated prompt, an
    /// unknown model, a region, a syntax error.
    RequestRefused,
}

impl Meaning {
    /// The meaning of a response with this status and these headers.
    #[must_use]
    pub fn of(status: u16, reported: &ServerLimits) -> Self {
        match status {
            200..=299 => Self::Success,
            429 | 403 if reported.says_spent() => Self::KeySpent,
            429 => Self::Limited,
            402 => Self::KeySpent,
            401 => Self::KeyRefused,
            403 if reported.retry_after.is_some() || reported.says_used_up() => Self::Limited,
            503 | 529 => Self::Overloaded,
            // What the server can't do for any request is no failure.
            501 | 505 => Self::RequestRefused,
            // An unknown status means what the first one of its class means (RFC 9110, section 15).
            408 | 500..=599 => Self::Failed,
            _ => Self::RequestRefused,
        }
    }

    /// Whether the same request may succeed if it is sent again, later or with another key.
    #[must_use]
    pub fn is_worth_a_retry(self) -> bool {
        matches!(
            self,
            Self::Limited | Self::Overloaded | Self::Failed | Self::KeySpent | Self::KeyRefused
        )
    }
}
