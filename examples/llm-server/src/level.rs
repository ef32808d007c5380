//! How much of one limit is left.

use std::time::{Duration, Instant};

/// A limit per minute, which fills up evenly to as much as can be used at once.
#[derive(Debug)]
pub(crate) struct Level {
    pub(crate) per_minute: u32,
    capacity: f64,
    left: f64,
    counted_at: Instant,
}

impl Level {
    pub(crate) fn new(per_minute: u32, at_once: Duration, now: Instant) -> Self {
        let capacity = f64::from(per_minute) / 60.0 * at_once.as_secs_f64();
        Self { per_minute, capacity, left: capacity, counted_at: now }
    }

    pub(crate) fn per_second(&self) -> f64 {
        f64::from(self.per_minute) / 60.0
    }

    /// The most that can be used at once.
    pub(crate) fn capacity(&self) -> f64 {
        self.capacity
    }

    pub(crate) fn left(&self) -> f64 {
        self.left
    }

    /// Fills up to the present.
    pub(crate) fn count(&mut self, now: Instant) {
        let passed = now.saturating_duration_since(self.counted_at).as_secs_f64();
        self.left = (self.left + passed * self.per_second()).min(self.capacity);
        self.counted_at = now;
    }

    pub(crate) fn take(&mut self, wanted: f64) {
        self.left -= wanted;
    }

    /// Gives back what was taken too much.
    pub(crate) fn give_back(&mut self, unused: f64) {
        self.left = (self.left + unused).min(self.capacity);
    }

    /// How long until so much is left, or until all is if more is wanted than ever can be.
    pub(crate) fn wait_for(&self, wanted: f64) -> Duration {
        let missing = (wanted.min(self.capacity) - self.left).max(0.0);
        Duration::try_from_secs_f64(missing / self.per_second()).unwrap_or(Duration::MAX)
    }

    /// How long until all is left.
    pub(crate) fn full_in(&self) -> Duration {
        self.wait_for(self.capacity)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_fills_evenly_to_its_capacity() {
        let start = Instant::now();
        let mut level = Level::new(600, Duration::from_secs(2), start);
        level.take(20.0);
        assert_eq!(level.wait_for(5.0), Duration::from_millis(500));
        level.count(start + Duration::from_millis(500));
        assert!((level.left() - 5.0).abs() < 1e-6);
        level.count(start + Duration::from_secs(60));
        assert!((level.left() - level.capacity()).abs() < 1e-6);
        // More than can ever be there: as long as it takes to be full.
        assert_eq!(level.wait_for(1e9), Duration::ZERO);
    }

    #[test]
    fn what_is_given_back_does_not_exceed_the_capacity() {
        let mut level = Level::new(600, Duration::from_secs(1), Instant::now());
        level.take(4.0);
        level.give_back(9.0);
        assert!((level.left() - 10.0).abs() < 1e-6);
    }
}
