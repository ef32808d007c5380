//! A limit that is lowered to `L` per period makes nobody wait longer than one period for `L`
//! requests or tokens, whatever was used before.

use std::time::Duration;

use proptest::prelude::*;
use proptest::sample::select;
use tollgate::ManualClock;
use tollgate::llm::{Burst, Counted, Limiter, Limits, Period, Reply, Tokens};

use crate::greedy::read;

const PERIODS: [u32; 6] = [1, 10, 60, 3_600, 86_400, 2_592_000];

fn burst() -> impl Strategy<Value = Burst> {
    prop_oneof![Just(Burst::Full), Just(Burst::Strict), (1_u8..=100).prop_map(Burst::Percent),]
}

/// Takes `count` tokens, as many at once as can be, and returns how long that takes. Each wait is
/// rounded up to a nanosecond, which is not counted.
fn time_for(limiter: &Limiter<ManualClock>, count: u64) -> Duration {
    let (mut left, mut waited) = (count, Duration::ZERO);
    while left > 0 {
        let limits = limiter.usage().limits;
        let at_once = limits.iter().map(|limit| limit.limit).min().unwrap_or(left);
        match limiter.try_acquire(Tokens::from(left.min(at_once))) {
            Ok(permit) => {
                left -= permit.estimate().total();
                let sent = permit.estimate();
                permit.settle(sent);
            }
            Err(error) => {
                let wait = error.retry_after().unwrap();
                waited += wait.saturating_sub(Duration::from_nanos(1));
                limiter.clock().advance(wait);
            }
        }
    }
    waited
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn to_what_is_set_or_learned(
        burst in burst(), period in select(&PERIODS[..]), old in 100_u64..1_000_000_000,
        share in 1_u64..=100, new in 1_u64..100, learned in any::<bool>(), in_flight in any::<bool>(),
        configured in any::<bool>(), later in 0_u32..100,
    ) {
        let period = Period::seconds(period).unwrap();
        let kind = Counted::Tokens.per(period);
        let clock = ManualClock::new();
        let mut limits = Limits::new().burst(burst);
        if configured {
            limits = limits.with(kind, old);
        }
        let limiter = Limiter::builder().limits(limits).clock(clock.clone()).build().unwrap();
        let learn = |count: u64| {
            let secs = period.as_secs().to_string();
            let headers = [
                ("x-ratelimit-limit-tokens".to_owned(), count.to_string()),
                ("x-ratelimit-renewalperiod-tokens".to_owned(), secs),
            ];
            limiter.observe_reply(&Reply::new(200).limits(read(&headers)));
        };
        if !configured {
            learn(old);
        }
        let most = limiter.usage().of(kind).unwrap().limit;
        let permit = limiter.try_acquire(Tokens::from((most * share / 100).max(1))).unwrap();
        let permit = if in_flight { Some(permit) } else {
            let sent = permit.estimate();
            permit.settle(sent);
            None
        };
        clock.advance(period.as_duration() / 100 * later);
        if learned {
            learn(new);
        } else {
            limiter.set_limits(Limits::new().burst(burst).with(kind, new)).unwrap();
        }
        if let Some(permit) = permit {
            let sent = permit.estimate();
            permit.settle(sent);
        }
        let waited = time_for(&limiter, new);
        prop_assert!(waited <= period.as_duration(), "{:?} of {:?}", waited, period.as_duration());
    }
}
