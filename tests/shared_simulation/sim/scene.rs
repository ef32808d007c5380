//! What a simulation consists of.

use std::time::Duration;

use tollgate::Quota;

use super::SLOWER;

/// Processes, and what comes upon them. All times are those of the world that is simulated.
#[derive(Clone, Debug)]
pub(crate) struct Scene {
    /// The processes that run at the same time.
    pub(crate) instances: usize,
    /// Whose requests are equally likely to come to each instance.
    pub(crate) keys: usize,
    /// The requests of all keys in a second. A key has as many of them as Zipf's law says.
    pub(crate) requests_per_second: u32,
    /// The permits of each key in a second. The burst is that of a second, too.
    pub(crate) permits_per_second: u64,
    /// The length of leases, if there are any.
    pub(crate) lease: Option<Duration>,
    /// The instances that die without a word. Each is replaced at once by one that knows nothing.
    pub(crate) deaths: u32,
    pub(crate) length: Duration,
    /// Another one is another day.
    pub(crate) seed: u64,
}

impl Scene {
    /// The quota of each key, in the slow time of the simulation.
    pub(crate) fn quota(&self) -> Quota {
        Quota::per(self.permits_per_second, slow(Duration::from_secs(1)))
            .burst(self.permits_per_second)
    }
}

/// A time of the world that is simulated, in the simulation.
pub(crate) fn slow(time: Duration) -> Duration {
    time * SLOWER
}
