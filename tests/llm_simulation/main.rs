//! A quarter of an hour of traffic at 150 % of the limits, or a day of it where limits count over a
//! day; `benches/llm_simulation.rs` does a whole day for all.
#![cfg(feature = "llm")]
#![allow(clippy::unwrap_used, reason = "a test that fails shall panic")]

mod failing_keys;
mod limits;
mod model_tests;
mod scenes;
mod sim;

use sim::{MINUTE, Outcome, Scene};

fn scene(name: &str) -> Scene {
    let minutes = 15;
    let all = scenes::all(minutes * MINUTE);
    all.into_iter().find(|scene| scene.name == name).unwrap()
}

fn ours(name: &str) -> Outcome {
    scenes::ours(&scene(name))
}
