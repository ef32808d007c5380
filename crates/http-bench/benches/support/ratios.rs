//! Races of layers, and their tables.

use std::time::Duration;

use crate::Size;
use crate::driver::contestant;
use crate::figures::{BARE, cost, ratio, whole_ratio};
use crate::pool::Pool;
use crate::race::{Length, Race, Slice};
use crate::requests::{Crowd, NoOp};
use crate::table::{Table, Target};
use crate::work::Contestant;

/// Our name, the other's, and the target.
pub(crate) type Pair = (&'static str, &'static str, Target);

const ROUNDS: usize = 201;
const SLICE: Duration = Duration::from_millis(1);

/// Races the contestants and the bare service, on one thread, and prints their ratios. Returns the
/// race, for other tables.
pub(crate) fn print(
    size: Size,
    title: &str,
    crowd: &Crowd,
    mut contestants: Vec<Contestant>,
    pairs: &[Pair],
) -> Race {
    contestants.push(contestant(BARE, NoOp, crowd, 200));
    let slice = Slice::Lasting(size.slice(SLICE));
    let length = Length { rounds: size.rounds(ROUNDS), slice };
    let race = Race::run(&Pool::new(1), &contestants, length);
    if !size.only_test {
        show(title, &race, pairs);
    }
    race
}

fn show(title: &str, race: &Race, pairs: &[Pair]) {
    let heads = ["layers", "adds ns", "other ns", "ratio", "quartiles", "with the service"];
    let mut table = Table::new(title, &heads);
    for &(ours, theirs, target) in pairs {
        let nanos = |name| format!("{:.0}", cost(race, name).median);
        let spread = ratio(race, ours, theirs);
        table.row(
            [
                format!("{ours} / {theirs}"),
                nanos(ours),
                nanos(theirs),
                format!("{:.2}", spread.median),
                spread.to_string(),
                format!("{:.2}", whole_ratio(race, ours, theirs)),
            ],
            spread.median,
            target,
        );
    }
    table.print();
    println!("\n(The request and the service take {:.0} ns without a layer.)", race.median(BARE));
}
