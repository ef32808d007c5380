//! Random scripts of verbs: a token bucket must answer what the model answers.
#![no_main]

#[path = "../../tests/support/model.rs"]
mod model;
#[path = "../../tests/support/script.rs"]
mod script;

use libfuzzer_sys::fuzz_target;
use script::{Step, quota_of, run};

/// Longer scripts find no more, only later.
const STEPS: usize = 200;

fuzz_target!(|input: ((u8, u64, u64), u8, Vec<Step>)| {
    let ((kind, a, b), max_waiters, steps) = input;
    let max_waiters = if max_waiters < 8 { usize::from(max_waiters) } else { usize::MAX };
    run(quota_of(kind, a, b), max_waiters, &steps[..steps.len().min(STEPS)], quota_of);
});
