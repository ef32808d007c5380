//! How values look in serde's formats: settings as people write them, answers as a status page
//! shows them.
//!
//! Numbers that stand for "unlimited" are nothing (`null` in JSON), and durations are seconds.

mod answers;
#[cfg(feature = "llm")]
mod llm;
mod quota;
mod terms;

use std::time::Duration;

/// A duration as seconds with a fraction.
fn seconds(duration: Duration) -> f64 {
    duration.as_secs_f64()
}

/// A number of permits, or nothing where the number stands for "unlimited".
fn limited(permits: u64) -> Option<u64> {
    (permits < u64::MAX).then_some(permits)
}
