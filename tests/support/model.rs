//! What a token bucket must answer, in exact rationals and without a thought for speed.
//!
//! It knows nothing of how the crate works: it keeps a level in permits and walks through time from
//! event to event. The fuzz target uses this file too.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use num_bigint::BigInt;
use num_rational::BigRational;
use num_traits::{ToPrimitive, Zero};
use tollgate::{CarryOver, DebtTooLarge, Quota, Rejection, WaitError};

/// The end of time: "never".
pub(crate) const NEVER: u64 = u64::MAX;

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

/// A token bucket with a queue.
#[derive(Clone, Debug)]
pub(crate) struct Model {
    quota: Quota,
    /// Permits there are at `at`; negative is debt.
    level: BigRational,
    at: u64,
    latest: u64,
    closed: bool,
    allowed: u64,
    denied: u64,
    max_waiters: usize,
    queue: VecDeque<Waiter>,
    fates: BTreeMap<u64, (u64, Fate)>,
    next: u64,
}

fn whole(permits: u64) -> BigRational {
    BigRational::from_integer(BigInt::from(permits))
}

fn saturate(value: &BigRational) -> u64 {
    value.to_integer().to_u64().unwrap_or(u64::MAX)
}

/// Permits per nanosecond.
fn rate(quota: Quota) -> BigRational {
    BigRational::new(quota.permits().into(), quota.period().as_nanos().into())
}

impl Model {
    /// A full bucket.
    pub(crate) fn new(quota: Quota, now: u64, max_waiters: usize) -> Self {
        Self {
            quota,
            level: whole(quota.burst_size()),
            at: now,
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

    pub(crate) fn quota(&self) -> Quota {
        self.quota
    }

    pub(crate) fn latest(&self) -> u64 {
        self.latest
    }

    /// Whether the debt outlasts the clock: then some numbers are no longer told apart.
    pub(crate) fn is_lost(&self) -> bool {
        self.ready(0) == NEVER
    }

    fn burst(&self) -> u64 {
        self.quota.burst_size()
    }

    /// The first nanosecond from `at` with `permits` there.
    fn ready(&self, permits: u64) -> u64 {
        let missing = whole(permits) - &self.level;
        if self.quota.is_unlimited() || missing <= BigRational::zero() {
            return self.at;
        }
        let nanos = (missing / rate(self.quota)).ceil().to_integer();
        (nanos + BigInt::from(self.at)).to_u64().unwrap_or(NEVER)
    }

    /// Lets time pass with nobody served.
    fn flow(&mut self, until: u64) {
        if until > self.at {
            let inflow = rate(self.quota) * whole(until - self.at);
            self.level = (&self.level + inflow).min(whole(self.burst()));
            self.at = until;
        }
    }

    fn take(&mut self, permits: u64) {
        if !self.quota.is_unlimited() {
            self.level -= whole(permits);
        }
    }

    /// Moves on to `now`; an earlier one is no move.
    pub(crate) fn settle(&mut self, now: u64) {
        self.latest = self.latest.max(now);
        while let Some(head) = self.queue.front().copied() {
            let due = self.ready(head.permits);
            if due > head.deadline && head.deadline < self.latest {
                self.queue.pop_front();
                let retry_after = Duration::from_nanos(due.saturating_sub(self.latest));
                self.fail(head, WaitError::Timeout { retry_after });
                continue;
            }
            if due > self.latest {
                break;
            }
            self.flow(due);
            self.take(head.permits);
            self.allowed = self.allowed.saturating_add(head.permits);
            self.queue.pop_front();
            self.fates.insert(head.id, (head.permits, Fate::Served));
        }
        self.flow(self.latest);
    }

    fn fail(&mut self, waiter: Waiter, error: WaitError) {
        self.fates.insert(waiter.id, (waiter.permits, Fate::Failed(error)));
    }

    /// When each of the queue will be served, and then `permits` more.
    fn plan(&self, permits: u64) -> (BTreeMap<u64, u64>, u64) {
        let mut future = self.clone();
        let mut dues = BTreeMap::new();
        for waiter in &self.queue {
            let due = future.ready(waiter.permits);
            future.flow(due);
            future.take(waiter.permits);
            dues.insert(waiter.id, due);
        }
        (dues, future.ready(permits))
    }

    /// When `permits` can be had behind the queue.
    fn check(&mut self, now: u64, permits: u64) -> Result<u64, Rejection> {
        self.settle(now);
        if self.closed {
            return Err(Rejection::Closed);
        }
        if permits > self.burst() {
            let burst = self.burst();
            return Err(Rejection::ExceedsBurst { requested: permits, burst, limit: 0 });
        }
        Ok(self.plan(permits).1)
    }

    fn remaining(&self) -> u64 {
        let level = self.level.floor();
        if level < BigRational::zero() { 0 } else { saturate(&level) }
    }

    fn reset_after(&self) -> Duration {
        let missing = whole(self.burst()) - &self.level;
        let nanos = if self.quota.is_unlimited() {
            0
        } else {
            saturate(&(missing / rate(self.quota)).ceil())
        };
        Duration::from_nanos(nanos.min(NEVER - self.latest))
    }

    fn left(&self) -> Left {
        Left { remaining: self.remaining(), reset_after: self.reset_after() }
    }

    pub(crate) fn try_acquire(&mut self, now: u64, permits: u64) -> Result<Left, Rejection> {
        let answer = self.check(now, permits).and_then(|ready| {
            if ready <= self.latest && self.queue.is_empty() {
                return Ok(());
            }
            let available = if self.queue.is_empty() { self.remaining() } else { 0 };
            let retry_after = Duration::from_nanos(ready.saturating_sub(self.latest));
            Err(Rejection::Denied { retry_after, available, limit: 0 })
        });
        if let Err(rejection) = answer {
            self.denied = self.denied.saturating_add(permits);
            return Err(rejection);
        }
        self.take(permits);
        self.allowed = self.allowed.saturating_add(permits);
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
        let taken = permits.min(self.remaining());
        self.take(taken);
        self.allowed = self.allowed.saturating_add(taken);
        taken
    }

    pub(crate) fn consume(&mut self, now: u64, permits: u64) -> Result<Duration, DebtTooLarge> {
        self.settle(now);
        let before = self.level.clone();
        self.take(permits);
        let paid = self.ready(0);
        if paid == NEVER {
            self.level = before;
            return Err(DebtTooLarge { permits });
        }
        self.allowed = self.allowed.saturating_add(permits);
        Ok(Duration::from_nanos(paid - self.latest))
    }

    pub(crate) fn credit(&mut self, now: u64, permits: u64) {
        self.settle(now);
        self.level = (&self.level + whole(permits)).min(whole(self.burst()));
        self.settle(now);
    }

    pub(crate) fn reset(&mut self, now: u64) {
        self.settle(now);
        self.level = whole(self.burst());
        self.settle(now);
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
        let (old, new) = (whole(self.burst()), whole(quota.burst_size()));
        let used = &old - &self.level;
        let used = match how {
            CarryOver::Proportional => used * &new / old,
            CarryOver::Keep => used + &new - old,
            CarryOver::AddDifference if new < old => used + &new - old,
            CarryOver::AddDifference => used,
            _ => BigRational::zero(),
        };
        // A level is a multiple of what the smallest step of the new rate is made of.
        let grain = BigRational::from_integer(rate(quota).denom().clone());
        let used = (used.max(BigRational::zero()) * &grain).ceil() / grain;
        self.level = if quota.is_unlimited() { new } else { new - used };
        self.quota = quota;
        let burst = self.burst();
        for waiter in std::mem::take(&mut self.queue) {
            if waiter.permits > burst {
                let requested = waiter.permits;
                self.fail(waiter, WaitError::ExceedsBurst { requested, burst, limit: 0 });
            } else {
                self.queue.push_back(waiter);
            }
        }
        self.settle(now);
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
            self.take(permits);
            self.allowed = self.allowed.saturating_add(permits);
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
                self.allowed = self.allowed.saturating_sub(permits);
                self.credit(now, permits);
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
            Some(head) => self.ready(head.permits),
            None => self.ready(self.remaining().saturating_add(1)),
        }
    }

    pub(crate) fn usage(&mut self, now: u64) -> Look {
        self.settle(now);
        let Left { remaining, reset_after } = self.left();
        let used = saturate(&(whole(self.burst()) - &self.level).ceil());
        Look {
            limit: self.burst(),
            used,
            remaining,
            reset_after,
            allowed: self.allowed,
            denied: self.denied,
            waiting: self.queue.len(),
        }
    }
}
