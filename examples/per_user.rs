//! A web API with a limit for each user: tiers, exceptions, a 429 with its `Retry-After`, a costly
//! endpoint, a limit for everybody, idle users, and an attack of made-up ones.
//!
//! `cargo run --release --example per_user`
//!
//! All but the waiting runs on a `ManualClock`: an hour passes in an instant.

use std::error::Error;
use std::net::Ipv4Addr;
use std::thread;
use std::time::{Duration, Instant};

use tollgate::keyed::Terms;
use tollgate::{Grant, KeyedLimiter, ManualClock, Quota, Rejection, WhichLimit};

const USERS: &str =
    "free/ann free/bob basic/cleo premium/dan enterprise/eve monitoring/probe basic/mallory";

fn main() -> Result<(), Box<dyn Error>> {
    tiers()?;
    everybody()?;
    waiting()?;
    idle_users()?;
    attack()
}

/// What applies to a user: where yours would ask a table of accounts, this one reads the name.
fn terms_of(user: &str) -> Terms {
    match user.split('/').next() {
        Some("basic") => Quota::per_minute(60).into(),
        Some("premium") => Quota::per_minute(300).into(),
        Some("enterprise") => Quota::per_minute(1_000).into(),
        Some("monitoring") => Terms::exempt(),
        _ => Terms::default(),
    }
}

fn tiers() -> Result<(), Box<dyn Error>> {
    let clock = ManualClock::new();
    let free = Quota::per_minute(10);
    let api = KeyedLimiter::<String>::builder(free)
        .clock(clock.clone())
        .terms_by(|user| terms_of(user))
        .build()?;
    // By hand, at any time: this goes before what the function says.
    api.set_quota_for("free/bob", Quota::per_minute(25))?;
    api.set_terms_for("basic/mallory", Terms::blocked())?;

    println!("Each sends 1200 requests at once:");
    for user in USERS.split(' ') {
        let passed = (0..1_200).filter(|_| api.allow(user)).count();
        println!("  {user:<17} {passed:>4} passed, then {}", answer(api.try_acquire(user, 1)));
    }
    println!("Refused most:");
    for worst in api.most_limited(3) {
        println!("  {:<17} {:>4} requests", worst.key, worst.denied);
    }

    // An export is as much work as ten requests, and so takes ten permits.
    clock.advance(Duration::from_secs(5));
    let exports = (0..5).filter(|_| api.allow_n("premium/dan", 10)).count();
    println!(
        "After 5 s premium/dan has 25 permits again, and makes {exports} exports for 10 each."
    );

    println!("In use then:");
    let mut usages: Vec<_> = api.usages().filter(|(_, usage)| usage.used > 0).collect();
    usages.sort_by(|(a, _), (b, _)| a.cmp(b));
    for (user, usage) in usages {
        let (used, limit, full) = (usage.used, usage.limit, usage.reset_after);
        println!("  {user:<17} {used:>4} of {limit:>4}, none if idle for {full:.0?}");
    }
    Ok(())
}

/// The status line that a server would send, with the time after which the client may try again.
fn answer(decision: Result<Grant, Rejection>) -> String {
    let Err(refused) = decision else { return "200 OK".to_owned() };
    let status = match refused.http_status() {
        403 => "403 Forbidden",
        413 => "413 Content Too Large",
        429 => "429 Too Many Requests",
        _ => "503 Service Unavailable",
    };
    match refused.retry_after_secs() {
        Some(seconds) => format!("{status}, Retry-After: {seconds}"),
        None => format!("{status} ({refused})"),
    }
}

/// Two limits in one call: a request takes a permit of its user and one of everybody's, or none.
fn everybody() -> Result<(), Box<dyn Error>> {
    let api = KeyedLimiter::<u32>::builder(Quota::per_second(10))
        .global(Quota::per_second(1_000))
        .clock(ManualClock::new())
        .build()?;
    let (mut passed, mut own, mut all) = (0, 0, 0);
    for user in 0..150 {
        for _ in 0..12 {
            match api.try_acquire(&user, 1) {
                Ok(_) => passed += 1,
                Err(Rejection::Denied { limit: WhichLimit::Only, .. }) => own += 1,
                Err(_) => all += 1,
            }
        }
    }
    println!("\n10/s for each and 1000/s for everybody; 150 users send 12 each at once:");
    println!("  {passed} passed, {own} met their own limit, {all} met everybody's");
    Ok(())
}

/// A crawler that is polite to every host: a thread waits for its own host, and for no other.
fn waiting() -> Result<(), Box<dyn Error>> {
    let hosts = KeyedLimiter::<String>::new(Quota::per_second(20).burst(1))?;
    println!("\nA page every 50 ms from each host, on a real clock:");
    let start = Instant::now();
    thread::scope(|scope| {
        for (host, pages) in [("a.example", 5), ("b.example", 2)] {
            let hosts = &hosts;
            scope.spawn(move || {
                let fetched = (0..pages).take_while(|_| hosts.wait(host).is_ok()).count();
                let ms = start.elapsed().as_millis() / 10 * 10;
                println!("  {host}: {fetched} pages after {ms} ms");
            });
        }
    });
    Ok(())
}

/// Memory follows the users who are active: one whose permits are all there again is forgotten.
fn idle_users() -> Result<(), Box<dyn Error>> {
    let clock = ManualClock::new();
    let api = KeyedLimiter::<u32>::builder(Quota::per_minute(60)).clock(clock.clone()).build()?;
    let mut most = 0;
    for user in 0..200_000 {
        let _ = api.allow(&user);
        clock.advance(Duration::from_micros(100));
        if user % 1_000 == 0 {
            most = most.max(api.len());
        }
    }
    // Rounded up: how keys fall into shards is random.
    let most = most.next_multiple_of(5_000);
    println!("\n200000 users come once each, 10000 a second. Each is full again after 1 s:");
    println!("  fewer than {most} were held at once");
    clock.advance(Duration::from_secs(1));
    api.sweep();
    println!("  {} are held after a second without any", api.len());
    Ok(())
}

/// Whoever is known is served as ever; new ones are refused until there is room.
fn attack() -> Result<(), Box<dyn Error>> {
    let clock = ManualClock::new();
    let builder = KeyedLimiter::<Ipv4Addr>::builder(Quota::per_minute(60)).clock(clock.clone());
    let api = builder.max_keys(10_000).build()?;
    let (known, new) = (Ipv4Addr::new(192, 0, 2, 1), Ipv4Addr::new(192, 0, 2, 2));
    let _ = api.allow(&known);
    let mut random = 1_u32;
    for _ in 0..200_000 {
        random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let _ = api.allow(&Ipv4Addr::from_bits(random));
    }
    println!("\n200000 addresses come at once, where 10000 may be held: {} are.", api.len());
    println!("  a known address:           {}", answer(api.try_acquire(&known, 1)));
    println!("  a new one:                 {}", answer(api.try_acquire(&new, 1)));
    clock.advance(Duration::from_secs(1));
    println!("  a new one, a second later: {}", answer(api.try_acquire(&new, 1)));
    Ok(())
}
