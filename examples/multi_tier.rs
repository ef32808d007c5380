//! Customers of several tiers: a quota per tier written as text, a limiter per customer, one limit
//! per second *and* per hour for the partner, and an upgrade while everything runs.
//!
//! `cargo run --release --example multi_tier`

use std::collections::HashMap;
use std::error::Error;
use std::time::Duration;

use tollgate::{
    CarryOver, Composite, ManualClock, ParseQuotaError, Quota, RateLimiter, Rejection, TokenBucket,
};

/// As it would stand in a config file.
const TIERS: [(&str, &str); 4] = [
    ("Free", "10/min"),
    ("Basic", "60/min burst 20"),
    ("Premium", "600/min burst 100"),
    ("Internal", "unlimited"),
];

const CUSTOMERS: [(&str, &str); 4] =
    [("ann", "Free"), ("bob", "Basic"), ("cleo", "Premium"), ("cron", "Internal")];

fn main() -> Result<(), Box<dyn Error>> {
    let quotas: HashMap<&str, Quota> = TIERS
        .iter()
        .map(|(tier, text)| Ok((*tier, text.parse()?)))
        .collect::<Result<_, ParseQuotaError>>()?;
    if let Err(error) = "60/fortnight".parse::<Quota>() {
        println!("A typo is caught at start: {error}\n");
    }

    let clock = ManualClock::new();
    let mut limiters = HashMap::new();
    for (customer, tier) in CUSTOMERS {
        let limiter =
            TokenBucket::builder(quotas[tier]).name(customer).clock(clock.clone()).build()?;
        limiters.insert(customer, limiter);
    }

    println!("Each asks 150 times in one minute:");
    for (customer, admitted) in ask_for_a_minute(&clock, &limiters, 150) {
        println!("  {customer:<5} {admitted:>3} admitted");
    }

    println!("  (A bucket starts full: the first minute brings the burst on top of the rate.)");

    // Ann has used up her quota, and pays. Nobody restarts anything. What she used before counts:
    // the new burst starts with what it is larger by, and not full.
    let ann = &limiters["ann"];
    println!("\nann upgrades to Basic, her remaining permits being {}:", ann.usage().remaining);
    ann.set_quota_with(quotas["Basic"], CarryOver::AddDifference)?;
    println!("  {} permits of {} are there now", ann.usage().remaining, ann.usage().limit);
    for (customer, admitted) in ask_for_a_minute(&clock, &limiters, 150) {
        println!("  {customer:<5} {admitted:>3} admitted");
    }

    partner()
}

/// Who got how much, if each customer asks `requests` times, evenly over a minute.
fn ask_for_a_minute(
    clock: &ManualClock,
    limiters: &HashMap<&'static str, TokenBucket<ManualClock>>,
    requests: u32,
) -> [(&'static str, usize); CUSTOMERS.len()] {
    let mut admitted = CUSTOMERS.map(|(customer, _)| (customer, 0));
    for _ in 0..requests {
        for (customer, count) in &mut admitted {
            *count += usize::from(limiters[customer].allow());
        }
        clock.advance(Duration::from_secs(60) / requests);
    }
    admitted
}

/// Several limits as one: all of them must agree, and a request takes from all or from none.
fn partner() -> Result<(), Box<dyn Error>> {
    let clock = ManualClock::new();
    let limits = [("per second", "5/s".parse::<Quota>()?), ("per hour", "20/h".parse()?)];
    let partner = Composite::builder_of(limits).clock(clock.clone()).build()?;

    println!("\nA partner may send 5 a second and 20 an hour, and sends 7 every second:");
    for second in 0..5 {
        let admitted = (0..7).filter(|_| partner.allow()).count();
        print!("  second {second}: {admitted} admitted");
        match partner.try_acquire(1) {
            Err(Rejection::Denied { retry_after, limit, .. }) => {
                let limit = partner.name(limit).unwrap_or_default();
                println!(", then refused by the limit {limit}: retry after {retry_after:?}");
            }
            other => println!(", then {other:?}"),
        }
        clock.advance(Duration::from_secs(1));
    }
    for (limit, usage) in partner.usage_each() {
        println!("  in use of the limit {limit}: {} of {}", usage.used, usage.limit);
    }
    Ok(())
}
