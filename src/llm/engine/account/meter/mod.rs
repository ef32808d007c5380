//! One limit of an account: a number of requests or tokens per period, and how much of it is used.

mod carry_over;
mod cost;
mod forgiven;
mod probe;
mod renewal;
mod window;

pub(super) use forgiven::Forgiven;
pub(crate) use probe::Probing;
pub(super) use renewal::Renewal;
pub(crate) use renewal::clocks_differ;
pub(crate) use window::Window;

use std::time::Duration;

use cost::CostMask;
use probe::Probe;

use crate::algorithm::{Algorithm, GreedyRefill, GreedyState, Receipt, Scale, StrictWindow};
use crate::llm::{Burst, LimitKind, Period, Tokens};
use crate::{Quota, QuotaError, Timestamp};

/// A limit, and how much of it is used.
#[derive(Clone, Debug)]
pub(crate) struct Meter {
    pub(super) level: Level,
    /// Only with [`Burst::Percent`]: the limit with the burst of a full period. It decides
    /// how much of a permit can still be given back, because the smaller burst has been refilled
    /// long before a response arrives.
    pub(super) full_period: Option<Box<(GreedyRefill, GreedyState)>>,
    cost: CostMask,
    pub(crate) kind: LimitKind,
    pub(crate) burst_mode: Burst,
    /// What the server says that can still pass before its window ends.
    pub(super) window: Option<Window>,
    /// Only if responses have shown that the server counts in windows.
    pub(super) renewal: Option<Renewal>,
    pub(super) forgiven: Forgiven,
    /// Only for learned limits.
    probe: Option<Probe>,
}

/// The algorithm of a limit, with its state.
#[derive(Clone, Debug)]
pub(super) enum Level {
    /// For [`Burst::Full`] and [`Burst::Percent`].
    Even(GreedyRefill, GreedyState, Scale),
    /// For [`Burst::Strict`].
    Strict(StrictWindow, <StrictWindow as Algorithm>::State),
}

/// Evaluates the same expression for either algorithm.
macro_rules! on {
    ($level:expr, |$rule:ident, $state:ident| $body:expr) => {
        match $level {
            Level::Even($rule, $state, _) => $body,
            Level::Strict($rule, $state) => $body,
        }
    };
}
use on;

impl Meter {
    /// A limit of `count` per period. Nothing of it is used yet.
    pub(crate) fn new(
        kind: LimitKind,
        count: u64,
        burst: Burst,
        probing: Probing,
        now: Timestamp,
    ) -> Result<Self, QuotaError> {
        let period = kind.period().ok_or(QuotaError::ZeroPeriod)?;
        let period = period.as_duration();
        let quota = Quota::per(count, period);
        let probe = (period > probing.after_statement).then(|| Probe::new(probing, now));
        let even = |quota: Quota| {
            let rule = GreedyRefill::try_from(quota)?;
            let state = rule.start(now, 0);
            Ok(Level::Even(rule, state, rule.scale()))
        };
        let level = match burst {
            Burst::Full => even(quota)?,
            Burst::Percent(percent) => {
                let share = u128::from(count) * u128::from(percent) / 100;
                even(quota.burst(u64::try_from(share).unwrap_or(u64::MAX).max(1)))?
            }
            Burst::Strict => {
                let rule = StrictWindow::try_from(quota)?;
                let state = rule.start(now, 0);
                Level::Strict(rule, state)
            }
        };
        let full_period = match burst {
            Burst::Percent(_) => {
                let rule = GreedyRefill::try_from(quota)?;
                Some(Box::new((rule, rule.start(now, 0))))
            }
            Burst::Full | Burst::Strict => None,
        };
        let cost = CostMask::of(kind);
        let forgiven = Forgiven::default();
        Ok(Self {
            level,
            full_period,
            cost,
            kind,
            burst_mode: burst,
            window: None,
            renewal: None,
            forgiven,
            probe,
        })
    }

    /// The most that can be taken at once.
    pub(crate) fn burst(&self) -> u64 {
        on!(&self.level, |rule, _state| rule.limit())
    }

    /// Whether the limit counts strictly.
    pub(super) fn is_strict(&self) -> bool {
        matches!(self.level, Level::Strict(..))
    }

    /// The limit per period.
    pub(crate) fn per_period(&self) -> u64 {
        on!(&self.level, |rule, _state| rule.quota().permits())
    }

    /// The period of the limit.
    pub(crate) fn period(&self) -> Duration {
        on!(&self.level, |rule, _state| rule.quota().period())
    }

    /// What a request costs under this limit.
    #[inline]
    pub(crate) fn cost(&self, tokens: Tokens) -> u64 {
        self.cost.cost(tokens)
    }

    #[inline]
    pub(crate) fn ready_at(&self, now: Timestamp, tokens: Tokens) -> Timestamp {
        let cost = self.cost(tokens);
        let ready = on!(&self.level, |rule, state| rule.ready_at(state, now, cost));
        let ready = match self.renewal {
            Some(_) => self.ready_at_renewal(now, cost, ready),
            None => ready,
        };
        let ready = match self.probe {
            Some(probe) if cost <= self.burst() => ready.min(probe.next()),
            _ => ready,
        };
        match self.window {
            Some(window) if cost > window.left => ready.max(window.ends),
            _ => ready,
        }
    }

    /// Whether the limit is probed in this way.
    pub(crate) fn is_probed(&self, probing: Probing) -> bool {
        let due = (self.period() > probing.after_statement).then_some(probing);
        self.probe.map(|probe| probe.probing) == due
    }

    /// Notes that a request is sent, or may have been sent, whose answer shows whether the limit is
    /// what it seems to be.
    #[inline]
    pub(crate) fn probed(&mut self, now: Timestamp) {
        if let Some(probe) = &mut self.probe {
            probe.sent(now);
        }
    }

    /// Notes that the server has said what remains.
    pub(crate) fn heard(&mut self, now: Timestamp) {
        if let Some(probe) = &mut self.probe {
            probe.heard(now);
        }
    }

    /// Records what the server says that can still pass in its window.
    pub(crate) fn set_window(&mut self, now: Timestamp, said: Window) {
        self.window = Some(self.window.map_or(said, |known| known.and_then(now, said)));
    }

    /// Forgets what the server said is left of its window.
    pub(crate) fn forget_window(&mut self) {
        self.window = None;
    }

    /// What is left of the server's window, if it is known to last.
    pub(crate) fn window(&self, now: Timestamp) -> Option<Window> {
        self.window.filter(|window| now < window.ends)
    }

    #[inline]
    pub(crate) fn take(&mut self, now: Timestamp, tokens: Tokens) {
        let count = self.cost(tokens);
        self.probed(now);
        self.take_count(now, count);
        if let Some(renewal) = &mut self.renewal {
            renewal.sent(count);
        }
    }

    /// Takes the `count` that a request used beyond its estimate, and returns whether that was
    /// capped.
    ///
    /// The cap on all that is in use then is a burst plus the refill of ten periods, or of one period
    /// that is longer than a minute: a server may report an absurd usage, in many responses, which
    /// must not block a client for ever.
    pub(crate) fn overdraw(&mut self, now: Timestamp, count: u64) -> bool {
        let is_short = self.period() <= Period::MINUTE.as_duration();
        let periods = if is_short { 10 } else { 1 };
        let most = self.per_period().saturating_mul(periods).saturating_add(self.burst());
        let room = most.saturating_sub(self.used(now));
        self.take_count(now, count.min(room));
        count > room
    }

    #[inline]
    pub(crate) fn take_count(&mut self, now: Timestamp, count: u64) {
        self.renew(now);
        if let Some((rule, state)) = self.full_period.as_deref_mut() {
            rule.take(state, now, count);
        }
        self.take_of_window(count);
        on!(&mut self.level, |rule, state| rule.take(state, now, count));
    }

    #[inline]
    fn take_of_window(&mut self, count: u64) {
        if let Some(window) = &mut self.window {
            window.left = window.left.saturating_sub(count);
        }
    }

    /// Takes what a request needs, in a way that lets it be given back.
    #[inline]
    pub(crate) fn hold(&mut self, now: Timestamp, tokens: Tokens, receipt: Receipt) {
        let count = self.cost(tokens);
        self.probed(now);
        self.renew(now);
        if let Some(renewal) = &mut self.renewal {
            renewal.sent(count);
        }
        self.take_of_window(count);
        if let Some((rule, state)) = self.full_period.as_deref_mut() {
            rule.hold(state, now, count, receipt);
            return on!(&mut self.level, |rule, state| rule.take(state, now, count));
        }
        on!(&mut self.level, |rule, state| rule.hold(state, now, count, receipt));
    }

    /// Makes `count` of what was held final.
    #[inline]
    pub(crate) fn release(&mut self, count: u64, receipt: Receipt) {
        if let Some(renewal) = &mut self.renewal {
            renewal.ended(count);
        }
        if let Some((rule, state)) = self.full_period.as_deref_mut() {
            return rule.release(state, count, receipt);
        }
        on!(&mut self.level, |rule, state| rule.release(state, count, receipt));
    }

    /// Gives back `count` of what was held, as far as it has not been refilled already.
    #[inline]
    pub(crate) fn undo(&mut self, now: Timestamp, count: u64, receipt: Receipt) {
        self.renew(now);
        if let Some(renewal) = &mut self.renewal {
            renewal.ended(count);
        }
        if let Some(window) = self.window.as_mut().filter(|window| receipt.seq > window.since) {
            window.left = window.left.saturating_add(count);
        }
        if let Some((rule, state)) = self.full_period.as_deref_mut() {
            let given = rule.undo_counted(state, now, count, receipt);
            let given = given - self.forgiven.take(given, receipt);
            return on!(&mut self.level, |rule, state| rule.give_back(state, now, given));
        }
        match &mut self.level {
            Level::Even(rule, state, _) if self.forgiven.not_given_back > 0 => {
                let given = rule.undo_counted(state, now, count, receipt);
                rule.take(state, now, self.forgiven.take(given, receipt));
            }
            level => on!(level, |rule, state| rule.undo(state, now, count, receipt)),
        }
    }

    /// Permits in use; fractions are rounded up.
    pub(crate) fn used(&self, now: Timestamp) -> u64 {
        let renewed = self.renewed(now);
        let level = renewed.as_ref().unwrap_or(&self.level);
        let used = on!(level, |rule, state| rule.used(state, now));
        u64::try_from(used).unwrap_or(u64::MAX)
    }

    /// The most that could be taken now.
    pub(crate) fn remaining(&self, now: Timestamp) -> u64 {
        let left = self.burst().saturating_sub(self.used(now));
        self.window(now).map_or(left, |window| left.min(window.left))
    }

    /// The share of the burst that is left, in 65,535ths.
    #[inline]
    pub(crate) fn headroom(&self, now: Timestamp) -> u64 {
        match &self.level {
            Level::Even(rule, state, scale) if self.window.is_none() => {
                u64::from(u16::MAX).saturating_sub(rule.share_used(*scale, state, now))
            }
            _ => {
                let left = u128::from(self.remaining(now));
                let share = left * u128::from(u16::MAX) / u128::from(self.burst().max(1));
                u64::try_from(share).unwrap_or(0)
            }
        }
    }

    pub(crate) fn full_at(&self, now: Timestamp) -> Timestamp {
        let full = on!(&self.level, |rule, state| rule.full_at(state, now));
        let full = self.full_at_renewal(now, full);
        self.window(now).map_or(full, |window| full.max(window.ends))
    }

    /// When nothing of the limit is in use any more, and nothing would be if the limit were raised.
    pub(crate) fn idle_at(&self, now: Timestamp) -> Timestamp {
        let full_at = self.full_at(now);
        if self.forgiven.count == 0 {
            return full_at;
        }
        full_at.max(self.forgiven.at + self.period())
    }
}
