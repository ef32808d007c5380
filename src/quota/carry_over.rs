//! What becomes of the level when a limiter gets another quota.

/// How [`set_quota_with`](crate::RateLimiter::set_quota_with) converts the level under the old
/// quota to the new quota.
///
/// The default keeps the used share: 40 of 100 permits left become 80 of 200, or 8 of 20.
///
/// With `Proportional`, [`Keep`](Self::Keep) and [`KeepUsed`](Self::KeepUsed), switching back and
/// forth at one moment never grants extra permits; with [`AddDifference`](Self::AddDifference) and
/// [`Full`](Self::Full) it can.
///
/// Time that passes under a faster quota counts in full, also for a token bucket that then returns
/// to its slower quota. So do not let clients choose freely between, say, a large quota per hour
/// and a small quota per minute. (Windows and interval refills remember the last eight quotas, so
/// there even such a choice gains nothing.)
///
/// A grant that was made before the change can't be cancelled with
/// [`cancel`](crate::Reservation::cancel) any more: its permits stay taken. The exceptions are
/// [`KeepUsed`](Self::KeepUsed), and a new quota that is the same as before.
///
/// ```
/// use tollgate::{CarryOver, Quota, RateLimiter, TokenBucket};
///
/// let limiter = TokenBucket::new(Quota::per_hour(100))?;
/// limiter.allow_n(60);
/// limiter.set_quota_with(Quota::per_hour(200), CarryOver::Keep)?;
/// assert_eq!(limiter.usage().remaining, 40);
/// # Ok::<(), tollgate::QuotaError>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum CarryOver {
    /// The same share of the burst is left: 40 of 100 becomes 80 of 200.
    #[default]
    Proportional,
    /// The same number of permits is left, at most the new burst: 40 of 100 becomes 40 of 200.
    Keep,
    /// The same number of permits is left, plus what the burst grew by: 40 of 100 becomes 140 of
    /// 200. If the burst shrinks, this is the same as `Keep`.
    AddDifference,
    /// The same number of permits is in use: 60 used of 100 becomes 60 used of 200, or 60 used of
    /// 20, which is debt.
    ///
    /// This is what a provider does that lowers a limit within a window: with 3 of 10 permits used,
    /// lowering the limit to 5 leaves 2.
    KeepUsed,
    /// The whole new burst is available.
    Full,
}
