//! A client of a model API that keeps to limits which it learns as it goes: 2,000 chat requests of
//! mixed size, no 429, and little of the quota left unused.
//!
//! `cargo run --release -p tollgate-llm-examples --example llm_client` (about 20 seconds, real
//! time)
//!
//! The API is a small server on loopback: see [`tollgate_llm_server`] for what it enforces. Its
//! limits are enforced by the second, so the client's burst is 1 % of a minute.

#[path = "support/chat.rs"]
mod chat;
#[path = "support/progress.rs"]
mod progress;

use std::sync::Arc;
use std::time::{Duration, Instant};

use chat::{Answer, Failure, Model, Prompt};
use futures_lite::StreamExt as _;
use tokio::task::JoinSet;
use tollgate::llm::{Burst, LimitKind, Limiter, MeteredStream, Period, Tokens};
use tollgate_llm_server::{Plan, Server};

const REQUESTS: usize = 2_000;
const KEY: &str = "sk-example";
/// Requests and tokens per minute.
const LIMITS: (u32, u32) = (12_000, 12_000_000);
const TRIES: u32 = 3;

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let server = Server::start(&[(KEY, Plan::per_minute(LIMITS.0, LIMITS.1))]).await?;
    let model = Model::at(server.address());
    // No limits: the server tells them.
    let limiter = Arc::new(Limiter::builder().burst(Burst::Percent(1)).build()?);

    stream_one(&limiter, &model).await?;
    let learned = |kind| limiter.usage().of(kind).map_or(0, |limit| limit.limit);
    println!(
        "Its headers taught the limiter two limits: {} requests and {} tokens at once.\n",
        learned(LimitKind::Requests(Period::MINUTE)),
        learned(LimitKind::Tokens(Period::MINUTE))
    );

    let prompts = Prompt::mixed(REQUESTS);
    let bar = progress::bar(REQUESTS);
    let start = Instant::now();
    let mut tasks = JoinSet::new();
    for prompt in &prompts {
        let (limiter, model, prompt, bar) =
            (Arc::clone(&limiter), model.clone(), *prompt, bar.clone());
        tasks.spawn(async move {
            let send = || model.ask(KEY, prompt);
            let answer = limiter.call(prompt.estimate(), TRIES, send, Answer::reply).await;
            bar.inc(1);
            bar.set_message(format!("{} wait", limiter.usage().waiting));
            answer.ok().map(|answer| answer.status)
        });
    }
    let answers = tasks.join_all().await;
    let took = start.elapsed();
    bar.finish_and_clear();

    report(&server, &prompts, &answers, start, took);
    Ok(())
}

/// One answer word by word: its permit is settled when the last event tells what was used.
async fn stream_one(limiter: &Limiter, model: &Model) -> Result<(), Failure> {
    let prompt = Prompt::mixed(1)[0];
    let permit = limiter.acquire(prompt.estimate()).await?;
    let reserved = permit.estimate();
    let (headers, body) = model.ask_for_stream(KEY, prompt).await?;
    permit.observe(&headers);

    let mut events = Events::default();
    let mut chunks =
        MeteredStream::new(body, permit, |chunk| events.usage_in(chunk.as_ref().ok()?));
    let mut count = 0;
    while let Some(chunk) = chunks.next().await {
        chunk?;
        count += 1;
    }
    drop(chunks);
    let used = events.used.unwrap_or_default();
    println!(
        "One answer in {count} chunks: {} tokens reserved, {} used.",
        reserved.total(),
        used.total()
    );
    Ok(())
}

/// Server-sent events, which may come in pieces.
#[derive(Default)]
struct Events {
    unread: Vec<u8>,
    used: Option<Tokens>,
}

impl Events {
    /// The usage, once an event has told it.
    fn usage_in(&mut self, chunk: &[u8]) -> Option<Tokens> {
        self.unread.extend_from_slice(chunk);
        while let Some(end) = self.unread.windows(2).position(|pair| pair == b"\n\n") {
            let event: Vec<u8> = self.unread.drain(..end + 2).collect();
            let data = event.strip_prefix(b"data: ").unwrap_or_default();
            let event = serde_json::from_slice(data).unwrap_or_default();
            self.used = chat::usage(&event).or(self.used);
        }
        self.used
    }
}

fn report(
    server: &Server,
    prompts: &[Prompt],
    statuses: &[Option<u16>],
    start: Instant,
    took: Duration,
) {
    let Some((tally, quota)) = server.tally(KEY).zip(server.quota_since(KEY, start)) else {
        return;
    };
    let tokens: f64 = prompts.iter().map(|prompt| f64::from(prompt.total())).sum();
    let answered = statuses.iter().filter(|status| **status == Some(200)).count();
    // What the server lets pass at once is there from the beginning.
    let ideal = (tokens / f64::from(LIMITS.1) * 60.0 - 1.0).max(0.0);
    println!("requests answered   {answered} of {}", prompts.len());
    println!("429s met            {}", tally.limited);
    println!("tokens used         {tokens:.0}");
    println!("quota in that time  {quota:.0}, of which {:.1} % was used", tokens / quota * 100.0);
    println!("time taken          {:.2} s", took.as_secs_f64());
    println!("ideal time          {ideal:.2} s");
}
