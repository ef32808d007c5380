//! What a process does that asks for more than there is.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tollgate::shared::{Limiter, Source};
use tollgate::{Quota, Rejection};
use tollgate_redis::Redis;

use super::clock;
use super::crew::{Orders, PROCESSES};
use super::log::{Grant, Log};
use super::support::random::Random;

/// A limiter, the number of its keys, and how many tasks of each process ask for them.
pub struct Limit {
    pub name: &'static str,
    pub quota: fn() -> Quota,
    pub keys: usize,
    pub tasks: usize,
    /// How long permits can be drawn ahead.
    pub lease: Option<Duration>,
    /// How long a task pauses after it has had its turn.
    pub pause: Duration,
    /// The least part of the quota that is used.
    pub least_used: f64,
    /// For how long processes may stand still, as on a busy machine, without wasting permits.
    pub bears: Duration,
}

pub static LIMITS: [Limit; 3] = [
    // Many tasks want one key, so most asks travel together.
    Limit {
        name: "hot",
        quota: || Quota::per_second(200).burst(600),
        keys: 1,
        tasks: 24,
        lease: None,
        pause: Duration::from_millis(20),
        least_used: 0.99,
        bears: Duration::from_secs(1),
    },
    Limit {
        name: "keys",
        quota: || Quota::per(1, Duration::from_secs(3)).burst(3),
        keys: 1_000,
        tasks: 8,
        lease: None,
        pause: Duration::from_millis(300),
        least_used: 0.99,
        bears: Duration::from_secs(1),
    },
    Limit {
        name: "leased",
        quota: || Quota::per_second(400).burst(1_200),
        keys: 1,
        tasks: 8,
        lease: Some(Duration::from_millis(100)),
        pause: Duration::from_millis(10),
        least_used: 0.95,
        bears: Duration::from_millis(50),
    },
];

/// Longer than anything takes on a busy machine, since these tests are not about outages.
const DEADLINE: Duration = Duration::from_secs(20);

/// For how long what is left at the end may be taken.
const LAST_TURNS: u64 = 15_000_000_000;

pub async fn work(orders: &Orders) {
    let wall_clock = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let store = Redis::builder(&orders.url).deadline(DEADLINE).connect_deadline(DEADLINE);
    let store = store.connect().await.unwrap();
    let log = Arc::new(Mutex::new(Log { wall_clock, ..Log::default() }));
    let (mut limiters, mut tasks, mut all_turns) = (Vec::new(), Vec::new(), Vec::new());
    for (number, limit) in LIMITS.iter().enumerate() {
        let builder = Limiter::<usize>::builder(limit.name, (limit.quota)());
        let builder = builder.store(store.clone()).deadline(DEADLINE);
        let builder = limit.lease.into_iter().fold(builder, tollgate::shared::Builder::lease);
        let limiter = builder.build().unwrap();
        limiters.push(limiter.clone());
        let turns = Arc::new(Turns::default());
        all_turns.push(Arc::clone(&turns));
        for _ in 0..limit.tasks {
            let (limiter, turns) = (limiter.clone(), Arc::clone(&turns));
            let (log, orders) = (Arc::clone(&log), orders.clone());
            let asking = Asking { limiter, number, limit, turns, log };
            tasks.push(tokio::spawn(asking.run(orders)));
        }
    }
    let stalls = tokio::spawn(longest_stall(orders.clone()));
    for task in tasks {
        task.await.unwrap();
    }
    let without_call = limiters.iter().map(Limiter::stats);
    let mut log = std::mem::take(&mut *log.lock().unwrap());
    log.without_call = without_call.map(|stats| stats.leased + stats.cached).sum();
    let pauses = all_turns.iter().map(|turns| turns.longest_pause.load(Ordering::Relaxed));
    log.counts.extend(pauses);
    log.stall = stalls.await.unwrap();
    log.write(&orders.log);
}

/// For how long the process has stood still at most.
async fn longest_stall(orders: Orders) -> u64 {
    let (mut last, mut longest) = (clock::now(), 0);
    while last < orders.until {
        tokio::time::sleep(Duration::from_millis(2)).await;
        let now = clock::now();
        // It does not count before all have begun.
        if last > orders.from {
            longest = longest.max(now - last);
        }
        last = now;
    }
    longest
}

/// A task that asks for keys, together with others.
struct Asking {
    limiter: Limiter<usize>,
    number: usize,
    limit: &'static Limit,
    turns: Arc<Turns>,
    log: Arc<Mutex<Log>>,
}

/// Whose turn it is, of the keys of a limiter, and when one was refused.
#[derive(Default)]
struct Turns {
    before_the_end: AtomicUsize,
    at_the_end: AtomicUsize,
    last_refused: AtomicU64,
    /// The longest time between two refusals.
    longest_pause: AtomicU64,
}

impl Turns {
    fn refused(&self, sent: u64) {
        let last = self.last_refused.swap(sent, Ordering::Relaxed);
        if last > 0 {
            self.longest_pause.fetch_max(sent.saturating_sub(last), Ordering::Relaxed);
        }
    }
}

impl Asking {
    async fn run(self, orders: Orders) {
        clock::sleep_until(orders.from).await;
        let mut random = Random::with_seed(orders.from + orders.number as u64);
        // Each process begins with another key.
        let start = orders.number * self.limit.keys / PROCESSES;
        let next = |turns: &AtomicUsize| start + turns.fetch_add(1, Ordering::Relaxed);
        while clock::now() < orders.until {
            for _ in 0..self.limit.keys.div_ceil(self.limit.tasks) {
                self.take_all_of(next(&self.turns.before_the_end), orders.until).await;
            }
            tokio::time::sleep(self.limit.pause + Duration::from_micros(random.below(2_000))).await;
        }
        // What is left at the end is taken, by all tasks.
        loop {
            let turn = next(&self.turns.at_the_end);
            if turn >= start + self.limit.keys.max(self.limit.tasks) {
                return;
            }
            self.take_all_of(turn, orders.until + LAST_TURNS).await;
        }
    }

    /// Takes permits of a key until it is refused, or until this time.
    async fn take_all_of(&self, turn: usize, until: u64) {
        let key = turn % self.limit.keys;
        while clock::now() < until {
            let sent = clock::now();
            let answer = self.limiter.try_acquire(&key, 1).await;
            let received = clock::now();
            let log = || self.log.lock().unwrap();
            match answer {
                Ok(grant) if matches!(grant.source, Source::Shared | Source::Leased) => {
                    let grant = Grant { limiter: self.number, key, sent, received };
                    log().grants.push(grant);
                }
                Err(refused) if matches!(refused.rejection, Rejection::Denied { .. }) => {
                    // What the process itself refuses can have come back a moment ago.
                    if refused.source == Source::Shared {
                        log().refused.insert((self.number, key), sent);
                        self.turns.refused(sent);
                    }
                    return;
                }
                other => {
                    log().errors.push(format!("{other:?}"));
                    // In an outage.
                    tokio::time::sleep(self.limit.pause).await;
                }
            }
            tokio::task::yield_now().await;
        }
    }
}
