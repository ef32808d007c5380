//! The limits of one account, and what is in flight under them.

use super::headers::{Bound, ServerLimit, ServerLimits};
use super::meter::{LimitKind, Meter};
use super::meters::Meters;
use super::{LimitUsage, Limits, Tokens, Usage};
use crate::bucket::core::UNKNOWN;
use crate::{QuotaError, Rejection, Timestamp};

/// One account: its limits, and who uses them now.
#[derive(Clone, Debug)]
pub(super) struct Account {
    meters: Meters,
    limits: Limits,
    in_flight: u64,
    /// The estimates of all requests in flight.
    reserved: Tokens,
}

impl Account {
    pub(super) fn new(limits: Limits, now: Timestamp) -> Result<Self, QuotaError> {
        let mut account =
            Self { meters: Meters::default(), limits, in_flight: 0, reserved: Tokens::default() };
        account.set_limits(limits, now)?;
        Ok(account)
    }

    /// Other limits: what was used stays used. A limit that is new starts with what is in flight.
    pub(super) fn set_limits(&mut self, limits: Limits, now: Timestamp) -> Result<(), QuotaError> {
        let before = std::mem::replace(&mut self.limits, limits);
        let mut meters = Meters::default();
        for kind in LimitKind::METERED {
            if let Some(count) = limits.get(kind) {
                match self.renewed(kind, count, now) {
                    Ok(meter) => meters.put(meter),
                    Err(error) => {
                        self.limits = before;
                        return Err(error);
                    }
                }
            }
        }
        self.meters = meters;
        Ok(())
    }

    /// A meter of this kind for another count.
    fn renewed(&self, kind: LimitKind, count: u64, now: Timestamp) -> Result<Meter, QuotaError> {
        let mut new = Meter::new(kind, count, self.limits.burst_mode(), now)?;
        if let Some(old) = self.meters.iter().find(|old| old.kind == kind) {
            old.carry_over_to(&mut new, now);
        } else {
            let one = kind.cost(self.reserved);
            new.take_count(now, if kind.counts_tokens() { one } else { self.in_flight });
        }
        Ok(new)
    }

    /// Why so many tokens can never be had.
    pub(super) fn never(&self, tokens: Tokens) -> Option<Rejection> {
        self.meters.iter().find_map(|meter| {
            let (requested, burst) = (meter.cost(tokens), meter.most());
            let limit = meter.kind as usize;
            (requested > burst).then_some(Rejection::ExceedsBurst { requested, burst, limit })
        })
    }

    /// So many of these tokens as can be had at once.
    pub(super) fn clamped(&self, mut tokens: Tokens) -> Tokens {
        for meter in self.meters.iter() {
            let most = meter.most();
            match meter.kind {
                LimitKind::InputTokens => tokens.input = tokens.input.min(most),
                LimitKind::OutputTokens => tokens.output = tokens.output.min(most),
                LimitKind::Tokens | LimitKind::TokensPerDay => {
                    tokens.input = tokens.input.min(most);
                    tokens.output = tokens.output.min(most - tokens.input);
                }
                _ => {}
            }
        }
        tokens
    }

    /// Whether all limits agree now.
    #[inline]
    pub(super) fn can_serve(&self, now: Timestamp, tokens: Tokens) -> bool {
        !self.is_busy() && self.meters.iter().all(|meter| meter.ready_at(now, tokens) <= now)
    }

    /// When all limits agree; unknown if that depends on who is in flight.
    #[inline]
    pub(super) fn ready_at(&self, now: Timestamp, tokens: Tokens) -> Timestamp {
        if self.is_busy() {
            return UNKNOWN;
        }
        let ready = self.meters.iter().map(|meter| meter.ready_at(now, tokens)).max();
        ready.unwrap_or(now)
    }

    #[inline]
    fn is_busy(&self) -> bool {
        self.limits.concurrency().is_some_and(|most| self.in_flight >= most)
    }

    /// Which limit makes a request wait longest.
    pub(super) fn refused_by(&self, now: Timestamp, tokens: Tokens) -> LimitKind {
        if self.is_busy() {
            return LimitKind::Concurrency;
        }
        let slowest = self.meters.iter().max_by_key(|meter| meter.ready_at(now, tokens));
        slowest.map_or(LimitKind::Requests, |meter| meter.kind)
    }

    #[inline]
    pub(super) fn take(&mut self, now: Timestamp, tokens: Tokens) {
        for meter in self.meters.iter_mut() {
            meter.take(now, tokens);
        }
        self.in_flight += 1;
        self.reserved.input = self.reserved.input.saturating_add(tokens.input);
        self.reserved.output = self.reserved.output.saturating_add(tokens.output);
    }

    /// A request has ended: it is not in flight any more.
    #[inline]
    fn land(&mut self, estimate: Tokens) {
        self.in_flight = self.in_flight.saturating_sub(1);
        self.reserved.input = self.reserved.input.saturating_sub(estimate.input);
        self.reserved.output = self.reserved.output.saturating_sub(estimate.output);
    }

    /// A request has ended as if it had never been.
    pub(super) fn cancel(&mut self, now: Timestamp, estimate: Tokens) {
        for meter in self.meters.iter_mut() {
            meter.give_back(now, meter.cost(estimate));
        }
        self.land(estimate);
    }

    /// A request has ended, and took `actual` instead of what was estimated; says whether some is
    /// owed now.
    #[inline]
    pub(super) fn settle(&mut self, now: Timestamp, estimate: Tokens, actual: Tokens) -> bool {
        let mut owes = false;
        for meter in self.meters.iter_mut() {
            let (estimated, used) = (meter.cost(estimate), meter.cost(actual));
            if used < estimated {
                meter.give_back(now, estimated - used);
            } else if used > estimated {
                meter.take_count(now, used - estimated);
                owes = true;
            }
        }
        self.land(estimate);
        owes
    }

    /// Records tokens that no permit was acquired for.
    pub(super) fn consume(&mut self, now: Timestamp, tokens: Tokens) {
        for meter in self.meters.iter_mut().filter(|meter| meter.kind.counts_tokens()) {
            meter.take(now, tokens);
        }
    }

    /// Learns from what a server says, and tells whether that was new. What it says is only ever
    /// made stricter by what the user said.
    pub(super) fn observe(&mut self, now: Timestamp, said: &ServerLimits) -> bool {
        let said = [
            (LimitKind::Requests, said.requests),
            (LimitKind::Tokens, said.tokens),
            (LimitKind::Tokens, said.project_tokens),
            (LimitKind::InputTokens, said.input_tokens),
            (LimitKind::OutputTokens, said.output_tokens),
            (LimitKind::RequestsPerDay, said.requests_per_day),
            (LimitKind::TokensPerDay, said.tokens_per_day),
        ];
        let mut new = false;
        for (kind, limit) in said {
            new |= self.observe_limit(now, kind, limit);
        }
        new
    }

    fn observe_limit(&mut self, now: Timestamp, kind: LimitKind, said: ServerLimit) -> bool {
        if said.period.is_some_and(|period| period != kind.period()) {
            tracing::debug!(limit = %kind, "a limit over another period is ignored");
            return false;
        }
        let mut new = false;
        if let Some(Bound::Of(count)) = said.limit {
            let count = self.limits.get(kind).map_or(count, |own| own.min(count));
            new = self.learn(now, kind, count);
        }
        let Some(remaining) = said.remaining else { return new };
        let reserve = self.reserve(kind);
        let meter = self.meters.iter_mut().find(|meter| meter.kind == kind);
        if let Some(meter) = meter {
            // Other clients of the account show as less remaining. More is no reason to believe it:
            // the server may not have seen yet what is on its way.
            let left = i128::from(meter.most()) - i128::from(meter.used(now));
            let remaining = i128::from(remaining);
            // Near the reserve, what is usable shrinks at double speed; below it, there is debt.
            let usable = remaining.min(2 * (remaining - reserve));
            let elsewhere = (left - usable).max(0);
            let elsewhere = u64::try_from(elsewhere).unwrap_or(u64::MAX);
            if elsewhere > 0 {
                meter.take_count(now, elsewhere);
                new = true;
            }
        }
        new
    }

    /// How much of what a server says remains is not used.
    ///
    /// A server's number is old when it comes, requests overtake each other on the way, and the
    /// server may count more for those in flight than was estimated. At full load the reserve costs
    /// nothing: it is the level that is kept lower, the refill stays the same. A day's limit refills
    /// too slowly for that.
    fn reserve(&self, kind: LimitKind) -> i128 {
        let meter = self.meters.iter().find(|meter| meter.kind == kind);
        let Some(meter) = meter.filter(|_| !kind.is_per_day()) else { return 0 };
        // A twentieth of what may come at once, and one request: a small limit has room for few.
        let request = kind.cost(self.reserved) / self.in_flight.max(1);
        let request = if kind.counts_tokens() { request } else { 0 };
        i128::from(meter.most() / 20) + i128::from(request.min(meter.most() / 5))
    }

    fn learn(&mut self, now: Timestamp, kind: LimitKind, count: u64) -> bool {
        if self.meters.iter().any(|meter| meter.kind == kind && meter.count() == count) {
            return false;
        }
        match self.renewed(kind, count, now) {
            Ok(meter) => self.meters.put(meter),
            Err(error) => {
                tracing::debug!(limit = %kind, %error, "a limit can't be kept");
                return false;
            }
        }
        tracing::info!(limit = %kind, count, "limit learned");
        true
    }

    /// How much of its limits is left, of 65,535: the least of all.
    #[inline]
    pub(super) fn headroom(&self, now: Timestamp) -> u64 {
        self.meters.iter().map(|meter| meter.headroom(now)).min().unwrap_or(u64::from(u16::MAX))
    }

    pub(super) fn usage(&self, now: Timestamp) -> Usage {
        let limits = self.meters.iter().map(|meter| {
            let used = meter.used(now);
            LimitUsage {
                kind: meter.kind,
                used,
                limit: meter.most(),
                remaining: meter.most().saturating_sub(used),
                reset_after: meter.full_at(now) - now,
            }
        });
        Usage {
            limits: limits.collect(),
            in_flight: self.in_flight,
            max_in_flight: self.limits.get(LimitKind::Concurrency),
            paused_for: None,
            waiting: 0,
        }
    }
}
