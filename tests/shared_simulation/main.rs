//! Some processes for a second or two; `benches/shared_simulation.rs` has more of them, and prints
//! how leases of several lengths do.
#![cfg(feature = "shared")]
#![allow(clippy::unwrap_used, reason = "a test that fails shall panic")]

mod sim;

use std::time::Duration;

use sim::{Outcome, Scene, run};

/// Forty processes that share keys of which the first three are asked for more than their quota.
fn scene(lease: Option<u64>) -> Scene {
    Scene {
        instances: 40,
        keys: 2_000,
        requests_per_second: 8_000,
        permits_per_second: 100,
        lease: lease.map(Duration::from_millis),
        deaths: 10,
        length: Duration::from_secs(3),
        seed: 1,
    }
}

#[test]
fn no_window_of_any_key_holds_more_than_the_quota() {
    for lease in [None, Some(20), Some(50), Some(100), Some(200), Some(500)] {
        println!("{lease:?} {:#?}", run(&scene(lease)));
    }
}
