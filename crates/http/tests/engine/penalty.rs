//! Penalties (rule P9): how long blocks are, and when earlier ones are forgotten.

use std::time::Duration;

use tollgate::{ManualClock, Timestamp};
use tollgate_http::{HttpLimiter, Outcome};

use crate::scene::{decide, facts, limiter, policy};

/// A limiter whose only permit is gone, with these penalty settings.
fn refusing(settings: &str) -> (HttpLimiter, ManualClock) {
    let text = format!(
        "always = ['calls']\n[limits.calls]\nquota = '1/1000days'\n[penalty]\nkey = 'address'\n\
         {settings}\n"
    );
    let (limiter, clock) = limiter(&policy(&text));
    assert!(decide(&limiter, &facts("/")).is_allowed());
    (limiter, clock)
}

/// Sends requests until one begins a block; returns how many were put up with, and the block.
fn block(limiter: &HttpLimiter) -> (u32, Duration) {
    for refusals in 0..1000 {
        let decision = decide(limiter, &facts("/"));
        if decision.is_penalty() {
            assert_eq!((decision.outcome(), decision.status()), (Outcome::Refused, Some(429)));
            assert_eq!(decision.refused_by().collect::<Vec<_>>(), ["calls"]);
            let block = decision.retry_after().expect("a wait");
            let next = decide(limiter, &facts("/"));
            if block > Duration::ZERO && !limiter.penalties().is_empty() {
                assert_eq!((next.outcome(), next.retry_after()), (Outcome::Penalty, Some(block)));
                assert_eq!(next.limits().len(), 0);
            }
            return (refusals, block);
        }
    }
    panic!("no block in a thousand refusals");
}

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

#[test]
fn blocks_grow_up_to_the_maximum_and_the_count_begins_anew() {
    let (limiter, clock) =
        refusing("after = '3/1000days'\nblock = '10s'\ngrowth = 3\nmax = '200s'\nforget = '1day'");
    for expected in [10, 30, 90, 200, 200] {
        assert_eq!(block(&limiter), (3, seconds(expected)));
        clock.advance(seconds(expected).saturating_sub(Duration::from_nanos(1)));
        let last = decide(&limiter, &facts("/"));
        assert_eq!((last.is_penalty(), last.retry_after()), (true, Some(Duration::from_nanos(1))));
        clock.advance(Duration::from_nanos(1));
        assert!(limiter.penalties().is_empty(), "nobody is blocked any more");
    }
}

#[test]
fn blocks_are_forgotten_after_their_end() {
    let (limiter, clock) =
        refusing("after = '1/1000days'\nblock = '10s'\ngrowth = 2\nmax = '1h'\nforget = '100s'");
    assert_eq!(block(&limiter), (1, seconds(10)));
    // One nanosecond too early: it grows.
    clock.advance(seconds(110).saturating_sub(Duration::from_nanos(1)));
    assert_eq!(block(&limiter), (1, seconds(20)));
    clock.advance(seconds(120));
    assert_eq!(
        block(&limiter),
        (1, seconds(10)),
        "`forget` after the block's end, it is the first"
    );
}

#[test]
fn extreme_growth_and_maximum_end_in_no_overflow() {
    let centuries = "36500days";
    for (settings, expected) in [
        // At once at the maximum.
        (format!("block = '1s'\ngrowth = {}\nmax = '1h'", u32::MAX), [1, 3600, 3600]),
        // Growth 1 does not grow.
        ("block = '7s'\ngrowth = 1\nmax = '1h'".to_owned(), [7, 7, 7]),
        // Longer than the clock can count.
        (
            format!("block = '{centuries}'\ngrowth = {}\nmax = '{centuries}'", u32::MAX),
            [36_500 * 86_400; 3],
        ),
    ] {
        let (limiter, clock) =
            refusing(&format!("after = '1/1000days'\n{settings}\nforget = '{centuries}'"));
        for expected in expected {
            assert_eq!(block(&limiter).1, seconds(expected), "{settings}");
            clock.advance(seconds(expected));
            // The limit's own permits have come back after such a time.
            decide(&limiter, &facts("/"));
        }
    }
}

#[test]
fn a_penalty_at_the_end_of_the_clock_does_not_panic() {
    let (limiter, clock) =
        refusing("after = '1/1000days'\nblock = '1h'\ngrowth = 2\nmax = '1day'\nforget = '1day'");
    clock.set(Timestamp::from_nanos(u64::MAX - 1));
    decide(&limiter, &facts("/"));
    for _ in 0..10 {
        let decision = decide(&limiter, &facts("/"));
        assert!(!decision.is_allowed());
        assert!(limiter.explain(&facts("/")).is_some());
    }
    clock.set(Timestamp::from_nanos(u64::MAX));
    for _ in 0..10 {
        assert!(!decide(&limiter, &facts("/")).is_allowed());
    }
}

#[test]
fn a_penalty_can_be_lifted_and_is_then_forgotten() {
    let (limiter, clock) =
        refusing("after = '1/1000days'\nblock = '10s'\ngrowth = 2\nmax = '1h'\nforget = '1day'");
    assert_eq!(block(&limiter), (1, seconds(10)));
    clock.advance(seconds(10));
    assert_eq!(block(&limiter), (1, seconds(20)));
    let blocked = limiter.penalties();
    assert_eq!(blocked.len(), 1);
    assert!(limiter.lift_penalty(&blocked[0].0));
    assert!(!limiter.lift_penalty(&blocked[0].0));
    assert_eq!(block(&limiter), (1, seconds(10)));
}

#[test]
fn exempt_and_blocked_callers_get_no_penalty() {
    let text = "always = ['calls']\n[limits.calls]\nquota = '1/day'\n\
         [[subjects]]\nuser = 'probe'\nexempt = true\n[[subjects]]\nuser = 'bad'\nblocked = true\n\
         [penalty]\nkey = 'address'\nafter = '1/day'\nblock = '1min'\nmax = '1h'\nforget = '1day'\n";
    let (limiter, _clock) = limiter(&policy(text));
    for _ in 0..5 {
        decide(&limiter, &facts("/"));
        assert_eq!(decide(&limiter, &facts("/").user("bad")).outcome(), Outcome::Blocked);
    }
    assert!(decide(&limiter, &facts("/")).is_penalty());
    assert_eq!(decide(&limiter, &facts("/").user("probe")).outcome(), Outcome::Exempt);
    assert_eq!(decide(&limiter, &facts("/").user("bad")).outcome(), Outcome::Blocked);
}

/// If all blocks ended at the same time, all were dropped to make room for one.
#[test]
fn room_for_a_penalty_is_made_by_few_others() {
    let text = "always = ['calls']\n[limits.calls]\nquota = '1/1000days'\n\
         [penalty]\nkey = 'user'\nafter = '1/1000days'\nblock = '1h'\nmax = '1h'\nforget = '1day'\n";
    let (limiter, _clock) = limiter(&policy(text));
    assert!(decide(&limiter, &facts("/")).is_allowed());
    for number in 0..100_001 {
        let user: std::sync::Arc<str> = number.to_string().into();
        assert!(!decide(&limiter, &facts("/").user(user.clone())).is_penalty());
        assert!(decide(&limiter, &facts("/").user(user)).is_penalty());
    }
    let blocked = limiter.penalties().len();
    assert!((87_000..=100_000).contains(&blocked), "{blocked}");
    assert!(decide(&limiter, &facts("/").user("100000")).is_penalty());
}
