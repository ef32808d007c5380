//! Who takes a request and its tokens.

use std::num::NonZeroU32;
use std::sync::Arc;

use governor::clock as peer_clock;
use parking_lot::Mutex;
use tollgate::llm::{Limiter, Limits};
use tollgate::{Clock, CounterClock, MonotonicClock, Quota, RateLimiter, TokenBucket};

use crate::work::Contestant;

/// A permit flows in each nanosecond, so that a request every 20 ns or more never meets a limit.
const PER_SECOND: u32 = 1_000_000_000;
const PER_MINUTE: u64 = PER_SECOND as u64 * 60;
/// The most that governor can say.
const BURST: u32 = u32::MAX;
const ESTIMATE: u32 = 10;
/// Less than the estimate, as a rule, because `max_tokens` is a bound.
const ACTUAL: u64 = 8;

pub(crate) fn contestants() -> Vec<Contestant> {
    let mut all = Vec::new();
    let clock = MonotonicClock::new();
    all.extend([
        llm("llm mono", clock, limits(), ESTIMATE.into(), ACTUAL),
        llm("llm mono, exact estimate", clock, limits(), ESTIMATE.into(), ESTIMATE.into()),
        llm("llm mono, into debt", clock, limits(), ACTUAL, ESTIMATE.into()),
        llm("llm mono, all seven limits", clock, all_limits(), ESTIMATE.into(), ACTUAL),
        two_buckets("two token buckets mono", &clock),
        two_governors("two governors mono", &peer_clock::MonotonicClock),
        two_locks("clock + two locks mono", clock),
    ]);
    let clock = CounterClock::new();
    all.extend([
        llm("llm tsc", clock, limits(), ESTIMATE.into(), ACTUAL),
        two_buckets("two token buckets tsc", &clock),
        two_governors("two governors tsc", &peer_clock::QuantaClock::default()),
        two_locks("clock + two locks tsc", clock),
    ]);
    all
}

/// Requests and tokens per minute.
fn limits() -> Limits {
    Limits::new().requests_per_minute(PER_MINUTE).tokens_per_minute(PER_MINUTE)
}

fn all_limits() -> Limits {
    let input_and_output =
        limits().input_tokens_per_minute(PER_MINUTE).output_tokens_per_minute(PER_MINUTE);
    let a_day = PER_MINUTE * 60 * 24;
    input_and_output.requests_per_day(a_day).tokens_per_day(a_day).max_concurrent(32)
}

fn llm(
    name: &'static str,
    clock: impl Clock,
    limits: Limits,
    estimate: u64,
    actual: u64,
) -> Contestant {
    let limiter = Limiter::builder().clock(clock).limits(limits).build().expect("valid limits");
    Contestant::new(name, true, move || {
        limiter.try_acquire(estimate).map(|permit| permit.settle(actual)).is_ok()
    })
}

fn two_buckets(name: &'static str, clock: &(impl Clock + Clone)) -> Contestant {
    let quota = Quota::per_second(PER_SECOND.into()).burst(BURST.into());
    let bucket = || TokenBucket::builder(quota).clock(clock.clone()).build().expect("valid");
    let (requests, tokens) = (bucket(), bucket());
    Contestant::new(name, true, move || {
        requests.try_acquire(1).is_ok() && tokens.try_acquire(ESTIMATE.into()).is_ok()
    })
}

fn two_governors<C>(name: &'static str, clock: &C) -> Contestant
where
    C: peer_clock::Clock + Clone + Send + Sync + 'static,
    C::Instant: Send + Sync,
{
    let non_zero = |n| NonZeroU32::new(n).expect("not zero");
    let quota = governor::Quota::per_second(non_zero(PER_SECOND)).allow_burst(non_zero(BURST));
    let limiter = || governor::RateLimiter::direct_with_clock(quota, clock.clone());
    let (requests, tokens) = (limiter(), limiter());
    let estimate = non_zero(ESTIMATE);
    Contestant::new(name, true, move || {
        requests.check().is_ok() && matches!(tokens.check_n(estimate), Ok(Ok(())))
    })
}

/// What no permit that is taken and settled under a lock can do without.
fn two_locks(name: &'static str, clock: impl Clock) -> Contestant {
    let shared = Arc::new(Mutex::new(0_u64));
    Contestant::new(name, true, move || {
        let now = clock.now().as_nanos();
        *shared.lock() = now;
        *shared.lock() += 1;
        true
    })
}
