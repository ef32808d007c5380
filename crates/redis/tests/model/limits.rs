//! What a limit does, exactly: by the core's rules, and for what they don't have in this form, by
//! definitions in whole numbers. Times are in µs.

use tollgate::algorithm::{
    Algorithm, FixedWindow, GreedyRefill, Receipt, SlidingWindow, StrictWindow,
};
use tollgate::{CarryOver, Quota, Timestamp};

/// The level of one limit of one subject.
pub trait Limit {
    fn boxed(&self) -> Box<dyn Limit>;
    /// Brings the level to `now`, under quota number `quota`.
    fn advance(&mut self, now: u64, quota: usize);
    /// The wait in ns until so many permits can be taken; `None` if they never can.
    fn wait(&self, permits: u128) -> Option<u128>;
    fn take(&mut self, permits: u128);
    fn give(&mut self, permits: u128);
    fn undo(&mut self, permits: u128, receipt: u128, is_cancelled: bool);
    fn reset(&mut self);
    fn used(&self) -> u128;
    fn remaining(&self) -> u128;
    /// In ns.
    fn full_after(&self) -> u128;
    /// The receipt of what was taken now.
    fn receipt(&self) -> u128;
    /// Whether only decisions at once are possible.
    fn is_window(&self) -> bool;
}

/// A rule of the core. Windows run on a clock whose nanoseconds are µs, so that what they round is
/// rounded to µs, too.
#[derive(Clone)]
pub struct Core<A: Algorithm> {
    rules: Vec<A>,
    quota: usize,
    state: Option<A::State>,
    now: u64,
    /// Ticks of the rule's clock in a µs.
    ticks: u64,
}

impl<A: Algorithm> Core<A> {
    fn at(&self) -> Timestamp {
        Timestamp::from_nanos(self.now * self.ticks)
    }

    fn rule(&self) -> &A {
        &self.rules[self.quota]
    }

    fn state(&self) -> A::State {
        self.state.clone().unwrap_or_else(|| self.rule().start(self.at(), 0))
    }

    fn change(&mut self, change: impl FnOnce(&A, &mut A::State, Timestamp)) {
        let mut state = self.state();
        change(self.rule(), &mut state, self.at());
        self.state = Some(state);
        self.forget_if_full();
    }

    fn forget_if_full(&mut self) {
        let is_full = self.state.as_ref().is_some_and(|it| self.rule().used(it, self.at()) == 0);
        if is_full {
            self.state = None;
        }
    }

    fn nanos(&self, at: Timestamp) -> u128 {
        u128::from(at.as_nanos() - self.at().as_nanos()) * u128::from(1000 / self.ticks)
    }
}

impl<A: Algorithm> Limit for Core<A> {
    fn boxed(&self) -> Box<dyn Limit> {
        Box::new(self.clone())
    }

    fn advance(&mut self, now: u64, quota: usize) {
        self.now = now;
        self.forget_if_full();
        let previous = std::mem::replace(&mut self.quota, quota);
        if let Some(state) = self.state.take() {
            let (previous, at) = (&self.rules[previous], self.at());
            let state = match previous {
                _ if std::ptr::eq(previous, self.rule()) => state,
                _ => self.rule().carry_over(previous, &state, at, CarryOver::Proportional),
            };
            self.state = Some(state);
        }
    }

    fn wait(&self, permits: u128) -> Option<u128> {
        let permits = u64::try_from(permits).ok().filter(|it| *it <= self.rule().limit())?;
        Some(self.nanos(self.rule().ready_at(&self.state(), self.at(), permits)))
    }

    fn take(&mut self, permits: u128) {
        let (permits, at) = (permits as u64, self.at());
        let receipt = Receipt::new(0, at);
        self.change(|rule, state, now| rule.hold(state, now, permits, receipt));
    }

    fn give(&mut self, permits: u128) {
        self.change(|rule, state, now| rule.give_back(state, now, permits as u64));
    }

    fn undo(&mut self, permits: u128, receipt: u128, _: bool) {
        let receipt = Receipt::new(0, Timestamp::from_nanos(receipt as u64 * self.ticks));
        self.change(|rule, state, now| {
            // A credit has made the receipt worthless: the store does not remember credits.
            rule.hold(state, now, 0, receipt);
            rule.undo(state, now, permits as u64, receipt);
        });
    }

    fn reset(&mut self) {
        self.state = None;
    }

    fn used(&self) -> u128 {
        self.rule().used(&self.state(), self.at())
    }

    fn remaining(&self) -> u128 {
        u128::from(self.rule().limit()).saturating_sub(self.used())
    }

    fn full_after(&self) -> u128 {
        self.nanos(self.rule().full_at(&self.state(), self.at()))
    }

    fn receipt(&self) -> u128 {
        self.now.into()
    }

    fn is_window(&self) -> bool {
        self.ticks == 1
    }
}

fn core<A: Algorithm>(rules: Vec<A>, ticks: u64) -> Box<dyn Limit> {
    Box::new(Core { rules, quota: 0, state: None, now: 0, ticks })
}

fn in_micros<A: TryFrom<Quota, Error: std::fmt::Debug>>(quotas: &[Quota]) -> Vec<A> {
    let scaled = |quota: &Quota| Quota::per(quota.permits(), quota.period() / 1000);
    quotas.iter().map(|quota| A::try_from(scaled(quota)).expect("a valid quota")).collect()
}

pub fn greedy(quotas: &[Quota]) -> Box<dyn Limit> {
    core(quotas.iter().map(|it| GreedyRefill::try_from(*it).expect("valid")).collect(), 1000)
}

pub fn fixed_of_core(quotas: &[Quota]) -> Box<dyn Limit> {
    core(in_micros::<FixedWindow>(quotas), 1)
}

pub fn sliding(quotas: &[Quota]) -> Box<dyn Limit> {
    core(in_micros::<SlidingWindow>(quotas), 1)
}

pub fn strict(quotas: &[Quota]) -> Box<dyn Limit> {
    core(in_micros::<StrictWindow>(quotas), 1)
}

/// A fixed window by its definition, with quotas that change and charges that are taken back.
#[derive(Clone)]
pub struct Fixed {
    quotas: Vec<Quota>,
    quota: usize,
    used: u128,
    /// In µs.
    end: u64,
    now: u64,
}

impl Fixed {
    pub fn boxed_new(quotas: &[Quota]) -> Box<dyn Limit> {
        Box::new(Self { quotas: quotas.to_vec(), quota: 0, used: 0, end: 0, now: 0 })
    }

    fn limit(&self) -> u128 {
        self.quotas[self.quota].permits().into()
    }

    fn period(&self) -> u64 {
        self.quotas[self.quota].period().as_micros() as u64
    }
}

impl Limit for Fixed {
    fn boxed(&self) -> Box<dyn Limit> {
        Box::new(self.clone())
    }

    fn advance(&mut self, now: u64, quota: usize) {
        self.now = now;
        while self.used > 0 && self.end <= now {
            self.used = self.used.saturating_sub(self.limit());
            self.end += self.period();
        }
        let (limit, period) = (self.limit(), self.period());
        self.quota = quota;
        if self.used == 0 {
            self.end = now + self.period();
            return;
        }
        self.used = (self.used * self.limit()).div_ceil(limit);
        let passed = period - (self.end - now);
        let share = u128::from(passed) * u128::from(self.period()) / u128::from(period);
        self.end = now + (self.period() - passed.min(share as u64)).max(1);
    }

    fn wait(&self, permits: u128) -> Option<u128> {
        if permits > self.limit() {
            return None;
        }
        let short = (self.used + permits).saturating_sub(self.limit()).div_ceil(self.limit());
        let until =
            |refills| u128::from(self.end - self.now) + (refills - 1) * u128::from(self.period());
        Some(if short == 0 { 0 } else { until(short) * 1000 })
    }

    fn take(&mut self, permits: u128) {
        self.used += permits;
    }

    fn give(&mut self, permits: u128) {
        self.used = self.used.saturating_sub(permits);
    }

    fn undo(&mut self, permits: u128, receipt: u128, _: bool) {
        let began = i128::from(self.end) - i128::from(self.period());
        if receipt as i128 >= began {
            self.give(permits);
        }
    }

    fn reset(&mut self) {
        (self.used, self.end) = (0, self.now + self.period());
    }

    fn used(&self) -> u128 {
        self.used
    }

    fn remaining(&self) -> u128 {
        self.limit().saturating_sub(self.used)
    }

    fn full_after(&self) -> u128 {
        match self.used.div_ceil(self.limit()) {
            0 => 0,
            n => (u128::from(self.end - self.now) + (n - 1) * u128::from(self.period())) * 1000,
        }
    }

    fn receipt(&self) -> u128 {
        self.now.into()
    }

    fn is_window(&self) -> bool {
        true
    }
}

/// A token bucket by its definition: what is used, in units of which a permit has as many as the
/// period has nanoseconds, and a nanosecond as many as there are permits.
#[derive(Clone)]
pub struct Bucket {
    quotas: Vec<Quota>,
    quota: usize,
    used: u128,
    now: u64,
    /// Until when it would not be full if nothing had ever been given back, in units from now on.
    charged: u128,
    /// Receipts up to this time, in µs from now on, are void.
    void: u64,
}

impl Bucket {
    pub fn boxed_new(quotas: &[Quota]) -> Box<dyn Limit> {
        let quotas = quotas.to_vec();
        Box::new(Self { quotas, quota: 0, used: 0, now: 0, charged: 0, void: 0 })
    }

    fn cost(&self) -> u128 {
        self.quotas[self.quota].period().as_nanos()
    }

    /// Units in a µs.
    fn micro(&self) -> u128 {
        u128::from(self.quotas[self.quota].permits()) * 1000
    }

    fn capacity(&self) -> u128 {
        u128::from(self.quotas[self.quota].burst_size()) * self.cost()
    }

    /// The store's units in a µs.
    fn parts(&self) -> u128 {
        self.micro() / gcd(self.micro(), self.cost())
    }
}

impl Limit for Bucket {
    fn boxed(&self) -> Box<dyn Limit> {
        Box::new(self.clone())
    }

    fn advance(&mut self, now: u64, quota: usize) {
        let passed = now - self.now;
        let elapsed = u128::from(passed) * self.micro();
        self.used = self.used.saturating_sub(elapsed);
        self.charged = self.charged.saturating_sub(elapsed).max(self.used);
        self.void = self.void.saturating_sub(passed);
        self.now = now;
        let (before, old, old_parts) = (self.capacity(), self.micro(), self.parts());
        let differs = self.quotas[self.quota] != self.quotas[quota];
        self.quota = quota;
        if !differs {
            return;
        }
        self.void = self.void.max(self.charged.div_ceil(old) as u64);
        if self.used > 0 {
            let (new, most, unit) = (self.micro(), self.capacity(), self.micro() / self.parts());
            let is_whole = self.used % old == 0 && before % old == 0 && most % new == 0;
            self.used = if is_whole {
                let (used, before, most) = (self.used / old, before / old, most / new);
                let (whole, rest) = (used * most / before, used * most % before);
                whole * new + (rest * self.parts()).div_ceil(before) * unit
            } else {
                // In doubles, as the store does: at most two µs more.
                let micros = |units: u128, micro: u128, parts: u128| {
                    let rest = units % micro / (micro / parts);
                    (units / micro) as f64 + rest as f64 / parts as f64
                };
                let used = micros(self.used, old, old_parts) * micros(most, new, self.parts());
                (used / micros(before, old, old_parts) + 0.125).ceil() as u128 * new
            };
        }
        self.charged = self.used.max(u128::from(self.void) * self.micro());
    }

    fn wait(&self, permits: u128) -> Option<u128> {
        let excess = (self.used + permits * self.cost()).saturating_sub(self.capacity());
        let is_possible = permits <= u128::from(self.quotas[self.quota].burst_size());
        is_possible.then(|| (excess * 1000).div_ceil(self.micro()))
    }

    fn take(&mut self, permits: u128) {
        self.used += permits * self.cost();
        self.charged += permits * self.cost();
    }

    fn give(&mut self, permits: u128) {
        self.used = self.used.saturating_sub(permits * self.cost());
    }

    fn undo(&mut self, permits: u128, receipt: u128, is_cancelled: bool) {
        let (cost, micro) = (permits * self.cost(), self.micro());
        let now = u128::from(self.now) * micro;
        if self.void > 0 && receipt / micro <= u128::from(self.now + self.void) {
            return;
        }
        let until = now + self.charged;
        let is_last = self.cost() >= micro && until / micro == receipt / micro;
        let behind = if is_last { 0 } else { until.saturating_sub(receipt) };
        let mut given = cost.min(self.used.saturating_sub(behind));
        if is_cancelled || self.charged > self.capacity() {
            given = given.min(cost.saturating_sub(behind));
        }
        self.used -= given;
        if is_last {
            self.charged = self.charged.saturating_sub(given);
        }
    }

    fn reset(&mut self) {
        (self.used, self.charged, self.void) = (0, 0, 0);
    }

    fn used(&self) -> u128 {
        self.used.div_ceil(self.cost())
    }

    fn remaining(&self) -> u128 {
        self.capacity().saturating_sub(self.used) / self.cost()
    }

    fn full_after(&self) -> u128 {
        (self.used * 1000).div_ceil(self.micro())
    }

    /// The time in units until which it is charged. The store's receipt has 1/4096 of a µs, rounded
    /// down, or whole µs if that is not the level, too.
    fn receipt(&self) -> u128 {
        let (micro, parts) = (self.micro(), self.parts());
        let until = u128::from(self.now) * micro + self.charged;
        if self.charged > self.used || self.void > 0 {
            return until / micro * micro;
        }
        if parts <= 4096 {
            return until;
        }
        let (whole, rest) = (until / micro, until % micro / (micro / parts));
        whole * micro + rest * 4096 / parts * parts / 4096 * (micro / parts)
    }

    fn is_window(&self) -> bool {
        false
    }
}

fn gcd(a: u128, b: u128) -> u128 {
    if b == 0 { a } else { gcd(b, a % b) }
}
