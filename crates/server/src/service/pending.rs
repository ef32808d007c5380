//! Decisions whose answers have not been reported yet.

use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;
use tollgate_http::Decision;

/// The most decisions that are kept. A further one drops the oldest: that request stays charged.
const MOST: usize = 100_000;

/// How long a report is waited for. After that, the request stays charged.
const LONGEST: Duration = Duration::from_secs(300);

/// Decisions whose answers have not been reported yet, each with a number that nobody can guess.
#[derive(Default)]
pub(super) struct Pending {
    inner: Mutex<Inner>,
    numbers: RandomState,
}

#[derive(Default)]
struct Inner {
    decisions: HashMap<u64, Decision>,
    /// Which was kept when, the oldest first. A decision that was reported is not in the map.
    order: VecDeque<(Instant, u64)>,
    count: u64,
}

impl Pending {
    /// Keeps a decision; returns its number.
    pub(super) fn keep(&self, decision: Decision) -> u64 {
        let now = Instant::now();
        let inner = &mut *self.inner.lock();
        while let Some((since, oldest)) = inner.order.front().copied() {
            let is_reported = !inner.decisions.contains_key(&oldest);
            let is_full = inner.decisions.len() >= MOST;
            if !is_reported && !is_full && now.duration_since(since) < LONGEST {
                break;
            }
            inner.order.pop_front();
            inner.decisions.remove(&oldest);
        }
        // Those that were reported behind one that was not.
        if inner.order.len() >= 2 * MOST {
            let Inner { order, decisions, .. } = inner;
            order.retain(|(_, number)| decisions.contains_key(number));
        }
        inner.count = inner.count.wrapping_add(1);
        // A keyed hash, so who has seen one number does not know the next.
        let number = self.numbers.hash_one(inner.count);
        inner.order.push_back((now, number));
        inner.decisions.insert(number, decision);
        number
    }

    /// Takes out the decision with a number. `None` if it was reported already, or is too old.
    pub(super) fn take(&self, number: u64) -> Option<Decision> {
        self.inner.lock().decisions.remove(&number)
    }
}

#[cfg(test)]
mod tests {
    use tollgate_http::{Facts, HttpLimiter, Policy};

    use super::*;

    fn decision() -> Decision {
        let policy: Policy = "version = 1".parse().expect("a policy");
        let limiter = HttpLimiter::new(&policy).expect("a limiter");
        limiter.decide(&Facts::new("GET", "/")).now().expect("memory answers at once")
    }

    #[tokio::test(start_paused = true)]
    async fn a_decision_is_reported_once_and_in_time() {
        let pending = Pending::default();
        let (first, second) = (pending.keep(decision()), pending.keep(decision()));
        assert_ne!(first, second);
        assert!(pending.take(first).is_some());
        assert!(pending.take(first).is_none(), "it was reported");
        tokio::time::advance(LONGEST).await;
        pending.keep(decision());
        assert!(pending.take(second).is_none(), "it is too old");
    }

    #[tokio::test(start_paused = true)]
    async fn the_oldest_makes_room() {
        let (pending, decision) = (Pending::default(), decision());
        let first = pending.keep(decision.clone());
        let numbers: Vec<u64> = (0..MOST).map(|_| pending.keep(decision.clone())).collect();
        assert!(pending.take(first).is_none());
        assert!(pending.take(numbers[0]).is_some());
        assert_eq!(pending.inner.lock().decisions.len(), MOST - 1);
    }

    /// Reported decisions took places, so that slow requests lost theirs.
    #[tokio::test(start_paused = true)]
    async fn reported_decisions_take_no_place() {
        let (pending, decision) = (Pending::default(), decision());
        let slow = pending.keep(decision.clone());
        for _ in 0..3 * MOST {
            let number = pending.keep(decision.clone());
            assert!(pending.take(number).is_some());
        }
        assert!(pending.inner.lock().order.len() <= 2 * MOST);
        assert!(pending.take(slow).is_some());
    }
}
