//! Five API keys of unequal limits behind one pool: 2,000 chat requests of mixed size, each with
//! the key that can serve it first. On the way one key is revoked, and another is told to wait.
//!
//! `cargo run --release -p tollgate-llm-examples --example key_pool` (about 15 seconds, real time)
//!
//! The API is a small server on loopback: see [`tollgate_llm_server`] for what it enforces. Its
//! limits are enforced by the second, so a key's burst is 1 % of a minute.

#[path = "support/chat.rs"]
mod chat;
#[path = "support/progress.rs"]
mod progress;

use std::sync::Arc;
use std::time::{Duration, Instant};

use chat::{Answer, Failure, Model, Prompt};
use tokio::task::JoinSet;
use tollgate::llm::{Burst, KeyPool, Limits};
use tollgate_llm_server::{Plan, Server, Tally};

const REQUESTS: usize = 2_000;
const TRIES: u32 = 4;

/// Each key's id, its secret, and its limits.
const KEYS: [(&str, &str, Plan); 5] = [
    ("main", "sk-1f7a", Plan::per_minute(5_000, 5_000_000)),
    ("team", "sk-52c0", Plan::per_minute(4_000, 4_000_000)),
    ("batch", "sk-9be3", Plan::per_minute(3_000, 3_000_000)),
    ("old", "sk-c418", Plan::per_minute(2_000, 2_000_000)),
    // Too small for the longest prompts: those go elsewhere.
    ("spare", "sk-e06d", Plan::per_minute(1_000, 1_000_000)),
];

const REVOKED: (&str, Duration) = ("sk-c418", Duration::from_secs(3));
const CLOSED: (&str, Duration) = ("sk-52c0", Duration::from_secs(5));
const CLOSED_FOR: Duration = Duration::from_secs(2);

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let server = Server::start(&KEYS.map(|(_, secret, plan)| (secret, plan))).await?;
    let model = Model::at(server.address());
    let pool = Arc::new(KeyPool::new());
    for (id, secret, plan) in KEYS {
        let limits = Limits::new()
            .requests_per_minute(plan.requests().into())
            .tokens_per_minute(plan.tokens().into())
            .burst(Burst::Percent(1));
        pool.add(id, secret, limits)?;
    }
    println!(
        "{REQUESTS} requests, {} keys. After {:?}, `old` is revoked; after",
        KEYS.len(),
        REVOKED.1
    );
    println!("{:?}, `team` is refused for {CLOSED_FOR:?}, whatever its limits say.\n", CLOSED.1);

    tokio::spawn(trouble(server.clone()));
    let prompts = Prompt::mixed(REQUESTS);
    let bar = progress::bar(REQUESTS);
    let start = Instant::now();
    let mut tasks = JoinSet::new();
    for prompt in prompts.iter().copied() {
        let (pool, model, bar) = (Arc::clone(&pool), model.clone(), bar.clone());
        tasks.spawn(async move {
            let model = &model;
            // The key comes with each try: the next one may be with another.
            let answer = pool.call(
                prompt.estimate(),
                TRIES,
                |key| async move { model.ask(key.secret(), prompt).await },
                Answer::reply,
            );
            let answer = answer.await;
            bar.inc(1);
            bar.set_message(format!("{} wait", pool.usage("main").map_or(0, |main| main.waiting)));
            answer.ok().map(|answer| answer.status)
        });
    }
    let statuses = tasks.join_all().await;
    let took = start.elapsed();
    bar.finish_and_clear();
    report(&server, &prompts, &statuses, start, took);
    Ok(())
}

/// What happens to keys in real life.
async fn trouble(server: Server) {
    let (secret, after) = REVOKED;
    tokio::time::sleep(after).await;
    server.revoke(secret);
    let (secret, at) = CLOSED;
    tokio::time::sleep(at.saturating_sub(after)).await;
    server.close_for(secret, CLOSED_FOR);
}

fn report(
    server: &Server,
    prompts: &[Prompt],
    statuses: &[Option<u16>],
    start: Instant,
    took: Duration,
) {
    let (mut all, mut quotas) = (Tally::default(), 0.0);
    println!("key     limit/min  served  429s  401s   tokens    quota   used");
    for (id, secret, plan) in KEYS {
        let known = server.tally(secret).zip(server.quota_since(secret, start));
        let Some((tally, quota)) = known else { continue };
        print_line(id, plan.tokens(), tally, quota);
        all.served += tally.served;
        all.limited += tally.limited;
        all.unauthorized += tally.unauthorized;
        all.tokens += tally.tokens;
        quotas += quota;
    }
    print_line("all", KEYS.iter().map(|(_, _, plan)| plan.tokens()).sum(), all, quotas);

    let answered = statuses.iter().filter(|status| **status == Some(200)).count();
    // As if every key had been used up at every moment it could be.
    let ideal = took.as_secs_f64() * (f64::from(all.tokens) / quotas);
    println!("\nrequests answered  {answered} of {}", prompts.len());
    println!("time taken         {:.2} s", took.as_secs_f64());
    println!("ideal time         {ideal:.2} s");
}

fn print_line(id: &str, limit: u32, tally: Tally, quota: f64) {
    let Tally { served, limited, unauthorized, tokens, .. } = tally;
    let used = f64::from(tokens) / quota * 100.0;
    println!(
        "{id:<7} {limit:>9} {served:>7} {limited:>5} {unauthorized:>5} {tokens:>8} {quota:>8.0} {used:>5.1}%"
    );
}
