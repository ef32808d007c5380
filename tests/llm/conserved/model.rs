//! What is used of each limit, counted in the simplest way. Time moves in whole seconds, and limits
//! are so many whole tokens a second, so that nothing needs rounding.

use std::collections::BTreeMap;

use tollgate::llm::{LimitKind, Limits, Period, Tokens, Usage};

use crate::support::METERED;

/// What a limit counts per second, for each kind; 0 is no limit.
pub(super) type Rates = [u64; 6];

fn seconds(kind: LimitKind) -> u64 {
    match kind {
        LimitKind::Requests(Period::DAY) | LimitKind::Tokens(Period::DAY) => 86_400,
        _ => 60,
    }
}

pub(super) fn limits(rates: Rates) -> Limits {
    let set = |limits: Limits, (kind, rate)| limits.with(kind, rate * seconds(kind));
    METERED.into_iter().zip(rates).fold(Limits::new(), set)
}

pub(super) fn cost(kind: LimitKind, tokens: Tokens) -> u64 {
    match kind {
        LimitKind::Tokens(Period::MINUTE | Period::DAY) => tokens.input + tokens.output,
        LimitKind::InputTokens(Period::MINUTE) => tokens.input,
        LimitKind::OutputTokens(Period::MINUTE) => tokens.output,
        _ => 1,
    }
}

/// What is used of a limit, and all that has made it so: a request that ends lower than estimated
/// counts as if it had taken that from the beginning, so that nothing that has been refilled is
/// given back once more.
#[derive(Clone, Debug, Default)]
struct Meter {
    rate: u64,
    used: u64,
    /// What the limiter counted after the last step, and what has happened to that since. This is
    /// the least that it may count now. It is more than `used` if the limiter has given back less
    /// than it could. That surplus is no event in `past`, because it is refilled as well: if another
    /// request is given back, the time that had refilled this request has refilled the surplus
    /// instead.
    counted: u64,
    elapsed: u64,
    /// What is in use beyond the limit, and since when.
    forgiven: (u64, u64),
    ever_forgiven: u64,
    /// Whether more than four groups of requests have been in flight at once, with a refill between
    /// each two groups. The limiter then rounds down what these requests give back.
    is_rounded: bool,
    /// How much less the limiter may have given back for that reason.
    ever_rounded: u64,
    past: Vec<Event>,
}

/// The number of a flight that has landed: what it took is final.
const LANDED: u64 = u64::MAX;

#[derive(Clone, Copy, Debug)]
enum Event {
    /// A flight took so much.
    Take(u64, u64),
    Seconds(u64),
    Rate(u64),
    /// A new limit per period of so many seconds. It is in use in full at most; what is in use
    /// beyond that counts again if another limit replaces it within its period.
    AtMost(u64, u64),
}

impl Meter {
    fn happen(&mut self, event: Event) {
        self.past.push(event);
        match event {
            Event::Take(_, much) => {
                self.used += much;
                self.counted += much;
            }
            Event::Seconds(secs) => {
                self.elapsed += secs;
                self.is_rounded |= self.groups() > 4;
                self.used = self.used.saturating_sub(self.rate * secs);
                self.counted = self.counted.saturating_sub(self.rate * secs);
            }
            Event::Rate(rate) => self.rate = rate,
            Event::AtMost(most, period) => {
                let (forgiven, at) = std::mem::take(&mut self.forgiven);
                if self.elapsed - at < period {
                    self.used += forgiven;
                    self.counted += forgiven;
                }
                self.forgiven = (self.used.saturating_sub(most), self.elapsed);
                self.ever_forgiven += self.forgiven.0;
                self.used = self.used.min(most);
                self.counted = self.counted.min(most);
            }
        }
    }

    /// The number of groups into which refills divide the flights that may give something back.
    fn groups(&self) -> usize {
        let (mut groups, mut is_new) = (0, true);
        for event in &self.past {
            match event {
                Event::Take(flight, 1..) if *flight != LANDED && is_new => {
                    (groups, is_new) = (groups + 1, false);
                }
                Event::Seconds(1..) => is_new = true,
                _ => {}
            }
        }
        groups
    }

    /// The end of a flight under a limit per period of so many seconds.
    fn land(&mut self, flight: u64, estimate: u64, took: u64, period: u64) {
        if took >= estimate {
            // An absurd usage must not block a client for ever: beyond the burst, at most the refill
            // of ten minutes or of a longer period is charged.
            let most = self.rate * (period + period.max(600));
            let room = most.saturating_sub(self.counted);
            self.happen(Event::Take(LANDED, room.min(took - estimate)));
        }
        let less = estimate.saturating_sub(took);
        let counted = self.counted.saturating_sub(less);
        self.ever_rounded += if self.is_rounded { less } else { 0 };
        let past = std::mem::take(&mut self.past).into_iter().map(|event| match event {
            Event::Take(of, _) if of == flight => Event::Take(LANDED, took.min(estimate)),
            other => other,
        });
        let Self { ever_forgiven, is_rounded, ever_rounded, .. } = *self;
        *self = Self { ever_forgiven, is_rounded, ever_rounded, ..Self::default() };
        past.for_each(|event| self.happen(event));
        self.counted = counted;
        self.is_rounded &= self.groups() > 0;
    }
}

/// A key and its account.
#[derive(Clone, Debug, Default)]
pub(super) struct Key {
    /// Told apart from others that had its id before.
    pub(super) born: usize,
    pub(super) out: bool,
    pub(super) paused_until: u64,
    meters: BTreeMap<usize, Meter>,
    /// Each with its number.
    flights: Vec<(u64, Tokens)>,
    next: u64,
}

impl Key {
    pub(super) fn new(born: usize, rates: Rates) -> Self {
        let mut key = Self { born, ..Self::default() };
        key.set_limits(rates);
        key
    }

    pub(super) fn set_limits(&mut self, rates: Rates) {
        for (at, (kind, rate)) in METERED.into_iter().zip(rates).enumerate() {
            let before = self.meters.remove(&at);
            if rate > 0 {
                self.meters.insert(at, self.meter(kind, rate, before));
            }
        }
    }

    /// What was used stays used; a limit that is new begins with what is in flight.
    fn meter(&self, kind: LimitKind, rate: u64, before: Option<Meter>) -> Meter {
        let mut meter = before.unwrap_or_else(|| {
            let mut meter = Meter::default();
            for (flight, tokens) in &self.flights {
                meter.happen(Event::Take(*flight, cost(kind, *tokens)));
            }
            meter
        });
        meter.happen(Event::Rate(rate));
        meter.happen(Event::AtMost(rate * seconds(kind), seconds(kind)));
        meter
    }

    pub(super) fn tick(&mut self, secs: u64) {
        for meter in self.meters.values_mut() {
            meter.happen(Event::Seconds(secs));
        }
    }

    pub(super) fn can_serve(&self, now: u64, tokens: Tokens) -> bool {
        let room = |(at, meter): (&usize, &Meter)| {
            let kind = METERED[*at];
            meter.counted + cost(kind, tokens) <= meter.rate * seconds(kind)
        };
        !self.out && self.paused_until <= now && self.meters.iter().all(room)
    }

    /// A request goes out; its number.
    pub(super) fn take(&mut self, tokens: Tokens) -> u64 {
        let flight = self.next;
        self.next += 1;
        self.flights.push((flight, tokens));
        for (at, meter) in &mut self.meters {
            meter.happen(Event::Take(flight, cost(METERED[*at], tokens)));
        }
        flight
    }

    /// The end of a flight: what it took of each limit instead.
    pub(super) fn land(&mut self, flight: u64, estimate: Tokens, took: impl Fn(LimitKind) -> u64) {
        self.flights.retain(|(number, _)| *number != flight);
        for (at, meter) in &mut self.meters {
            let kind = METERED[*at];
            meter.land(flight, cost(kind, estimate), took(kind), seconds(kind));
        }
    }

    /// Whether there is a limit of this kind.
    pub(super) fn has(&self, kind: LimitKind) -> bool {
        self.meters.keys().any(|at| METERED[*at] == kind)
    }

    #[track_caller]
    pub(super) fn agrees_with(&mut self, usage: &Usage) {
        assert_eq!(usage.in_flight, self.flights.len() as u64);
        let told = usage.limits.iter().map(|limit| (limit.kind, (limit.limit, limit.used)));
        let told: Vec<_> = told.collect();
        assert_eq!(told.len(), self.meters.len());
        for (at, meter) in &mut self.meters {
            let kind = METERED[*at];
            let told = told.iter().find(|(other, _)| *other == kind);
            let Some((_, (limit, used))) = told else { panic!("{kind} is missing") };
            assert_eq!(*limit, meter.rate * seconds(kind));
            // A limit that was lowered below what was in use gives back less than it could, if it
            // is changed again.
            let least = meter.used.max(meter.counted);
            let expected = least..=meter.used + meter.ever_forgiven + meter.ever_rounded;
            assert!(expected.contains(used), "{kind}: {used}, expected {expected:?}");
            meter.counted = *used;
        }
    }

    /// Whether anything was ever in use beyond a limit of this kind when it was lowered.
    pub(super) fn has_forgiven(&self, kind: LimitKind) -> bool {
        let mut meters = self.meters.iter().filter(|(at, _)| METERED[**at] == kind);
        meters.any(|(_, meter)| meter.ever_forgiven > 0)
    }

    /// Headers have told of a limit: what becomes of it is tested elsewhere, but it is never looser
    /// than what the server said, nor is anything forgotten.
    pub(super) fn learn(&mut self, kind: LimitKind, most: u64, usage: &Usage) {
        let is = usage.of(kind).unwrap();
        assert!(is.limit <= most, "{is:?}");
        let at = METERED.into_iter().position(|other| other == kind).unwrap();
        let before = self.meters.remove(&at);
        let rate = is.limit / seconds(kind);
        let meter = match before {
            Some(same) if same.rate == rate => same,
            before => self.meter(kind, rate, before),
        };
        self.meters.insert(at, meter);
    }

    /// Headers have told what remains of a limit that is known already.
    pub(super) fn learn_remaining(&mut self, kind: LimitKind, remaining: u64, usage: &Usage) {
        let is = usage.of(kind).unwrap();
        assert!(is.remaining <= remaining, "{is:?}");
        let at = METERED.into_iter().position(|other| other == kind).unwrap();
        let meter = self.meters.get_mut(&at).unwrap();
        assert!(is.used >= meter.counted, "{is:?}, before {}", meter.counted);
        meter.happen(Event::Take(LANDED, is.used - meter.counted));
    }
}
