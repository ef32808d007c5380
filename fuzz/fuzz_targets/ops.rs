//! Random scripts of verbs: each kind of token bucket must answer what the model answers.
#![no_main]

#[path = "../../tests/support/level.rs"]
mod level;
#[path = "../../tests/support/model.rs"]
mod model;
#[path = "../../tests/support/script.rs"]
mod script;
#[path = "../../tests/support/sizes.rs"]
mod sizes;

use libfuzzer_sys::fuzz_target;
use script::{ATOMIC, BUCKET, COMPOSITE, Step, run};

/// Longer scripts find no more, only later.
const STEPS: usize = 200;

fuzz_target!(|input: (Step, u8, Vec<Step>)| {
    let (quota, options, steps) = input;
    let setup = [&BUCKET, &BUCKET, &COMPOSITE, &ATOMIC][usize::from(options % 4)];
    let max_waiters = if options < 32 { usize::from(options / 4) } else { usize::MAX };
    run(setup, quota, max_waiters, &steps[..steps.len().min(STEPS)]);
});
