//! Figures of a race: what a layer adds to a service, and ratios with their spread.

use crate::race::Race;
use crate::spread::Spread;

/// The service without a layer; every race has it.
pub(crate) const BARE: &str = "no layer";

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
