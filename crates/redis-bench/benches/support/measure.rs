//! How fast many tasks decide, and what CPU time that takes here and on the server.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};
use tokio::runtime::Runtime;

use crate::server::Server;

/// What one contestant did in one round.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Lap {
    /// Decisions in a second.
    pub(crate) rate: f64,
    /// µs of this process's CPU time for a decision.
    pub(crate) client: f64,
    /// µs of the server's CPU time for a decision.
    pub(crate) server: f64,
    /// The median time of a decision in µs, of one task of many.
    pub(crate) median: f64,
}

/// Lets `tasks` tasks decide for some time, each one decision after the other.
pub(crate) fn lap<C, F>(
    runtime: &Runtime,
    server: &Server,
    tasks: u64,
    time: Duration,
    caller: C,
) -> Lap
where
    C: Fn(u64) -> F + Send + Sync + 'static,
    F: Future<Output = ()> + Send,
{
    let (caller, is_over) = (Arc::new(caller), Arc::new(AtomicBool::new(false)));
    let (began, client, server_before) = (Instant::now(), cpu(), server_cpu(server));
    let work = |task: u64| {
        let (caller, is_over) = (Arc::clone(&caller), Arc::clone(&is_over));
        async move {
            let (mut count, mut random, mut times) =
                (0_u64, task.wrapping_mul(0x9e37_79b9) | 1, Vec::new());
            while !is_over.load(Ordering::Relaxed) {
                // Xorshift.
                random ^= random << 13;
                random ^= random >> 7;
                random ^= random << 17;
                // Looking at the clock takes time, too.
                if task == 0 && count.is_multiple_of(16) {
                    let before = Instant::now();
                    caller(random).await;
                    times.push(before.elapsed().as_secs_f64() * 1e6);
                } else {
                    caller(random).await;
                }
                count += 1;
            }
            (count, times)
        }
    };
    let tasks: Vec<_> = (0..tasks).map(|task| runtime.spawn(work(task))).collect();
    // Not by the runtime's timer: tasks that never wait keep it from looking at its timers.
    std::thread::sleep(time);
    is_over.store(true, Ordering::Relaxed);
    let (mut count, mut times) = (0, Vec::new());
    for task in tasks {
        let (more, measured) = runtime.block_on(task).expect("a task of the benchmark");
        count += more;
        times.extend(measured);
    }
    let seconds = began.elapsed().as_secs_f64();
    let per_decision = |micros: f64| micros / count as f64;
    Lap {
        rate: count as f64 / seconds,
        client: per_decision(cpu() - client),
        server: per_decision(server_cpu(server) - server_before),
        median: median(times),
    }
}

/// The median.
pub(crate) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

/// µs of CPU time of this process.
fn cpu() -> f64 {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    time.tv_sec as f64 * 1e6 + time.tv_nsec as f64 / 1e3
}

/// µs of CPU time of the server.
fn server_cpu(server: &Server) -> f64 {
    let info = server.command(&["INFO", "cpu"]);
    let of = |name: &str| -> f64 {
        let line = info.lines().find_map(|line| line.strip_prefix(name));
        line.and_then(|line| line.trim().parse().ok()).expect("a server tells its CPU time")
    };
    (of("used_cpu_user:") + of("used_cpu_sys:")) * 1e6
}
