//! What is used of each limit, counted in the simplest way. Time moves in whole seconds, and limits
//! are so many whole tokens a second, so that nothing needs rounding.

use std::collections::BTreeMap;

use tollgate::llm::{LimitKind, Limits, Tokens, Usage};

use crate::support::METERED;

/// What a limit counts per second, for each kind; 0 is no limit.
pub(super) type Rates = [u64; 6];

fn seconds(kind: LimitKind) -> u64 {
    match kind {
        LimitKind::RequestsPerDay | LimitKind::TokensPerDay => 86_400,
        _ => 60,
    }
}

pub(super) fn limits(rates: Rates) -> Limits {
    let set = |limits: Limits, (kind, rate)| limits.with(kind, rate * seconds(kind));
    METERED.into_iter().zip(rates).fold(Limits::new(), set)
}

pub(super) fn cost(kind: LimitKind, tokens: Tokens) -> u64 {
    match kind {
        LimitKind::Tokens | LimitKind::TokensPerDay => tokens.input + tokens.output,
        LimitKind::InputTokens => tokens.input,
        LimitKind::OutputTokens => tokens.output,
        _ => 1,
    }
}

#[derive(Clone, Copy, Debug)]
struct Meter {
    rate: u64,
    used: u64,
}

/// A key and its account.
#[derive(Clone, Debug, Default)]
pub(super) struct Key {
    /// Told apart from others that had its id before.
    pub(super) born: usize,
    pub(super) out: bool,
    pub(super) paused_until: u64,
    meters: BTreeMap<usize, Meter>,
    flights: Vec<Tokens>,
}

impl Key {
    pub(super) fn new(born: usize, rates: Rates) -> Self {
        let mut key = Self { born, ..Self::default() };
        key.set_limits(rates);
        key
    }

    pub(super) fn set_limits(&mut self, rates: Rates) {
        for (at, (kind, rate)) in METERED.into_iter().zip(rates).enumerate() {
            let in_flight = self.flights.iter().map(|tokens| cost(kind, *tokens)).sum();
            let used = self.meters.remove(&at).map_or(in_flight, |meter| meter.used);
            if rate > 0 {
                self.meters.insert(at, Meter { rate, used });
            }
        }
    }

    pub(super) fn tick(&mut self, secs: u64) {
        for meter in self.meters.values_mut() {
            meter.used = meter.used.saturating_sub(meter.rate * secs);
        }
    }

    pub(super) fn can_serve(&self, now: u64, tokens: Tokens) -> bool {
        let room = |(at, meter): (&usize, &Meter)| {
            let kind = METERED[*at];
            meter.used + cost(kind, tokens) <= meter.rate * seconds(kind)
        };
        !self.out && self.paused_until <= now && self.meters.iter().all(room)
    }

    pub(super) fn take(&mut self, tokens: Tokens) {
        self.flights.push(tokens);
        for (at, meter) in &mut self.meters {
            meter.used += cost(METERED[*at], tokens);
        }
    }

    /// The end of a flight: what it took of each limit instead.
    pub(super) fn land(&mut self, estimate: Tokens, took: impl Fn(LimitKind) -> u64) {
        let at = self.flights.iter().position(|flight| *flight == estimate).unwrap();
        self.flights.remove(at);
        for (at, meter) in &mut self.meters {
            let kind = METERED[*at];
            meter.used = (meter.used + took(kind)).saturating_sub(cost(kind, estimate));
        }
    }

    #[track_caller]
    pub(super) fn agrees_with(&self, usage: &Usage) {
        assert_eq!(usage.in_flight, self.flights.len() as u64);
        let told = usage.limits.iter().map(|limit| (limit.kind, (limit.limit, limit.used)));
        let told: Vec<_> = told.collect();
        assert_eq!(told.len(), self.meters.len());
        for (at, meter) in &self.meters {
            let kind = METERED[*at];
            let expected = (kind, (meter.rate * seconds(kind), meter.used));
            assert!(told.contains(&expected), "{expected:?} among {told:?}");
        }
    }

    /// Headers have told of a limit: what becomes of it is tested elsewhere, but it is never looser
    /// than what the server said, nor is anything forgotten.
    pub(super) fn learn(&mut self, kind: LimitKind, most: u64, remaining: u64, usage: &Usage) {
        let is = usage.of(kind).unwrap();
        assert!(is.limit <= most && is.remaining <= remaining, "{is:?}");
        let at = METERED.into_iter().position(|other| other == kind).unwrap();
        let in_flight = self.flights.iter().map(|tokens| cost(kind, *tokens)).sum();
        let before = self.meters.get(&at).map_or(in_flight, |meter| meter.used);
        assert!(is.used >= before, "{is:?}, before {before}");
        self.meters.insert(at, Meter { rate: is.limit / seconds(kind), used: is.used });
    }
}
