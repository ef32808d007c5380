//! Four worker processes with one API key of a model, and much more to do than the key's limits
//! permit: two of them are busy, and two have little to do.
//!
//! `cargo run --release -p tollgate-shared-examples --example shared_llm` (about 35 seconds)
//!
//! They do the same work three times: with limiters that know nothing of each other, with limiters
//! of which each has a quarter of the key's limits, and with limiters that share the limits
//! through Redis. The model is a small server on loopback, which enforces the limits by the
//! second: see [`tollgate_llm_server`].
//!
//! It needs `redis-server` or `valkey-server`, starts it on a free port, and ends it again.

#[path = "../../llm/support/chat.rs"]
#[allow(dead_code, reason = "not every example streams")]
mod chat;
#[path = "../shared_api/redis_server.rs"]
#[allow(dead_code, reason = "the other example also kills and restarts it")]
mod redis_server;
mod worker;

use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use redis_server::RedisServer;
use tollgate_llm_server::{Plan, Server, Tally};
use worker::Sharing;

pub(crate) type AnyError = chat::Failure;

/// How many workers there are.
const WORKERS: u32 = 4;

/// What the key may use.
const PLAN: Plan = Plan::per_minute(6_000, 3_000_000);

/// How long they work each time.
const TIME: Duration = Duration::from_secs(10);

#[tokio::main]
async fn main() -> Result<(), AnyError> {
    // The example starts itself as the workers.
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [sharing, number, model, redis] = &arguments[..] {
        return worker::work(sharing.parse()?, number.parse()?, model.parse()?, redis).await;
    }
    let redis = RedisServer::start()?;
    let keys = Sharing::ALL.map(Sharing::key);
    let model = Server::start(&keys.map(|key| (key, PLAN))).await?;
    println!(
        "{WORKERS} workers, one key with {} requests and {} tokens a minute; {} on port {}\n",
        PLAN.requests(),
        PLAN.tokens(),
        redis.program(),
        redis.port()
    );
    println!("{:<38}{:>9}{:>9}{:>13}", "", "answers", "429s", "quota used");
    for sharing in Sharing::ALL {
        let workers = (0..WORKERS).map(|number| Worker::start(sharing, number, &model, &redis));
        let workers: Vec<Worker> = workers.collect::<Result<_, _>>()?;
        while model.tally(sharing.key()).is_none_or(|tally| tally.served == 0) {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        let started = Instant::now();
        tokio::time::sleep(TIME).await;
        let tally = model.tally(sharing.key()).unwrap_or_default();
        let quota = model.quota_since(sharing.key(), started).unwrap_or_default();
        drop(workers);
        let Tally { served, limited, tokens, .. } = tally;
        let share = 100.0 * f64::from(tokens) / quota;
        println!("{:<38}{served:>9}{limited:>9}{share:>11.0} %", sharing.to_string());
    }
    println!(
        "\nEach request is estimated with its longest answer. Most answers are shorter, and what was\n\
         not needed is used by whoever needs it, in whatever process."
    );
    Ok(())
}

/// One worker process.
struct Worker(Child);

impl Worker {
    fn start(
        sharing: Sharing,
        number: u32,
        model: &Server,
        redis: &RedisServer,
    ) -> Result<Self, AnyError> {
        let mut command = Command::new(std::env::current_exe()?);
        let arguments = [sharing.key().to_owned(), number.to_string()];
        command.args(arguments).args([model.address().to_string(), redis.url()]);
        Ok(Self(command.stdin(Stdio::null()).spawn()?))
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
