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
    /// Now or for later.
    fn take(&mut self, permits: u128);
    /// Also if they are not there.
    fn consume(&mut self, permits: u128) {
        self.take(permits);
    }
    /// At least so many permits are in use then.
    fn raise(&mut self, permits: u128);
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

    fn raise(&mut self, permits: u128) {
        let (used, at) = (self.used(), self.at());
        if self.is_window() {
            self.take(permits.saturating_sub(used));
        } else if used <= permits {
            // What is in use has a fraction, perhaps.
            self.state = Some(self.rule().start(at, permits));
            self.forget_if_full();
        }
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

    fn raise(&mut self, permits: u128) {
        self.used = self.used.max(permits);
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
    /// How many µs later it would be full if nothing had ever been given back, rounded up.
    ahead: u128,
    /// For how many µs somebody may wait for permits that were taken for later.
    promised: u128,
    now: u64,
}

impl Bucket {
    pub fn boxed_new(quotas: &[Quota]) -> Box<dyn Limit> {
        Box::new(Self { quotas: quotas.to_vec(), quota: 0, used: 0, ahead: 0, promised: 0, now: 0 })
    }

    fn cost(&self) -> u128 {
        self.quotas[self.quota].period().as_nanos()
    }

    /// Units in a ns.
    fn speed(&self) -> u128 {
        self.quotas[self.quota].permits().into()
    }

    fn burst(&self) -> u128 {
        self.quotas[self.quota].burst_size().into()
    }

    /// Units in a µs.
    fn micro(&self) -> u128 {
        self.speed() * 1000
    }

    fn capacity(&self) -> u128 {
        self.burst() * self.cost()
    }

    /// The store's units in a µs.
    fn parts(&self) -> u128 {
        self.micro() / gcd(self.micro(), self.cost())
    }

    /// When it would be full if nothing had ever been given back: in units, counted from the origin
    /// of the clock.
    fn charged_until(&self) -> u128 {
        (u128::from(self.now) + self.ahead) * self.micro() + self.used
    }

    /// By how many µs the level is above the burst, rounded up.
    fn above(&self) -> u128 {
        self.used.saturating_sub(self.capacity()).div_ceil(self.micro())
    }

    /// Gives back, although the receipts stay.
    fn lower(&mut self, units: u128) {
        let given = units.min(self.used);
        self.used -= given;
        self.ahead += given.div_ceil(self.micro());
    }
}

impl Limit for Bucket {
    fn boxed(&self) -> Box<dyn Limit> {
        Box::new(self.clone())
    }

    fn advance(&mut self, now: u64, quota: usize) {
        let elapsed = u128::from(now - self.now);
        if self.used / self.micro() < elapsed {
            self.ahead = (self.ahead + self.used.div_ceil(self.micro())).saturating_sub(elapsed);
        }
        self.used = self.used.saturating_sub(elapsed * self.micro());
        self.promised = self.promised.saturating_sub(elapsed);
        self.now = now;
        let (before, old, old_parts) = (self.capacity(), self.micro(), self.parts());
        let differs = self.quotas[self.quota] != self.quotas[quota];
        if differs {
            // What the capacity has below a µs is not known any more.
            let used = self.used.div_ceil(old);
            // If all above the burst waits, nobody knows it better.
            if self.ahead == 0 && self.promised == self.above() {
                self.promised = used.saturating_sub(before / old);
            }
            self.ahead += used;
        }
        self.quota = quota;
        if self.used > 0 && differs {
            let (new, most, unit) = (self.micro(), self.capacity(), self.micro() / self.parts());
            let is_whole = [(self.used, old), (before, old), (most, new)];
            self.used = if is_whole.iter().all(|(units, micro)| units.is_multiple_of(*micro)) {
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
    }

    fn wait(&self, permits: u128) -> Option<u128> {
        let excess = (self.used + permits * self.cost()).saturating_sub(self.burst() * self.cost());
        (permits <= self.burst()).then(|| excess.div_ceil(self.speed()))
    }

    fn take(&mut self, permits: u128) {
        self.used += permits * self.cost();
        self.promised = self.promised.max(self.above());
    }

    /// What is in use already: nobody waits for it.
    fn consume(&mut self, permits: u128) {
        self.used += permits * self.cost();
    }

    fn raise(&mut self, permits: u128) {
        self.used = self.used.max(permits * self.cost());
    }

    fn give(&mut self, permits: u128) {
        self.lower(permits * self.cost());
    }

    fn undo(&mut self, permits: u128, receipt: u128, is_cancelled: bool) {
        let mut back = permits * self.cost();
        let behind = self.charged_until().saturating_sub(receipt);
        if is_cancelled || self.promised > 0 {
            back = back.saturating_sub(behind);
        }
        let back = back.min(self.used.saturating_sub(behind));
        // A receipt that was rounded is that of the last charge, too.
        if self.receipt() == receipt {
            let is_told = self.ahead == 0 && self.promised == self.above();
            self.used -= back;
            // Who waited last gives back. But once others have, or there is a debt, the store does
            // not know until when those before it wait.
            if is_told {
                self.promised = self.above();
            }
        } else {
            self.lower(back);
        }
    }

    fn reset(&mut self) {
        (self.used, self.ahead, self.promised) = (0, 0, 0);
    }

    fn used(&self) -> u128 {
        self.used.div_ceil(self.cost())
    }

    fn remaining(&self) -> u128 {
        (self.burst() * self.cost()).saturating_sub(self.used) / self.cost()
    }

    fn full_after(&self) -> u128 {
        self.used.div_ceil(self.speed())
    }

    /// When the bucket would be full if nothing had ever been given back. The store's receipt has
    /// 1/4096 of a µs, rounded down.
    fn receipt(&self) -> u128 {
        let micro = self.speed() * 1000;
        let units = micro / gcd(micro, self.cost());
        if units <= 4096 {
            return self.charged_until();
        }
        let (whole, rest) =
            (self.charged_until() / micro, self.charged_until() % micro / (micro / units));
        let parts = rest * 4096 / units;
        whole * micro + parts * units / 4096 * (micro / units)
    }

    fn is_window(&self) -> bool {
        false
    }
}

fn gcd(a: u128, b: u128) -> u128 {
    if b == 0 { a } else { gcd(b, a % b) }
}
