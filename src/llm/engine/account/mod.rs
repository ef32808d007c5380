//! One account: its limits, and the requests in flight under them.

mod event;
mod evidence;
mod health;
mod learn;
mod meter;
mod meters;
mod provisional;
mod readiness;
mod remaining;
mod returns;
#[cfg(feature = "shared")]
mod shared_view;
mod sources;
mod spent_rest;
mod state;

pub(crate) use event::LimitEvent;
pub(crate) use health::{Health, Noted};
#[cfg(feature = "shared")]
pub(crate) use shared_view::{AccountView, MeterView};
pub(crate) use spent_rest::SpentRest;
pub(crate) use state::Restored;

use meter::{Meter, Probing};
use meters::Meters;
use provisional::Provisional;
use sources::Sources;

use crate::algorithm::Receipt;
use crate::llm::{Burst, LimitKind, LimitUsage, Limits, Tokens, Usage};
use crate::{QuotaError, Rejection, Timestamp};

/// One account: its limits, and the requests in flight under them.
#[derive(Clone, Debug)]
pub(crate) struct Account {
    /// All limits that are in force, configured and learned ones.
    meters: Meters,
    /// The configured limits.
    limits: Limits,
    in_flight: u64,
    /// The sum of the estimates of all requests in flight.
    reserved: Tokens,
    /// The number of the newest request, as in its receipt.
    newest: u64,
    /// What responses have reported, and what they have shown about each limit.
    sources: Sources,
    /// What servers admit that state no limits.
    provisional: Provisional,
    /// Whether the account may be used, after what its last responses said of it.
    pub(crate) health: Health,
}

impl Account {
    pub(crate) fn new(limits: Limits, now: Timestamp) -> Result<Self, QuotaError> {
        let mut account = Self::without_meters(limits);
        account.set_limits(limits, now)?;
        Ok(account)
    }

    /// An account that may have one request in flight.
    pub(crate) fn one_at_a_time() -> Self {
        Self::without_meters(Limits::new().max_concurrent(1))
    }

    fn without_meters(limits: Limits) -> Self {
        Self {
            meters: Meters::default(),
            limits,
            in_flight: 0,
            reserved: Tokens::default(),
            newest: 0,
            sources: Sources::default(),
            provisional: Provisional::default(),
            health: Health::default(),
        }
    }

    /// Replaces all limits, learned ones too. What was used stays used. A limit of a kind that was
    /// not limited before starts with what is in flight.
    pub(crate) fn set_limits(&mut self, limits: Limits, now: Timestamp) -> Result<(), QuotaError> {
        limits.check()?;
        let mut meters = Meters::default();
        for (kind, count) in limits.iter() {
            let mut meter = self.renewed(kind, count, limits.burst_mode(), Probing::NEVER, now)?;
            // What is left of a window was said by a response, and so was its end.
            meter.forget_window();
            let _edited = meter.forget_renewal(now);
            let _fits = meters.put(meter);
        }
        (self.limits, self.meters) = (limits, meters);
        self.sources = Sources::default();
        self.provisional = Provisional::default();
        Ok(())
    }

    /// Whether nothing is known about the account's limits.
    pub(crate) fn is_unknown(&self) -> bool {
        self.limits.is_empty() && self.sources.is_empty()
    }

    /// Discards learned limits: the configured limits are in force again.
    pub(crate) fn forget_learned(&mut self, now: Timestamp) {
        // The same limits were accepted before, so this cannot fail.
        let _ = self.set_limits(self.limits, now);
    }

    /// A meter of this kind for a limit of `count`, which starts with what is used already.
    fn renewed(
        &self,
        kind: LimitKind,
        count: u64,
        burst: Burst,
        probing: Probing,
        now: Timestamp,
    ) -> Result<Meter, QuotaError> {
        let mut new = Meter::new(kind, count, burst, probing, now)?;
        let in_flight = self.in_flight_of(kind);
        if let Some(old) = self.meters.iter().find(|old| old.kind == kind) {
            old.carry_over_to(&mut new, now, in_flight, self.newest);
        } else {
            new.adopt(now, in_flight, self.newest);
            new.forgive_excess(now, self.newest);
        }
        Ok(new)
    }

    /// What the requests in flight have taken of a limit of this kind.
    fn in_flight_of(&self, kind: LimitKind) -> u64 {
        if kind.counts_tokens() { kind.cost(self.reserved) } else { self.in_flight }
    }

    /// A response to request number `request` (if it had a permit), to be noted in the health.
    pub(crate) fn noted(&self, now: Timestamp, request: Option<u64>) -> Noted {
        Noted { now, request, newest: self.newest }
    }

    /// Why a request for `tokens` can never pass, if so.
    pub(crate) fn never(&self, tokens: Tokens) -> Option<Rejection> {
        self.meters.iter().find_map(|meter| {
            let (requested, burst) = (meter.cost(tokens), meter.burst());
            let limit = meter.kind.which();
            (requested > burst).then_some(Rejection::ExceedsBurst { requested, burst, limit })
        })
    }

    /// Whether a limit is the configured one, and was not set or lowered by a response.
    fn is_as_configured(&self, meter: &Meter) -> bool {
        self.limits.get(meter.kind).is_some_and(|configured| meter.per_period() >= configured)
    }

    /// Lowers an estimate to the most that can pass at once: by all limits, or only by those that
    /// a response has set or lowered.
    pub(crate) fn clamped(&self, mut tokens: Tokens, by_all_limits: bool) -> Tokens {
        for meter in
            self.meters.iter().filter(|meter| by_all_limits || !self.is_as_configured(meter))
        {
            let burst = meter.burst();
            match meter.kind {
                LimitKind::InputTokens(_) => tokens.input = tokens.input.min(burst),
                LimitKind::OutputTokens(_) => tokens.output = tokens.output.min(burst),
                LimitKind::Tokens(_) | LimitKind::ProjectTokens(_) => {
                    tokens.input = tokens.input.min(burst);
                    tokens.output = tokens.output.min(burst - tokens.input);
                }
                _ => {}
            }
        }
        tokens
    }

    /// Takes what a request needs, for good.
    pub(crate) fn take(&mut self, now: Timestamp, tokens: Tokens) {
        for meter in self.meters.iter_mut() {
            meter.take(now, tokens);
        }
        self.start_request(now, tokens);
    }

    /// Takes what a request needs, in a way that lets it be given back.
    #[inline]
    pub(crate) fn hold(&mut self, now: Timestamp, tokens: Tokens, receipt: Receipt) {
        for meter in self.meters.iter_mut() {
            meter.hold(now, tokens, receipt);
        }
        self.newest = self.newest.max(receipt.seq);
        self.start_request(now, tokens);
    }

    /// Counts a request as in flight.
    #[inline]
    fn start_request(&mut self, now: Timestamp, tokens: Tokens) {
        self.health.sent(now);
        if self.is_unknown() {
            self.provisional.sent(now);
        }
        self.in_flight += 1;
        self.reserved.input = self.reserved.input.saturating_add(tokens.input);
        self.reserved.output = self.reserved.output.saturating_add(tokens.output);
    }

    /// Counts a request as no longer in flight.
    #[inline]
    fn end_request(&mut self, estimate: Tokens) {
        self.in_flight = self.in_flight.saturating_sub(1);
        self.reserved.input = self.reserved.input.saturating_sub(estimate.input);
        self.reserved.output = self.reserved.output.saturating_sub(estimate.output);
    }

    /// Ends a request, and gives back everything that it took.
    pub(crate) fn cancel(&mut self, now: Timestamp, estimate: Tokens, receipt: Receipt) {
        for meter in self.meters.iter_mut() {
            meter.undo(now, meter.cost(estimate), receipt);
        }
        self.health.ended(receipt.seq);
        self.end_request(estimate);
    }

    /// Ends a request that used `actual` tokens instead of the estimate. Returns whether some limit
    /// was charged more than estimated, and an event if that charge was capped.
    #[inline]
    pub(crate) fn settle(
        &mut self,
        now: Timestamp,
        estimate: Tokens,
        actual: Tokens,
        receipt: Receipt,
    ) -> (bool, Option<LimitEvent>) {
        let (mut owes, mut event) = (false, None);
        for meter in self.meters.iter_mut() {
            let (estimated, used) = (meter.cost(estimate), meter.cost(actual));
            if used < estimated {
                meter.undo(now, estimated - used, receipt);
            }
            meter.release(estimated.min(used), receipt);
            if used > estimated {
                if meter.overdraw(now, used - estimated) {
                    event = Some(LimitEvent::Overdrawn(meter.kind));
                }
                owes = true;
            }
        }
        self.end_request(estimate);
        self.grow_provisional(now);
        (owes, event)
    }

    /// Charges tokens that were used without a permit.
    pub(crate) fn consume(&mut self, now: Timestamp, tokens: Tokens) {
        for meter in self.meters.iter_mut().filter(|meter| meter.kind.counts_tokens()) {
            meter.probed(now);
            meter.take_count(now, meter.cost(tokens));
        }
    }

    /// What an account whose requests do not fail has before all others.
    pub(crate) const PREFERRED: u64 = 1 << 16;

    /// How much this account is preferred: the share of its limits that is left, in 65,535ths (the
    /// smallest of all limits), and [`PREFERRED`](Self::PREFERRED) if its requests do not fail.
    #[inline]
    pub(crate) fn preference(&self, now: Timestamp) -> u64 {
        let headroom = self.meters.iter().map(|meter| meter.headroom(now)).min();
        let headroom = headroom.unwrap_or(u64::from(u16::MAX));
        if self.health.is_failing() { headroom } else { Self::PREFERRED + headroom }
    }

    pub(crate) fn usage(&self, now: Timestamp) -> Usage {
        let limits = self.meters.iter().map(|meter| {
            let used = meter.used(now);
            LimitUsage {
                kind: meter.kind,
                used,
                limit: meter.burst(),
                remaining: meter.remaining(now),
                reset_after: meter.full_at(now) - now,
            }
        });
        Usage {
            limits: limits.collect(),
            in_flight: self.in_flight,
            max_in_flight: self.limits.concurrency(),
            paused_for: Some(self.health.paused_until() - now).filter(|pause| !pause.is_zero()),
            waiting: 0,
        }
    }
}
