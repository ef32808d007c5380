//! Instructions per decision, counted under valgrind: the same on a noisy machine as on a quiet
//! one.
//!
//! Run it by `scripts/instructions`, which installs what it needs. Each figure is for a thousand
//! decisions in a loop: 45,000 instructions are 45 each, of which the loop takes a few.

#![allow(missing_docs, reason = "the macros make public items")]

#[path = "support/contestants.rs"]
mod contestants;
#[path = "support/work.rs"]
mod work;

use std::sync::Arc;

use contestants::Answer;
use gungraun::prelude::*;
use work::{Contestant, Work};

const DECISIONS: u64 = 1_000;

/// One who says yes each time, past its first decisions.
fn allowing(name: &str) -> Arc<dyn Work> {
    let all = contestants::limiters(Answer::Allowed).into_iter().chain(contestants::floors());
    find(all, name)
}

/// One who says no each time.
fn denying(name: &str) -> Arc<dyn Work> {
    find(contestants::limiters(Answer::Denied).into_iter(), name)
}

fn find(mut all: impl Iterator<Item = Contestant>, name: &str) -> Arc<dyn Work> {
    let one = all.find(|one| one.name == name).expect("a contestant of this name");
    assert!(one.work.holds(), "the answer under measurement");
    one.work
}

#[library_benchmark(setup = allowing)]
#[bench::clock_mono("clock mono")]
#[bench::clock_and_swap_mono("clock + swap mono")]
#[bench::clock_and_lock_mono("clock + lock mono")]
#[bench::token_bucket_mono("TokenBucket mono")]
#[bench::token_bucket_manual("TokenBucket manual")]
#[bench::atomic_mono("Atomic mono")]
#[bench::atomic_manual("Atomic manual")]
#[bench::leased_64("Leased 64")]
#[bench::leased_256("Leased 256")]
#[bench::governor_mono("governor mono")]
#[bench::ratelimit_mono("ratelimit mono")]
#[bench::leaky_bucket("leaky-bucket")]
fn allowed(work: Arc<dyn Work>) -> Arc<dyn Work> {
    work.run(DECISIONS);
    work
}

#[library_benchmark(setup = denying)]
#[bench::token_bucket_mono("TokenBucket mono")]
#[bench::token_bucket_manual("TokenBucket manual")]
#[bench::atomic_mono("Atomic mono")]
#[bench::atomic_manual("Atomic manual")]
#[bench::leased_64("Leased 64")]
#[bench::governor_mono("governor mono")]
#[bench::ratelimit_mono("ratelimit mono")]
#[bench::leaky_bucket("leaky-bucket")]
fn denied(work: Arc<dyn Work>) -> Arc<dyn Work> {
    work.run(DECISIONS);
    work
}

library_benchmark_group!(name = decisions, benchmarks = [allowed, denied]);

main!(library_benchmark_groups = decisions);
