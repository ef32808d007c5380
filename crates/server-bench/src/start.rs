//! How long the service takes to start, and how large it is.

use std::time::Instant;

use crate::contest::median;
use crate::policies::{one_limit, sample};
use crate::process::{Process, ask, service_file};

/// Starts the service again and again, until it has answered a first request.
pub(crate) fn measure(rounds: u32) {
    println!("\n## Start\n\n| file | ready after ms | memory then, MiB |\n|---|---|---|");
    for (name, config) in [("one limit", one_limit()), ("the sample", sample(true))] {
        let rounds: Vec<(f64, f64)> = (0..rounds).map(|_| once(&config)).collect();
        let ready = median(rounds.iter().map(|round| round.0));
        let memory = median(rounds.iter().map(|round| round.1));
        println!("| {name} | {ready:.1} | {memory:.1} |");
    }
    let bytes = std::fs::metadata(service_file()).expect("the file is there").len();
    println!("\nThe program has {}.{} MB.", bytes / 1_000_000, bytes / 100_000 % 10);
}

fn once(config: &str) -> (f64, f64) {
    let begun = Instant::now();
    let process = Process::service(config);
    let answer = ask(process.address, "GET /readyz HTTP/1.1", "").expect("an answer");
    let ready = begun.elapsed();
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    (ready.as_secs_f64() * 1e3, mebibytes(process.memory()))
}

/// KiB as MiB.
pub(crate) fn mebibytes(kibibytes: u64) -> f64 {
    f64::from(u32::try_from(kibibytes).unwrap_or(u32::MAX)) / 1024.0
}
