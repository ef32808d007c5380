//! Why a request is refused, and what every refusal says in its header fields.

use std::time::Duration;

use http::header::{CACHE_CONTROL, RETRY_AFTER};
use http::{HeaderMap, HeaderValue, StatusCode};
use smallvec::SmallVec;

use super::{Shown, numbers};

/// How long a client waits that met a limiter without room for its key.
const FULL_WAIT: Duration = Duration::from_secs(1);

/// Why a request is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Reason {
    /// Limits refused.
    Limits,
    /// A limiter has no room for a new key.
    Full,
    /// The client went on in spite of refusals.
    Penalty,
    /// The subject is blocked.
    Blocked,
    /// A part of a limit's key is missing.
    MissingKey,
    /// The path has another meaning for a router that does not resolve its dot segments.
    AmbiguousPath,
    /// The server did not say who the peer is.
    NoPeer,
    /// The store of the limits does not answer.
    Unavailable,
}

/// When the same request may pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Wait {
    /// Nothing is known of it.
    Unknown,
    /// After this time.
    After(Duration),
    /// Never, because it costs more than a limit's burst.
    Never,
}

/// A refusal, from which header fields, a body or a gRPC status are made.
///
/// ```
/// use std::time::Duration;
/// use http::{HeaderMap, StatusCode};
/// use tollgate_http::policy::BodyForm;
/// use tollgate_http::respond::Refusal;
///
/// let refusal = Refusal::penalty(Duration::from_millis(59_001));
/// assert_eq!(refusal.status(), StatusCode::TOO_MANY_REQUESTS);
///
/// let mut headers = HeaderMap::new();
/// refusal.write(&mut headers);
/// assert_eq!(headers["retry-after"], "60");
/// assert_eq!(headers["cache-control"], "no-store");
///
/// let (content_type, _text) = refusal.body(BodyForm::Problem).expect("this form has a body");
/// assert_eq!(content_type, "application/problem+json");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal<'a> {
    status: StatusCode,
    reason: Reason,
    wait: Wait,
    violated: SmallVec<[&'a str; 4]>,
}

impl<'a> Refusal<'a> {
    /// Those of `shown` that refused did so. The client waits for the longest of their waits; if
    /// one of them can never let the request pass, no wait helps. `status` is the setting of the
    /// limits, 429 or 503.
    #[must_use]
    pub fn limits(status: StatusCode, shown: &[Shown<'a>]) -> Self {
        let refused = || shown.iter().filter_map(|limit| limit.refused);
        let wait = if refused().any(|wait| wait.is_none()) {
            Wait::Never
        } else {
            refused().flatten().max().map_or(Wait::Unknown, Wait::After)
        };
        let violated = shown
            .iter()
            .filter(|limit| limit.refused.is_some())
            .map(|limit| limit.texts.name())
            .collect();
        Self { status, reason: Reason::Limits, wait, violated }
    }

    /// The limit `limit` has no room for a new key: 503, and a wait of one second.
    #[must_use]
    pub fn full(limit: &'a str) -> Self {
        let violated = SmallVec::from_slice(&[limit]);
        Self {
            violated,
            ..Self::plain(StatusCode::SERVICE_UNAVAILABLE, Reason::Full, Wait::After(FULL_WAIT))
        }
    }

    /// A penalty lasts for `rest` from now on: 429.
    #[must_use]
    pub fn penalty(rest: Duration) -> Self {
        Self::plain(StatusCode::TOO_MANY_REQUESTS, Reason::Penalty, Wait::After(rest))
    }

    /// The subject is blocked: 403. When it no longer is, is not told.
    #[must_use]
    pub fn blocked() -> Self {
        Self::plain(StatusCode::FORBIDDEN, Reason::Blocked, Wait::Unknown)
    }

    /// A part of a limit's key is missing, and the policy refuses such requests: 403.
    #[must_use]
    pub fn missing_key() -> Self {
        Self::plain(StatusCode::FORBIDDEN, Reason::MissingKey, Wait::Unknown)
    }

    /// The path has another meaning for a router that does not resolve its dot segments: 400.
    #[must_use]
    pub fn ambiguous_path() -> Self {
        Self::plain(StatusCode::BAD_REQUEST, Reason::AmbiguousPath, Wait::Unknown)
    }

    /// The server did not say who the peer is: 500.
    #[must_use]
    pub fn no_peer() -> Self {
        Self::plain(StatusCode::INTERNAL_SERVER_ERROR, Reason::NoPeer, Wait::Unknown)
    }

    /// The store of the limits does not answer, and requests are refused meanwhile: 503.
    #[must_use]
    pub fn unavailable(wait: Duration) -> Self {
        Self::plain(StatusCode::SERVICE_UNAVAILABLE, Reason::Unavailable, Wait::After(wait))
    }

    fn plain(status: StatusCode, reason: Reason, wait: Wait) -> Self {
        Self { status, reason, wait, violated: SmallVec::new() }
    }

    /// The status of an HTTP response (a gRPC response has 200).
    #[must_use]
    pub fn status(&self) -> StatusCode {
        self.status
    }

    /// Why the request is refused.
    #[must_use]
    pub fn reason(&self) -> Reason {
        self.reason
    }

    /// When the same request may pass.
    #[must_use]
    pub fn wait(&self) -> Wait {
        self.wait
    }

    /// The names of the limits that refused.
    #[must_use]
    pub fn violated(&self) -> &[&'a str] {
        &self.violated
    }

    /// The value of `Retry-After` (RFC 9110, section 10.2.3): whole seconds, rounded up, at least
    /// 1, so that whoever sleeps for exactly so long is not early. `None` if no wait is known or
    /// none helps.
    ///
    /// ```
    /// # use std::time::Duration; use tollgate_http::respond::Refusal;
    /// assert_eq!(Refusal::penalty(Duration::from_millis(1_001)).retry_after(), Some(2));
    /// assert_eq!(Refusal::blocked().retry_after(), None);
    /// ```
    #[must_use]
    pub fn retry_after(&self) -> Option<u64> {
        match self.wait {
            Wait::After(wait) => Some(numbers::wait_seconds(wait)),
            Wait::Unknown | Wait::Never => None,
        }
    }

    /// Sets `Retry-After`, and `Cache-Control: no-store`: a refusal concerns one client at one
    /// time. (RFC 6585, section 4, forbids to store a 429. Some shared caches can be told to store
    /// other errors too.)
    pub fn write(&self, headers: &mut HeaderMap) {
        // To append to a new map is faster. An error means that the map can hold no more fields.
        let is_new = headers.is_empty();
        let mut set = |name, value| {
            if is_new {
                let _ = headers.try_append(name, value);
            } else {
                let _ = headers.try_insert(name, value);
            }
        };
        set(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if let Some(seconds) = self.retry_after() {
            set(RETRY_AFTER, numbers::value(seconds));
        }
    }
}
