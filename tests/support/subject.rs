//! Every limiter there is, built alike: 10 permits at once, 10 a second, on a clock at 10 s.
//!
//! What differs by design is said in [`Caps`], and nowhere else.

use std::sync::Arc;
use std::time::Duration;

use tollgate::algorithm::{Algorithm, Receipt, StrictWindow, Whole};
use tollgate::{
    AtomicTokenBucket, Composite, FixedWindowLimiter, IntervalTokenBucket, Keyed, KeyedLimiter,
    Limiter, LimiterBuilder, ManualClock, Quota, QuotaError, RateLimiter, SlidingWindowLimiter,
    StrictLimiter, Timestamp, TokenBucket, keyed,
};

/// Permits at once, for every subject.
pub(crate) const LIMIT: u64 = 10;
pub(crate) const NANO: Duration = Duration::from_nanos(1);

/// How a limiter differs from the others by design.
#[allow(clippy::struct_excessive_bools, reason = "each is a trait of its own")]
#[derive(Clone, Copy, Debug)]
pub(crate) struct Caps {
    /// Counts what it allowed and denied.
    pub(crate) counters: bool,
    /// Has a burst of its own; windows have none.
    pub(crate) burst: bool,
    /// After the clock stepped back, the same permits are there.
    pub(crate) steady_under_steps_back: bool,
    /// Takes one new quota; a composite has several.
    pub(crate) set_quota: bool,
    /// Held back from the burst.
    pub(crate) held_back: u64,
}

const USUAL: Caps = Caps {
    counters: true,
    burst: true,
    steady_under_steps_back: true,
    set_quota: true,
    held_back: 0,
};
const WINDOW: Caps = Caps { burst: false, ..USUAL };
const ATOMIC: Caps = Caps { counters: false, steady_under_steps_back: false, ..USUAL };
const LEASED: Caps = Caps { held_back: 16, ..USUAL };
const SEVERAL: Caps = Caps { set_quota: false, ..USUAL };

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

fn subject(caps: Caps, build: impl FnOnce(ManualClock) -> Arc<dyn RateLimiter>) -> Subject {
    let clock = ManualClock::new();
    clock.set(Timestamp::from_nanos(10_000_000_000));
    Subject { limiter: build(clock.clone()), clock, caps }
}

fn locked<A: Algorithm>(caps: Caps, builder: LimiterBuilder<A>, max_waiters: usize) -> Subject {
    subject(caps, |clock| {
        Arc::new(builder.clock(clock).max_waiters(max_waiters).build().expect("a valid quota"))
    })
}

fn bucket(options: &Options, clock: ManualClock) -> TokenBucket<ManualClock> {
    let builder = TokenBucket::builder(options.quota).max_waiters(options.max_waiters);
    builder.clock(clock).build().expect("a valid quota")
}

pub(crate) fn token_bucket(o: Options) -> Subject {
    locked(USUAL, TokenBucket::builder(o.quota), o.max_waiters)
}

pub(crate) fn interval(o: Options) -> Subject {
    locked(USUAL, IntervalTokenBucket::builder(o.quota), o.max_waiters)
}

pub(crate) fn fixed_window(o: Options) -> Subject {
    locked(WINDOW, FixedWindowLimiter::builder(o.quota), o.max_waiters)
}

pub(crate) fn sliding_window(o: Options) -> Subject {
    locked(WINDOW, SlidingWindowLimiter::builder(o.quota), o.max_waiters)
}

pub(crate) fn strict(o: Options) -> Subject {
    locked(WINDOW, StrictLimiter::builder(o.quota), o.max_waiters)
}

pub(crate) fn atomic(o: Options) -> Subject {
    subject(ATOMIC, |clock| {
        let builder = TokenBucket::builder(o.quota).clock(clock).max_waiters(o.max_waiters);
        let limiter: AtomicTokenBucket<ManualClock> = builder.build_atomic().expect("fits");
        Arc::new(limiter)
    })
}

pub(crate) fn leased(o: Options) -> Subject {
    let burst = o.quota.burst_size().saturating_add(LEASED.held_back);
    subject(LEASED, |clock| {
        let builder = TokenBucket::builder(o.quota.burst(burst)).clock(clock);
        Arc::new(builder.max_waiters(o.max_waiters).build_leased(1).expect("burst left"))
    })
}

pub(crate) fn composite(o: Options) -> Subject {
    let wide = if o.quota.is_unlimited() { o.quota } else { Quota::per_hour(100_000) };
    let builder = Composite::builder_of([("narrow", o.quota), ("wide", wide)]);
    locked(SEVERAL, builder, o.max_waiters)
}

pub(crate) fn composite_of_one(o: Options) -> Subject {
    let builder = Composite::builder_of([("only", o.quota)]);
    locked(USUAL, builder, o.max_waiters)
}

pub(crate) fn custom(o: Options) -> Subject {
    locked(USUAL, Limiter::builder_from_algorithm(Cooldown(o.quota)), o.max_waiters)
}

/// One key of a keyed limiter; it keeps no counters for each key.
const OF_A_KEY: Caps = Caps { counters: false, ..USUAL };

fn of_a_key<A: Algorithm>(
    o: &Options,
    caps: Caps,
    builder: keyed::KeyedBuilder<String, A>,
    prepare: impl FnOnce(&Keyed<String, A, ManualClock>),
) -> Subject {
    subject(caps, |clock| {
        let built = builder.clock(clock).max_waiters(o.max_waiters).build();
        let limiter = Arc::new(built.expect("a valid quota"));
        prepare(&limiter);
        Arc::new(limiter.for_key_owned("alice".to_owned()))
    })
}

pub(crate) fn key(o: Options) -> Subject {
    of_a_key(&o, OF_A_KEY, KeyedLimiter::builder(o.quota), |_| ())
}

pub(crate) fn key_by_strict_window(o: Options) -> Subject {
    let rule = StrictWindow::try_from(o.quota).expect("a valid quota");
    of_a_key(&o, Caps { counters: false, ..WINDOW }, Keyed::builder_from_algorithm(rule), |_| ())
}

pub(crate) fn key_by_custom_rule(o: Options) -> Subject {
    of_a_key(&o, OF_A_KEY, Keyed::builder_from_algorithm(Cooldown(o.quota)), |_| ())
}

/// Its terms are its own: others have one permit in a day.
pub(crate) fn key_with_own_quota(o: Options) -> Subject {
    let prepare = |limiter: &KeyedLimiter<String, ManualClock>| {
        limiter.set_quota_for("alice", o.quota).expect("a valid quota");
    };
    of_a_key(&o, OF_A_KEY, KeyedLimiter::builder(Quota::per_day(1)), prepare)
}

/// All keys together have a limit that is never met.
pub(crate) fn key_below_a_wide_limit(o: Options) -> Subject {
    let global = if o.quota.is_unlimited() { o.quota } else { Quota::per_second(1_000_000) };
    of_a_key(&o, OF_A_KEY, KeyedLimiter::builder(o.quota).global(global), |_| ())
}

pub(crate) fn in_an_arc(o: Options) -> Subject {
    subject(USUAL, |clock| Arc::new(Arc::new(bucket(&o, clock))))
}

pub(crate) fn in_a_box(o: Options) -> Subject {
    subject(USUAL, |clock| {
        let boxed: Box<dyn RateLimiter> = Box::new(bucket(&o, clock));
        Arc::new(boxed)
    })
}

pub(crate) fn by_reference(o: Options) -> Subject {
    subject(USUAL, |clock| {
        let leaked: &'static TokenBucket<ManualClock> = Box::leak(Box::new(bucket(&o, clock)));
        Arc::new(leaked)
    })
}

/// A rule of a user's own: everything comes back one period after the last permit was taken.
#[derive(Clone, Debug)]
pub(crate) struct Cooldown(Quota);

impl Cooldown {
    fn end(&self, (_, last, _): &(u128, Timestamp, u64)) -> Timestamp {
        *last + self.0.period()
    }
}

impl Algorithm for Cooldown {
    /// Used, when permits were last taken, and the first grant that can be given back.
    type State = (u128, Timestamp, u64);
    type Packed = Whole<(u128, Timestamp, u64)>;

    fn quota(&self) -> Quota {
        self.0
    }

    fn with_quota(&self, quota: Quota) -> Result<Self, QuotaError> {
        quota.validate().map(|()| Self(quota))
    }

    fn start(&self, now: Timestamp, used: u128) -> Self::State {
        (used, now, u64::MAX)
    }

    fn used(&self, state: &Self::State, now: Timestamp) -> u128 {
        if now >= self.end(state) { 0 } else { state.0 }
    }

    fn ready_at(&self, state: &Self::State, now: Timestamp, permits: u64) -> Timestamp {
        let wanted = self.used(state, now).saturating_add(permits.into());
        if wanted <= self.limit().into() {
            now
        } else if permits <= self.limit() {
            self.end(state)
        } else {
            Timestamp::MAX
        }
    }

    fn take(&self, state: &mut Self::State, now: Timestamp, permits: u64) {
        if permits > 0 && !self.0.is_unlimited() {
            let first = if self.used(state, now) == 0 { u64::MAX } else { state.2 };
            *state = (self.used(state, now).saturating_add(permits.into()), now, first);
        }
    }

    fn hold(&self, state: &mut Self::State, now: Timestamp, permits: u64, receipt: Receipt) {
        self.take(state, now, permits);
        state.2 = state.2.min(receipt.seq);
    }

    fn undo(&self, state: &mut Self::State, now: Timestamp, permits: u64, receipt: Receipt) {
        if receipt.seq >= state.2 {
            self.give_back(state, now, permits);
        }
    }

    fn give_back(&self, state: &mut Self::State, now: Timestamp, permits: u64) {
        state.0 = self.used(state, now).saturating_sub(permits.into());
    }

    fn full_at(&self, state: &Self::State, now: Timestamp) -> Timestamp {
        if self.used(state, now) == 0 { now } else { self.end(state) }
    }
}
