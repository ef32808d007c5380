//! The crate in one page: ask, be refused with a date, wait, and look.
//!
//! `cargo run --release --example quickstart`

use std::error::Error;
use std::time::{Duration, Instant};

use tollgate::{Quota, RateLimiter, Rejection, TokenBucket};

fn main() -> Result<(), Box<dyn Error>> {
    // Twenty permits a second flow in evenly; at most five can be saved up. It starts full.
    let limiter = TokenBucket::new(Quota::per_second(20).burst(5))?;

    // Yes or no: drop what is too much.
    let admitted = (0..8).filter(|_| limiter.allow()).count();
    println!("allow:       {admitted} of 8 at once passed, the burst");

    // Or with a reason: a refusal knows when the same request will pass.
    match limiter.try_acquire(2) {
        Ok(grant) => println!("try_acquire: passed, {} left", grant.remaining),
        Err(Rejection::Denied { retry_after, .. }) => {
            println!("try_acquire: 2 more? come back in {retry_after:.0?}");
        }
        Err(never) => println!("try_acquire: {never}"),
    }
    if let Err(never) = limiter.try_acquire(6) {
        println!("try_acquire: {never}");
    }

    // Or wait for your turn: first come, first served.
    let start = Instant::now();
    for _ in 0..10 {
        limiter.wait()?;
    }
    println!("wait:        10 permits took {:.0?}, one every 50 ms", start.elapsed());

    // A wait that can't end in time fails at once instead of wasting that time.
    let start = Instant::now();
    if let Err(error) = limiter.wait_timeout(5, Duration::from_millis(100)) {
        println!("wait:        {error} (said after {:.0?})", start.elapsed());
    }

    let usage = limiter.usage();
    println!(
        "usage:       {} of {} in use, full again in {:.0?}; so far {} permits granted, {} refused",
        usage.used, usage.limit, usage.reset_after, usage.allowed, usage.denied
    );
    Ok(())
}
