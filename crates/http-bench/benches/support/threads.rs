//! Two threads that ask the same limiter, against one.

use std::time::Duration;

use crate::Size;
use crate::driver::contestant;
use crate::layers::{axum_governor, ours, tower_governor, tower_governor_telling};
use crate::pace::Pace;
use crate::pool::{Pool, Timing};
use crate::requests::{Crowd, NoOp};
use crate::spread::Spread;
use crate::table::{Table, Target};
use crate::work::Contestant;

const ROUNDS: usize = 51;
/// Operations of one thread's turn.
const OPERATIONS: u32 = 4_000;
const THREADS: usize = 2;
/// The share of the time for which both threads must have run together.
const ENOUGH: f64 = 1.7;

pub(crate) fn print(size: Size) {
    for count in [1, 1_000] {
        let (crowd, pace) = (Crowd::of(size.of(count)), Pace::allowing(count));
        let contestants = [
            contestant("no layer", NoOp, &crowd, 200),
            contestant("tollgate", ours(pace), &crowd, 200),
            contestant("tower_governor", tower_governor(pace), &crowd, 200),
            contestant("tower_governor with fields", tower_governor_telling(pace), &crowd, 200),
            contestant("axum-governor", axum_governor(pace), &crowd, 200),
        ];
        measure(size, count, &contestants);
    }
}

fn measure(size: Size, count: u32, contestants: &[Contestant]) {
    let (one, two) = (Pool::new(1), Pool::new(THREADS));
    let mut rounds: Vec<Vec<Round>> = contestants.iter().map(|_| Vec::new()).collect();
    let times = u64::from(size.of(OPERATIONS));
    for _ in 0..size.rounds(ROUNDS) {
        for (contestant, rounds) in contestants.iter().zip(&mut rounds) {
            let alone = one.time(contestant.name, &contestant.work, times).took;
            let Timing { took, parallel } = together(&two, contestant, times);
            rounds.push(Round { alone, took, parallel });
        }
    }
    let title = format!("threads: two threads against one, clients: {count}");
    let heads = ["layer", "one, ns", "two, ns each", "throughput", "quartiles", "cores"];
    let mut table = Table::new(title, &heads);
    for (contestant, rounds) in contestants.iter().zip(&rounds) {
        let of = |figure: fn(&Round) -> f64| Spread::of(rounds.iter().map(figure).collect());
        let gain = of(|round| 2.0 * round.alone.as_secs_f64() / round.took.as_secs_f64());
        table.row(
            [
                contestant.name.to_owned(),
                format!("{:.0}", of(|round| nanos(round.alone)).median),
                format!("{:.0}", of(|round| nanos(round.took)).median),
                format!("{:.2}", gain.median),
                gain.to_string(),
                format!("{:.2}", of(|round| round.parallel).median),
            ],
            gain.median,
            Target::None,
        );
    }
    size.show(&table);
}

struct Round {
    alone: Duration,
    took: Duration,
    parallel: f64,
}

/// The turn of two threads that met the most, of up to four.
fn together(pool: &Pool, contestant: &Contestant, times: u64) -> Timing {
    let mut best = pool.time(contestant.name, &contestant.work, times);
    for _ in 0..3 {
        if best.parallel >= ENOUGH {
            break;
        }
        let next = pool.time(contestant.name, &contestant.work, times);
        if next.parallel > best.parallel {
            best = next;
        }
    }
    best
}

fn nanos(took: Duration) -> f64 {
    took.as_secs_f64() * 1e9 / f64::from(OPERATIONS)
}
