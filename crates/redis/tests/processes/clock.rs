//! The clock of the machine, which is the same for all processes and which nobody can set.

use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

/// The nanoseconds since the machine started, by the kernel itself: a library that shows a program
/// another time is not asked.
pub fn now() -> u64 {
    let time = clock_gettime(ClockId::Monotonic);
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}

/// Sleeps until the clock shows this time.
pub async fn sleep_until(time: u64) {
    tokio::time::sleep(Duration::from_nanos(time.saturating_sub(now()))).await;
}
