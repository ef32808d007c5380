//! A crowd of tasks that all wait at once, and what can be said about them afterwards.

use std::pin::Pin;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};

use crate::random::Random;

/// What is asked of a crowd.
#[derive(Clone, Copy)]
pub(crate) struct Plan {
    pub(crate) per_second: u32,
    pub(crate) burst: u32,
    pub(crate) waiters: u32,
    /// Threads of the runtime.
    pub(crate) workers: usize,
    /// Of a hundred waiters, how many give up at a random time in the first second.
    pub(crate) percent_cancelled: u64,
}

impl Plan {
    /// When waiter number `index` would be served by a perfect limiter, from the start.
    pub(crate) fn due(&self, index: u32) -> Duration {
        let behind_burst = (index + 1).saturating_sub(self.burst);
        Duration::from_secs(1) * behind_burst / self.per_second
    }

    /// Which waiters give up, and when.
    fn patience(&self) -> Vec<Option<Duration>> {
        let mut random = Random::new();
        let mut one = || {
            let gives_up = random.below(100) < self.percent_cancelled;
            let after = Duration::from_micros(random.below(1_000_000));
            gives_up.then_some(after)
        };
        (0..self.waiters).map(|_| one()).collect()
    }

    /// Spawns the waiters, all at once, on a runtime of their own, and waits for all.
    pub(crate) fn run<F, W>(&self, waiter: F) -> Outcome
    where
        F: Fn(Instant) -> W,
        W: Future<Output = ()> + Send + 'static,
    {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(self.workers)
            .enable_time()
            .build()
            .expect("a runtime");
        let patience = self.patience();
        let joined = Arc::new(Mutex::new(0));
        let (report, reports) = mpsc::channel();
        // Wakes this thread once, at the end: it must not add to the CPU time.
        let (finish, finished) = mpsc::channel();
        let left = Arc::new(AtomicU32::new(self.waiters));
        let busy = process_time();
        let start = Instant::now();
        for patience in patience {
            let counted = Counted::new(Arc::clone(&joined), Box::pin(waiter(start)));
            let (report, finish, left) = (report.clone(), finish.clone(), Arc::clone(&left));
            runtime.spawn(async move {
                let served = match patience {
                    None => Some(counted.await),
                    Some(patience) => {
                        let until = (start + patience).into();
                        tokio::time::timeout_at(until, counted).await.ok()
                    }
                };
                if let Some((place, polls)) = served {
                    // Nobody listens any more only if the benchmark has failed.
                    let _ = report.send(Served { place, polls, at: start.elapsed() });
                }
                if left.fetch_sub(1, Ordering::SeqCst) == 1 {
                    let _ = finish.send(());
                }
            });
        }
        finished.recv().expect("the last waiter says so");
        let busy = process_time().saturating_sub(busy);
        let mut served: Vec<Served> = reports.try_iter().collect();
        served.sort_by_key(|one| one.place);
        Outcome { served, busy, plan: *self }
    }
}

/// One who was served.
struct Served {
    /// How many had asked before.
    place: u32,
    polls: u32,
    at: Duration,
}

/// What became of a crowd.
pub(crate) struct Outcome {
    served: Vec<Served>,
    /// CPU time of the whole process.
    pub(crate) busy: Duration,
    plan: Plan,
}

/// A timer's tick and one to be late: what is closer together than that has no order.
const TICKS: Duration = Duration::from_millis(2);

impl Outcome {
    /// When the last one was served.
    pub(crate) fn wall(&self) -> Duration {
        self.served.iter().map(|one| one.at).max().unwrap_or_default()
    }

    /// When a perfect limiter had served as many.
    pub(crate) fn ideal(&self) -> Duration {
        let served = u32::try_from(self.served.len()).expect("at most all waiters");
        self.plan.due(served.saturating_sub(1))
    }

    /// The mean number of polls per waiter.
    pub(crate) fn polls(&self) -> f64 {
        self.mean(|one| one.polls)
    }

    /// The share of waiters that were served clearly before one who had asked earlier.
    pub(crate) fn out_of_order(&self) -> f64 {
        let mut latest = Duration::ZERO;
        let overtakes: Vec<bool> = self
            .served
            .iter()
            .map(|one| {
                latest = latest.max(one.at);
                one.at + TICKS < latest
            })
            .collect();
        let late = overtakes.iter().filter(|overtakes| **overtakes).count();
        f64::from(u32::try_from(late).unwrap_or(u32::MAX)) / self.count()
    }

    fn mean(&self, of: impl Fn(&Served) -> u32) -> f64 {
        self.served.iter().map(|one| f64::from(of(one))).sum::<f64>() / self.count()
    }

    fn count(&self) -> f64 {
        f64::from(u32::try_from(self.served.len()).expect("at most all waiters"))
    }
}

/// The CPU time that the process has had.
pub(crate) fn process_time() -> Duration {
    Duration::try_from(clock_gettime(ClockId::ProcessCPUTime)).unwrap_or_default()
}

/// Counts polls, and notes who asked first.
struct Counted<W> {
    joined: Arc<Mutex<u32>>,
    place: u32,
    polls: u32,
    inner: Pin<Box<W>>,
}

impl<W> Counted<W> {
    fn new(joined: Arc<Mutex<u32>>, inner: Pin<Box<W>>) -> Self {
        Self { joined, place: 0, polls: 0, inner }
    }
}

impl<W: Future<Output = ()>> Future for Counted<W> {
    type Output = (u32, u32);

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        this.polls += 1;
        let answer = if this.polls == 1 {
            // Nobody else may ask between the count and the question.
            let mut joined = this.joined.lock().expect("no waiter panicked");
            this.place = *joined;
            *joined += 1;
            this.inner.as_mut().poll(context)
        } else {
            this.inner.as_mut().poll(context)
        };
        answer.map(|()| (this.place, this.polls))
    }
}
