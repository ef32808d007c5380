//! What happens to limits, as tracing events.

use crate::QuotaError;
use crate::llm::LimitKind;

/// What has happened to a limit. Emitted after the lock is released, because a subscriber may use
/// the limiter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum LimitEvent {
    /// A response has taught a limit: this many per period.
    Learned(LimitKind, u64),
    /// Responses have reported more limits than an account can have.
    TooMany(LimitKind),
    /// A response reported a limit outside the supported range.
    Unusable(LimitKind, QuotaError),
    /// A request used so much more than its estimate that the charge was capped.
    Overdrawn(LimitKind),
}

impl LimitEvent {
    /// Emits this as a tracing event.
    pub(crate) fn emit(self, limiter: &str) {
        match self {
            Self::Learned(limit, count) => {
                crate::events::info!(limiter, %limit, count, "limit learned");
            }
            Self::TooMany(limit) => {
                crate::events::debug!(limiter, %limit, "reported limit ignored: there are too many");
            }
            Self::Unusable(limit, error) => {
                crate::events::debug!(
                    limiter,
                    %limit,
                    %error,
                    "reported limit ignored: it is out of range"
                );
            }
            Self::Overdrawn(limit) => {
                crate::events::warn!(
                    limiter,
                    %limit,
                    "far more used than acquired: charge capped at ten minutes' or a day's refill"
                );
            }
        }
    }
}
