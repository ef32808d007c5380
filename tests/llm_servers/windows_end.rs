//! A server that counts in windows gives all of a limit again when its window ends, and states when
//! that is. A limiter uses it from then on, and not only when its own count has run out.

use std::time::{Duration, SystemTime};

use proptest::prelude::*;
use tollgate::llm::{Counted, Limiter, Limits, Period, Permit, Reply, ServerLimits};
use tollgate::{Clock, ManualClock};

use crate::greedy::read;

const HOUR: Duration = Duration::from_secs(3_600);
const DAY: Duration = Duration::from_secs(24 * 3_600);
const LIMIT: u64 = 100;

/// What the server says of its limit of 100 requests a day.
fn said(remaining: u64, reset: Duration) -> ServerLimits {
    read(&[
        ("x-ratelimit-limit-requests-day".to_owned(), LIMIT.to_string()),
        ("x-ratelimit-remaining-requests-day".to_owned(), remaining.to_string()),
        ("x-ratelimit-reset-requests-day".to_owned(), format!("{}ms", reset.as_millis())),
    ])
}

fn limiter(limits: Limits) -> Limiter<ManualClock> {
    Limiter::builder().limits(limits).clock(ManualClock::new()).build().unwrap()
}

/// Sends requests, each answered at once, until `remaining` are left of a window that ends after
/// `reset`.
fn use_up_to(limiter: &Limiter<ManualClock>, from: u64, remaining: u64, reset: Duration) {
    for left in (remaining..from).rev() {
        let permit = limiter.try_acquire(0).unwrap();
        permit.end(&Reply::new(200).limits(said(left, reset)));
    }
}

/// How many requests can be sent now.
fn sendable(limiter: &Limiter<ManualClock>) -> usize {
    let permits: Vec<Permit<'_, _>> = std::iter::from_fn(|| limiter.try_acquire(0).ok()).collect();
    let sent = permits.len();
    permits.into_iter().for_each(Permit::cancel);
    sent
}

#[test]
fn all_of_a_day_can_be_used_again_when_the_day_ends() {
    let limiter = limiter(Limits::new());
    use_up_to(&limiter, LIMIT, 0, 2 * HOUR);
    let wait = limiter.try_acquire(0).unwrap_err().retry_after().unwrap();
    // Two hours, and 200 millionths for the clocks.
    assert!((2 * HOUR..2 * HOUR + Duration::from_secs(3)).contains(&wait), "{wait:?}");
    limiter.clock().advance(wait.saturating_sub(Duration::from_nanos(1)));
    assert_eq!(sendable(&limiter), 0);
    limiter.clock().advance(Duration::from_nanos(1));
    assert_eq!(sendable(&limiter), 100);
    let usage = limiter.usage();
    let day = usage.of(Counted::Requests.per(Period::DAY)).unwrap();
    assert_eq!((day.used, day.remaining, day.reset_after), (0, 100, Duration::ZERO));
}

#[test]
fn the_next_window_lasts_a_day() {
    let limiter = limiter(Limits::new());
    use_up_to(&limiter, LIMIT, 0, 2 * HOUR);
    limiter.clock().advance(2 * HOUR + Duration::from_secs(3));
    // This server states an end in an hour again, and after that hour another one.
    for _ in 0..20 {
        let left = u64::try_from(sendable(&limiter)).unwrap();
        use_up_to(&limiter, left, 0, HOUR);
        limiter.clock().advance(HOUR + Duration::from_secs(3));
        assert_eq!(sendable(&limiter), 0);
    }
    limiter.clock().advance(4 * HOUR);
    assert_eq!(sendable(&limiter), 100);
}

#[test]
fn what_is_in_flight_at_the_end_counts_in_the_next_window() {
    let limiter = limiter(Limits::new());
    use_up_to(&limiter, LIMIT, 10, HOUR);
    let late: Vec<_> = (0..4).map(|_| limiter.try_acquire(0).unwrap()).collect();
    limiter.clock().advance(HOUR + Duration::from_secs(1));
    assert_eq!(sendable(&limiter), 96);
    // Nobody knows which window they were counted in.
    for permit in late {
        permit.settle(0);
    }
    assert_eq!(sendable(&limiter), 96);
}

#[test]
fn an_end_that_is_stated_later_counts() {
    let limiter = limiter(Limits::new());
    use_up_to(&limiter, LIMIT, 5, HOUR);
    use_up_to(&limiter, 5, 0, 3 * HOUR);
    limiter.clock().advance(2 * HOUR);
    assert_eq!(sendable(&limiter), 0);
    limiter.clock().advance(HOUR + Duration::from_secs(3));
    assert_eq!(sendable(&limiter), 100);
}

/// It could be the reset of a limit that is refilled evenly.
#[test]
fn one_answer_shows_no_window() {
    let limiter = limiter(Limits::new());
    let permit = limiter.try_acquire(0).unwrap();
    permit.end(&Reply::new(200).limits(said(50, HOUR)));
    for _ in 0..50 {
        limiter.try_acquire(0).unwrap().settle(0);
    }
    limiter.clock().advance(2 * HOUR);
    assert_eq!(sendable(&limiter), 49);
}

#[test]
fn a_configured_limit_counts_as_configured() {
    let limiter = limiter(Limits::new().requests_per_day(LIMIT));
    use_up_to(&limiter, LIMIT, 0, HOUR);
    limiter.clock().advance(2 * HOUR);
    assert_eq!(sendable(&limiter), 0);
}

#[test]
fn a_restart_keeps_the_end() {
    let before = limiter(Limits::new());
    use_up_to(&before, LIMIT, 0, 3 * HOUR);
    let saved = SystemTime::UNIX_EPOCH + DAY;
    let state = before.state_at(saved);
    let after = limiter(Limits::new());
    after.restore_state_at(&state, saved + HOUR).unwrap();
    after.clock().advance((2 * HOUR).saturating_sub(Duration::from_secs(1)));
    assert_eq!(sendable(&after), 0);
    after.clock().advance(Duration::from_secs(5));
    assert_eq!(sendable(&after), 100);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    /// Whatever ends a server states, no day has more than two of them.
    #[test]
    fn a_hostile_server_gets_one_limit_for_each_window(
        answers in prop::collection::vec((0..=LIMIT, 0_u64..100_000, 0_u64..40_000), 1..100),
        in_flight in 0_usize..10,
    ) {
        let limiter = limiter(Limits::new());
        let (mut sent, mut open) = (Vec::new(), Vec::new());
        for (remaining, reset, pause) in answers {
            while let Ok(permit) = limiter.try_acquire(0) {
                sent.push(limiter.clock().now());
                if open.len() < in_flight {
                    open.push(permit);
                    continue;
                }
                // The first of them in order, and then the others.
                open.insert(0, permit);
                let answered = open.pop().unwrap();
                answered.end(&Reply::new(200).limits(said(remaining, Duration::from_secs(reset))));
            }
            limiter.clock().advance(Duration::from_secs(pause));
        }
        let within = DAY.saturating_sub(DAY / 2_500);
        for (at, first) in sent.iter().enumerate() {
            let count = sent[at..].iter().take_while(|last| **last - *first < within).count();
            prop_assert!(count as u64 <= 2 * LIMIT, "{} in a day", count);
        }
    }
}
