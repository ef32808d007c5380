//! The scale as all threads read it.

use super::word::Scale;
use crate::sync::atomic::{AtomicU64, Ordering};

/// The scale as the fast path reads it. Written only while the word is busy.
#[derive(Debug)]
pub(super) struct SharedScale {
    speed: AtomicU64,
    shift: AtomicU64,
    epoch: AtomicU64,
    range: AtomicU64,
    cost: AtomicU64,
    capacity: AtomicU64,
}

impl SharedScale {
    pub(super) fn new(scale: &Scale) -> Self {
        Self {
            speed: AtomicU64::new(scale.speed),
            shift: AtomicU64::new(scale.shift.into()),
            epoch: AtomicU64::new(scale.epoch),
            range: AtomicU64::new(scale.range),
            cost: AtomicU64::new(scale.cost),
            capacity: AtomicU64::new(scale.capacity),
        }
    }

    pub(super) fn store(&self, scale: &Scale) {
        self.speed.store(scale.speed, Ordering::Release);
        self.shift.store(scale.shift.into(), Ordering::Release);
        self.epoch.store(scale.epoch, Ordering::Release);
        self.range.store(scale.range, Ordering::Release);
        self.cost.store(scale.cost, Ordering::Release);
        self.capacity.store(scale.capacity, Ordering::Release);
    }

    #[inline]
    pub(super) fn load(&self) -> Scale {
        Scale {
            speed: self.speed.load(Ordering::Relaxed),
            // At most 63 in any scale.
            shift: (self.shift.load(Ordering::Relaxed) & 63) as u32,
            epoch: self.epoch.load(Ordering::Relaxed),
            range: self.range.load(Ordering::Relaxed),
            cost: self.cost.load(Ordering::Relaxed),
            capacity: self.capacity.load(Ordering::Relaxed),
        }
    }
}
