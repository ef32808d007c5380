//! What a token bucket must answer, in exact rationals and without a thought for speed.
//!
//! It knows nothing of how the crate works: it keeps a level in permits and walks through time from
//! event to event. The fuzz target uses this file too.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use tollgate::{CarryOver, ConsumeError, Quota, Rejection, WaitError, WhichLimit};

pub(crate) use super::level::{Level, NEVER};

/// One who waits.
#[derive(Clone, Copy, Debug)]
struct Waiter {
    id: u64,
    permits: u64,
    deadline: u64,
}

/// How a wait ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// Served.
    Served,
    /// It came to nothing.
    Failed(WaitError),
}

/// What is left after a grant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Left {
    pub(crate) remaining: u64,
    pub(crate) reset_after: Duration,
}

/// What a look at the bucket shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Look {
    pub(crate) limit: u64,
    pub(crate) used: u64,
    pub(crate) remaining: u64,
    pub(crate) reset_after: Duration,
    pub(crate) allowed: u64,
    pub(crate) denied: u64,
    pub(crate) waiting: usize,
}

/// A change of the level.
#[derive(Clone, Copy, Debug)]
struct Event {
    at: u64,
    what: What,
    /// The reservation that it was for.
    id: Option<u64>,
}

#[derive(Clone, Copy, Debug)]
enum What {
    Take(u64),
    Put(u64),
}

/// A token bucket with a queue.
#[derive(Clone, Debug)]
pub(crate) struct Model {
    level: Level,
    /// The level where `past` begins, and what has changed it since: what was granted before can't
    /// be given back.
    base: Level,
    past: Vec<Event>,
    latest: u64,
    closed: bool,
    allowed: u64,
    denied: u64,
    max_waiters: usize,
    queue: VecDeque<Waiter>,
    fates: BTreeMap<u64, (u64, Fate)>,
    next: u64,
}

impl Model {
    /// A full bucket.
    pub(crate) fn new(quota: Quota, now: u64, max_waiters: usize) -> Self {
        Self {
            level: Level::full(quota, now),
            base: Level::full(quota, now),
            past: Vec::new(),
            latest: now,
            closed: false,
            allowed: 0,
            denied: 0,
            max_waiters,
            queue: VecDeque::new(),
            fates: BTreeMap::new(),
            next: 0,
        }
    }

    fn take(&mut self, at: u64, permits: u64, id: Option<u64>) {
        self.level.take(permits);
        self.past.push(Event { at, what: What::Take(permits), id });
    }

    /// What was granted until now can't be given back any more.
    fn forget_past(&mut self) {
        self.base = self.level.clone();
        self.past.clear();
    }

    /// The level as if the grant to `id` had never been.
    fn without(&self, id: u64) -> Option<(Level, Vec<Event>)> {
        let at = self.past.iter().position(|event| event.id == Some(id))?;
        let mut past = self.past.clone();
        past.remove(at);
        let mut level = self.base.clone();
        for event in &past {
            level.flow(event.at);
            match event.what {
                What::Take(permits) => level.take(permits),
                What::Put(permits) => level.put(permits),
            }
        }
        level.flow(self.latest);
        Some((level, past))
    }

    pub(crate) fn quota(&self) -> Quota {
        self.level.quota
    }

    pub(crate) fn latest(&self) -> u64 {
        self.latest
    }

    /// Whether the debt outlasts the clock: then some numbers are no longer told apart.
    pub(crate) fn is_lost(&self) -> bool {
        self.level.ready(0) == NEVER
    }

    /// Moves on to `now`; an earlier one is no move.
    pub(crate) fn settle(&mut self, now: u64) {
        self.latest = self.latest.max(now);
        while let Some(head) = self.queue.front().copied() {
            let due = self.level.ready(head.permits);
            if due > self.latest {
                break;
            }
            self.level.flow(due);
            self.take(due, head.permits, Some(head.id));
            self.allowed = self.allowed.wrapping_add(head.permits);
            self.queue.pop_front();
            self.fates.insert(head.id, (head.permits, Fate::Served));
        }
        self.level.flow(self.latest);
    }

    /// After a jump of the level: serves, and gives up on those who can't be served in time.
    fn changed(&mut self, now: u64) {
        self.settle(now);
        let mut future = self.clone();
        for waiter in std::mem::take(&mut self.queue) {
            let due = future.level.ready(waiter.permits);
            if due > waiter.deadline {
                let retry_after = Duration::from_nanos(due.saturating_sub(self.latest));
                self.fail(waiter, WaitError::Timeout { retry_after });
            } else {
                future.level.flow(due);
                future.level.take(waiter.permits);
                self.queue.push_back(waiter);
            }
        }
    }

    fn fail(&mut self, waiter: Waiter, error: WaitError) {
        self.fates.insert(waiter.id, (waiter.permits, Fate::Failed(error)));
    }

    /// When each of the queue will be served, and then `permits` more.
    fn plan(&self, permits: u64) -> (BTreeMap<u64, u64>, u64) {
        let mut future = self.clone();
        let mut dues = BTreeMap::new();
        for waiter in &self.queue {
            let due = future.level.ready(waiter.permits);
            future.level.flow(due);
            future.level.take(waiter.permits);
            dues.insert(waiter.id, due);
        }
        (dues, future.level.ready(permits))
    }

    /// When `permits` can be had behind the queue.
    fn check(&mut self, now: u64, permits: u64) -> Result<u64, Rejection> {
        self.settle(now);
        if self.closed {
            return Err(Rejection::Closed);
        }
        if permits > self.level.burst() {
            let burst = self.level.burst();
            return Err(Rejection::ExceedsBurst {
                requested: permits,
                burst,
                limit: WhichLimit::Only,
            });
        }
        Ok(self.plan(permits).1)
    }

    fn left(&self) -> Left {
        Left { remaining: self.level.remaining(), reset_after: self.level.reset_after() }
    }

    pub(crate) fn try_acquire(&mut self, now: u64, permits: u64) -> Result<Left, Rejection> {
        let answer = self.check(now, permits).and_then(|ready| {
            if ready <= self.latest && self.queue.is_empty() {
                return Ok(());
            }
            let available = if self.queue.is_empty() { self.level.remaining() } else { 0 };
            let retry_after = Duration::from_nanos(ready.saturating_sub(self.latest));
            let (reset_after, burst) = (self.level.reset_after(), self.level.burst());
            Err(Rejection::Denied {
                retry_after,
                available,
                reset_after,
                burst,
                limit: WhichLimit::Only,
            })
        });
        if let Err(rejection) = answer {
            self.denied = self.denied.saturating_add(permits);
            return Err(rejection);
        }
        self.take(self.latest, permits, None);
        self.allowed = self.allowed.wrapping_add(permits);
        Ok(self.left())
    }

    pub(crate) fn delay_for(&mut self, now: u64, permits: u64) -> Result<Duration, Rejection> {
        let ready = self.check(now, permits)?;
        Ok(Duration::from_nanos(ready.saturating_sub(self.latest)))
    }

    pub(crate) fn try_acquire_up_to(&mut self, now: u64, permits: u64) -> u64 {
        self.settle(now);
        if self.closed || !self.queue.is_empty() {
            return 0;
        }
        let taken = permits.min(self.level.remaining());
        self.take(self.latest, taken, None);
        self.allowed = self.allowed.wrapping_add(taken);
        taken
    }

    pub(crate) fn consume(&mut self, now: u64, permits: u64) -> Result<Duration, ConsumeError> {
        self.settle(now);
        let before = self.level.clone();
        self.take(self.latest, permits, None);
        let paid = self.level.ready(0);
        if paid == NEVER {
            self.level = before;
            self.past.pop();
            return Err(ConsumeError::DebtTooLarge { permits });
        }
        self.allowed = self.allowed.wrapping_add(permits);
        self.changed(now);
        Ok(Duration::from_nanos(paid - self.latest))
    }

    pub(crate) fn credit(&mut self, now: u64, permits: u64) {
        self.settle(now);
        self.level.put(permits);
        self.past.push(Event { at: self.latest, what: What::Put(permits), id: None });
        self.changed(now);
    }

    pub(crate) fn reset(&mut self, now: u64) {
        self.settle(now);
        self.level.fill();
        self.forget_past();
        self.changed(now);
    }

    pub(crate) fn close(&mut self, now: u64) {
        self.settle(now);
        self.closed = true;
        for waiter in std::mem::take(&mut self.queue) {
            self.fail(waiter, WaitError::Closed);
        }
    }

    pub(crate) fn set_quota(&mut self, now: u64, quota: Quota, how: CarryOver) {
        self.settle(now);
        let same = quota == self.level.quota;
        self.level.set_quota(quota, how);
        if !same || how == CarryOver::Full {
            self.forget_past();
        }
        let burst = self.level.burst();
        for waiter in std::mem::take(&mut self.queue) {
            if waiter.permits > burst {
                let requested = waiter.permits;
                self.fail(
                    waiter,
                    WaitError::ExceedsBurst { requested, burst, limit: WhichLimit::Only },
                );
            } else {
                self.queue.push_back(waiter);
            }
        }
        self.changed(now);
    }

    /// Takes permits or a place in the queue; the number is to ask for it later.
    pub(crate) fn reserve(
        &mut self,
        now: u64,
        permits: u64,
        deadline: u64,
    ) -> Result<u64, WaitError> {
        let joined = self.try_reserve(now, permits, deadline);
        if joined.is_err() {
            self.denied = self.denied.saturating_add(permits);
        }
        joined
    }

    fn try_reserve(&mut self, now: u64, permits: u64, deadline: u64) -> Result<u64, WaitError> {
        let ready = self.check(now, permits)?;
        let id = self.next;
        self.next += 1;
        if self.queue.is_empty() && ready <= self.latest {
            self.take(self.latest, permits, Some(id));
            self.allowed = self.allowed.wrapping_add(permits);
            self.fates.insert(id, (permits, Fate::Served));
            return Ok(id);
        }
        if ready > deadline || ready == NEVER {
            let retry_after = Duration::from_nanos(ready.saturating_sub(self.latest));
            return Err(WaitError::Timeout { retry_after });
        }
        if self.queue.len() >= self.max_waiters {
            return Err(WaitError::QueueFull { max_waiters: self.max_waiters });
        }
        self.queue.push_back(Waiter { id, permits, deadline });
        Ok(id)
    }

    /// How the wait of `id` ended, or when it will.
    pub(crate) fn due(&mut self, now: u64, id: u64) -> Result<Fate, u64> {
        self.settle(now);
        match self.fates.get(&id) {
            Some((_, fate)) => Ok(*fate),
            None => Err(self.plan(0).0[&id]),
        }
    }

    /// Gives the permits or the place back.
    pub(crate) fn cancel(&mut self, now: u64, id: u64) {
        self.settle(now);
        match self.fates.remove(&id) {
            Some((permits, Fate::Served)) => {
                self.allowed = self.allowed.wrapping_sub(permits);
                // What has been refilled meanwhile is not given back a second time.
                if let Some((level, past)) = self.without(id) {
                    (self.level, self.past) = (level, past);
                }
                self.changed(now);
            }
            Some(_) => {}
            None => {
                self.queue.retain(|waiter| waiter.id != id);
                self.settle(now);
            }
        }
    }

    /// Fetches how the wait of `id` ended.
    pub(crate) fn collect(&mut self, id: u64) -> Option<Result<Left, WaitError>> {
        let (permits, fate) = self.fates.remove(&id)?;
        Some(match fate {
            Fate::Served => Ok(self.left()),
            Fate::Failed(error) => {
                self.denied = self.denied.saturating_add(permits);
                Err(error)
            }
        })
    }

    /// Keeps what was served; gives a place up.
    pub(crate) fn abandon(&mut self, now: u64, id: u64) {
        self.settle(now);
        if self.fates.remove(&id).is_none() {
            self.cancel(now, id);
        }
    }

    /// When the head of the queue is due, or the next whole permit is there.
    pub(crate) fn next_event(&mut self, now: u64) -> u64 {
        self.settle(now);
        match self.queue.front() {
            Some(head) => self.level.ready(head.permits),
            None => self.level.ready(self.level.remaining().saturating_add(1)),
        }
    }

    pub(crate) fn usage(&mut self, now: u64) -> Look {
        self.settle(now);
        let Left { remaining, reset_after } = self.left();
        Look {
            limit: self.level.burst(),
            used: self.level.used(),
            remaining,
            reset_after,
            allowed: self.allowed,
            denied: self.denied,
            waiting: self.queue.len(),
        }
    }
}
