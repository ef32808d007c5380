//! Processes that share limits, in no time: what leases of several lengths save and cost.
//! `[SECONDS=5] [SEED=1] [INSTANCES=1000] cargo bench --features shared --bench shared_simulation`.
#![allow(clippy::unwrap_used, missing_docs, reason = "a program that prints a table")]

#[path = "../tests/shared_simulation/sim/mod.rs"]
mod sim;

use std::time::Duration;

use sim::{Outcome, Scene, run};

/// The permits of each key in a second. The most popular of a million keys is asked for 6,950 times
/// in a second, and the ten most popular ones more than 690 times.
const QUOTAS: [u64; 2] = [200, 8_000];

const LEASES: [Option<u64>; 6] = [None, Some(20), Some(50), Some(100), Some(200), Some(500)];

fn main() {
    let number = |name: &str, default: u64| {
        std::env::var(name).map_or(default, |number| number.parse().unwrap())
    };
    let (seconds, seed, only) = (number("SECONDS", 5), number("SEED", 1), number("INSTANCES", 0));
    println!("{HEAD}");
    println!("{}", "|---".repeat(HEAD.matches('|').count() - 1) + "|");
    for permits_per_second in QUOTAS {
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
                print_row(&scene, &run(&scene));
            }
        }
    }
}

const HEAD: &str = "| permits a second | instances | lease | calls a decision | asks a decision \
                    | of the ten hottest keys | refill used | of the worst key | fullest window |";

#[allow(clippy::cast_precision_loss, reason = "some millions")]
fn print_row(scene: &Scene, outcome: &Outcome) {
    let of = |part: u64, whole: u64| part as f64 / whole as f64;
    let lease = scene.lease.map_or("none".into(), |it| format!("{} ms", it.as_millis()));
    let Outcome { decisions, calls, asks, popular_decisions, popular_asks, .. } = *outcome;
    let (calls, asks) = (of(calls, decisions), of(asks, decisions));
    let popular = of(popular_asks, popular_decisions);
    let used = match outcome.hot_keys {
        0 => "- | -".into(),
        _ => format!("{:.1} % | {:.1} %", 100.0 * outcome.used, 100.0 * outcome.least_used),
    };
    println!(
        "| {} | {} | {lease} | {calls:.3} | {asks:.3} | {popular:.3} | {used} | {:.1} % |",
        scene.permits_per_second,
        scene.instances,
        100.0 * outcome.fullest,
    );
    assert_eq!(outcome.exceeded, 0, "keys of which more was used than their quota permits");
    assert_eq!(outcome.failed, 0, "decisions without the store");
    // Some requests are those of instances that have died meanwhile.
    let granted = of(outcome.granted, outcome.grantable);
    assert!(granted > 0.98, "of what one process would grant, {granted} was granted");
}
