//! Keyed limiters: whatever is asked of whichever key, no key hears of the others, and that full
//! buckets vanish is not to be seen.
#![allow(
    clippy::unwrap_used,
    clippy::unchecked_time_subtraction,
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    reason = "what fails here is a failed test, and numbers are small"
)]

mod against_model;
mod blocked;
mod both;
mod bound;
mod buckets;
mod charged;
#[path = "../support/charges.rs"]
mod charges;
mod corners;
mod decisions;
mod foreign;
mod global_rules;
mod held;
#[allow(dead_code, reason = "shared with tests that use all of it")]
#[path = "../support/level.rs"]
mod level;
mod meetings;
mod memory;
#[allow(dead_code, reason = "shared with tests that use all of it")]
#[path = "../support/model.rs"]
mod model;
mod offenders;
mod options;
mod reentrancy;
mod script;
#[path = "../support/sizes.rs"]
mod sizes;
mod stress;
mod sums;
#[cfg(feature = "tokio")]
mod tasks;
mod terms_by;
mod tiers;
mod twin;

use std::hash::{BuildHasherDefault, DefaultHasher};

use proptest::prelude::ProptestConfig;
use tollgate::algorithm::GreedyRefill;
use tollgate::{Keyed, ManualClock};

/// Not seeded, so that a script that fails once fails again.
type Hasher = BuildHasherDefault<DefaultHasher>;

/// A keyed limiter on a clock moved by hand.
type OnManual<A = GreedyRefill> = Keyed<u64, A, ManualClock, Hasher>;

/// So many cases, unless `PROPTEST_CASES` says otherwise.
fn cases(usual: u32) -> ProptestConfig {
    let asked = std::env::var("PROPTEST_CASES").ok().and_then(|cases| cases.parse().ok());
    ProptestConfig::with_cases(asked.unwrap_or(usual))
}
