//! The clocks that limiters read the time from.

mod counter;
mod manual;
mod monotonic;
#[cfg(feature = "tokio")]
mod tokio;
#[cfg(feature = "llm")]
pub(crate) mod wall;

use std::sync::Arc;
use std::task::Waker;

#[cfg(feature = "tokio")]
pub use self::tokio::TokioClock;
pub use counter::CounterClock;
pub use manual::ManualClock;
pub use monotonic::MonotonicClock;

use crate::Timestamp;

/// A source of time. A limiter reads it once for each decision.
///
/// A clock may step back: a limiter treats an earlier reading as the latest one that it has seen,
/// so no time is counted twice. All clones of a clock must read the same time line.
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
    /// The current time.
    fn now(&self) -> Timestamp;

    /// Arranges for `waker` to be woken once the clock reaches `deadline`, or at once if it already
    /// has, and returns `true`. For clocks that do not run with real time. Waking too early or more
    /// than once is harmless.
    ///
    /// The default returns `false`: the clock runs with real time, so the waiting thread or the
    /// timer of the runtime sleeps instead.
    fn wake_at(&self, deadline: Timestamp, waker: &Waker) -> bool {
        let _ = (deadline, waker);
        false
    }
}

/// Implements [`Clock`] for a pointer to a clock.
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
