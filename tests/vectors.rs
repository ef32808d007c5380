//! Scenarios from the tests of x/time/rate, bucket4j and redis-cell, run through a [`Limiter`]'s
//! own verbs on a [`ManualClock`].
//!
//! Where this crate answers otherwise on purpose is said in `support/deviations.rs`, with the
//! reason and the answer it gives instead.
//!
//! [`Limiter`]: tollgate::Limiter
//! [`ManualClock`]: tollgate::ManualClock

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may fail by panicking")]

/// What runs a vector.
mod support {
    pub(crate) mod answer;
    pub(crate) mod any_rule;
    mod build;
    mod changes;
    pub(crate) mod deviations;
    pub(crate) mod exact;
    pub(crate) mod runner;
    mod session;
    pub(crate) mod vector;
    mod waits;
}

use support::deviations::{self, Verdict};
use support::runner;
use support::vector::Vector;

const PEERS: &str = include_str!("data/peer_vectors.json");
const MORE: &str = include_str!("data/more_vectors.json");

fn run_all(json: &str) {
    let vectors = Vector::parse_all(json);
    assert!(!vectors.is_empty());
    let mut failures = Vec::new();
    let mut agreed = 0;
    for vector in &vectors {
        let mismatches = runner::run(vector);
        match deviations::judge(vector, &mismatches) {
            Verdict::Agrees => agreed += 1,
            Verdict::Deviates(reason) => println!("{}: deviates: {reason}", vector.id),
            Verdict::Wrong(why) => {
                let Vector { id, project, test, .. } = vector;
                failures.push(format!("{id} ({project}, {test}): {why}"));
            }
        }
    }
    println!("{agreed} of {} vectors agree step by step", vectors.len());
    assert!(failures.is_empty(), "{} vectors fail:\n{}", failures.len(), failures.join("\n"));
}

#[test]
fn peer_vectors() {
    run_all(PEERS);
}

#[test]
fn more_vectors() {
    run_all(MORE);
}

/// A scenario that asserts nothing would pass for ever.
#[test]
fn every_vector_of_ours_expects_something() {
    for vector in Vector::parse_all(MORE) {
        assert!(vector.steps.iter().any(|step| step.expect.is_some()), "{}", vector.id);
    }
}

#[test]
fn ids_are_unique() {
    let mut ids: Vec<String> =
        [PEERS, MORE].iter().flat_map(|json| Vector::parse_all(json)).map(|v| v.id).collect();
    let count = ids.len();
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), count);
}

const DEVIATING: &[&str] = &["go-zero-limit", "b4j-force-add-4", "b4j-replace-prop-neg"];

/// The comparison itself is tested: one off, or the contrary, is never taken for the answer.
#[test]
fn a_wrong_expectation_is_noticed() {
    for mut vector in Vector::parse_all(PEERS) {
        let mut falsified = Vec::new();
        for (index, step) in vector.steps.iter_mut().enumerate() {
            let wrong = match step.expect.as_ref() {
                Some(expect) if expect.is_boolean() => (*expect == false).into(),
                Some(expect) => match expect.as_i64().and_then(|n| n.checked_add(1)) {
                    Some(other) => other.into(),
                    None => continue,
                },
                None => continue,
            };
            step.expect = Some(wrong);
            falsified.push(index);
        }
        let mismatches = runner::run(&vector);
        let noticed = mismatches.iter().map(|mismatch| mismatch.step);
        // Where we deviate, the comparison may have ended before, or upstream's number plus one be
        // the right one.
        let deviates = DEVIATING.contains(&vector.id.as_str());
        let missed = falsified.iter().find(|step| !noticed.clone().any(|other| other == **step));
        assert!(missed.is_none() || deviates, "{}: step {missed:?}", vector.id);
    }
}
