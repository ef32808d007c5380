//! What limits are asked, and how much burst would have been enough.
//!
//! A replay has two limiters of the same policy. The one that decides keeps its buckets in memory,
//! and its store notes what each limit was asked and has answered. The other one grants everything,
//! so its store sees what would have been asked if nobody had been refused, with penalties and with
//! what a route gives back. From that, the smallest burst follows that refuses nobody: a bucket
//! that grants everything, into debt if need be, was drawn down so far at the deepest.
//!
//! Most requests are refused by no limit, and then both see the same. Such a request goes only
//! through the first, whose store measures it on the way.

mod limit;
mod store;

use std::sync::Arc;

use parking_lot::Mutex;
use tollgate::ManualClock;
use tollgate_http::engine::store::{Charge, Memory};

pub(super) use limit::MeasuredLimit;
use store::MeasuringStore;

/// What the limits of a policy were asked, in the policy's order.
#[derive(Clone, Default)]
pub(super) struct Measure(Arc<Mutex<Vec<MeasuredLimit>>>);

impl Measure {
    /// The store of the limiter that decides.
    pub(super) fn deciding(&self, clock: &ManualClock) -> MeasuringStore {
        let memory = Memory::with_clock(Arc::new(clock.clone()));
        MeasuringStore { memory: Some(memory), measure: self.clone(), clock: clock.clone() }
    }

    /// The store of the limiter that grants everything.
    pub(super) fn granting(&self, clock: &ManualClock) -> MeasuringStore {
        MeasuringStore { memory: None, measure: self.clone(), clock: clock.clone() }
    }

    /// Looks at what was measured.
    pub(super) fn with<T>(&self, look: impl FnOnce(&[MeasuredLimit]) -> T) -> T {
        look(&self.0.lock())
    }

    fn of(&self, charges: &mut [Charge], mut note: impl FnMut(&mut MeasuredLimit, &mut Charge)) {
        let mut limits = self.0.lock();
        for charge in charges {
            if let Some(limit) = limits.get_mut(charge.limit) {
                note(limit, charge);
            }
        }
    }
}
