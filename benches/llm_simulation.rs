//! A day of requests at 150 % of the limits, in no time, by this crate, by token buckets, and by
//! sending and backing off. `[HOURS=24] [SEED=1] [CLIENT=tollgate] cargo bench --features llm
//! --bench llm_simulation [-- SCENE]`. With `TRACE=1`, each message is printed.
#![allow(clippy::unwrap_used, missing_docs, reason = "a program that prints a table")]

#[path = "../tests/llm_simulation/scenes/mod.rs"]
mod scenes;
#[path = "../tests/llm_simulation/sim/mod.rs"]
mod sim;

use std::time::Duration;

use sim::{HOUR, Outcome, Scene};

fn main() {
    let hours = std::env::var("HOURS").map_or(24, |hours| hours.parse().unwrap());
    let seed = std::env::var("SEED").map_or(1, |seed| seed.parse().unwrap());
    let who = std::env::var("CLIENT").ok();
    let wanted = std::env::args().skip(1).find(|arg| !arg.starts_with("--"));
    println!("{HEAD}");
    println!("{}", "|---".repeat(HEAD.matches('|').count() - 1) + "|");
    for scene in scenes::all(hours * HOUR) {
        let scene = Scene { seed, ..scene };
        if wanted.as_ref().is_some_and(|wanted| !scene.name.contains(wanted.as_str())) {
            continue;
        }
        for (client, play) in CLIENTS {
            if who.as_ref().is_none_or(|who| who == client) {
                print_row(&scene, client, &play(&scene));
            }
        }
    }
}

type Play = fn(&Scene) -> Outcome;

const CLIENTS: [(&str, Play); 3] =
    [("tollgate", scenes::ours), ("token buckets", scenes::naive), ("backoff", scenes::backoff)];

const HEAD: &str = "| scene | client | 429s | of them later | quota used | good answers | bad answers \
                    | sent in vain | longest wait |";

fn print_row(scene: &Scene, client: &str, outcome: &Outcome) {
    let Outcome { refused, refused_later, used, answered, given_up, sent_in_vain, .. } = outcome;
    let used = used * 100.0;
    let wait = Duration::from_nanos(outcome.longest_wait);
    println!(
        "| {} | {client} | {refused} | {refused_later} | {used:.1} % | {answered} | {given_up} | \
         {sent_in_vain} | {wait:.1?} |",
        scene.name
    );
}
