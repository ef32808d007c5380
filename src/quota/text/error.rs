//! Why a text is not a quota.

use crate::QuotaError;

/// Why a text is not a [`Quota`](crate::Quota).
///
/// Each message says what to write instead; where the text is a rate in another spelling, the
/// message holds the spelling that is read.
///
/// ```
/// use tollgate::{ParseQuotaError, Quota};
/// assert!(matches!("10/fortnight".parse::<Quota>(), Err(ParseQuotaError::Period { .. })));
///
/// let error = "0.5/s".parse::<Quota>().unwrap_err();
/// assert_eq!(error.to_string(), "`0.5` is not a whole number of permits: write `1/2s`");
/// ```
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ParseQuotaError {
    /// Nothing separates the permits from the period.
    #[error(
        "expected `<permits>/<period>`, such as `600/min burst 100` or `1/100ms`, or `unlimited`"
    )]
    Form,
    /// The text holds several limits.
    #[error(
        "`{text}` holds several limits, but a quota is one limit: read each one on its own and \
         join their limiters in a `Composite`"
    )]
    Several {
        /// The whole text.
        text: String,
    },
    /// The permits are missing, are no whole number, or do not fit 64 bits.
    #[error("{message}")]
    Permits {
        /// What stands there.
        text: String,
        /// What is wrong with it, and what to write instead.
        message: String,
    },
    /// The period is missing, has an unknown unit or a count that can't be used.
    #[error("{message}")]
    Period {
        /// What stands there.
        text: String,
        /// What is wrong with it, and what to write instead.
        message: String,
    },
    /// What follows the period is not `burst <permits>`.
    #[error("{message}")]
    Burst {
        /// What stands there.
        text: String,
        /// What is wrong with it, and what to write instead.
        message: String,
    },
    /// Well formed, but no limiter can be built from it.
    #[error(transparent)]
    Invalid(#[from] QuotaError),
}
