//! Every rule of a store as a limiter, built alike: 10 permits at once, 10 a second, on a clock at
//! 10 s.

use std::sync::Arc;
use std::time::Duration;

use tollgate::shared::store::Rule;
use tollgate::{ManualClock, Quota, RateLimiter, Timestamp};

use crate::over_store::OverStore;
use crate::place;

/// Permits at once, for every subject.
pub(crate) const LIMIT: u64 = 10;

/// What the suite calls a nanosecond: the smallest span of the clock.
pub(crate) const NANO: Duration = place::TICK;

/// How a limiter differs from others by design; see the suite of the library.
#[allow(clippy::struct_excessive_bools, reason = "each is a trait of its own")]
#[derive(Clone, Copy, Debug)]
pub(crate) struct Caps {
    pub(crate) counters: bool,
    pub(crate) burst: bool,
    pub(crate) steady_under_steps_back: bool,
    pub(crate) set_quota: bool,
    pub(crate) held_back: u64,
}

/// A limiter under test.
pub(crate) struct Subject {
    pub(crate) limiter: Arc<dyn RateLimiter>,
    pub(crate) clock: ManualClock,
    pub(crate) caps: Caps,
}

/// What a subject is built with.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Options {
    pub(crate) quota: Quota,
    /// A store has no queue.
    pub(crate) max_waiters: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self { quota: Quota::per_second(LIMIT), max_waiters: usize::MAX }
    }
}

/// Builds a kind of limiter.
pub(crate) type Make = fn(Options) -> Subject;

impl Subject {
    /// The quota with which `limit` permits can be had at once.
    pub(crate) fn quota(&self, limit: u64) -> Quota {
        Quota::per_second(limit).burst(limit + self.caps.held_back)
    }

    /// Empties it.
    pub(crate) fn drain(&self) {
        assert_eq!(self.limiter.drain(), LIMIT);
    }

    pub(crate) fn remaining(&self) -> u64 {
        self.limiter.usage().remaining
    }

    pub(crate) fn waiting(&self) -> usize {
        self.limiter.usage().waiting
    }

    pub(crate) fn delay(&self, permits: u64) -> Duration {
        self.limiter.delay_for(permits).expect("not more than the burst")
    }
}

fn of(rule: Rule, options: &Options) -> Subject {
    let clock = ManualClock::new();
    clock.set(Timestamp::from_nanos(10_000_000_000));
    let limiter = OverStore::new(&[(rule, options.quota)], &clock).expect("an exact quota");
    let caps = Caps {
        counters: false,
        burst: rule == Rule::TokenBucket,
        steady_under_steps_back: true,
        set_quota: true,
        held_back: 0,
    };
    Subject { limiter: Arc::new(limiter), clock, caps }
}

#[allow(clippy::needless_pass_by_value, reason = "the suite passes options by value")]
pub(crate) fn token_bucket(options: Options) -> Subject {
    of(Rule::TokenBucket, &options)
}

#[allow(clippy::needless_pass_by_value, reason = "the suite passes options by value")]
pub(crate) fn fixed_window(options: Options) -> Subject {
    of(Rule::FixedWindow, &options)
}

#[allow(clippy::needless_pass_by_value, reason = "the suite passes options by value")]
pub(crate) fn sliding_window(options: Options) -> Subject {
    of(Rule::SlidingWindow, &options)
}

#[allow(clippy::needless_pass_by_value, reason = "the suite passes options by value")]
pub(crate) fn strict_window(options: Options) -> Subject {
    of(Rule::StrictWindow, &options)
}
