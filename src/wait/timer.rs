//! Timers: the only thing that a runtime must provide.

#[cfg(feature = "tokio")]
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
#[cfg(feature = "tokio")]
use std::task::{Context, Poll};
use std::time::Duration;

/// A future that ends after a certain time. See [`Timer`] for an example.
pub type Sleep = Pin<Box<dyn Future<Output = ()> + Send>>;

/// The timer of a runtime, so that `acquire_on` works on any runtime.
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
    /// A future that ends after `duration`, or `None` if the caller is not inside the runtime. The
    /// future may end late or early, because a waiter always reads the limiter's clock again.
    fn sleep(&self, duration: Duration) -> Option<Sleep>;
}

/// tokio's timer.
///
/// A wait ends with [`WaitError::NoTimer`](crate::WaitError::NoTimer) outside of a tokio runtime,
/// in a runtime that was built without `enable_time`, and after the runtime was shut down.
///
/// # Panics
///
/// In the last two cases tokio panics. `TokioTimer` catches the panic, but the panic hook of the
/// program runs before that, and may print a message. A panic cannot be caught in a program that is
/// built with `panic = "abort"`: there, these two cases **abort the process**. Such a program
/// should build its runtime with `enable_time` (or `enable_all`), and end its waits before it shuts
/// the runtime down.
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
        // A runtime that was built without `enable_time` panics here. There is no other way to find
        // out.
        let sleep = std::panic::catch_unwind(|| tokio::time::sleep(duration)).ok()?;
        Some(Box::pin(TokioSleep(Box::pin(sleep))))
    }
}

/// A sleep that ends early if its runtime is shut down. The next sleep then finds that there is no
/// timer.
#[cfg(feature = "tokio")]
struct TokioSleep(Pin<Box<tokio::time::Sleep>>);

#[cfg(feature = "tokio")]
impl Future for TokioSleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let sleep = AssertUnwindSafe(&mut self.0);
        // The sleep panics once its runtime is shut down. It is not used after that.
        let poll = AssertUnwindSafe(|| {
            let AssertUnwindSafe(sleep) = sleep;
            sleep.as_mut().poll(cx)
        });
        std::panic::catch_unwind(poll).unwrap_or(Poll::Ready(()))
    }
}
