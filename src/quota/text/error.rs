//! Why a text is not a quota.

use crate::QuotaError;

/// Why a text is not a [`Quota`](crate::Quota).
///
/// Each message says what to write instead. If the text is a rate in an unsupported spelling, the
/// message shows the supported one.
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
    /// The text contains several limits.
    #[error(
        "`{text}` contains several limits, but a quota is one limit: parse each limit separately \
         and combine them in a `Composite`"
    )]
    Several {
        /// The whole text.
        text: String,
    },
    /// The number of permits is missing, is not a whole number, or does not fit into 64 bits.
    #[error("{message}")]
    Permits {
        /// The text of this part.
        text: String,
        /// What is wrong with it, and what to write instead.
        message: String,
    },
    /// The period is missing, or its unit or its number can't be read.
    #[error("{message}")]
    Period {
        /// The text of this part.
        text: String,
        /// What is wrong with it, and what to write instead.
        message: String,
    },
    /// The text after the period is not `burst <permits>`.
    #[error("{message}")]
    Burst {
        /// The text of this part.
        text: String,
        /// What is wrong with it, and what to write instead.
        message: String,
    },
    /// The text is well formed, but no limiter can be built from the quota.
    #[error(transparent)]
    Invalid(#[from] QuotaError),
}
