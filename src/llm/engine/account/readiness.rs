//! When an account can serve a request, and which limit a request waits for.

use super::{Account, SpentRest};
use crate::Timestamp;
use crate::limiters::core::UNKNOWN;
use crate::llm::{LimitKind, Tokens};

impl Account {
    /// Whether all limits allow the request now.
    #[inline]
    pub(crate) fn can_serve(&self, now: Timestamp, tokens: Tokens) -> bool {
        !self.is_busy()
            && self.health.is_open(now)
            && self.meters.iter().all(|meter| meter.ready_at(now, tokens) <= now)
    }

    /// When all limits allow the request; unknown if that depends on when a request in flight ends.
    #[inline]
    pub(crate) fn ready_at(&self, now: Timestamp, tokens: Tokens) -> Timestamp {
        if self.is_busy() {
            return UNKNOWN;
        }
        let ready = self.meters.iter().map(|meter| meter.ready_at(now, tokens)).max();
        ready.unwrap_or(now).max(self.health.open_at())
    }

    /// When all limits could allow the request at the soonest, if a request on trial were answered
    /// at once. It is no later than [`ready_at`](Self::ready_at).
    pub(crate) fn soonest(&self, now: Timestamp, tokens: Tokens) -> Timestamp {
        let ready = self.meters.iter().map(|meter| meter.ready_at(now, tokens)).max();
        ready.unwrap_or(now).max(self.health.soonest())
    }

    /// Whether as many requests are in flight as may be.
    #[inline]
    fn is_busy(&self) -> bool {
        self.limits.concurrency().is_some_and(|most| self.in_flight >= most)
    }

    /// The limit that a request waits for longest.
    pub(crate) fn refused_by(&self, now: Timestamp, tokens: Tokens) -> LimitKind {
        if self.is_busy() {
            return LimitKind::Concurrency;
        }
        let slowest = self.meters.iter().max_by_key(|meter| meter.ready_at(now, tokens));
        let closed = self.health.open_at();
        if self.health.is_held_back() && closed > now {
            return slowest.map_or(LimitKind::ServerWait, |meter| meter.kind);
        }
        match slowest.filter(|meter| meter.ready_at(now, tokens) >= closed) {
            Some(meter) => meter.kind,
            None if self.health.paused_until() >= closed => LimitKind::ServerWait,
            // On trial: one request at a time.
            None => LimitKind::Concurrency,
        }
    }

    /// When nothing of the account would be lost if it were made anew: no request is in flight,
    /// nothing of the limits is in use, and no pause lasts but the rest that is `known` elsewhere.
    /// What responses have taught does not count.
    pub(crate) fn idle_at(
        &self,
        now: Timestamp,
        known: impl FnOnce() -> Option<SpentRest>,
    ) -> Timestamp {
        if self.in_flight > 0 {
            return UNKNOWN;
        }
        let open_at = Some(self.health.open_at()).filter(|open| *open > now);
        let open_at = open_at.filter(|open| known().is_none_or(|rest| *open > rest.until()));
        let idle_at = self.meters.iter().map(|meter| meter.idle_at(now)).max();
        idle_at.unwrap_or(now).max(open_at.unwrap_or(now))
    }
}
