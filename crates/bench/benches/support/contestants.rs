//! Who takes part: our limiters, the peers, and the floors that none can go below.
//!
//! Like is compared with like: every limiter gets the same rate and burst, and the name says which
//! clock it reads. `mono` is the kernel's monotonic clock, `tsc` each crate's default clock, which
//! goes by the CPU's time stamp counter, and `manual` one that stands still, so that what is left
//! is the decision.

use std::hint::black_box;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use governor::clock as governor_clock;
use parking_lot::Mutex;
use tollgate::{Clock, CounterClock, ManualClock, MonotonicClock, Quota, RateLimiter, TokenBucket};

use crate::work::Contestant;

/// Which answer is measured.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Answer {
    /// The burst is never used up: a permit flows in each nanosecond.
    Allowed,
    /// The burst is used up, and the next permit is an hour away.
    Denied,
}

/// The rate at which permits come in.
#[derive(Clone, Copy)]
pub(crate) struct Rate {
    permits: u32,
    seconds: u32,
    /// The most that all of ours can keep exactly.
    burst: u32,
}

impl Rate {
    /// A permit a nanosecond, which suits every way of counting.
    pub(crate) const EVEN: Self = Self { permits: PER_SECOND, seconds: 1, burst: BURST };
    /// Rates that don't divide a period evenly.
    pub(crate) const SEVEN_IN_THREE_SECONDS: Self =
        Self { permits: 7, seconds: 3, burst: 2_900_000 };
    pub(crate) const PRIME: Self = Self { permits: 999_983, seconds: 1, burst: 2_900_000 };

    fn period(self) -> Duration {
        Duration::from_secs(self.seconds.into())
    }
}

/// More than any run takes away beyond the refill, and the most governor can say.
const BURST: u32 = u32::MAX;
const PER_SECOND: u32 = 1_000_000_000;
const HOUR: Duration = Duration::from_hours(1);

impl Answer {
    fn is_allowed(self) -> bool {
        self == Self::Allowed
    }

    fn quota(self, rate: Rate, smallest_burst: u64) -> Quota {
        match self {
            Self::Allowed => {
                Quota::per(rate.permits.into(), rate.period()).burst(rate.burst.into())
            }
            Self::Denied => Quota::per_hour(1).burst(smallest_burst),
        }
    }
}

/// Our limiters and all peers, ready to answer so.
pub(crate) fn limiters(answer: Answer) -> Vec<Contestant> {
    let rate = Rate::EVEN;
    let mut all = ours("mono", &MonotonicClock::new(), answer, rate);
    let mono = MonotonicClock::new();
    all.push(leased("Leased 64", 64, mono, answer, rate));
    all.push(leased("Leased 256", 256, mono, answer, rate));
    all.push(governor("governor mono", governor_clock::MonotonicClock, answer, rate));
    all.push(ratelimit(answer));
    all.push(leaky_bucket(answer));
    all.push(tokio_rate_limit(answer));
    all.extend(ours("manual", &ManualClock::new(), answer, rate));
    all.extend(defaults(answer, rate));
    all
}

/// Our limiters and governor on their default clocks, as a user would install them.
pub(crate) fn defaults(answer: Answer, rate: Rate) -> Vec<Contestant> {
    let clock = CounterClock::new();
    let mut all = ours("tsc", &clock, answer, rate);
    all.push(leased("Leased 64 tsc", 64, clock, answer, rate));
    all.push(governor("governor tsc", governor_clock::QuantaClock::default(), answer, rate));
    all
}

/// The clocks alone.
#[allow(dead_code, reason = "not every benchmark measures the clocks")]
pub(crate) fn clocks() -> Vec<Contestant> {
    use governor_clock::Clock as _;
    let quanta = governor_clock::QuantaClock::default();
    vec![
        floor_of_clock("clock/kernel", MonotonicClock::new()),
        floor_of_clock("clock/counter", CounterClock::new()),
        Contestant::new("clock/quanta", true, move || {
            black_box(quanta.now());
            true
        }),
    ]
}

/// What a decision can't do without: a clock read, a lock, a compare-and-swap.
pub(crate) fn floors() -> Vec<Contestant> {
    let mut all = Vec::new();
    all.extend([
        floor_of_clock("clock mono", MonotonicClock::new()),
        floor_of_lock("clock + lock mono", MonotonicClock::new()),
        floor_of_swap("clock + swap mono", MonotonicClock::new()),
        lock(),
        compare_and_swap(),
        floor_of_clock("clock tsc", CounterClock::new()),
        floor_of_lock("clock + lock tsc", CounterClock::new()),
        floor_of_swap("clock + swap tsc", CounterClock::new()),
    ]);
    all
}

/// The locked and the lock-free bucket on one clock.
fn ours<C: Clock + Clone>(
    clock_name: &str,
    clock: &C,
    answer: Answer,
    rate: Rate,
) -> Vec<Contestant> {
    let builder = || TokenBucket::builder(answer.quota(rate, 1)).clock(clock.clone());
    let locked = builder().build().expect("a valid quota");
    let atomic = builder().build_atomic().expect("a quota that fits a word");
    let names = match clock_name {
        "mono" => ["TokenBucket mono", "Atomic mono"],
        "manual" => ["TokenBucket manual", "Atomic manual"],
        _ => ["TokenBucket tsc", "Atomic tsc"],
    };
    vec![asked(names[0], locked, answer), asked(names[1], atomic, answer)]
}

fn leased(
    name: &'static str,
    batch: u32,
    clock: impl Clock,
    answer: Answer,
    rate: Rate,
) -> Contestant {
    // What leases may hold is held back from the burst: one permit beyond it.
    let quota = answer.quota(rate, 16 * u64::from(batch) + 1);
    let builder = TokenBucket::builder(quota).clock(clock);
    let limiter = builder.build_leased(batch).expect("a burst above the hold");
    asked(name, limiter, answer)
}

/// Uses the burst up if the answer shall be no, then asks for one permit at a time.
fn asked<L: RateLimiter + 'static>(name: &'static str, limiter: L, answer: Answer) -> Contestant {
    if answer == Answer::Denied {
        while limiter.allow() {}
    }
    Contestant::new(name, answer.is_allowed(), move || limiter.allow())
}

fn governor<C>(name: &'static str, clock: C, answer: Answer, rate: Rate) -> Contestant
where
    C: governor_clock::Clock + Send + Sync + 'static,
    C::Instant: Send + Sync,
{
    let non_zero = |n| NonZeroU32::new(n).expect("not zero");
    let quota = match answer {
        Answer::Allowed => {
            let every = rate.period() / rate.permits;
            let quota = governor::Quota::with_period(every).expect("not zero");
            quota.allow_burst(non_zero(rate.burst))
        }
        Answer::Denied => governor::Quota::per_hour(non_zero(1)),
    };
    let limiter = governor::RateLimiter::direct_with_clock(quota, clock);
    if answer == Answer::Denied {
        assert!(limiter.check().is_ok(), "full at first");
    }
    Contestant::new(name, answer.is_allowed(), move || limiter.check().is_ok())
}

fn ratelimit(answer: Answer) -> Contestant {
    let builder = match answer {
        Answer::Allowed => ratelimit::Ratelimiter::builder(PER_SECOND.into())
            .max_tokens(BURST.into())
            .initial_available(BURST.into()),
        Answer::Denied => ratelimit::Ratelimiter::builder(1).period(HOUR).max_tokens(1),
    };
    let limiter = builder.build().expect("a valid rate");
    Contestant::new("ratelimit mono", answer.is_allowed(), move || limiter.try_wait().is_ok())
}

/// It reads no clock while its balance lasts, which here it always does.
fn leaky_bucket(answer: Answer) -> Contestant {
    let mut builder = leaky_bucket::RateLimiter::builder();
    match answer {
        Answer::Allowed => {
            // It refills by ticks, so the burst alone must last.
            let lasting = usize::try_from(u64::from(BURST) * 1024).expect("a 64-bit machine");
            builder.max(lasting).initial(lasting).refill(PER_SECOND as usize);
            builder.interval(Duration::from_secs(1))
        }
        Answer::Denied => builder.max(1).initial(0).refill(1).interval(HOUR),
    };
    let limiter = builder.build();
    Contestant::new("leaky-bucket", answer.is_allowed(), move || limiter.try_acquire(1))
}

/// Always by key; a single one here. It wants at least one permit a second, so what is refused is
/// a million permits, which take eleven days.
fn tokio_rate_limit(answer: Answer) -> Contestant {
    let (rate, burst, cost) = match answer {
        Answer::Allowed => (PER_SECOND.into(), BURST.into(), 1),
        Answer::Denied => (1, 1_000_000, 1_000_000),
    };
    let limiter = tokio_rate_limit::RateLimiter::builder()
        .requests_per_second(rate)
        .burst(burst)
        .build()
        .expect("a valid rate");
    let ask = move || limiter.check_with_cost("key", cost).permitted;
    if answer == Answer::Denied {
        assert!(ask(), "full at first");
    }
    Contestant::new("tokio-rate-limit mono", answer.is_allowed(), ask)
}

fn floor_of_clock(name: &'static str, clock: impl Clock) -> Contestant {
    Contestant::new(name, true, move || {
        black_box(clock.now());
        true
    })
}

fn floor_of_lock(name: &'static str, clock: impl Clock) -> Contestant {
    let shared = Arc::new(Mutex::new(0_u64));
    Contestant::new(name, true, move || {
        let now = clock.now().as_nanos();
        *shared.lock() = now;
        true
    })
}

fn lock() -> Contestant {
    let shared = Arc::new(Mutex::new(0_u64));
    Contestant::new("lock", true, move || {
        *shared.lock() += 1;
        true
    })
}

fn compare_and_swap() -> Contestant {
    let word = Arc::new(AtomicU64::new(0));
    Contestant::new("compare-and-swap", true, move || {
        swap(&word, 1);
        true
    })
}

/// The least a lock-free limiter can do.
fn floor_of_swap(name: &'static str, clock: impl Clock) -> Contestant {
    let word = Arc::new(AtomicU64::new(0));
    Contestant::new(name, true, move || {
        swap(&word, clock.now().as_nanos());
        true
    })
}

fn swap(word: &AtomicU64, by: u64) {
    let mut old = word.load(Ordering::Acquire);
    while let Err(newer) =
        word.compare_exchange_weak(old, old.wrapping_add(by), Ordering::AcqRel, Ordering::Acquire)
    {
        old = newer;
    }
}
