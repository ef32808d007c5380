//! Servers take turns, and each round gives a ratio.

use std::time::Duration;

use crate::load::{Counted, Load};
use crate::process::Process;

/// A server, what it is asked, and what was measured.
#[derive(Debug)]
pub(crate) struct Contestant {
    pub(crate) name: String,
    pub(crate) process: Process,
    pub(crate) load: Load,
    /// The contestant, by its number, with which this one is compared.
    pub(crate) beside: Option<usize>,
    /// What was counted, and microseconds of the server's CPU time for each request, in each round.
    rounds: Vec<(Counted, f64)>,
}

impl Contestant {
    pub(crate) fn new(name: &str, process: Process, load: Load, beside: Option<usize>) -> Self {
        Self { name: name.to_owned(), process, load, beside, rounds: Vec::new() }
    }

    fn run(&mut self, seconds: u32) {
        let busy = self.process.cpu_time();
        let counted = self.load.run(seconds);
        let busy = self.process.cpu_time().saturating_sub(busy);
        assert_eq!(counted.errors, 0, "{}: {counted:?}", self.name);
        self.rounds.push((counted, micros(busy) / as_float(counted.requests)));
    }

    fn median(&self, figure: fn(&(Counted, f64)) -> f64) -> f64 {
        median(self.rounds.iter().map(figure))
    }

    /// The median over the rounds of this one's figure divided by the other one's.
    fn ratio(&self, other: &Self, figure: fn(&(Counted, f64)) -> f64) -> f64 {
        let rounds = self.rounds.iter().zip(&other.rounds);
        median(rounds.map(|(own, other)| figure(own) / figure(other)))
    }
}

/// Runs each contestant `rounds` times for `seconds`, in turns, and prints a table.
pub(crate) fn run(title: &str, contestants: &mut [Contestant], rounds: u32, seconds: u32) {
    let count = contestants.len();
    for contestant in &*contestants {
        // What is allocated at the first requests is none of the measurement.
        contestant.load.run(1);
    }
    for round in 0..rounds {
        for at in 0..count {
            let at = if round % 2 == 0 { at } else { count - 1 - at };
            if let Some(contestant) = contestants.get_mut(at) {
                contestant.run(seconds);
            }
        }
    }
    println!("\n## {title}\n");
    println!(
        "| server | requests/s | ratio | p50 us | p99 us | ratio of p99 | server's CPU us | ratio of CPU | refused |"
    );
    println!("|---|---|---|---|---|---|---|---|---|");
    for contestant in &*contestants {
        let other = contestant.beside.and_then(|at| contestants.get(at));
        let ratio = |figure: Figure| match other {
            Some(other) => number(contestant.ratio(other, figure), 2),
            None => String::new(),
        };
        let per_second: Figure = |round| round.0.per_second;
        let p99: Figure = |round| round.0.p99;
        let cpu: Figure = |round| round.1;
        let refused =
            contestant.median(|round| as_float(round.0.refused) / as_float(round.0.requests));
        let name = match other {
            Some(other) => format!("{} / {}", contestant.name, other.name),
            None => contestant.name.clone(),
        };
        println!(
            "| {name} | {} | {} | {} | {} | {} | {} | {} | {:.0} % |",
            number(contestant.median(per_second), 0),
            ratio(per_second),
            number(contestant.median(|round| round.0.median), 0),
            number(contestant.median(p99), 0),
            ratio(p99),
            number(contestant.median(cpu), 1),
            ratio(cpu),
            100.0 * refused,
        );
    }
}

/// A figure of a round.
type Figure = fn(&(Counted, f64)) -> f64;

fn number(value: f64, digits: usize) -> String {
    if value.is_finite() { format!("{value:.digits$}") } else { "-".into() }
}

pub(crate) fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

fn micros(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e6
}

#[allow(clippy::cast_precision_loss, reason = "no run has 2^52 requests")]
fn as_float(count: u64) -> f64 {
    count as f64
}
