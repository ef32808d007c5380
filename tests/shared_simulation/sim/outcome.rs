//! What came of a simulation.

/// What came of a simulation.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Outcome {
    /// Requests that were answered.
    pub(crate) decisions: u64,
    /// Those that were granted.
    pub(crate) granted: u64,
    /// Those that one limiter for all instances, in one process, would have granted.
    pub(crate) grantable: u64,
    /// Requests that had no answer of the store in time, nor from a lease.
    pub(crate) failed: u64,
    /// Round trips to the store.
    pub(crate) calls: u64,
    /// What the store was asked in them.
    pub(crate) asks: u64,
    /// Requests for one of the ten most popular keys that were answered.
    pub(crate) popular_decisions: u64,
    /// What the store was asked of these keys.
    pub(crate) popular_asks: u64,
    /// The fullest window of any key: how much more was used in it than comes back in it, as a share
    /// of the most that is permitted, which is the burst.
    pub(crate) fullest: f64,
    /// Keys of which more was used in some window than their quota permits.
    pub(crate) exceeded: usize,
    /// Keys of which twice their quota was asked, or more.
    pub(crate) hot_keys: usize,
    /// What was used of the refill of these keys, of all together, once their burst was used up.
    pub(crate) used: f64,
    /// The same, of the hot key of which the smallest share was used.
    pub(crate) least_used: f64,
    /// Requests that were granted by permits of a lease.
    pub(crate) leased: u64,
    /// Requests that were refused without asking the store again.
    pub(crate) cached: u64,
}
