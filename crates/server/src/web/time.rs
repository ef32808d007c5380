//! Times as answers tell them.

use std::time::Duration;

/// Milliseconds, rounded up, so that whoever waits for so long is not early.
pub(crate) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos().div_ceil(1_000_000)).unwrap_or(u64::MAX)
}
