//! What the server counts of one API key.

use std::time::{Duration, Instant};

use hyper::HeaderMap;

use crate::dialect::Told;
use crate::fault::Fault;
use crate::level::Level;
use crate::plan::Plan;

/// A key's state, and what it was used for.
#[derive(Debug)]
pub(crate) struct Account {
    plan: Plan,
    requests: Level,
    tokens: Level,
    revoked_at: Option<Instant>,
    closed_until: Option<Instant>,
    /// For how long it was closed, whatever the limits said.
    closed_for: Duration,
    /// What goes wrong with the next requests, and with how many of them.
    order: Option<(Fault, u64)>,
    pub(crate) tally: Tally,
}

/// What became of a key's requests.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Tally {
    /// Requests that were answered.
    pub served: u32,
    /// Requests that were refused with 429, because of the limits or on order.
    pub limited: u32,
    /// Requests that were refused with 401.
    pub unauthorized: u32,
    /// Requests that failed in another way, on order.
    pub failed: u32,
    /// The tokens of all answers and their prompts.
    pub tokens: u32,
}

/// What the server says to a request.
pub(crate) enum Verdict {
    Served {
        /// Whether the answer ends with an event that says that something has failed.
        breaks_off: bool,
    },
    TooMany {
        retry_after: Duration,
    },
    Failed(Fault),
}

impl Account {
    pub(crate) fn new(plan: Plan) -> Self {
        let level = |per_minute| Level::new(per_minute, plan.at_once, Instant::now());
        Self {
            plan,
            requests: level(plan.requests),
            tokens: level(plan.tokens),
            revoked_at: None,
            closed_until: None,
            closed_for: Duration::ZERO,
            order: None,
            tally: Tally::default(),
        }
    }

    /// Counts a request with so many tokens reserved, if the limits let it pass.
    pub(crate) fn admit(&mut self, reserve: u32) -> Verdict {
        if self.revoked_at.is_some() {
            self.tally.unauthorized += 1;
            return Verdict::Failed(Fault::Unauthorized);
        }
        let fault = self.ordered_fault();
        if let Some(fault) = fault.filter(|fault| *fault != Fault::ErrorEvent) {
            self.tally.count(fault);
            return Verdict::Failed(fault);
        }
        let (now, reserve) = (Instant::now(), f64::from(reserve));
        let closed = self.closed_until.map_or(Duration::ZERO, |until| until - now);
        self.requests.count(now);
        self.tokens.count(now);
        let retry_after =
            closed.max(self.requests.wait_for(1.0)).max(self.tokens.wait_for(reserve));
        if !retry_after.is_zero() {
            self.tally.limited += 1;
            return Verdict::TooMany { retry_after };
        }
        self.requests.take(1.0);
        self.tokens.take(reserve);
        match fault {
            Some(fault) => self.tally.count(fault),
            None => self.tally.served += 1,
        }
        Verdict::Served { breaks_off: fault.is_some() }
    }

    fn ordered_fault(&mut self) -> Option<Fault> {
        let (fault, left) = self.order?;
        self.order = left.checked_sub(1).filter(|left| *left > 0).map(|left| (fault, left));
        Some(fault)
    }

    /// The answer took fewer tokens than were reserved.
    pub(crate) fn finish(&mut self, reserved: u32, used: u32) {
        self.tokens.count(Instant::now());
        self.tokens.give_back(f64::from(reserved.saturating_sub(used)));
        self.tally.tokens = self.tally.tokens.saturating_add(used);
    }

    /// From now on, requests go wrong.
    pub(crate) fn order(&mut self, fault: Fault, requests: u64) {
        self.order = (requests > 0).then_some((fault, requests));
    }

    /// Accepts the key no more.
    pub(crate) fn revoke(&mut self) {
        self.revoked_at = Some(Instant::now());
    }

    /// Refuses all for a while, whatever the limits say.
    pub(crate) fn close_for(&mut self, pause: Duration) {
        self.closed_until = Some(Instant::now() + pause);
        self.closed_for += pause;
    }

    /// The tokens that could have been used from then on.
    pub(crate) fn quota(&self, then: Instant) -> f64 {
        let end = self.revoked_at.unwrap_or_else(Instant::now);
        let open = end.saturating_duration_since(then).saturating_sub(self.closed_for);
        // What passes at once is there from the beginning.
        open.as_secs_f64() * self.tokens.per_second() + self.tokens.capacity()
    }

    /// What the headers of an answer tell.
    pub(crate) fn headers(&self, cost: u64) -> HeaderMap {
        self.plan.dialect.headers(&Told { requests: &self.requests, tokens: &self.tokens, cost })
    }
}

impl Tally {
    fn count(&mut self, fault: Fault) {
        match fault {
            Fault::Unauthorized => self.unauthorized += 1,
            Fault::Limited { .. } | Fault::QuotaSpent => self.limited += 1,
            _ => self.failed += 1,
        }
    }
}
