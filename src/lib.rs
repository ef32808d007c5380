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
//! * [`ManualClock`]: to test your own code without sleeping.
//!
//! A *permit* is the unit inside a bucket.
//!
//! # Features
//!
//! None is on by default; each only adds.
//!
//! * `tokio`: `acquire(n).await`, `TokioClock` for tests under paused time.
//! * `stream`: `rate_limited(&limiter)` for streams and sinks.
//! * `quanta`: `FastClock`, the CPU's time stamp counter.
//! * `serde`: `Quota` as a string.

pub mod algorithm;
mod bucket;
mod clock;
mod composite;
mod decision;
mod error;
mod limiter;
mod quota;
mod sync;
mod time;
pub mod wait;

pub use bucket::{AtomicTokenBucket, Builder, LeasedTokenBucket, Limiter};
#[cfg(feature = "quanta")]
pub use clock::FastClock;
#[cfg(feature = "tokio")]
pub use clock::TokioClock;
pub use clock::{Clock, ManualClock, MonotonicClock};
pub use composite::Composite;
pub use decision::{CarryOver, Grant, Usage};
pub use error::{DebtTooLarge, QuotaError, Rejection, WaitError};
pub use limiter::RateLimiter;
pub use quota::{ParseQuotaError, Quota};
pub use time::Timestamp;
#[cfg(feature = "tokio")]
pub use wait::TokioTimer;
pub use wait::{CancelToken, Jitter, Reservation, Sleep, Timer};
#[cfg(feature = "stream")]
pub use wait::{SinkExt, StreamExt};

/// A token bucket with greedy refill: permits flow in evenly. Start with this one.
pub type TokenBucket<C = MonotonicClock> = Limiter<algorithm::GreedyRefill, C>;

/// A token bucket with interval refill: all permits of a period arrive at its end.
pub type IntervalTokenBucket<C = MonotonicClock> = Limiter<algorithm::IntervalRefill, C>;

/// A counter per period. Up to twice the limit can pass around a border.
pub type FixedWindowLimiter<C = MonotonicClock> = Limiter<algorithm::FixedWindow, C>;

/// A sliding window of two counters: smooth, and about right.
pub type SlidingWindowLimiter<C = MonotonicClock> = Limiter<algorithm::SlidingWindow, C>;

/// Never more than the limit in any window of the period.
pub type StrictLimiter<C = MonotonicClock> = Limiter<algorithm::StrictWindow, C>;

/// The README's snippets, compiled as doctests.
#[cfg(all(doctest, feature = "tokio"))]
#[doc = include_str!("../README.md")]
struct Readme;
