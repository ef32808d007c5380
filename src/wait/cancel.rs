//! Ends waits from elsewhere. What becomes of the place in the queue is in
//! `limiters/core/waiting.rs`.

use std::collections::BTreeMap;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use crate::sync::Mutex;
use crate::wakers::Wakers;

/// Ends waits from elsewhere, for example on shutdown. All clones are the same token.
///
/// A cancelled wait takes no permits and gives up its place in the queue. Blocking waits take the
/// token; a task races [`cancelled`](Self::cancelled) against its wait.
///
/// ```
/// use tollgate::{CancelToken, Quota, RateLimiter, TokenBucket, WaitError};
///
/// let limiter = TokenBucket::new(Quota::per_hour(1))?;
/// let shutdown = CancelToken::new();
/// assert!(limiter.wait_cancellable(1, &shutdown).is_ok());
/// std::thread::scope(|scope| {
///     let waiting = scope.spawn(|| limiter.wait_cancellable(1, &shutdown));
///     shutdown.cancel();
///     assert_eq!(waiting.join().unwrap(), Err(WaitError::Cancelled));
/// });
/// # Ok::<(), tollgate::QuotaError>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct CancelToken {
    shared: Arc<Mutex<Shared>>,
}

#[derive(Debug, Default)]
struct Shared {
    cancelled: bool,
    next: u64,
    wakers: BTreeMap<u64, Waker>,
}

/// Removes the waker of a wait from the token when it is dropped.
pub(super) struct Registration<'a> {
    token: &'a CancelToken,
    id: u64,
}

impl CancelToken {
    /// A token that is not cancelled.
    ///
    /// ```
    /// # use tollgate::CancelToken;
    /// assert!(!CancelToken::new().is_cancelled());
    /// ```
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Ends all present and future waits with this token. This cannot be undone.
    ///
    /// ```
    /// # use tollgate::CancelToken;
    /// let token = CancelToken::new();
    /// token.clone().cancel();
    /// assert!(token.is_cancelled());
    /// ```
    pub fn cancel(&self) {
        let wakers = {
            let mut shared = self.shared.lock();
            shared.cancelled = true;
            std::mem::take(&mut shared.wakers)
        };
        // The drop calls all wakers, even if one of them panics.
        drop(wakers.into_values().collect::<Wakers>());
    }

    /// Whether [`cancel`](Self::cancel) was called.
    ///
    /// ```
    /// # use tollgate::CancelToken;
    /// assert!(!CancelToken::new().is_cancelled());
    /// ```
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.shared.lock().cancelled
    }

    /// A future that ends when the token is cancelled.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future has no effect on the token.
    ///
    /// ```
    /// use futures_lite::future;
    /// use tollgate::CancelToken;
    ///
    /// let shutdown = CancelToken::new();
    /// future::block_on(async {
    ///     let work = async { "done" }; // for example `limiter.acquire(1)`
    ///     let stopped = async {
    ///         shutdown.cancelled().await;
    ///         "stopped"
    ///     };
    ///     assert_eq!(future::or(work, stopped).await, "done");
    ///     shutdown.cancel();
    ///     shutdown.cancelled().await;
    /// });
    /// ```
    pub fn cancelled(&self) -> Cancelled<'_> {
        Cancelled { token: self, registration: None }
    }

    /// Calls `waker` when the token is cancelled, until the registration is dropped.
    pub(super) fn register(&self, waker: &Waker) -> Registration<'_> {
        // A waker's clone and drop are foreign code, so both happen without the lock.
        let mut waker = Some(waker.clone());
        let mut shared = self.shared.lock();
        let id = shared.next;
        shared.next += 1;
        if !shared.cancelled {
            shared.wakers.extend(waker.take().map(|waker| (id, waker)));
        }
        drop(shared);
        Registration { token: self, id }
    }
}

/// The future of [`CancelToken::cancelled`].
#[must_use = "futures do nothing unless polled"]
pub struct Cancelled<'a> {
    token: &'a CancelToken,
    registration: Option<Registration<'a>>,
}

impl fmt::Debug for Cancelled<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cancelled").field("token", self.token).finish_non_exhaustive()
    }
}

impl Future for Cancelled<'_> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        // Registered before the look: a cancellation in between calls the new waker.
        self.registration = Some(self.token.register(cx.waker()));
        if self.token.is_cancelled() { Poll::Ready(()) } else { Poll::Pending }
    }
}

impl Drop for Registration<'_> {
    fn drop(&mut self) {
        let waker = self.token.shared.lock().wakers.remove(&self.id);
        // The drop of a waker is foreign code, and the lock is released by now.
        drop(waker);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_forgets_the_waits_that_have_ended() {
        let token = CancelToken::new();
        let kept = token.register(Waker::noop());
        for _ in 0..100 {
            drop(token.register(Waker::noop()));
        }
        assert_eq!(token.shared.lock().wakers.len(), 1);
        drop(kept);
        assert_eq!(token.shared.lock().wakers.len(), 0);
    }
}
