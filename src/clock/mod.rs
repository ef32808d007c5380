//! Where limiters read the time.

mod counter;
mod manual;
mod monotonic;
#[cfg(feature = "tokio")]
mod tokio;

use std::sync::Arc;
use std::task::Waker;

#[cfg(feature = "tokio")]
pub use self::tokio::TokioClock;
pub use counter::CounterClock;
pub use manual::ManualClock;
pub use monotonic::MonotonicClock;

use crate::Timestamp;

/// A source of time. Read once per decision.
///
/// A clock may step back: limiters treat an earlier reading as the latest one seen, so time is
/// never paid for twice. Clones must read the same time line.
///
/// ```
/// use tollgate::{Clock, Quota, RateLimiter, Timestamp, TokenBucket};
///
/// struct Stopped;
///
/// impl Clock for Stopped {
///     fn now(&self) -> Timestamp {
///         Timestamp::ZERO
///     }
/// }
///
/// let limiter = TokenBucket::builder(Quota::per_second(1)).clock(Stopped).build()?;
/// assert!(limiter.allow());
/// assert!(!limiter.allow());
/// # Ok::<(), tollgate::QuotaError>(())
/// ```
pub trait Clock: Send + Sync + 'static {
    /// The time now.
    fn now(&self) -> Timestamp;

    /// For clocks that do not run with real time: arranges for `waker` to be woken once the clock
    /// reaches `deadline` (or at once if it has), and returns `true`. Waking too early or twice
    /// does no harm.
    ///
    /// The default returns `false`: the clock runs with real time, so the waiting thread or the
    /// runtime's timer sleeps instead.
    fn wake_at(&self, deadline: Timestamp, waker: &Waker) -> bool {
        let _ = (deadline, waker);
        false
    }
}

/// A clock behind a pointer is a clock.
macro_rules! forward {
    ($($pointer:ty),*) => {$(
        impl<C: Clock + ?Sized> Clock for $pointer {
            #[inline]
            fn now(&self) -> Timestamp {
                (**self).now()
            }

            fn wake_at(&self, deadline: Timestamp, waker: &Waker) -> bool {
                (**self).wake_at(deadline, waker)
            }
        }
    )*};
}

forward!(&'static C, Box<C>, Arc<C>);
