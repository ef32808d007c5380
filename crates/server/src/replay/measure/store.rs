//! The stores of the two limiters.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tollgate::{Clock as _, ManualClock};
use tollgate_http::engine::Key;
use tollgate_http::engine::store::{
    Buckets, Charge, LimitSpec, Memory, Reply, Store, StoreError, Verb,
};

use super::{Measure, MeasuredLimit};

/// A store that measures.
pub(in crate::replay) struct MeasuringStore {
    /// `None`: everything is granted.
    pub(super) memory: Option<Memory>,
    pub(super) measure: Measure,
    pub(super) clock: ManualClock,
}

impl Store for MeasuringStore {
    fn open(&self, limits: &[LimitSpec]) -> Result<Arc<dyn Buckets>, StoreError> {
        let mut measured = self.measure.0.lock();
        if measured.is_empty() {
            measured.extend(limits.iter().map(MeasuredLimit::new));
        }
        let (measure, clock) = (self.measure.clone(), self.clock.clone());
        Ok(match &self.memory {
            Some(memory) => {
                let (inner, is_measured) = (memory.open(limits)?, AtomicBool::new(false));
                Arc::new(Deciding { inner, measure, clock, is_measured })
            }
            None => Arc::new(Granting { measure, clock }),
        })
    }
}

/// The buckets of the limiter that decides.
struct Deciding {
    inner: Arc<dyn Buckets>,
    measure: Measure,
    clock: ManualClock,
    /// Whether the last request was refused by no limit, so that its demand was noted here.
    is_measured: AtomicBool,
}

impl Buckets for Deciding {
    fn ask(&self, verb: Verb, charges: &mut [Charge]) -> Reply {
        let reply = self.inner.ask(verb, charges);
        let now = self.clock.now();
        match verb {
            Verb::Take => {
                let is_demand = !charges.iter().any(|charge| charge.answer.refuses());
                let enforced = |charge: &Charge| !charge.shadow && charge.answer.refuses();
                // Shadow limits were only asked if the request passes.
                let passes = is_demand || !charges.iter().any(enforced);
                self.is_measured.store(is_demand, Ordering::Relaxed);
                self.measure.of(charges, |limit, charge| {
                    if passes || !charge.shadow {
                        limit.decided(charge, now, is_demand);
                    }
                });
            }
            Verb::Credit if self.is_measured.load(Ordering::Relaxed) => {
                self.measure.of(charges, |limit, charge| limit.credited(charge, now));
            }
            _ => {}
        }
        reply
    }

    fn keys(&self, limit: usize) -> usize {
        self.inner.keys(limit)
    }

    fn most_limited(&self, limit: usize, n: usize) -> Vec<(Key, u64)> {
        self.inner.most_limited(limit, n)
    }
}

/// The buckets of the limiter that grants everything, which is what charges say at first.
struct Granting {
    measure: Measure,
    clock: ManualClock,
}

impl Buckets for Granting {
    fn ask(&self, verb: Verb, charges: &mut [Charge]) -> Reply {
        let now = self.clock.now();
        self.measure.of(charges, |limit, charge| match verb {
            Verb::Take => limit.granted(charge, now),
            Verb::Credit => limit.credited(charge, now),
            _ => {}
        });
        Reply::Now
    }

    fn keys(&self, _: usize) -> usize {
        0
    }

    fn most_limited(&self, _: usize, _: usize) -> Vec<(Key, u64)> {
        Vec::new()
    }
}
