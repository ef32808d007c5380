//! A client that keeps to its provider's limit: many tasks share one limiter, the impatient ones
//! give up early, and a stream is slowed down to the same pace.
//!
//! `cargo run --release --example async_client` (two seconds, real time)

use std::error::Error;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_lite::{StreamExt as _, stream};
use tokio::task::JoinSet;
use tollgate::{Quota, RateLimitStreamExt as _, RateLimiter, TokenBucket, WaitError};

const REQUESTS: u64 = 60;

/// What became of a request, and when.
struct Sent {
    at: Duration,
    weight: u64,
    outcome: Result<(), WaitError>,
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let quota = Quota::per_second(50).burst(10);
    let limiter = Arc::new(TokenBucket::new(quota)?);
    println!("{REQUESTS} tasks at once, quota {quota}; every 10th costs 3 permits, every 4th has");
    println!("a timeout of 500 ms:\n");

    let start = Instant::now();
    let mut tasks = JoinSet::new();
    for number in 1..=REQUESTS {
        tasks.spawn(request(Arc::clone(&limiter), number, start));
    }
    let sent = tasks.join_all().await;
    print_timeline(&sent);

    let permits: u64 = sent.iter().filter(|s| s.outcome.is_ok()).map(|s| s.weight).sum();
    let took = sent.iter().map(|s| s.at).max().unwrap_or_default();
    let ideal = quota.interval() * u32::try_from(permits - quota.burst_size())?;
    println!("{permits} permits in {took:.2?}; {quota} needs {ideal:.2?} for that.\n");

    // A stream at the same pace: an item is handed on when its permit is there.
    let start = Instant::now();
    let limiter = TokenBucket::new(Quota::per_second(50).burst(1))?;
    let mut pages = stream::iter(1..=15).rate_limited(&limiter);
    print!("A stream of 15 pages, one every 20 ms:");
    while let Some(page) = pages.next().await {
        print!(" {}", page?);
    }
    println!(", done after {:.0?}.", start.elapsed());
    Ok(())
}

/// One request: its turn first, then the work.
async fn request(limiter: Arc<TokenBucket>, number: u64, start: Instant) -> Sent {
    let weight = if number % 10 == 0 { 3 } else { 1 };
    let permits = if number % 4 == 0 {
        // Fails at once if the queue is already too long, and not after half a second.
        limiter.acquire_timeout(weight, Duration::from_millis(500)).await
    } else {
        limiter.acquire(weight).await
    };
    // The HTTP call would be here.
    Sent { at: start.elapsed(), weight, outcome: permits.map(|_grant| ()) }
}

/// A line per tenth of a second: a digit per request sent (its permits), an x per timeout.
fn print_timeline(sent: &[Sent]) {
    let slot = Duration::from_millis(100).as_nanos();
    let last = sent.iter().map(|s| s.at.as_nanos() / slot).max().unwrap_or(0);
    for line in 0..=last {
        let mut marks = String::new();
        for request in sent.iter().filter(|s| s.at.as_nanos() / slot == line) {
            match request.outcome {
                Ok(()) => marks.push_str(&request.weight.to_string()),
                Err(WaitError::Timeout { .. }) => marks.push('x'),
                Err(_) => marks.push('?'),
            }
        }
        println!("{:>5} ms  {marks}", line * 100);
    }
    let impatient = sent.iter().filter(|s| s.outcome.is_err()).count();
    print!("\n{} sent, {impatient} gave up: ", sent.len() - impatient);
}
