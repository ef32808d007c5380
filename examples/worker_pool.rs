//! Threads that share one limiter: each waits for its turn, none starves, and all go home when
//! told.
//!
//! `cargo run --release --example worker_pool` (two seconds, real time)

use std::error::Error;
use std::thread;
use std::time::{Duration, Instant};

use tollgate::{CancelToken, Quota, RateLimiter, TokenBucket, WaitError};

const WORKERS: usize = 6;

fn main() -> Result<(), Box<dyn Error>> {
    // A burst of 1 spaces the work evenly: no two jobs start at once.
    let quota = Quota::per_second(300).burst(1);
    let limiter = TokenBucket::new(quota)?;
    let shutdown = CancelToken::new();

    let start = Instant::now();
    let (counts, working_for) = thread::scope(|scope| {
        let workers: Vec<_> =
            (0..WORKERS).map(|_| scope.spawn(|| work(&limiter, &shutdown))).collect();

        thread::sleep(Duration::from_secs(1));
        println!("After one second, {} of {WORKERS} wait for their turn.", limiter.usage().waiting);
        thread::sleep(Duration::from_secs(1));

        // Ends the waits on this token. `limiter.close()` would end all waits on the limiter.
        shutdown.cancel();
        let working_for = start.elapsed();
        let counts: Vec<_> =
            workers.into_iter().map(|worker| worker.join().unwrap_or_default()).collect();
        let all = start.elapsed();
        println!("All were home {:.1?} after the word.\n", all.saturating_sub(working_for));
        (counts, working_for)
    });

    for (worker, done) in counts.iter().enumerate() {
        println!("worker {worker}: {done:>4} jobs {}", "#".repeat(done / 4));
    }
    let total: usize = counts.iter().sum();
    let spread = counts.iter().max().unwrap_or(&0) - counts.iter().min().unwrap_or(&0);
    println!("\nFirst come, first served: most and least busy differ by {spread}.");

    let seconds = working_for.as_secs_f64();
    let most = 1 + working_for.as_nanos() / quota.interval().as_nanos();
    println!("{total} jobs in {seconds:.3} s, where {quota} allows {most}.");

    // Nothing is lost at shutdown: a wait that was cancelled took no permit.
    println!("The limiter counts {} permits granted.", limiter.usage().allowed);
    Ok(())
}

/// Works until told to stop; says how many jobs it did.
fn work(limiter: &impl RateLimiter, shutdown: &CancelToken) -> usize {
    let mut jobs = 0;
    loop {
        match limiter.wait_cancellable(1, shutdown) {
            // The job itself would be here.
            Ok(_grant) => jobs += 1,
            Err(WaitError::Cancelled) => return jobs,
            Err(error) => {
                eprintln!("a worker gives up: {error}");
                return jobs;
            }
        }
    }
}
