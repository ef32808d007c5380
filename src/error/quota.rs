//! Why a quota or an option was not accepted.

/// Why a limiter can't be built from a [`Quota`](crate::Quota), or a new quota was not accepted.
///
/// ```
/// use tollgate::{Quota, QuotaError, TokenBucket};
/// let error = TokenBucket::new(Quota::per_second(0)).unwrap_err();
/// assert_eq!(error, QuotaError::ZeroRate);
/// ```
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum QuotaError {
    /// The quota has no permits per period.
    #[error("the rate is zero: use at least 1 permit per period, or `unlimited` for no limit")]
    ZeroRate,
    /// The burst is 0.
    #[error("the burst is zero, so no request could ever pass: use at least 1")]
    ZeroBurst,
    /// The period is zero.
    #[error("the period is zero: use at least 1 ns, or `unlimited` for no limit")]
    ZeroPeriod,
    /// The period is longer than 2⁶⁴ − 1 ns.
    #[error("the period is longer than 2^64 - 1 ns (584 years)")]
    PeriodTooLong,
    /// The quota of a window limiter has a burst. The limit of a window is its burst.
    #[error("a window limiter has no separate burst: leave the burst out")]
    BurstUnsupported,
    /// The initial number of permits is larger than the burst.
    #[error("the initial number of permits is larger than the burst of {burst}")]
    InitialExceedsBurst {
        /// The largest possible initial number of permits.
        burst: u64,
    },
    /// The 64-bit word of an [`AtomicTokenBucket`](crate::AtomicTokenBucket) can't represent rate
    /// and burst to within a millionth.
    #[error(
        "one 64-bit word can't represent this rate and burst to within a millionth: \
         use a `TokenBucket`"
    )]
    TooWide,
    /// Rate and burst together need more than 128 bits, so the level could not be kept exactly.
    #[error(
        "rate and burst together are too large to be kept exactly: \
         use a smaller burst or a shorter period"
    )]
    TooLarge,
    /// The burst is not larger than the number of permits that leases can hold back.
    #[error(
        "leases hold back {held_back} permits, which leaves nothing of the burst: \
         use a larger burst or a smaller lease"
    )]
    BurstBelowLeases {
        /// The most permits that leases can hold back.
        held_back: u64,
    },
    /// The [`Composite`](crate::Composite) has no limits.
    #[error("there are no limits: give at least one")]
    NoLimits,
    /// Two limits of the [`Composite`](crate::Composite) have the same name.
    #[error("two limits have the same name: give each limit its own name")]
    DuplicateName,
    /// One of the limits of a [`Composite`](crate::Composite) is invalid.
    #[error("limit \"{name}\": {error}")]
    Limit {
        /// The name of the limit.
        name: String,
        /// What is wrong with the limit.
        error: Box<QuotaError>,
    },
    /// An option of a builder is out of range.
    #[error("`{option}` is {given}: it must be from {least} to {most}")]
    OutOfRange {
        /// The name of the option.
        option: &'static str,
        /// The value that was given.
        given: usize,
        /// The smallest accepted value.
        least: usize,
        /// The largest accepted value.
        most: usize,
    },
    /// One quota was set on a limiter that has several limits.
    #[error("this limiter has several limits: set them with `set_limits`")]
    SeveralLimits,
    /// The quota of this limiter can't be changed. Only limiters that
    /// are implemented outside this crate return this.
    #[error("the quota of this limiter can't be changed")]
    Unsupported,
}
