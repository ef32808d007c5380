//! The limits of one account, and what is in flight under them.

use super::headers::{Bound, ServerLimit, ServerLimits};
use super::meter::{Burst, LimitKind, Meter};
use super::meters::Meters;
use super::{LimitUsage, Limits, Tokens, Usage};
use crate::algorithm::Receipt;
use crate::bucket::core::{Edited, UNKNOWN};
use crate::{QuotaError, Rejection, Timestamp};

/// One account: its limits, and who uses them now.
#[derive(Clone, Debug)]
pub(super) struct Account {
    meters: Meters,
    limits: Limits,
    in_flight: u64,
    /// The estimates of all requests in flight.
    reserved: Tokens,
    /// The number of the newest request.
    newest: u64,
    /// Tokens per minute as the server last said of the account and of the project: both count.
    said_tokens: Option<u64>,
    said_project: Option<u64>,
}

/// What an answer has taught, to be told when nothing is locked any more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Lesson {
    /// A limit, and its number.
    Learned(LimitKind, u64),
    /// The limit is over another period than is known here.
    OtherPeriod(LimitKind),
    /// The limit can't be kept.
    Unusable(LimitKind, QuotaError),
    /// Far more was used than was asked for: it counts for ten minutes or a day at most.
    Overdrawn(LimitKind),
}

impl Lesson {
    /// Tells it as an event.
    pub(super) fn tell(self, limiter: &str) {
        match self {
            Self::Learned(limit, count) => {
                crate::events::info!(limiter, %limit, count, "limit learned");
            }
            Self::OtherPeriod(limit) => {
                crate::events::debug!(limiter, %limit, "a limit over another period is ignored");
            }
            Self::Unusable(limit, error) => {
                crate::events::debug!(limiter, %limit, %error, "a limit can't be kept");
            }
            Self::Overdrawn(limit) => {
                crate::events::warn!(limiter, %limit, "far more used than acquired: no more counts than comes back in ten minutes, or in a day");
            }
        }
    }
}

impl Account {
    pub(super) fn new(limits: Limits, now: Timestamp) -> Result<Self, QuotaError> {
        let mut account = Self {
            meters: Meters::default(),
            limits,
            in_flight: 0,
            reserved: Tokens::default(),
            newest: 0,
            said_tokens: None,
            said_project: None,
        };
        account.set_limits(limits, now)?;
        Ok(account)
    }

    /// Other limits: what was used stays used. A limit that is new starts with what is in flight.
    pub(super) fn set_limits(&mut self, limits: Limits, now: Timestamp) -> Result<(), QuotaError> {
        if let Burst::Percent(percent @ 101..) = limits.burst_mode() {
            let (option, given) = ("percent of a burst", usize::from(percent));
            return Err(QuotaError::OutOfRange { option, given, least: 0, most: 100 });
        }
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
        (self.said_tokens, self.said_project) = (None, None);
        Ok(())
    }

    /// Forgets what servers have said: the limits are those of the user.
    pub(super) fn forget_learned(&mut self, now: Timestamp) {
        // They were kept before.
        let _ = self.set_limits(self.limits, now);
    }

    /// A meter of this kind for another count.
    fn renewed(&self, kind: LimitKind, count: u64, now: Timestamp) -> Result<Meter, QuotaError> {
        let mut new = Meter::new(kind, count, self.limits.burst_mode(), now)?;
        if let Some(old) = self.meters.iter().find(|old| old.kind == kind) {
            old.carry_over_to(&mut new, now);
        } else {
            let one = kind.cost(self.reserved);
            let count = if kind.counts_tokens() { one } else { self.in_flight };
            new.adopt(now, count, self.newest);
        }
        Ok(new)
    }

    /// Why so many tokens can never be had.
    pub(super) fn never(&self, tokens: Tokens) -> Option<Rejection> {
        self.meters.iter().find_map(|meter| {
            let (requested, burst) = (meter.cost(tokens), meter.most());
            let limit = meter.kind.which();
            (requested > burst).then_some(Rejection::ExceedsBurst { requested, burst, limit })
        })
    }

    /// Whether a limit is the user's, or as large: what a server says must not end a client for ever.
    fn is_own(&self, meter: &Meter) -> bool {
        self.limits.get(meter.kind).is_some_and(|own| meter.count() >= own)
    }

    /// So many of these tokens as can be had at once by what servers have said; or by all limits.
    pub(super) fn clamped(&self, mut tokens: Tokens, all: bool) -> Tokens {
        for meter in self.meters.iter().filter(|meter| all || !self.is_own(meter)) {
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

    /// Takes what a request needs, without a way to give it back.
    pub(super) fn take(&mut self, now: Timestamp, tokens: Tokens) {
        for meter in self.meters.iter_mut() {
            meter.take(now, tokens);
        }
        self.count(tokens);
    }

    #[inline]
    pub(super) fn hold(&mut self, now: Timestamp, tokens: Tokens, receipt: Receipt) {
        for meter in self.meters.iter_mut() {
            meter.hold(now, tokens, receipt);
        }
        self.newest = self.newest.max(receipt.seq);
        self.count(tokens);
    }

    #[inline]
    fn count(&mut self, tokens: Tokens) {
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
    pub(super) fn cancel(&mut self, now: Timestamp, estimate: Tokens, receipt: Receipt) {
        for meter in self.meters.iter_mut() {
            meter.undo(now, meter.cost(estimate), receipt);
        }
        self.land(estimate);
    }

    /// A request has ended, and took `actual` instead of what was estimated; says whether some is
    /// owed now, and which limit was overdrawn beyond all measure.
    #[inline]
    pub(super) fn settle(
        &mut self,
        now: Timestamp,
        estimate: Tokens,
        actual: Tokens,
        receipt: Receipt,
    ) -> (bool, Option<Lesson>) {
        let (mut owes, mut lesson) = (false, None);
        for meter in self.meters.iter_mut() {
            let (estimated, used) = (meter.cost(estimate), meter.cost(actual));
            if used < estimated {
                meter.undo(now, estimated - used, receipt);
            }
            meter.release(estimated.min(used), receipt);
            if used > estimated {
                if meter.overdraw(now, used - estimated) {
                    lesson = Some(Lesson::Overdrawn(meter.kind));
                }
                owes = true;
            }
        }
        self.land(estimate);
        (owes, lesson)
    }

    /// Records tokens that no permit was acquired for.
    pub(super) fn consume(&mut self, now: Timestamp, tokens: Tokens) {
        for meter in self.meters.iter_mut().filter(|meter| meter.kind.counts_tokens()) {
            meter.take(now, tokens);
        }
    }

    /// Learns from what a server says, and tells what that was and what has changed. What it says is only ever
    /// made stricter by what the user said.
    pub(super) fn observe(
        &mut self,
        now: Timestamp,
        said: &ServerLimits,
        lessons: &mut Vec<Lesson>,
    ) -> Edited {
        let of = |limit: ServerLimit| match limit.limit {
            Some(Bound::Of(count)) if is_over_period_of(LimitKind::Tokens, limit) => Some(count),
            _ => None,
        };
        // The stricter of the account's and the project's counts, also where an answer tells of one of them only.
        self.said_tokens = of(said.tokens).or(self.said_tokens);
        self.said_project = of(said.project_tokens).or(self.said_project);
        let both = self.said_tokens.into_iter().chain(self.said_project).min();
        let stricter = |limit: ServerLimit| ServerLimit {
            limit: limit.limit.and(both).map(Bound::Of).or(limit.limit),
            ..limit
        };
        let said = [
            (LimitKind::Requests, said.requests),
            (LimitKind::Tokens, stricter(said.tokens)),
            (LimitKind::Tokens, stricter(said.project_tokens)),
            (LimitKind::InputTokens, said.input_tokens),
            (LimitKind::OutputTokens, said.output_tokens),
            (LimitKind::RequestsPerDay, said.requests_per_day),
            (LimitKind::TokensPerDay, said.tokens_per_day),
        ];
        let mut edited = Edited::Nothing;
        for (kind, limit) in said {
            match (self.observe_limit(now, kind, limit, lessons), edited) {
                (Edited::Nothing, _) | (_, Edited::Changed) => {}
                (new, _) => edited = new,
            }
        }
        edited
    }

    fn observe_limit(
        &mut self,
        now: Timestamp,
        kind: LimitKind,
        said: ServerLimit,
        lessons: &mut Vec<Lesson>,
    ) -> Edited {
        if !is_over_period_of(kind, said) {
            lessons.push(Lesson::OtherPeriod(kind));
            return Edited::Nothing;
        }
        let mut edited = Edited::Nothing;
        if let Some(Bound::Of(count)) = said.limit {
            // Nothing could ever pass a limit of zero, and nothing could teach better.
            let count = self.limits.get(kind).map_or(count, |own| own.min(count)).max(1);
            if self.learn(now, kind, count, lessons) {
                edited = Edited::Changed;
            }
        }
        let Some(remaining) = said.remaining else { return edited };
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
                if edited == Edited::Nothing {
                    edited = Edited::Took;
                }
            }
        }
        edited
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
        // A twentieth of what may come at once, and one request, or half of all in flight if that is more: so
        // much may be counted beyond the estimates. A small limit has room for few.
        let reserved = kind.cost(self.reserved);
        let uncertain = (reserved / self.in_flight.max(1)).max(reserved / 2);
        let uncertain = if kind.counts_tokens() { uncertain } else { 0 };
        i128::from(meter.most() / 20) + i128::from(uncertain.min(meter.most() / 5))
    }

    fn learn(
        &mut self,
        now: Timestamp,
        kind: LimitKind,
        count: u64,
        lessons: &mut Vec<Lesson>,
    ) -> bool {
        if self.meters.iter().any(|meter| meter.kind == kind && meter.count() == count) {
            return false;
        }
        match self.renewed(kind, count, now) {
            Ok(meter) => self.meters.put(meter),
            Err(error) => {
                lessons.push(Lesson::Unusable(kind, error));
                return false;
            }
        }
        lessons.push(Lesson::Learned(kind, count));
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

/// Whether what a server says is over the period that is known here, as far as it says which.
fn is_over_period_of(kind: LimitKind, said: ServerLimit) -> bool {
    said.period.is_none_or(|period| period == kind.period())
}
