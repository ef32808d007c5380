//! Figures of a race: what a layer adds to a service, and ratios with their spread.

use std::fmt;

use crate::race::Race;

/// The service without a layer; every race has it.
pub(crate) const BARE: &str = "no layer";

/// The quartiles of a figure over the rounds.
#[derive(Clone, Copy)]
pub(crate) struct Spread {
    pub(crate) low: f64,
    pub(crate) median: f64,
    pub(crate) high: f64,
}

impl Spread {
    pub(crate) fn of(mut values: Vec<f64>) -> Self {
        values.sort_by(f64::total_cmp);
        let at = |quarters| values[(values.len() - 1) * quarters / 4];
        Self { low: at(1), median: at(2), high: at(3) }
    }
}

impl fmt::Display for Spread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.2} to {:.2}", self.low, self.high)
    }
}

/// Nanoseconds that a layer adds, in each round.
fn added<'a>(race: &'a Race, name: &str) -> impl Iterator<Item = f64> + use<'a> {
    race.laps(name).iter().zip(race.laps(BARE)).map(|(with, bare)| with - bare)
}

/// Nanoseconds that a layer adds.
pub(crate) fn cost(race: &Race, name: &str) -> Spread {
    Spread::of(added(race, name).collect())
}

/// What one layer adds, divided by what another adds in the same round.
pub(crate) fn ratio(race: &Race, ours: &str, theirs: &str) -> Spread {
    Spread::of(added(race, ours).zip(added(race, theirs)).map(|(a, b)| a / b).collect())
}

/// The same with the service and the making of the request in both.
pub(crate) fn whole_ratio(race: &Race, ours: &str, theirs: &str) -> f64 {
    race.ratio(ours, theirs)
}
