//! How futures sleep: the one thing a runtime must bring.

use std::pin::Pin;
use std::time::Duration;

/// A future that ends when its time has come. See [`Timer`] for an example.
pub type Sleep = Pin<Box<dyn Future<Output = ()> + Send>>;

/// A runtime's timer, so that `acquire_with` runs on any of them.
///
/// ```
/// use std::time::Duration;
/// use tollgate::{Quota, RateLimiter, Sleep, Timer, TokenBucket};
///
/// /// The timer of smol and async-std.
/// struct AsyncIo;
///
/// impl Timer for AsyncIo {
///     fn sleep(&self, duration: Duration) -> Option<Sleep> {
///         Some(Box::pin(async move {
///             async_io::Timer::after(duration).await;
///         }))
///     }
/// }
///
/// let limiter = TokenBucket::new(Quota::per_second(1000).burst(1))?;
/// futures_lite::future::block_on(async {
///     limiter.acquire_with(1, &AsyncIo).await?;
///     limiter.acquire_with(1, &AsyncIo).await // after a millisecond
/// })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub trait Timer: Send + Sync {
    /// A future that ends after `duration`, or `None` if there is no such runtime here. It may end
    /// late, or early: whoever waits looks at the clock again.
    fn sleep(&self, duration: Duration) -> Option<Sleep>;
}

/// tokio's timer.
///
/// ```
/// use std::time::Duration;
/// use tollgate::{Timer, TokioTimer};
/// assert!(TokioTimer.sleep(Duration::from_secs(1)).is_none()); // outside of a runtime
/// ```
#[cfg(feature = "tokio")]
#[derive(Clone, Copy, Debug, Default)]
pub struct TokioTimer;

#[cfg(feature = "tokio")]
impl Timer for TokioTimer {
    fn sleep(&self, duration: Duration) -> Option<Sleep> {
        tokio::runtime::Handle::try_current().ok()?;
        // A runtime built without `enable_time` panics here, and can't be told otherwise.
        std::panic::catch_unwind(|| -> Sleep { Box::pin(tokio::time::sleep(duration)) }).ok()
    }
}
