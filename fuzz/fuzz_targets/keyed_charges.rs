//! Random decisions over several limits, with tiers and terms: each limit must answer what the
//! model answers.
#![no_main]

#[path = "../../tests/support/charges.rs"]
mod charges;
#[allow(dead_code, reason = "shared with tests that use all of it")]
#[path = "../../tests/support/level.rs"]
mod level;
#[allow(dead_code, reason = "shared with tests that use all of it")]
#[path = "../../tests/support/model.rs"]
mod model;
#[allow(dead_code, reason = "shared with tests that use all of it")]
#[path = "../../tests/support/sizes.rs"]
mod sizes;

use charges::{Step, run};
use libfuzzer_sys::fuzz_target;

/// Longer scripts find no more, only later.
const STEPS: usize = 200;

fuzz_target!(|input: ((u8, u64, u64), u8, Vec<Step>)| {
    let (quotas, max_keys, steps) = input;
    run(quotas, max_keys, &steps[..steps.len().min(STEPS)]);
});
