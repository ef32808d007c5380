//! How futures sleep: the one thing a runtime must bring.

#[cfg(feature = "tokio")]
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
#[cfg(feature = "tokio")]
use std::task::{Context, Poll};
use std::time::Duration;

/// A future that ends when its time has come. See [`Timer`] for an example.
pub type Sleep = Pin<Box<dyn Future<Output = ()> + Send>>;

/// A runtime's timer, so that `acquire_on` runs on any of them.
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
///     limiter.acquire_on(1, &AsyncIo).await?;
///     limiter.acquire_on(1, &AsyncIo).await // after a millisecond
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
/// Outside of a runtime there is none, and a wait ends with [`WaitError::NoTimer`](crate::WaitError::NoTimer). So it
/// does in a runtime that was built without `enable_time`, and after its runtime was shut down. tokio tells these two
/// by a panic only. The panic is caught, but the program's panic hook runs, so that a message may be printed, and
/// a program that is built with `panic = "abort"` ends there.
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
        let sleep = std::panic::catch_unwind(|| tokio::time::sleep(duration)).ok()?;
        Some(Box::pin(TokioSleep(Box::pin(sleep))))
    }
}

/// A sleep that ends early when its runtime is shut down: then the next one says that there is no timer.
#[cfg(feature = "tokio")]
struct TokioSleep(Pin<Box<tokio::time::Sleep>>);

#[cfg(feature = "tokio")]
impl Future for TokioSleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let sleep = AssertUnwindSafe(&mut self.0);
        // It panics once its runtime is gone; nothing of it is used after that.
        let poll = AssertUnwindSafe(|| {
            let AssertUnwindSafe(sleep) = sleep;
            sleep.as_mut().poll(cx)
        });
        std::panic::catch_unwind(poll).unwrap_or(Poll::Ready(()))
    }
}
