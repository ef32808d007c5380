//! How an account learns its limits, and their use by other clients, from responses.

use super::{Account, LimitEvent};
use crate::Timestamp;
use crate::limiters::core::Edited;
use crate::llm::LimitKind;
use crate::llm::headers::{Bound, ServerLimit, ServerLimits};

impl Account {
    /// Applies what a response reported, and returns how that changes due times. A limit never
    /// exceeds its configured value.
    pub(crate) fn observe(
        &mut self,
        now: Timestamp,
        reported: &ServerLimits,
        events: &mut Vec<LimitEvent>,
    ) -> Edited {
        let count_of = |limit: ServerLimit| match limit.limit {
            Some(Bound::Of(count)) if is_over_period_of(LimitKind::Tokens, limit) => Some(count),
            _ => None,
        };
        // The lower limit of the account's and the project's applies, even if this response reports
        // only one of them.
        self.reported_tokens = count_of(reported.tokens).or(self.reported_tokens);
        let project = count_of(reported.project_tokens);
        self.reported_project_tokens = project.or(self.reported_project_tokens);
        let both = self.reported_tokens.into_iter().chain(self.reported_project_tokens);
        let lower = both.min();
        let stricter = |limit: ServerLimit| ServerLimit {
            limit: limit.limit.and(lower).map(Bound::Of).or(limit.limit),
            ..limit
        };
        let reported = [
            (LimitKind::Requests, reported.requests),
            (LimitKind::Tokens, stricter(reported.tokens)),
            (LimitKind::Tokens, stricter(reported.project_tokens)),
            (LimitKind::InputTokens, reported.input_tokens),
            (LimitKind::OutputTokens, reported.output_tokens),
            (LimitKind::RequestsPerDay, reported.requests_per_day),
            (LimitKind::TokensPerDay, reported.tokens_per_day),
        ];
        let mut edited = Edited::Nothing;
        for (kind, limit) in reported {
            match (self.observe_limit(now, kind, limit, events), edited) {
                (Edited::Nothing, _) | (_, Edited::Changed) => {}
                (new, _) => edited = new,
            }
        }
        edited
    }

    /// Applies what a response reported of one limit.
    fn observe_limit(
        &mut self,
        now: Timestamp,
        kind: LimitKind,
        reported: ServerLimit,
        events: &mut Vec<LimitEvent>,
    ) -> Edited {
        if !is_over_period_of(kind, reported) {
            events.push(LimitEvent::OtherPeriod(kind));
            return Edited::Nothing;
        }
        let mut edited = Edited::Nothing;
        if let Some(Bound::Of(count)) = reported.limit {
            // At least 1: nothing could pass a limit of 0, so no further response could correct it.
            let count =
                self.limits.get(kind).map_or(count, |configured| configured.min(count)).max(1);
            if self.learn(now, kind, count, events) {
                edited = Edited::Changed;
            }
        }
        let Some(remaining) = reported.remaining else { return edited };
        let reserve = self.reserve(kind);
        let meter = self.meters.iter_mut().find(|meter| meter.kind == kind);
        if let Some(meter) = meter {
            // Less remaining than expected means that other clients use the account, and is
            // charged. More is ignored, because requests may be in flight that the server has not
            // seen yet.
            let left = i128::from(meter.burst()) - i128::from(meter.used(now));
            let remaining = i128::from(remaining);
            // Near the reserve, each permit less remaining makes two permits less usable; below the
            // reserve there is debt.
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

    /// How much of what the server reports as remaining is kept in reserve.
    ///
    /// The server's number is out of date when it arrives, requests overtake each other on the way,
    /// and the server may count more for the requests in flight than was estimated. At full load
    /// the reserve costs no throughput, because it lowers the level and not the refill. A limit per
    /// day refills too slowly for that, and has no reserve.
    fn reserve(&self, kind: LimitKind) -> i128 {
        let meter = self.meters.iter().find(|meter| meter.kind == kind);
        let Some(meter) = meter.filter(|_| !kind.is_per_day()) else { return 0 };
        // A twentieth of the burst for the delay. For limits in tokens, an uncertainty is added,
        // for what the server may count beyond the estimates: the average estimate of a request in
        // flight or half of all estimates, whichever is more, but at most a fifth of the burst.
        let reserved = kind.cost(self.reserved);
        let uncertain = (reserved / self.in_flight.max(1)).max(reserved / 2);
        let uncertain = if kind.counts_tokens() { uncertain } else { 0 };
        i128::from(meter.burst() / 20) + i128::from(uncertain.min(meter.burst() / 5))
    }

    /// Puts a learned limit in force; returns whether it differs from the one before.
    fn learn(
        &mut self,
        now: Timestamp,
        kind: LimitKind,
        count: u64,
        events: &mut Vec<LimitEvent>,
    ) -> bool {
        if self.meters.iter().any(|meter| meter.kind == kind && meter.per_period() == count) {
            return false;
        }
        match self.renewed(kind, count, now) {
            Ok(meter) => self.meters.put(meter),
            Err(error) => {
                events.push(LimitEvent::Unusable(kind, error));
                return false;
            }
        }
        events.push(LimitEvent::Learned(kind, count));
        true
    }
}

/// Whether a reported limit is over the period of its kind, or does not name a period.
fn is_over_period_of(kind: LimitKind, reported: ServerLimit) -> bool {
    reported.period.is_none_or(|period| period == kind.period())
}
