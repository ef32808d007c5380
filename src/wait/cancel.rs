//! Ending blocking waits from another thread.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::task::Waker;

use super::queue::Wakers;
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
        // Woken when dropped, each of them even if one panics.
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

    pub(super) fn register(&self, waker: &Waker) -> Registration<'_> {
        // Cloned before the lock and, if not kept, dropped after it: both are foreign code.
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

impl Drop for Registration<'_> {
    fn drop(&mut self) {
        let waker = self.token.shared.lock().wakers.remove(&self.id);
        // Its drop is foreign code: the lock is released by now.
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
