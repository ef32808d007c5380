//! Rate limiting with exact arithmetic, in which callers who wait are served first come, first
//! served.
//!
//! Ask the limiter before the work, or wait for your turn:
//!
//! ```
//! use tollgate::{Quota, RateLimiter, TokenBucket};
//!
//! let limiter = TokenBucket::new(Quota::per_second(50).burst(100))?;
//!
//! if limiter.allow() {
//!     // handle the request
//! }
//! limiter.wait()?; // blocks the thread until a permit is available
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Limiters count *permits*. (The word *token* is kept for the tokens of language models.) A
//! [`Quota`] says how many permits a limiter grants, as a value or as text such as
//! `"600/min burst 100"`. [`RateLimiter`] has the methods of every limiter, and is object safe.
//!
//! # Which limiter do I want?
//!
//! * One limit for the program or for one resource: [`TokenBucket`]. Start with this one.
//! * One limit for each user, address or tenant: [`KeyedLimiter`], in bounded memory.
//! * At most N permits in *every* window of one period: [`StrictLimiter`].
//! * Several limits for one request: [`Composite`], or [`take_all`] if the limits differ in cost.
//! * The limits of a model API: [`llm`](crate#features). Limits that several processes share:
//!   [`shared`](crate#features).
//! * One limiter that many threads use all the time: [`AtomicTokenBucket`], or
//!   [`LeasedTokenBucket`] if the burst is large.
//!
//! An [`AtomicTokenBucket`] decides `allow` without a lock as long as nobody waits. While somebody
//! waits, and in most other methods, it takes a lock like a [`TokenBucket`].
//!
//! [`IntervalTokenBucket`], [`FixedWindowLimiter`] and [`SlidingWindowLimiter`] follow other
//! [rules](algorithm), and you can write your own rule. A [`ManualClock`] lets you test your code
//! without sleeping.
//!
//! # What this crate does not do
//!
//! * It does not store limits on disk. Processes and hosts share limits through a store of another
//!   program (feature `shared`).
//! * It does not limit how many operations run at the same time. Use a semaphore for that. (The
//!   limiters of the feature `llm` can limit concurrent requests.)
//! * It does not retry requests, and has no priorities: waiters are served in order of arrival.
//!   (Limiters of the feature `llm` can retry, and serve requests of low priority last.)
//! * It starts no thread and no task. A waiter is woken by its own timer or by another call. (Only
//!   the feature `shared` has tasks, while it waits for a store.)
//! * It does not synchronise your data: see [memory ordering](RateLimiter#memory-ordering).
//!
//! # Features
//!
//! Each feature only adds items or behaviour. Only `tracing` is on by default.
//!
//! * `tracing`: events for a subscriber, such as refusals; without a subscriber, one relaxed load.
//! * `tokio`: `acquire(n).await`, and `TokioClock` for tests under paused time.
//! * `stream`: `rate_limited(&limiter)` for streams and sinks.
//! * `serde`: quotas, terms and limits as settings, usages as answers.
//! * `llm`: the limits of model APIs, read from response headers.
//! * `shared`: limits that many processes share through a store.

#![cfg_attr(docsrs, feature(doc_cfg))]
#![cfg_attr(
    not(feature = "tracing"),
    allow(
        unused_variables,
        clippy::unused_self,
        reason = "some values, such as a limiter's name, are used only by events"
    )
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
#[cfg(feature = "shared")]
pub mod shared;
#[cfg(all(feature = "llm", feature = "shared"))]
pub mod shared_llm;
#[cfg(feature = "stream")]
pub mod stream;
mod sync;
mod time;
pub mod wait;
mod wakers;

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
#[doc(inline)]
pub use stream::{RateLimitSinkExt, RateLimitStreamExt};
pub use time::Timestamp;
#[cfg(feature = "tokio")]
#[doc(inline)]
pub use wait::TokioTimer;
#[doc(inline)]
pub use wait::{CancelToken, Jitter, Reservation, Sleep, Timer};

/// A token bucket with greedy refill: permits become available evenly over time. Start with this
/// limiter.
///
/// ```
/// use tollgate::{Quota, RateLimiter, TokenBucket};
/// let limiter = TokenBucket::new(Quota::per_second(50).burst(100))?;
/// assert!(limiter.allow_n(100));
/// # Ok::<(), tollgate::QuotaError>(())
/// ```
pub type TokenBucket<C = CounterClock> = Limiter<algorithm::GreedyRefill, C>;

/// A token bucket for each key.
///
/// A struct that is used both in production and in tests can hold a
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

/// A token bucket with interval refill: all permits of a period become available at its end.
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

/// Fixed windows: one counter for each period. Up to twice the limit can pass in one period that
/// straddles two windows.
///
/// ```
/// use tollgate::{FixedWindowLimiter, Quota, QuotaError};
/// // Window limiters have no burst: the burst of a window is its limit.
/// let error = FixedWindowLimiter::new(Quota::per_minute(10).burst(5)).unwrap_err();
/// assert_eq!(error, QuotaError::BurstUnsupported);
/// ```
pub type FixedWindowLimiter<C = CounterClock> = Limiter<algorithm::FixedWindow, C>;

/// A sliding window that is estimated from two counters: smooth, but not exact.
///
/// ```
/// use tollgate::{Quota, RateLimiter, SlidingWindowLimiter};
/// let limiter = SlidingWindowLimiter::new(Quota::per_minute(10))?;
/// assert_eq!(limiter.try_acquire_up_to(99), 10);
/// # Ok::<(), tollgate::QuotaError>(())
/// ```
pub type SlidingWindowLimiter<C = CounterClock> = Limiter<algorithm::SlidingWindow, C>;

/// A strict sliding window: never more than the limit in any window of one period.
///
/// ```
/// use std::time::Duration;
/// use tollgate::{ManualClock, Quota, RateLimiter, StrictLimiter};
/// let clock = ManualClock::new();
/// let limiter = StrictLimiter::builder(Quota::per_minute(10)).clock(clock.clone()).build()?;
/// limiter.drain();
/// clock.advance(Duration::from_secs(59));
/// assert!(!limiter.allow()); // a token bucket would have refilled nine permits
/// # Ok::<(), tollgate::QuotaError>(())
/// ```
pub type StrictLimiter<C = CounterClock> = Limiter<algorithm::StrictWindow, C>;

/// The code examples of the README, compiled as doctests.
#[cfg(all(doctest, feature = "tokio", feature = "llm"))]
#[doc = include_str!("../README.md")]
struct Readme;

/// The code examples of the comparison with other crates, and of its migration tables.
#[cfg(all(doctest, feature = "tokio"))]
#[doc = include_str!("../COMPARE.md")]
struct Compare;

/// The code examples of the page on testing.
#[cfg(all(doctest, feature = "tokio"))]
#[doc = include_str!("../docs/testing.md")]
struct Testing;

/// The code examples of the guide for agents.
#[cfg(all(doctest, feature = "tokio", feature = "llm"))]
#[doc = include_str!("../docs/llm-agents.md")]
struct LlmAgents;
