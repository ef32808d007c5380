//! What a limiter tells its callers: grants, refusals, usage.

use super::{Core, Rule};
use crate::algorithm::Algorithm;
use crate::answer::Taken;
use crate::wakers::Wakers;
use crate::{Grant, Rejection, Timestamp, Usage};

impl<A: Rule> Core<A> {
    /// The usage at `now`, with counters and the length of the queue.
    pub(crate) fn usage(&mut self, now: Timestamp, wakers: &mut Wakers) -> Usage {
        self.settle(now, wakers);
        Usage {
            allowed: self.allowed,
            denied: self.rest.denied,
            waiting: self.rest.queue.len(),
            ..usage_of(&self.rest.rule, &self.state, self.latest)
        }
    }

    /// The state at `now`, and that time.
    pub(crate) fn snapshot(
        &mut self,
        now: Timestamp,
        wakers: &mut Wakers,
    ) -> (A::State, Timestamp) {
        self.settle(now, wakers);
        (self.state.clone(), self.latest)
    }

    /// Permits allowed and denied since the last call.
    pub(crate) fn take_counts(&mut self) -> (u64, u64) {
        (std::mem::take(&mut self.allowed), std::mem::take(&mut self.rest.denied))
    }

    pub(super) fn remaining(&self) -> u64 {
        remaining(&self.rest.rule, &self.state, self.latest)
    }

    /// The grant of `ask`, which has just been taken.
    pub(crate) fn grant(&self, ask: A::Ask, taken: Taken) -> Grant {
        Grant { taken, ..grant_of(&self.rest.rule, &self.state, self.latest, A::permits(ask)) }
    }
}

/// The usage of a state, without counters and queue.
pub(crate) fn usage_of<A: Rule>(rule: &A, state: &A::State, now: Timestamp) -> Usage {
    let used = saturate(rule.used(state, now));
    Usage {
        quota: rule.quota(),
        limit: rule.limit(),
        used,
        remaining: rule.limit().saturating_sub(used),
        reset_after: rule.full_at(state, now) - now,
        allowed: 0,
        denied: 0,
        waiting: 0,
    }
}

/// Why `permits` cannot be taken now, if they cannot, while nobody waits.
pub(crate) fn refusal_of<A: Algorithm>(
    rule: &A,
    state: &A::State,
    now: Timestamp,
    permits: u64,
) -> Option<Rejection> {
    let burst = rule.limit();
    if permits > burst {
        let limit = rule.refused_by(state, now, permits);
        return Some(Rejection::ExceedsBurst { requested: permits, burst, limit });
    }
    let ready = rule.ready_at(state, now, permits);
    (ready > now).then(|| Rejection::Denied {
        retry_after: ready - now,
        available: remaining(rule, state, now),
        reset_after: rule.full_at(state, now) - now,
        burst,
        limit: rule.refused_by(state, now, permits),
    })
}

/// The grant of `permits`, which have just been taken.
pub(crate) fn grant_of<A: Rule>(rule: &A, state: &A::State, now: Timestamp, permits: u64) -> Grant {
    let reset_after = rule.full_at(state, now) - now;
    let remaining = remaining(rule, state, now);
    Grant { permits, remaining, limit: rule.limit(), reset_after, taken: Taken::default() }
}

fn remaining<A: Rule>(rule: &A, state: &A::State, now: Timestamp) -> u64 {
    rule.limit().saturating_sub(saturate(rule.used(state, now)))
}

/// A number of permits in 64 bits; larger numbers become [`u64::MAX`].
fn saturate(permits: u128) -> u64 {
    u64::try_from(permits).unwrap_or(u64::MAX)
}
