//! Buckets in this process: one keyed limiter for each limit.

mod any_limit;
mod clock;
mod limit;

use std::any::Any;
use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Weak};

use parking_lot::Mutex;
use tollgate::Clock;

use super::{Buckets, Charge, Identity, LimitSpec, Reply, Store, StoreError, Verb};
use crate::engine::key::Key;
use any_limit::{AnyLimit, take, with_limit};
pub(crate) use clock::EngineClock;

/// Buckets in the memory of this process.
pub struct Memory {
    clock: EngineClock,
    /// The limiters of the policy that was opened last, as long as it is in use.
    known: Mutex<HashMap<Identity, Weak<dyn Any + Send + Sync>>>,
}

impl Memory {
    /// An empty store.
    #[must_use]
    pub fn new() -> Self {
        Self::on(EngineClock::default())
    }

    /// An empty store on another clock, such as a [`ManualClock`](tollgate::ManualClock) in tests.
    #[must_use]
    pub fn with_clock(clock: Arc<dyn Clock>) -> Self {
        Self::on(EngineClock::Other(clock))
    }

    pub(crate) fn on(clock: EngineClock) -> Self {
        Self { clock, known: Mutex::default() }
    }
}

impl Default for Memory {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Memory").finish_non_exhaustive()
    }
}

impl Store for Memory {
    fn open(&self, limits: &[LimitSpec]) -> Result<Arc<dyn Buckets>, StoreError> {
        let mut known = self.known.lock();
        let mut opened = Vec::with_capacity(limits.len());
        for spec in limits {
            let before = known.get(&spec.identity).and_then(Weak::upgrade);
            let limit = AnyLimit::open(spec, &self.clock, before);
            opened.push(limit.map_err(|error| {
                let limit = spec.identity.name.to_string();
                StoreError::Quota { limit, error }
            })?);
        }
        // Only now is anything changed, so a policy that fails changes nothing. A limit that is not
        // in this policy ends for the next one, even if requests still use it.
        known.clear();
        for (spec, limit) in limits.iter().zip(&opened) {
            with_limit!(limit, limit => {
                limit.adapt(spec);
                known.insert(spec.identity.clone(), Arc::downgrade(&limit.shared()));
            });
        }
        Ok(Arc::new(MemoryBuckets(opened)))
    }
}

/// The buckets of one policy's limits.
struct MemoryBuckets(Vec<AnyLimit>);

impl Buckets for MemoryBuckets {
    fn ask(&self, verb: Verb, charges: &mut [Charge]) -> Reply {
        if verb == Verb::Take {
            take(&self.0, charges);
        } else {
            for charge in charges {
                let answer = with_limit!(&self.0[charge.limit], limit => limit.act(verb, charge));
                charge.answer = answer;
            }
        }
        Reply::Now
    }

    fn keys(&self, limit: usize) -> usize {
        self.0.get(limit).map_or(0, |limit| with_limit!(limit, limit => limit.keys()))
    }

    fn most_limited(&self, limit: usize, n: usize) -> Vec<(Key, u64)> {
        let of = |limit: &AnyLimit| with_limit!(limit, limit => limit.most_limited(n));
        self.0.get(limit).map_or_else(Vec::new, of)
    }
}
