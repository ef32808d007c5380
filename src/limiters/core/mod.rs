//! What every limiter does under its lock: the rule, its state, the counters and the queue.
//!
//! The time is an argument, and no waiter is woken here: the caller drops the [`Wakers`] once the
//! lock is released.
//!
//! Waiters are served in order, each **as of the time at which it is due**, even if this is noticed
//! later: before a method looks at the state, [`settle`](Core::settle) serves all waiters that have
//! become due. So a late timer costs no permit, and it does not matter which call notices: the one
//! that the waiter's own timer causes, that of another waiter, or any other. After a stall, fewer
//! waiters are served: see [`Lateness`].

mod answer;
mod change;
mod decide;
mod due;
mod groups;
mod join;
mod lateness;
mod plan;
mod rule;
mod serve;
mod set_aside;
mod unclaimed;
mod waiting;

use std::time::Duration;

pub(crate) use answer::{grant_of, refusal_of, usage_of};
#[cfg(feature = "llm")]
pub(crate) use change::Edited;
pub(crate) use groups::Buckets;
use groups::Groups;
use lateness::Lateness;
use plan::Tail;
pub(crate) use rule::Rule;

use crate::algorithm::Receipt;
use crate::wait::queue::Queue;
use crate::wakers::Wakers;
use crate::{Rejection, Timestamp};

/// The latest time that a limiter uses; [`Timestamp::MAX`], which means "never", is later.
pub(crate) const LAST: Timestamp = Timestamp::from_nanos(u64::MAX - 1);

/// The answer of a rule that cannot know the time, because it depends on when another request gives
/// something back.
pub(crate) const UNKNOWN: Timestamp = LAST;

/// The fields that a plain decision writes come first, and fit on one cache line together with the
/// lock around them. All other fields are in a box, so that two threads exchange only that line.
#[derive(Debug)]
pub(crate) struct Core<A: Rule> {
    pub(crate) state: A::State,
    /// The newest time seen. An older reading of the clock counts as this time.
    latest: Timestamp,
    allowed: u64,
    /// Whether nobody waits and the limiter is not shut: the common case, in one flag.
    open_and_idle: bool,
    pub(crate) rest: Box<Rest<A>>,
}

/// The fields that plain decisions only read, or do not need.
#[derive(Debug)]
pub(crate) struct Rest<A: Rule> {
    pub(crate) rule: A,
    denied: u64,
    /// Why all requests are refused from now on, if they are.
    shut: Option<Rejection>,
    max_waiters: usize,
    queue: Queue<A::Ask>,
    /// The time of the last grant to a waiter. While somebody waits, the state is as of this time.
    served_until: Timestamp,
    /// Which waiters can use which buckets, for rules with several buckets.
    groups: Groups,
    /// The state once all waiters are served, if it is known. For rules that cannot compute the
    /// wait behind a queue at once.
    tail: Option<Tail<A>>,
    /// The number of changes since the due times of all waiters were last computed.
    changes: usize,
    /// Permits that were given back since then, by waiters that left and by others.
    given_back: u128,
    /// By how many nanoseconds all waiters are due later than was computed.
    drift: i128,
    /// Whether permits were taken since then. The due times may then be wrong by less than a
    /// nanosecond, which can move one of them to another nanosecond.
    shifted: bool,
    lateness: Lateness,
    /// Permits of waiters that have missed their turn, at most a burst. The first of these waiters
    /// that looks gets them.
    missed: u64,
    catch_up: Option<Duration>,
    /// The number of the last grant that may be given back.
    pub(crate) next_receipt: u64,
    /// Permits of waiters that still wait for a second limit.
    set_aside: Option<Box<set_aside::SetAside>>,
}

impl<A: Rule> Rest<A> {
    /// Whether the due times of all waiters are still exact.
    fn is_planned(&self) -> bool {
        self.changes == 0 && self.drift == 0 && !self.shifted
    }

    /// Notes that the due times of all waiters have just been computed.
    fn mark_planned(&mut self) {
        (self.changes, self.given_back, self.drift, self.shifted) = (0, 0, 0, false);
    }

    /// Notes that `permits` were given back, so that all waiters behind them move up.
    fn note_given_back(&mut self, permits: u64) {
        if !A::OPEN_ENDED {
            self.given_back = self.given_back.saturating_add(permits.into());
        }
    }
}

impl<A: Rule> Core<A> {
    pub(crate) fn new(rule: A, state: A::State, now: Timestamp, max_waiters: usize) -> Self {
        let lateness = Lateness::of(&rule, None);
        Self {
            state,
            latest: now.min(LAST),
            allowed: 0,
            open_and_idle: true,
            rest: Box::new(Rest {
                rule,
                denied: 0,
                shut: None,
                max_waiters,
                queue: Queue::default(),
                served_until: now,
                groups: Groups::default(),
                tail: None,
                changes: 0,
                given_back: 0,
                drift: 0,
                shifted: false,
                lateness,
                missed: 0,
                catch_up: None,
                next_receipt: 0,
                set_aside: None,
            }),
        }
    }

    /// Sets how much waiters get at one instant after a stall: see
    /// [`LimiterBuilder::catch_up`](crate::LimiterBuilder::catch_up).
    pub(crate) fn set_catch_up(&mut self, catch_up: Option<Duration>) {
        self.rest.catch_up = catch_up;
        self.rest.lateness = Lateness::of(&self.rest.rule, catch_up);
    }

    /// Replaces the rule without a change of the state, for a state that comes from elsewhere.
    pub(crate) fn put_rule(&mut self, rule: A) {
        self.rest.lateness = Lateness::of(&rule, self.rest.catch_up);
        self.rest.rule = rule;
        self.rest.missed = 0;
    }

    /// The receipt of a grant that was made at `at` and may be given back.
    fn next_receipt(&mut self, at: Timestamp) -> Receipt {
        self.rest.next_receipt += 1;
        Receipt::new(self.rest.next_receipt, at)
    }

    /// Advances the time to `now`, unless `now` is earlier than the newest time seen.
    #[inline]
    pub(crate) fn see(&mut self, now: Timestamp) {
        self.latest = self.latest.max(now.min(LAST));
    }

    /// Advances the time to `now`, and serves all waiters that are due.
    #[inline]
    pub(crate) fn settle(&mut self, now: Timestamp, wakers: &mut Wakers) {
        self.see(now);
        if !self.open_and_idle {
            self.serve(wakers);
        }
    }

    /// The newest time seen.
    pub(crate) fn latest(&self) -> Timestamp {
        self.latest
    }

    /// Whether nobody waits and the limiter is open.
    pub(crate) fn is_open_and_idle(&self) -> bool {
        self.open_and_idle
    }

    /// Whether the state describes the limiter completely: nobody waits, no outcome is left to be
    /// fetched, and nothing is set aside.
    pub(crate) fn is_at_rest(&self) -> bool {
        self.rest.queue.is_unused() && self.rest.set_aside.is_none()
    }

    /// Brings the flag up to date after the queue, or whether the limiter is shut, has changed.
    fn update_flag(&mut self) {
        self.open_and_idle = self.rest.shut.is_none() && self.rest.queue.is_empty();
        if self.rest.queue.is_empty() {
            self.rest.tail = None;
            if A::OPEN_ENDED {
                self.rest.groups = Groups::default();
            }
            self.rest.mark_planned();
        }
    }
}
