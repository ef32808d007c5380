//! A day of requests at 150 % of the limits, in no time: 429s and quota used by this crate, by a
//! pair of token buckets, and by sending and backing off. `[HOURS=24] [SEED=1] cargo bench
//! --features llm --bench llm_simulation [-- SCENE]`
#![allow(clippy::unwrap_used, missing_docs, reason = "a program that prints a table")]

#[path = "../tests/llm_simulation/scenes.rs"]
mod scenes;
#[path = "../tests/llm_simulation/sim/mod.rs"]
mod sim;

use sim::{MINUTE, Outcome, Scene};

fn main() {
    let hours = std::env::var("HOURS").map_or(24, |hours| hours.parse().unwrap());
    let seed = std::env::var("SEED").map_or(1, |seed| seed.parse().unwrap());
    let wanted = std::env::args().skip(1).find(|arg| !arg.starts_with("--"));
    println!("{:24} {:>22} {:>22} {:>22}", "", "tollgate", "two buckets", "retry with backoff");
    println!("{:24} {:>22} {:>22} {:>22}", "asked for: 150 %", HEAD, HEAD, HEAD);
    for scene in scenes::all(hours * 60 * MINUTE) {
        let scene = Scene { seed, ..scene };
        if wanted.as_ref().is_some_and(|wanted| !scene.name.contains(wanted.as_str())) {
            continue;
        }
        print!("{:24}", scene.name);
        for client in [scenes::ours, scenes::naive, scenes::backoff] as [fn(&Scene) -> Outcome; 3] {
            let outcome = client(&scene);
            print!(" {:>9} {:>4} {:5.1} %", outcome.refused_later, "", outcome.used * 100.0);
        }
        println!();
    }
}

const HEAD: &str = "429s   quota used";
