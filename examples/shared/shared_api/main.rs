//! Four processes of an API under one policy, with one limit for all of them in Redis. Redis is
//! killed and started again meanwhile.
//!
//! `cargo run --release -p tollgate-shared-examples --example shared_api`
//!
//! It needs `redis-server` or `valkey-server`, starts it on a free port, and ends it again.

mod api;
mod load;
mod redis_server;

use std::error::Error;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use load::Load;
use redis_server::RedisServer;

type AnyError = Box<dyn Error + Send + Sync>;

/// What holds for all processes together.
const POLICY: &str = "
version = 1
always = ['site']

[limits.site]
quota = '200/s burst 100'
";

/// How many processes there are.
const PROCESSES: u32 = 4;

#[tokio::main]
async fn main() -> Result<(), AnyError> {
    // The example starts itself as the processes of the API.
    let mut arguments = std::env::args().skip(1);
    if let (Some(redis), Some(port)) = (arguments.next(), arguments.next()) {
        return api::serve(&redis, port.parse()?).await;
    }
    let mut redis = RedisServer::start()?;
    println!(
        "{} on port {}, {PROCESSES} processes, one policy:\n{POLICY}",
        redis.program(),
        redis.port()
    );
    let ports = (0..PROCESSES).map(|_| redis_server::free_port()).collect::<Result<Vec<_>, _>>()?;
    let _processes: Vec<Process> =
        ports.iter().map(|port| Process::start(&redis.url(), *port)).collect::<Result<_, _>>()?;

    let load = Load::start(&ports).await?;
    println!("Answers and decisions of all processes in each half second:\n");
    println!("{:>6}{:>8}{:>8}{:>8}  decided by", "", "200", "429", "other");
    for half_seconds in 1..=16_u32 {
        tokio::time::sleep(Duration::from_millis(500)).await;
        let row = load.row().await?;
        println!("{:>5.1}s{row}", f64::from(half_seconds) / 2.0);
        match half_seconds {
            5 => {
                redis.kill()?;
                println!(
                    "        -- Redis is killed: each process grants a quarter of the quota --"
                );
            }
            10 => {
                redis.restart()?;
                println!("        -- Redis is started again, empty: one burst more at most --");
            }
            _ => {}
        }
    }
    println!("\nThe quota is 200 a second, so 100 in a row of the table, whoever decides.");
    Ok(())
}

/// One process of the API.
struct Process(Child);

impl Process {
    fn start(redis: &str, port: u16) -> Result<Self, AnyError> {
        let mut command = Command::new(std::env::current_exe()?);
        command.arg(redis).arg(port.to_string()).stdin(Stdio::null());
        Ok(Self(command.spawn()?))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
