//! Some processes for two seconds; `benches/shared_simulation.rs` has more of them for longer, and
//! prints how leases of several lengths do.
#![cfg(feature = "shared")]
#![allow(clippy::unwrap_used, reason = "a test that fails shall panic")]

mod sim;

use std::time::Duration;

use sim::{Outcome, Scene, Uses, run};

const LEASES: [Option<u64>; 4] = [None, Some(20), Some(100), Some(500)];

/// Twenty processes, of which ten die.
fn scene(permits_per_second: u64, lease: Option<u64>) -> Scene {
    Scene {
        instances: 20,
        keys: 1_000,
        requests_per_second: 3_000,
        permits_per_second,
        lease: lease.map(Duration::from_millis),
        deaths: 10,
        length: Duration::from_secs(2),
        seed: 1,
    }
}

fn of(part: u64, whole: u64) -> f64 {
    f64::from(u32::try_from(part).unwrap()) / f64::from(u32::try_from(whole).unwrap())
}

#[test]
fn keys_that_are_asked_for_too_much_get_their_quota_and_no_more() {
    for lease in LEASES {
        let outcome = run(&scene(50, lease));
        assert_eq!((outcome.exceeded, outcome.failed), (0, 0), "{lease:?}: {outcome:?}");
        assert!(outcome.hot_keys > 2, "{outcome:?}");
        assert!(outcome.used > 0.95, "{lease:?}: {outcome:?}");
        assert!(outcome.calls <= outcome.decisions, "{lease:?}: {outcome:?}");
    }
}

#[test]
fn leases_refuse_nobody_and_save_calls() {
    let mut asks_before = f64::INFINITY;
    for lease in LEASES {
        let outcome = run(&scene(500, lease));
        assert_eq!((outcome.exceeded, outcome.failed), (0, 0), "{lease:?}: {outcome:?}");
        // A few requests were made by those who died meanwhile.
        assert!(outcome.granted + 10 >= outcome.grantable, "{lease:?}: {outcome:?}");
        // The longer, the fewer asks. Leases that are too short to be worth a draw cost little.
        let asks = of(outcome.popular_asks, outcome.popular_decisions);
        assert!(asks <= asks_before * 1.05, "{lease:?}: {asks} after {asks_before}");
        asks_before = asks;
    }
    assert!(asks_before < 0.6, "{asks_before}");
}

#[test]
fn the_same_seed_is_the_same_day() {
    let day = |seed| -> Outcome { run(&Scene { seed, ..scene(50, Some(100)) }) };
    assert_eq!(day(1), day(1));
    assert_ne!(day(1), day(2));
}

#[test]
fn a_window_with_a_permit_too_many_is_noticed() {
    let (cost, burst) = (Duration::from_millis(10), 5);
    let mut uses = Uses::default();
    // A bucket of five permits, of which one comes back each 10 ms, for a second.
    for now in (0..1_000).map(Duration::from_millis) {
        while uses.grants(now, cost, burst) {}
    }
    assert_eq!(Duration::from_nanos(uses.fullest), cost * 5);
    uses.note(Duration::from_secs(1), cost);
    assert_eq!(Duration::from_nanos(uses.fullest), cost * 5, "one had come back by then");
    uses.note(Duration::from_millis(1_009), cost);
    assert_eq!(Duration::from_nanos(uses.fullest), cost * 5 + Duration::from_millis(1));
}
