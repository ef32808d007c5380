//! Processes that share limits, in no time: what leases of several lengths save and cost.
//! `[SECONDS=5] [SEED=1] [INSTANCES=1000] cargo bench --features shared --bench
//! shared_simulation [-- SCENE]`.
#![allow(clippy::unwrap_used, missing_docs, reason = "a program that prints a table")]

#[path = "../tests/shared_simulation/sim/mod.rs"]
mod sim;

use std::time::Duration;

use sim::{Outcome, Scene, run};

/// What is asked, and how many permits each key has in a second. The most popular of a million keys
/// has 7 % of all requests.
const SCENES: [(&str, u64); 2] = [("scarce", 200), ("plenty", 8_000)];

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
                    deaths: u32::try_from(instances / 2).unwrap(),
                    length: Duration::from_secs(seconds),
                    seed,
                };
                print_row(name, &scene, &run(&scene));
            }
        }
    }
}

const HEAD: &str = "| quota | instances | lease | calls a decision | asks a decision | of the ten \
                    hottest keys | leased | quota used | of the worst key | granted | fullest window \
                    | exceeded |";

#[allow(clippy::cast_precision_loss, reason = "some millions")]
fn print_row(name: &str, scene: &Scene, outcome: &Outcome) {
    let of = |part: u64, whole: u64| part as f64 / whole as f64;
    let lease = scene.lease.map_or("none".into(), |it| format!("{} ms", it.as_millis()));
    let Outcome { decisions, calls, asks, popular_decisions, popular_asks, .. } = *outcome;
    let (calls, asks) = (of(calls, decisions), of(asks, decisions));
    let popular = of(popular_asks, popular_decisions);
    let leased = 100.0 * of(outcome.leased, decisions);
    let used = match outcome.hot_keys {
        0 => "- | -".into(),
        _ => format!("{:.1} % | {:.1} %", 100.0 * outcome.used, 100.0 * outcome.least_used),
    };
    let granted = 100.0 * of(outcome.granted, outcome.grantable);
    let fullest = 100.0 * outcome.fullest;
    println!(
        "| {name} | {} | {lease} | {calls:.3} | {asks:.3} | {popular:.3} | {leased:.1} % | {used} \
         | {granted:.1} % | {fullest:.1} % | {} |",
        scene.instances, outcome.exceeded
    );
    if outcome.failed > 0 {
        println!("{} requests were decided without the store", outcome.failed);
    }
}
