//! What a process does whose tasks all wait for one key.

use std::pin::{Pin, pin};
use std::task::{Context, Poll};
use std::time::Duration;

use tollgate::Quota;
use tollgate::shared::Limiter;
use tollgate_redis::Redis;

use super::clock;
use super::crew::Orders;
use super::log::Log;
use super::support::random::Random;

/// How many wait in each process.
pub const WAITERS: usize = 2_500;

pub fn quota() -> Quota {
    Quota::per_second(5_000).burst(1)
}

/// What became of one waiter; times are on the machine's clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Waiter {
    /// It was told its time between these two.
    pub sent: u64,
    pub answered: u64,
    /// When its permit was there, as it was told.
    pub due: u64,
    pub served: u64,
    /// How often its task was woken after it was told its time.
    pub woken: u64,
}

impl Waiter {
    fn numbers(self) -> [u64; 5] {
        [self.sent, self.answered, self.due, self.served, self.woken]
    }

    pub fn all_of(log: &Log) -> impl Iterator<Item = Self> {
        log.counts.chunks_exact(5).map(|counts| Self {
            sent: counts[0],
            answered: counts[1],
            due: counts[2],
            served: counts[3],
            woken: counts[4],
        })
    }
}

pub async fn work(orders: &Orders) {
    let patience = Duration::from_secs(20);
    let store = Redis::builder(&orders.url).deadline(patience).connect_deadline(patience);
    let store = store.connect().await.unwrap();
    let limiter = Limiter::<str>::builder("jobs", quota()).store(store).deadline(patience);
    let limiter = limiter.build().unwrap();
    let mut random = Random::with_seed(orders.from + orders.number as u64);
    let tasks: Vec<_> = (0..WAITERS)
        .map(|_| {
            let arrives = orders.from + random.below(orders.until - orders.from);
            tokio::spawn(wait(limiter.clone(), arrives))
        })
        .collect();
    let mut log = Log::default();
    for task in tasks {
        match task.await.unwrap() {
            Ok(waiter) => log.counts.extend(waiter.numbers()),
            Err(error) => log.errors.push(error),
        }
    }
    log.write(&orders.log);
}

/// Waits for one permit. `acquire` does the same in one step.
async fn wait(limiter: Limiter, arrives: u64) -> Result<Waiter, String> {
    clock::sleep_until(arrives).await;
    let sent = clock::now();
    let reservation = limiter.reserve("nightly", 1, Duration::from_secs(60)).await;
    let reservation = reservation.map_err(|refused| format!("{refused:?}"))?;
    let due = reservation.delay().as_nanos() as u64 + clock::now();
    let answered = clock::now();
    // Whoever drives a call of its own is woken by its own answer too, which is over by then.
    tokio::time::sleep(Duration::from_millis(1)).await;
    let (granted, polls) = count_polls(reservation.wait()).await;
    granted.map_err(|refused| format!("{refused:?}"))?;
    // The first poll is that of the caller.
    Ok(Waiter { sent, answered, due, served: clock::now(), woken: polls - 1 })
}

/// The output of a future, and how often it was polled.
async fn count_polls<F: Future>(future: F) -> (F::Output, u64) {
    let (mut future, mut polls) = (pin!(future), 0);
    let output = std::future::poll_fn(|context: &mut Context<'_>| -> Poll<F::Output> {
        polls += 1;
        Pin::as_mut(&mut future).poll(context)
    })
    .await;
    (output, polls)
}
