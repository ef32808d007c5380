//! Threads that do what they are told, one at a time, so that each run is repeatable.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use tollgate::{Clock, LeasedTokenBucket, ManualClock, Quota, RateLimiter, Timestamp, TokenBucket};

/// As long as a thread may take for what it is told, before the test fails.
const PATIENCE: Duration = Duration::from_secs(60);

/// As long as a lease is left alone by a refused `allow`.
pub(crate) const YOUNG: Duration = Duration::from_millis(1);

/// A clock that stands still, and counts how often it is read: a permit from a lease reads none.
#[derive(Clone, Debug, Default)]
pub(crate) struct CountingClock {
    pub(crate) hand: ManualClock,
    readings: Arc<AtomicU64>,
}

impl CountingClock {
    pub(crate) fn readings(&self) -> u64 {
        self.readings.load(Ordering::Relaxed)
    }
}

impl Clock for CountingClock {
    fn now(&self) -> Timestamp {
        self.readings.fetch_add(1, Ordering::Relaxed);
        self.hand.now()
    }

    fn wake_at(&self, deadline: Timestamp, waker: &std::task::Waker) -> bool {
        self.hand.wake_at(deadline, waker)
    }
}

pub(crate) type Limiter = LeasedTokenBucket<CountingClock>;

/// A limiter that admits `most` permits at one instant and then, in effect, no more.
pub(crate) fn limiter(most: u64, batch: u32) -> (Arc<Limiter>, CountingClock) {
    let clock = CountingClock::default();
    let quota = Quota::per_day(1).burst(16 * u64::from(batch) + most);
    let builder = TokenBucket::builder(quota).clock(clock.clone());
    (Arc::new(builder.build_leased(batch).unwrap()), clock)
}

type Task = Box<dyn FnOnce() + Send>;

/// A thread that lives until this value is dropped.
pub(crate) struct Member {
    tasks: Option<Sender<Task>>,
    thread: Option<JoinHandle<()>>,
}

impl Member {
    pub(crate) fn new() -> Self {
        let (tasks, told) = channel::<Task>();
        let thread = thread::spawn(move || told.into_iter().for_each(|task| task()));
        Self { tasks: Some(tasks), thread: Some(thread) }
    }

    /// Runs `act` on this thread, and waits for what it returns.
    pub(crate) fn does<R: Send + 'static>(&self, act: impl FnOnce() -> R + Send + 'static) -> R {
        let (tell, told) = channel();
        let task = Box::new(move || drop(tell.send(act())));
        self.tasks.as_ref().unwrap().send(task).unwrap();
        told.recv_timeout(PATIENCE).expect("the thread panicked, or hangs")
    }

    /// Asks `limiter` for one permit `times` times; returns how many it got.
    pub(crate) fn asks(&self, limiter: &Arc<Limiter>, times: u64) -> u64 {
        let limiter = Arc::clone(limiter);
        self.does(move || (0..times).map(|_| u64::from(limiter.allow())).sum())
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        self.tasks = None;
        let ended = self.thread.take().unwrap().join();
        assert!(ended.is_ok() || thread::panicking());
    }
}

/// Threads that each hold a part of a lease of `limiter`, and are idle.
pub(crate) fn holders(limiter: &Arc<Limiter>, count: usize) -> Vec<Member> {
    let holders: Vec<_> = (0..count).map(|_| Member::new()).collect();
    for holder in &holders {
        // A lease grows from draw to draw: 1, 2, 4 permits. Of the last one, three are left.
        assert_eq!(holder.asks(limiter, 4), 4);
    }
    holders
}
