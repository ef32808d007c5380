//! Ending blocking waits from another thread.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::task::Waker;

use crate::sync::Mutex;

/// Ends blocking waits from elsewhere, for example on shutdown. Clones are the same token.
///
/// A cancelled wait takes nothing, and its place in the queue is used by those behind it.
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

/// Forgets a waker when its wait has ended.
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

    /// Ends all waits on this token, now and in future. There is no way back.
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
        for waker in wakers.into_values() {
            waker.wake();
        }
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

    pub(super) fn register(&self, waker: &Waker) -> Registration<'_> {
        let mut shared = self.shared.lock();
        let id = shared.next;
        shared.next += 1;
        if !shared.cancelled {
            shared.wakers.insert(id, waker.clone());
        }
        Registration { token: self, id }
    }
}

impl Drop for Registration<'_> {
    fn drop(&mut self) {
        self.token.shared.lock().wakers.remove(&self.id);
    }
}
