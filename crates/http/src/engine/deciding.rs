//! A decision that may still wait for the answers of a store.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use super::decision::Decision;
use super::limiter::HttpLimiter;
use super::store::Later;

/// A decision that is made at once, or by awaiting it: see [`HttpLimiter::decide`].
///
/// # Cancel safety
///
/// If the future is dropped, the store may still take the permits.
#[must_use = "without it nobody knows whether the request may go on"]
pub struct Deciding {
    pub(super) decision: Decision,
    pub(super) later: Option<(HttpLimiter, Later)>,
}

impl Deciding {
    /// The decision, if it is made: always, if the buckets are in memory.
    ///
    /// # Errors
    ///
    /// The future decision, if the store answers later.
    #[allow(clippy::result_large_err, reason = "both are the same decision, which stays in place")]
    pub fn now(self) -> Result<Decision, Self> {
        if self.later.is_none() { Ok(self.decision) } else { Err(self) }
    }
}

impl Future for Deciding {
    type Output = Decision;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Decision> {
        let this = &mut *self;
        if let Some((limiter, later)) = &mut this.later {
            let answers = ready!(later.as_mut().poll(context));
            limiter.engine().conclude(&mut this.decision, answers);
            this.later = None;
        }
        let empty = Decision::new(Arc::clone(&this.decision.policy), this.decision.started);
        Poll::Ready(std::mem::replace(&mut this.decision, empty))
    }
}

impl fmt::Debug for Deciding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("Deciding");
        debug.field("is_made", &self.later.is_none()).finish_non_exhaustive()
    }
}
