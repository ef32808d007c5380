//! The tests of x/time/rate, bucket4j and redis-cell, by the words that stores have.
//!
//! A store counts whole microseconds. So vectors in nanoseconds are run a thousand times as slowly,
//! which changes none of their answers but the unit.

#[path = "../../../../../tests/support/answer.rs"]
mod answer;
#[path = "../../../../../tests/support/any_rule.rs"]
mod any_rule;
#[path = "../../../../../tests/support/build.rs"]
mod build;
mod differences;
#[path = "../../../../../tests/support/exact.rs"]
mod exact;
mod session;
#[path = "../../../../../tests/support/vector.rs"]
mod vector;

use tollgate::ManualClock;

use crate::place::{self, Place};
use session::{Said, Session};
use vector::Vector;

const PEERS: &str = include_str!("../../../../../tests/data/peer_vectors.json");
const MORE: &str = include_str!("../../../../../tests/data/more_vectors.json");

/// What a store answered to a vector.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Run {
    /// The steps whose answer is not upstream's: their number, the answer, and upstream's.
    mismatches: Vec<(usize, String)>,
    compared: usize,
    /// Why other steps were not compared, in the words of the first of them.
    not_compared: Option<&'static str>,
}

fn all_vectors() -> Vec<Vector> {
    let slower = |json: &str| json.replace("\"unit\": \"ns\"", "\"unit\": \"us\"");
    [PEERS, MORE].iter().flat_map(|json| Vector::parse_all(&slower(json))).collect()
}

fn run(vector: &Vector) -> Run {
    let clock = ManualClock::new();
    clock.set(vector.times.on_clock(vector.start));
    let mut run = Run { mismatches: Vec::new(), compared: 0, not_compared: None };
    let mut session = match Session::new(vector, &clock) {
        Ok(session) => session,
        Err(why) => {
            run.not_compared = Some(why);
            return run;
        }
    };
    for (index, step) in vector.steps.iter().enumerate() {
        if let Some(t) = step.t {
            clock.set(vector.times.on_clock(t));
        }
        match session.step(step) {
            Said::Answer(answer) => {
                run.compared += 1;
                if !answer.agrees(step.expect.as_ref(), vector.times.unit) {
                    run.mismatches.push((index, answer.to_string()));
                }
            }
            Said::NoWord(why) => {
                run.not_compared.get_or_insert(why);
            }
            Said::Ends(why) => {
                run.not_compared.get_or_insert(why);
                break;
            }
        }
    }
    run
}

#[test]
fn vectors_of_other_libraries() {
    let vectors = all_vectors();
    let mut in_memory: Option<Vec<Run>> = None;
    for place in Place::all() {
        place.enter();
        let runs: Vec<_> = vectors.iter().map(run).collect();
        let (mut failures, mut whole, mut partly) = (Vec::new(), 0, 0);
        for (vector, run) in vectors.iter().zip(&runs) {
            let Run { mismatches, compared, not_compared } = run;
            if *compared == 0 {
                println!("{}: not compared: {}", vector.id, not_compared.unwrap_or_default());
            } else if not_compared.is_none() {
                whole += 1;
            } else {
                partly += 1;
            }
            if let Some(why) = differences::unexplained(&vector.id, mismatches) {
                failures.push(format!("{} ({}): {why}", vector.id, vector.test));
            }
        }
        let steps: usize = runs.iter().map(|run| run.compared).sum();
        let name = place::name();
        println!(
            "{name}: {whole} of {} vectors were compared whole, {partly} in part: {steps} answers",
            vectors.len()
        );
        assert!(failures.is_empty(), "{name}: {}:\n{}", failures.len(), failures.join("\n"));
        assert!(whole + partly > 75, "{name}: {whole}, {partly}");
        // All stores answer alike, as far as they can keep the quotas, also where they differ from
        // upstream.
        let expected = in_memory.get_or_insert_with(|| runs.clone());
        for ((vector, run), expected) in vectors.iter().zip(&runs).zip(expected) {
            let is_whole = run.not_compared == expected.not_compared;
            assert!(!is_whole || run == expected, "{name}: {}: {run:?}", vector.id);
        }
    }
}

#[test]
fn a_wrong_expectation_is_noticed() {
    Place::all().next().expect("the memory").enter();
    let mut falsified = 0;
    for mut vector in all_vectors() {
        let before = run(&vector);
        let Some(step) = vector.steps.iter_mut().find(|step| step.op == "allow") else { continue };
        let Some(expect) = step.expect.as_ref().and_then(serde_json::Value::as_bool) else {
            continue;
        };
        step.expect = Some((!expect).into());
        if before.mismatches.is_empty() && before.not_compared.is_none() {
            falsified += 1;
            assert_ne!(run(&vector), before, "{}", vector.id);
        }
    }
    assert!(falsified > 10, "{falsified}");
}
