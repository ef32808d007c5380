//! Quotas: how much is allowed, as a rate and a burst.

mod carry_over;
mod text;

use std::time::Duration;

pub use carry_over::CarryOver;
pub use text::ParseQuotaError;

use crate::QuotaError;

/// A limit: a number of permits per period, and the most permits that can be taken at once (the
/// burst).
///
/// A quota is a plain value. Its constructors accept any numbers; they are checked when a limiter
/// is built from it (see [`QuotaError`]). Unless [`burst`](Self::burst) sets it, the burst is the
/// number of permits per period.
///
/// **Mind the first period.** A token bucket starts full and refills while it is being emptied, so
/// "N per minute, burst N" lets up to 2N through in the first minute. If the other side counts
/// strictly, use a [`StrictLimiter`](crate::StrictLimiter) or a smaller burst.
///
/// # As text
///
/// A quota parses from text and prints as text. The rows marked "printed" show how it is printed;
/// the other rows show spellings of other programs, which parse too. Upper and lower case make no
/// difference, except that `1M` is a million, and `1m` permits are refused as unclear. White space
/// is allowed around each part.
///
/// | Text | Meaning | Known from |
/// |---|---|---|
/// | `50/s`, `600/min`, `500/h`, `1/day` | that many permits per period | printed |
/// | `7/3s`, `1/250ms`, `1/7day` | permits per several units of time | printed |
/// | `600/min burst 100` | at most 100 permits at once | printed |
/// | `unlimited` | no limit | printed |
/// | `10/sec`, `10/minute`, `10/m`, `10/2 hours`, `10/d` | units, see below | Django REST |
/// | `10/week` | `10/7day` | flask-limiter |
/// | `100/1m30s`, `1/1h 30m` | a sum of units | Go durations |
/// | `10 per minute`, `10 per 5 minutes`, `10 a minute` | the same as with `/` | flask-limiter |
/// | `1 every 100ms` | the same as with `/` | slowapi |
/// | `every 100ms` | `1/100ms` | Go's `rate.Every` |
/// | `10r/s`, `rate=10r/s burst=20 nodelay`, `100 requests/min` | the noun is ignored | nginx |
/// | `10-S`, `10-M`, `10-H`, `10-D` | per second, minute, hour, day | ulule/limiter |
/// | `50 rps`, `50qps`, `600 rpm` | requests or queries per second, minute | Kubernetes |
/// | `500 rph`, `9 rpd` | requests per hour, day | model APIs |
/// | `90k tpm` | tokens per minute | model APIs |
/// | `1_000/h`, `1k/h`, `1.5k/h`, `2M/day` | 1,000, 1,000, 1,500, two million | |
/// | `600/min, burst 100`, `600/min; burst=100` | the same burst | |
/// | `600/min (burst: 100)`, `600/min with burst of 100` | the same burst | |
/// | `average: 100, period: 1m, burst: 50` | 100 permits a minute, 50 at once | Traefik |
/// | `requests_per_unit: 10, unit: minute` | `10/min` | Envoy |
/// | `max_tokens: 100, tokens_per_fill: 10, fill_interval: 1s` | `10/s burst 100` | Envoy, Istio |
/// | `limit: 5, period: 20.seconds` | `5/20s` | rack-attack |
/// | `windowMs: 60000, max: 100` | `100/min` | express-rate-limit |
/// | `qps: 20, burst: 30` | `20/s burst 30` | Kubernetes |
///
/// The units are `ns`, `us`, `ms`, `s`, `min`, `h`, `day` and `week`, their full names and plurals,
/// and `m` (a minute, never a month), `d`, `w`, `sec` and `hr`.
///
/// If a text does not name a burst, the burst is the number of permits per period, whatever the
/// other program would have assumed. The number that nginx calls `burst` does not include the
/// request that is let through at once: `burst=20 nodelay` admits 21 requests at once in nginx, and
/// 20 here.
///
/// The following are refused, with a message that shows the right spelling: fractions of a permit
/// (`0.5/s`: write `1/2s`), commas between digits (`1,000/h`), months and years (they differ in
/// length), and lists of limits (`100/day;10/minute`: combine two limiters in a
/// [`Composite`](crate::Composite)).
///
/// ```
/// use tollgate::Quota;
///
/// let quota: Quota = "600/min burst 100".parse()?;
/// assert_eq!(quota, Quota::per_minute(600).burst(100));
/// assert_eq!(quota.to_string(), "600/min burst 100");
///
/// let quota: Quota = "1_000 requests per 5 minutes".parse()?;
/// assert_eq!(quota.to_string(), "1000/5min");
/// # Ok::<(), tollgate::ParseQuotaError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Quota {
    permits: u64,
    period: Duration,
    burst: u64,
    unlimited: bool,
}

const MINUTE: u64 = 60;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;

impl Quota {
    /// `permits` per `period`, with a burst of `permits`.
    ///
    /// ```
    /// # use tollgate::Quota; use std::time::Duration;
    /// let seven_in_three = Quota::per(7, Duration::from_secs(3));
    /// assert_eq!(seven_in_three.to_string(), "7/3s");
    /// ```
    #[must_use]
    pub const fn per(permits: u64, period: Duration) -> Self {
        Self { permits, period, burst: permits, unlimited: false }
    }

    /// `permits` per second.
    ///
    /// ```
    /// # use tollgate::Quota;
    /// assert_eq!(Quota::per_second(50).burst(100).to_string(), "50/s burst 100");
    /// ```
    #[must_use]
    pub const fn per_second(permits: u64) -> Self {
        Self::per(permits, Duration::from_secs(1))
    }

    /// `permits` per minute.
    ///
    /// ```
    /// # use tollgate::Quota;
    /// assert_eq!(Quota::per_minute(60).permits(), 60);
    /// ```
    #[must_use]
    pub const fn per_minute(permits: u64) -> Self {
        Self::per(permits, Duration::from_secs(MINUTE))
    }

    /// `permits` per hour.
    ///
    /// ```
    /// # use tollgate::Quota; use std::time::Duration;
    /// assert_eq!(Quota::per_hour(500).period(), Duration::from_secs(3600));
    /// ```
    #[must_use]
    pub const fn per_hour(permits: u64) -> Self {
        Self::per(permits, Duration::from_secs(HOUR))
    }

    /// `permits` per day of 24 hours.
    ///
    /// ```
    /// # use tollgate::Quota;
    /// assert_eq!(Quota::per_day(1).to_string(), "1/day");
    /// ```
    #[must_use]
    pub const fn per_day(permits: u64) -> Self {
        Self::per(permits, Duration::from_secs(DAY))
    }

    /// One permit every `interval` with a burst of 1, so that permits are evenly spaced.
    ///
    /// ```
    /// # use tollgate::Quota; use std::time::Duration;
    /// assert_eq!(Quota::every(Duration::from_millis(250)).to_string(), "1/250ms");
    /// ```
    #[must_use]
    pub const fn every(interval: Duration) -> Self {
        Self::per(1, interval)
    }

    /// No limit: every request is admitted, and there is never a debt.
    ///
    /// ```
    /// use tollgate::{Quota, RateLimiter, TokenBucket};
    /// assert!(TokenBucket::new(Quota::unlimited())?.allow_n(u64::MAX));
    /// # Ok::<(), tollgate::QuotaError>(())
    /// ```
    #[must_use]
    pub const fn unlimited() -> Self {
        Self {
            permits: u64::MAX,
            period: Duration::from_nanos(1),
            burst: u64::MAX,
            unlimited: true,
        }
    }

    /// The same rate with at most `burst` permits at once. A burst of 1 spaces permits evenly.
    ///
    /// This has no effect on an [`unlimited`](Self::unlimited) quota.
    ///
    /// ```
    /// # use tollgate::Quota;
    /// assert_eq!(Quota::per_second(10).burst(1).burst_size(), 1);
    /// ```
    #[must_use]
    pub const fn burst(mut self, burst: u64) -> Self {
        if !self.unlimited {
            self.burst = burst;
        }
        self
    }

    /// Permits per [`period`](Self::period).
    ///
    /// ```
    /// # use tollgate::Quota;
    /// assert_eq!(Quota::per_hour(500).permits(), 500);
    /// ```
    #[must_use]
    pub const fn permits(&self) -> u64 {
        self.permits
    }

    /// The time in which [`permits`](Self::permits) permits arrive.
    ///
    /// ```
    /// # use tollgate::Quota; use std::time::Duration;
    /// assert_eq!(Quota::per_second(5).period(), Duration::from_secs(1));
    /// ```
    #[must_use]
    pub const fn period(&self) -> Duration {
        self.period
    }

    /// The most permits that can be taken at once.
    ///
    /// ```
    /// # use tollgate::Quota;
    /// assert_eq!(Quota::per_second(5).burst_size(), 5);
    /// ```
    #[must_use]
    pub const fn burst_size(&self) -> u64 {
        self.burst
    }

    /// Whether the quota is [`unlimited`](Self::unlimited).
    ///
    /// ```
    /// # use tollgate::Quota;
    /// assert!(!Quota::per_second(u64::MAX).is_unlimited());
    /// ```
    #[must_use]
    pub const fn is_unlimited(&self) -> bool {
        self.unlimited
    }

    /// The time between two permits at this rate, rounded up to a nanosecond. It is zero if the
    /// quota is unlimited, and [`Duration::MAX`] if the rate is zero.
    ///
    /// ```
    /// # use tollgate::Quota; use std::time::Duration;
    /// assert_eq!(Quota::per_day(24).interval(), Duration::from_secs(3600));
    /// ```
    #[must_use]
    pub fn interval(&self) -> Duration {
        if self.unlimited {
            return Duration::ZERO;
        }
        if self.permits == 0 {
            return Duration::MAX;
        }
        let nanos = self.period.as_nanos().div_ceil(u128::from(self.permits));
        let (secs, subsec) = (nanos / 1_000_000_000, nanos % 1_000_000_000);
        Duration::new(u64::try_from(secs).unwrap_or(u64::MAX), u32::try_from(subsec).unwrap_or(0))
    }

    /// Checks what every limiter requires. Windows, atomic and leased buckets require more.
    ///
    /// # Errors
    ///
    /// If a part is zero, or the period is longer than 2⁶⁴ − 1 ns (584 years).
    ///
    /// ```
    /// use tollgate::{Quota, QuotaError};
    /// assert_eq!(Quota::per_second(0).validate(), Err(QuotaError::ZeroRate));
    /// ```
    pub fn validate(&self) -> Result<(), QuotaError> {
        self.period_nanos().map(|_| ())
    }

    /// The period in nanoseconds, once the quota is found to be valid.
    pub(crate) fn period_nanos(&self) -> Result<u64, QuotaError> {
        if self.permits == 0 {
            return Err(QuotaError::ZeroRate);
        }
        if self.burst == 0 {
            return Err(QuotaError::ZeroBurst);
        }
        match u64::try_from(self.period.as_nanos()) {
            Ok(0) => Err(QuotaError::ZeroPeriod),
            Ok(nanos) => Ok(nanos),
            Err(_) => Err(QuotaError::PeriodTooLong),
        }
    }
}
