//! What time it is on the server.

use std::time::{Duration, Instant};

/// The difference between the server's clock and ours, in µs: each reply bounds it from both sides,
/// by when the command was sent and when the reply came.
#[derive(Clone, Copy, Debug)]
pub(super) struct ServerClock {
    origin: Instant,
    bounds: Option<(i64, i64)>,
}

impl ServerClock {
    pub(super) fn new() -> Self {
        Self { origin: Instant::now(), bounds: None }
    }

    /// Notes that the server's clock said `server`, in µs, at some time between `sent` and
    /// `received`.
    pub(super) fn note(&mut self, server: u64, sent: Instant, received: Instant) {
        let server = i64::try_from(server).unwrap_or(i64::MAX);
        let least = server.saturating_sub(self.micros(received));
        let most = server.saturating_sub(self.micros(sent));
        self.bounds = Some(match self.bounds {
            Some((low, high)) if low.max(least) <= high.min(most) => {
                (low.max(least), high.min(most))
            }
            // The two contradict each other: a clock was set, or they run at different rates.
            _ => (least, most),
        });
    }

    /// The latest time that the server's clock may show when it is `at` here, in µs. Nothing, if
    /// the server has not answered yet.
    pub(super) fn latest(&self, at: Instant, later: Duration) -> Option<u64> {
        let (_, most) = self.bounds?;
        let later = i64::try_from(later.as_micros()).ok()?;
        u64::try_from(self.micros(at).checked_add(later)?.checked_add(most)?).ok()
    }

    fn micros(&self, at: Instant) -> i64 {
        let micros = |span: Duration| i64::try_from(span.as_micros()).unwrap_or(i64::MAX);
        match at.checked_duration_since(self.origin) {
            Some(after) => micros(after),
            None => -micros(self.origin.duration_since(at)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_come_closer_until_the_clock_is_set() {
        let mut clock = ServerClock::new();
        let at = |micros: u64| clock.origin + Duration::from_micros(micros);
        let (at_10, at_30, at_40, at_45) = (at(10), at(30), at(40), at(45));
        assert_eq!(clock.latest(at_10, Duration::ZERO), None);
        // Between 980 and 1,000 ahead.
        clock.note(1010, at_10, at_30);
        assert_eq!(clock.latest(at_30, Duration::from_micros(5)), Some(1035));
        // Between 985 and 990 ahead.
        clock.note(1030, at_40, at_45);
        assert_eq!(clock.latest(at_40, Duration::ZERO), Some(1030));
        // An hour ahead, and back again.
        clock.note(3_600_000_040, at_40, at_45);
        assert_eq!(clock.latest(at_40, Duration::ZERO), Some(3_600_000_040));
        clock.note(1030, at_40, at_45);
        assert_eq!(clock.latest(at_40, Duration::ZERO), Some(1030));
    }
}
