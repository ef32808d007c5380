//! The compiler's advice for a call that needs a feature which is off.

/// No type implements this trait. It makes the compiler name the feature that a call needs.
///
/// ```compile_fail,E0277
/// # use tollgate::{Quota, RateLimiter, TokenBucket};
/// # async fn run() {
/// let limiter = TokenBucket::new(Quota::per_second(1)).unwrap();
/// limiter.acquire(1).await.unwrap(); // error: `acquire().await` needs the feature `tokio`
/// # }
/// ```
#[doc(hidden)]
#[diagnostic::on_unimplemented(
    message = "`acquire().await` needs the feature `tokio` of tollgate",
    label = "enable the feature `tokio` to await permits",
    note = "in Cargo.toml: `tollgate = {{ version = \"..\", features = [\"tokio\"] }}`",
    note = "on another runtime, use its timer: `acquire_on(permits, &timer)`"
)]
pub trait NeedsFeatureTokio {}
