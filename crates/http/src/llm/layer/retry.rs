//! Which requests are sent again.

use std::time::Duration;

use http::StatusCode;
use tollgate::llm::{Meaning, Reply};

use super::erased::OpenPermit;

/// One try of a request, which was refused or failed: what a policy for retries knows of it.
///
/// See [`LlmLayer::retry_if`](super::LlmLayer::retry_if).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Attempt {
    /// How often the request has been sent.
    pub tries: u32,
    /// What the answer amounts to, with what its body says; `None` if the HTTP client failed.
    pub status: Option<StatusCode>,
    /// What that means for the key.
    pub meaning: Meaning,
    /// The wait that the answer asks for.
    pub wait: Option<Duration>,
    /// Whether another key could serve the request.
    has_other_keys: bool,
}

impl Attempt {
    /// What a reply says of a try; `status` is `None` if there was no answer.
    pub(super) fn new(
        tries: u32,
        permit: &dyn OpenPermit,
        status: Option<StatusCode>,
        reply: &Reply,
    ) -> Self {
        Self {
            tries,
            status,
            meaning: reply.meaning(),
            wait: reply.reported().retry_after,
            has_other_keys: permit.has_other_keys(),
        }
    }

    /// Whether the request is sent again without a policy of your own: if its answer means that the
    /// key is limited or spent, or that the server is overloaded or has failed; and in a pool, if
    /// the key is not accepted. If the HTTP client fails, it is not known what the server has
    /// done, so the request is not sent again.
    ///
    /// ```
    /// use std::time::Duration;
    /// use tollgate::llm::Limiter;
    /// use tollgate_http::llm::LlmLayer;
    ///
    /// let limiter = Limiter::builder().build()?;
    /// // As usual, but not if the server asks for more than a minute; and a second time if the
    /// // connection was lost.
    /// let layer = LlmLayer::limiter(limiter).retry_if(|attempt| match attempt.status {
    ///     None => attempt.tries == 1,
    ///     Some(_) => attempt.is_worth_a_retry() && attempt.wait < Some(Duration::from_secs(60)),
    /// });
    /// # Ok::<(), tollgate::QuotaError>(())
    /// ```
    #[must_use]
    pub fn is_worth_a_retry(&self) -> bool {
        let can_serve = self.has_other_keys || self.meaning != Meaning::KeyRefused;
        self.status.is_some() && self.meaning.is_worth_a_retry() && can_serve
    }

    /// Tells a subscriber of `tracing` that the request is sent again.
    pub(super) fn tell(&self) {
        #[cfg(feature = "tracing")]
        tracing::info!(
            tries = self.tries,
            status = self.status.map(|status| status.as_u16()),
            wait = ?self.wait,
            "a request to a model API is sent again"
        );
    }
}
