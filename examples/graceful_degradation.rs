//! Three answers instead of two: the full one while there are permits, a cheaper one when they get
//! short, and only then "come back later".
//!
//! Two limiters in a row do it: one for the expensive work, one for what the server can take at
//! all. A simulated minute of traffic passes in no time, because the limiters run on a
//! `ManualClock`.
//!
//! `cargo run --release --example graceful_degradation`

use std::time::Duration;

use tollgate::{ManualClock, Quota, QuotaError, RateLimiter, Rejection, TokenBucket};

/// What a caller gets.
enum Answer {
    /// Computed for this request.
    Full,
    /// A little stale, but nearly free.
    Cached,
    /// Nothing but the time to wait.
    Shed { retry_after: Duration },
}

struct Service {
    /// The database behind the full answer.
    database: TokenBucket<ManualClock>,
    /// Answers of any kind.
    server: TokenBucket<ManualClock>,
}

impl Service {
    fn new(clock: &ManualClock) -> Result<Self, QuotaError> {
        let limiter = |quota| TokenBucket::builder(quota).clock(clock.clone()).build();
        Ok(Self {
            database: limiter(Quota::per_second(10).burst(30))?,
            server: limiter(Quota::per_second(40).burst(80))?,
        })
    }

    fn answer(&self) -> Answer {
        // The server first: a request that is shed must not cost the database a permit.
        match self.server.try_acquire(1) {
            Ok(_) if self.database.allow() => Answer::Full,
            Ok(_) => Answer::Cached,
            Err(Rejection::Denied { retry_after, .. }) => Answer::Shed { retry_after },
            // Closed: there is no time to name.
            Err(_) => Answer::Shed { retry_after: Duration::MAX },
        }
    }
}

/// Requests per second: quiet, then busy, then a crowd, then quiet again.
fn load(second: u64) -> u64 {
    match second {
        0..10 | 50..60 => 8,
        10..25 => 30,
        _ => 100,
    }
}

fn main() -> Result<(), QuotaError> {
    let clock = ManualClock::new();
    let service = Service::new(&clock)?;

    println!("seconds   asked    full  cached    shed  longest retry-after");
    for start in (0..60).step_by(5) {
        let (mut full, mut cached, mut shed, mut longest) = (0, 0, 0, Duration::ZERO);
        for second in start..start + 5 {
            let requests = load(second);
            for request in 0..requests {
                match service.answer() {
                    Answer::Full => full += 1,
                    Answer::Cached => cached += 1,
                    Answer::Shed { retry_after } => {
                        shed += 1;
                        longest = longest.max(retry_after);
                    }
                }
                // Spread the requests over the second, to the nanosecond.
                let at = |n| n * 1_000_000_000 / requests;
                clock.advance(Duration::from_nanos(at(request + 1) - at(request)));
            }
        }
        let asked = full + cached + shed;
        let longest =
            if shed == 0 { "-".to_owned() } else { format!("{} ms", longest.as_millis()) };
        println!(
            "{start:>2} to {:<2} {asked:>7} {full:>7} {cached:>7} {shed:>7}  {longest:>19}",
            start + 5
        );
    }

    let database = service.database.usage();
    println!("\nThe database saw {} requests in this minute,", database.allowed);
    println!("as promised: at most 30 + 60 x 10 = 630, whatever came in.");
    Ok(())
}
