//! How an account learns its limits, and their use by other clients, from responses.

use std::time::Duration;

use super::evidence::Refill;
use super::meter::{Meter, Probing};
use super::returns::Success;
use super::sources::{Source, is_short};
use super::{Account, LimitEvent};
use crate::Timestamp;
use crate::algorithm::Receipt;
use crate::limiters::core::Edited;
use crate::llm::headers::{Bound, ServerLimit, ServerLimits};
use crate::llm::{Burst, LimitKind, Period, Tokens};

impl Account {
    /// Applies what a response reported, and returns how that changes due times. If it is that of a
    /// request that has succeeded, `success` says which one and what it used. A limit never
    /// exceeds its configured value, and nothing that is reported closes a limit for longer than
    /// `max_pause`.
    pub(crate) fn observe(
        &mut self,
        now: Timestamp,
        reported: &ServerLimits,
        success: Option<(Receipt, Tokens)>,
        max_pause: Duration,
        events: &mut Vec<LimitEvent>,
    ) -> Edited {
        let mut edited = Edited::Nothing;
        if reported.iter().next().is_some() && self.end_provisional() {
            edited = Edited::Changed;
        }
        for said in reported.iter() {
            self.add_returns(now, said, success);
        }
        for said in reported.iter().filter(|said| said.limit != Some(Bound::Of(0))) {
            edited = edited.and(self.observe_limit(now, said, max_pause, events));
        }
        edited
    }

    /// Applies what a response reported of one limit.
    fn observe_limit(
        &mut self,
        now: Timestamp,
        said: &ServerLimit,
        max_pause: Duration,
        events: &mut Vec<LimitEvent>,
    ) -> Edited {
        let limits = self.limits;
        let mut edited = Edited::Nothing;
        if let Some(forgotten) = self.sources.make_room(said, now, max_pause) {
            self.forget(forgotten, now);
            edited = Edited::Changed;
        }
        let Some(source) = self.sources.hear(said, now) else { return Edited::Nothing };
        source.evidence.add(now, said);
        source.documented_even |= said.even;
        source.responses = source.responses.saturating_add(1);
        let period = source.evidence.period(said.period, &source.returns);
        // A configured limit of the same number says which period it is, while nothing else does.
        let count = said.limit.and_then(Bound::count);
        let same = limits.on(said.counted).find(|(_, configured)| Some(*configured) == count);
        let period = match same {
            Some((same, _)) if said.period.is_none() && !source.evidence.looks_even() => same,
            _ => period,
        };
        let kind = said.counted.per(period);
        let before = source.kind.replace(kind).filter(|before| *before != kind);
        let source = *source;
        if let Some(before) = before {
            self.retire(before, kind, max_pause, now);
            edited = Edited::Changed;
        }
        if let Some(count) = count {
            if self.learn(now, kind, count, source.refill(), max_pause, events) {
                edited = Edited::Changed;
            }
        }
        edited = edited.and(self.observe_end(now, kind, said, &source));
        edited.and(self.observe_remaining(now, kind, said, &source, max_pause))
    }

    /// Puts an end to a limit that responses no longer report.
    fn forget(&mut self, source: Source, now: Timestamp) {
        let Some(kind) = source.kind.filter(|kind| !self.sources.have(*kind)) else { return };
        let configured = self
            .limits
            .get(kind)
            .map(|count| self.renewed(kind, count, self.limits.burst_mode(), Probing::NEVER, now));
        match configured {
            Some(Ok(meter)) => _ = self.meters.put(meter),
            Some(Err(_)) => {}
            None => _ = self.meters.remove(kind),
        }
    }

    /// Adds to what has come back of a limit between answers.
    fn add_returns(
        &mut self,
        now: Timestamp,
        said: &ServerLimit,
        success: Option<(Receipt, Tokens)>,
    ) {
        let (in_flight, newest) = (self.in_flight, self.newest);
        let Some((receipt, used)) = success else { return };
        let Some(Bound::Of(limit)) = said.limit else { return };
        let (Some(left), Some(source)) = (said.remaining, self.sources.of(said)) else { return };
        let Some((kind, period)) = source.kind.zip(source.kind.and_then(LimitKind::period)) else {
            return;
        };
        let counts_tokens = kind.counts_tokens();
        let success = Success {
            receipt,
            newest,
            cost: kind.cost(used),
            enough: if counts_tokens { (limit / 10).max(2) } else { 2 },
            reserved: counts_tokens && in_flight > 1,
        };
        source.returns.add(now, (left, limit), success, period.as_duration());
    }

    /// Notes that the server refused a request because of its limits. Unless the response says that
    /// much is left of a limit, that limit is not what it seemed to be by what came back of it.
    pub(crate) fn refused(&mut self, reported: &ServerLimits) {
        for source in &mut self.sources.0 {
            let mut of_it = reported.iter().filter(|said| source.is_of(said));
            let has_room = of_it.next().is_some_and(|said| {
                let limit = said.limit.and_then(Bound::count).unwrap_or(0);
                said.remaining.is_some_and(|left| left > limit / 10)
            });
            if !has_room {
                source.returns.refute();
                source.has_refused = true;
            }
        }
    }

    /// Puts an end to the limit that responses seemed to mean before: it counts over another
    /// period. What is used stays used.
    fn retire(
        &mut self,
        before: LimitKind,
        now_meant: LimitKind,
        max_pause: Duration,
        now: Timestamp,
    ) {
        if self.sources.have(before) {
            return;
        }
        let Some(old) = self.meters.remove(before) else { return };
        if self.meters.of(now_meant).is_none() {
            let (burst, in_flight) = (old.burst_mode, self.in_flight_of(before));
            let probing = self.probing(now_meant, max_pause);
            let new = Meter::new(now_meant, old.per_period(), burst, probing, now);
            if let Ok(mut new) = new {
                old.carry_over_to(&mut new, now, in_flight, self.newest);
                let _fits = self.meters.put(new);
            }
        }
        if let Some(configured) = self.limits.get(before) {
            let burst = self.limits.burst_mode();
            if let Ok(mut new) = Meter::new(before, configured, burst, Probing::NEVER, now) {
                old.carry_over_to(&mut new, now, self.in_flight_of(before), self.newest);
                let _fits = self.meters.put(new);
            }
        }
    }

    /// Puts a learned limit in force; returns whether it differs from the one before.
    pub(super) fn learn(
        &mut self,
        now: Timestamp,
        kind: LimitKind,
        count: u64,
        refill: Refill,
        max_pause: Duration,
        events: &mut Vec<LimitEvent>,
    ) -> bool {
        let configured = self.limits.get(kind);
        let count = configured.map_or(count, |configured| configured.min(count));
        let is_paced = configured.is_none() && is_short(kind) && !kind.counts_tokens();
        // A window holds what is sent at an even pace, and what was sent at once before, and a
        // little more because messages are on their way for different times.
        let in_windows = is_paced && refill == Refill::Windows;
        let count = if in_windows { (count - count / 10).max(1) } else { count };
        let is_renewed = self.meters.of(kind).is_some_and(|meter| meter.was_renewed(now));
        let burst = match (self.limits.burst_mode(), refill) {
            // Messages are on their way for as long as such a period: only an even pace keeps it.
            (Burst::Full, _) if is_paced => Burst::Percent(if in_windows { 10 } else { 30 }),
            (Burst::Full, Refill::Windows) => Burst::Strict,
            // Until it is known how the server counts, the strictest way. A configured limit is
            // as configured. (Within a period, a server cannot count in windows and refill evenly.)
            (Burst::Full, Refill::Unknown) if configured.is_none() => Burst::Strict,
            (Burst::Full, Refill::Even) if is_renewed => Burst::Strict,
            (burst, _) => burst,
        };
        let probing = self.probing(kind, max_pause);
        let known = self.meters.of(kind);
        let (same_count, same_rule) = known.map_or((false, false), |meter| {
            let same_rule = meter.burst_mode == burst && meter.is_probed(probing);
            (meter.per_period() == count, same_rule)
        });
        if same_count && same_rule {
            return false;
        }
        match self.renewed(kind, count, burst, probing, now) {
            Ok(meter) => {
                if !self.meters.put(meter) {
                    events.push(LimitEvent::TooMany(kind));
                    return false;
                }
            }
            Err(error) => {
                events.push(LimitEvent::Unusable(kind, error));
                return false;
            }
        }
        if !same_count {
            events.push(LimitEvent::Learned(kind, count));
        }
        true
    }

    /// When a limit of this kind is probed. A learned limit must not close an account for longer than
    /// a response may pause it, and if its period is a guess, an answer a minute shows whether it is
    /// wrong.
    fn probing(&self, kind: LimitKind, max_pause: Duration) -> Probing {
        let minute = Period::MINUTE.as_duration();
        let after_request = max_pause.max(minute);
        match self.limits.get(kind) {
            Some(_) => Probing::NEVER,
            None if self.sources.guess(kind) => Probing { after_statement: minute, after_request },
            None => Probing { after_statement: after_request, after_request },
        }
    }
}
