//! Processes that share limits, in no time: what leases of several lengths save and cost.
//! `[SECONDS=5] [SEED=1] [INSTANCES=1000] cargo bench --features shared --bench
//! shared_simulation [-- SCENE]`.
#![allow(clippy::unwrap_used, missing_docs, reason = "a program that prints a table")]

#[path = "../tests/shared_simulation/sim/mod.rs"]
mod sim;

use std::time::{Duration, Instant};

use sim::{Outcome, Scene, run};

/// What is asked, and how many permits each key has in a second. The most popular of a million keys
/// has 7 % of all requests.
const SCENES: [(&str, u64); 2] = [("scarce", 200), ("plenty", 10_000)];

const LEASES: [Option<u64>; 6] = [None, Some(20), Some(50), Some(100), Some(200), Some(500)];

fn main() {
    let number = |name: &str, default: u64| {
        std::env::var(name).map_or(default, |number| number.parse().unwrap())
    };
    let (seconds, seed, only) = (number("SECONDS", 5), number("SEED", 1), number("INSTANCES", 0));
    let wanted = std::env::args().skip(1).find(|arg| !arg.starts_with("--"));
    println!("{HEAD}");
    println!("{}", "|---".repeat(HEAD.matches('|').count() - 1) + "|");
    for (name, permits_per_second) in SCENES {
        if wanted.as_ref().is_some_and(|wanted| !name.contains(wanted.as_str())) {
            continue;
        }
        for instances in [10, 100, 1_000] {
            if ![0, instances].contains(&only) {
                continue;
            }
            for lease in LEASES {
                let scene = Scene {
                    instances: usize::try_from(instances).unwrap(),
                    keys: 1_000_000,
                    requests_per_second: 100_000,
                    permits_per_second,
                    lease: lease.map(Duration::from_millis),
                    deaths: 20,
                    length: Duration::from_secs(seconds),
                    seed,
                };
                let before = Instant::now();
                print_row(name, &scene, &run(&scene));
                eprintln!("{:?}", before.elapsed());
            }
        }
    }
}

const HEAD: &str = "| scene | instances | lease | calls per decision | asks per decision | leased | refused here | quota used \
                    | least | granted of grantable | fullest window | exceeded |";

#[allow(clippy::cast_precision_loss, reason = "some millions")]
fn print_row(name: &str, scene: &Scene, outcome: &Outcome) {
    let percent = |part: u64, whole: u64| 100.0 * part as f64 / whole as f64;
    let per = |part: u64| part as f64 / outcome.decisions as f64;
    let lease = scene.lease.map_or("none".into(), |it| format!("{it:?}"));
    let Outcome { granted, grantable, fullest, exceeded, used, least_used, failed, .. } = outcome;
    let (calls, asks) = (per(outcome.calls), per(outcome.asks));
    let leased = percent(outcome.leased, outcome.decisions);
    let cached = percent(outcome.cached, outcome.decisions);
    let (used, least, fullest) = (used * 100.0, least_used * 100.0, fullest * 100.0);
    let granted = percent(*granted, *grantable);
    println!(
        "| {name} | {} | {lease} | {calls:.3} | {asks:.3} | {leased:.1} % | {cached:.1} % | {used:.1} % \
         | {least:.1} % | {granted:.1} % | {fullest:.1} % | {exceeded} {failed} |",
        scene.instances
    );
}
