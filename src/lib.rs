//! Rate limiting: exact, fair, fast.
//!
//! Ask before the work, or wait until it is your turn:
//!
//! ```
//! use tollgate::{Quota, RateLimiter, TokenBucket};
//!
//! let limiter = TokenBucket::new(Quota::per_second(50).burst(100))?;
//!
//! if limiter.allow() {
//!     // handle the request
//! }
//! limiter.wait()?; // blocks the thread until permitted, first come, first served
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! * [`TokenBucket`]: the limiter to start with. [`AtomicTokenBucket`] is its lock-free twin,
//!   [`LeasedTokenBucket`] the one for limits that many threads hammer on.
//! * [`RateLimiter`]: what all of them can do, object safe.
//! * [`Quota`]: how much, as a value or as text such as `"600/min burst 100"`.
//! * [`FixedWindowLimiter`], [`SlidingWindowLimiter`], [`StrictLimiter`],
//!   [`IntervalTokenBucket`]: the same with other [rules](algorithm), and [`Composite`] for several
//!   limits at once.
//! * [`KeyedLimiter`]: one bucket for each user, address or tenant, in bounded memory.
//! * [`take_all`]: several limiters in one decision, all or nothing.
//! * [`ManualClock`]: to test your own code without sleeping.
//!
//! A *permit* is the unit inside a bucket.
//!
//! # Features
//!
//! Each feature only adds; `tracing` alone is on by default.
//!
//! * `tracing`: events for a subscriber, such as refusals, at one relaxed load while nobody listens.
//! * `tokio`: `acquire(n).await`, `TokioClock` for tests under paused time.
//! * `stream`: `rate_limited(&limiter)` for streams and sinks.
//! * `serde`: `Quota` as a string.
//! * `llm`: the limits of model APIs, read from response headers.

#![cfg_attr(docsrs, feature(doc_cfg))]
#![cfg_attr(
    not(feature = "tracing"),
    allow(unused_variables, reason = "some values are there for events alone")
)]

pub mod algorithm;
mod answer;
mod charges;
mod clock;
mod error;
mod events;
pub mod keyed;
mod limiters;
#[cfg(feature = "llm")]
pub mod llm;
mod quota;
mod rate_limiter;
#[cfg(feature = "serde")]
mod serde_forms;
#[cfg(feature = "stream")]
pub mod stream;
mod sync;
mod time;
pub mod wait;

pub use answer::{Grant, Usage};
pub use charges::{Answer, Charge, take_all, take_each};
#[cfg(feature = "tokio")]
pub use clock::TokioClock;
pub use clock::{Clock, CounterClock, ManualClock, MonotonicClock};
pub use error::{ConsumeError, QuotaError, Rejection, WaitError, WhichLimit};
#[doc(inline)]
pub use keyed::Keyed;
pub use limiters::Composite;
pub use limiters::{AtomicTokenBucket, LeasedTokenBucket, Limiter, LimiterBuilder, LimiterCharge};
pub use quota::{CarryOver, ParseQuotaError, Quota};
pub use rate_limiter::RateLimiter;
#[cfg(feature = "stream")]
pub use stream::{RateLimitSinkExt, RateLimitStreamExt};
pub use time::Timestamp;
#[cfg(feature = "tokio")]
pub use wait::TokioTimer;
#[doc(inline)]
pub use wait::{CancelToken, Jitter, Reservation, Sleep, Timer};

/// A token bucket with greedy refill: permits flow in evenly. Start with this one.
///
/// ```
/// use tollgate::{Quota, RateLimiter, TokenBucket};
/// let limiter = TokenBucket::new(Quota::per_second(50).burst(100))?;
/// assert!(limiter.allow_n(100));
/// # Ok::<(), tollgate::QuotaError>(())
/// ```
pub type TokenBucket<C = CounterClock> = Limiter<algorithm::GreedyRefill, C>;

/// A token bucket for each key. A struct for production and tests alike may hold a
/// `KeyedLimiter<String, Arc<dyn Clock>>`.
///
/// ```
/// use tollgate::{KeyedLimiter, Quota};
/// let per_user = KeyedLimiter::<String>::new(Quota::per_minute(60))?;
/// if per_user.allow("alice") {
///     // handle the request
/// }
/// # Ok::<(), tollgate::QuotaError>(())
/// ```
pub type KeyedLimiter<K, C = CounterClock, S = keyed::RandomState> =
    Keyed<K, algorithm::GreedyRefill, C, S>;

/// A token bucket with interval refill: all permits of a period arrive at its end.
///
/// ```
/// use std::time::Duration;
/// use tollgate::{IntervalTokenBucket, ManualClock, Quota, RateLimiter};
/// let builder = IntervalTokenBucket::builder(Quota::per_minute(10)).clock(ManualClock::new());
/// let limiter = builder.build()?;
/// limiter.drain();
/// assert_eq!(limiter.delay_for(1), Ok(Duration::from_secs(60)));
/// # Ok::<(), tollgate::QuotaError>(())
/// ```
pub type IntervalTokenBucket<C = CounterClock> = Limiter<algorithm::IntervalRefill, C>;

/// A counter per period. Up to twice the limit can pass around a border.
///
/// ```
/// use tollgate::{FixedWindowLimiter, Quota, QuotaError};
/// // A window has no burst of its own.
/// let error = FixedWindowLimiter::new(Quota::per_minute(10).burst(5)).unwrap_err();
/// assert_eq!(error, QuotaError::BurstUnsupported);
/// ```
pub type FixedWindowLimiter<C = CounterClock> = Limiter<algorithm::FixedWindow, C>;

/// A sliding window of two counters: smooth, and about right.
///
/// ```
/// use tollgate::{Quota, RateLimiter, SlidingWindowLimiter};
/// let limiter = SlidingWindowLimiter::new(Quota::per_minute(10))?;
/// assert_eq!(limiter.try_acquire_up_to(99), 10);
/// # Ok::<(), tollgate::QuotaError>(())
/// ```
pub type SlidingWindowLimiter<C = CounterClock> = Limiter<algorithm::SlidingWindow, C>;

/// Never more than the limit in any window of the period.
///
/// ```
/// use std::time::Duration;
/// use tollgate::{ManualClock, Quota, RateLimiter, StrictLimiter};
/// let clock = ManualClock::new();
/// let limiter = StrictLimiter::builder(Quota::per_minute(10)).clock(clock.clone()).build()?;
/// limiter.drain();
/// clock.advance(Duration::from_secs(59));
/// assert!(!limiter.allow()); // a token bucket would have nine again
/// # Ok::<(), tollgate::QuotaError>(())
/// ```
pub type StrictLimiter<C = CounterClock> = Limiter<algorithm::StrictWindow, C>;

/// The README's snippets, compiled as doctests.
#[cfg(all(doctest, feature = "tokio", feature = "llm"))]
#[doc = include_str!("../README.md")]
struct Readme;

/// The snippets of the comparison and of its migration tables.
#[cfg(all(doctest, feature = "tokio"))]
#[doc = include_str!("../COMPARE.md")]
struct Compare;

/// The snippets of the page on testing.
#[cfg(all(doctest, feature = "tokio"))]
#[doc = include_str!("../docs/testing.md")]
struct Testing;
