//! Taking and settling an LLM permit allocates nothing.

#![cfg(feature = "llm")]

use std::error::Error;

use tollgate::llm::{Burst, KeyPool, Limiter, Limits, Tokens};

const ROUNDS: u64 = 200;

/// Enough for whatever a test takes.
const AMPLE: u64 = 1_000_000_000;

const ESTIMATE: Tokens = Tokens::new(1_000, 500);

/// Runs `act` and asserts that it allocated nothing. Only this thread's allocations count.
#[track_caller]
fn assert_allocates_nothing(what: &str, mut act: impl FnMut()) {
    let info = allocation_counter::measure(|| {
        for _ in 0..ROUNDS {
            act();
        }
    });
    assert_eq!(info.count_total, 0, "{what} allocates: {info:?}");
}

/// Of each kind one.
fn ample() -> Limits {
    Limits::new()
        .requests_per_minute(AMPLE)
        .tokens_per_minute(AMPLE)
        .input_tokens_per_minute(AMPLE)
        .output_tokens_per_minute(AMPLE)
        .requests_per_day(AMPLE)
        .tokens_per_day(AMPLE)
        .max_concurrent(AMPLE)
}

#[track_caller]
fn assert_no_permit_allocates(limiter: &Limiter) {
    let take = || limiter.try_acquire(ESTIMATE).expect("there is enough");
    assert_allocates_nothing("settle", || take().settle(ESTIMATE));
    assert_allocates_nothing("settle for less", || take().settle(Tokens::new(1_000, 120)));
    assert_allocates_nothing("settle for more", || take().settle(Tokens::new(1_000, 600)));
    assert_allocates_nothing("cancel", || take().cancel());
    assert_allocates_nothing("drop", || drop(take()));
    assert_allocates_nothing("allow", || assert!(limiter.allow()));
    assert_allocates_nothing("consume_tokens", || limiter.consume_tokens(10));
    assert_allocates_nothing("beyond the limit", || {
        assert!(limiter.try_acquire(AMPLE + 1).is_err());
    });
}

#[test]
fn limiter() -> Result<(), Box<dyn Error>> {
    let two = Limits::new().requests_per_minute(AMPLE).tokens_per_minute(AMPLE);
    assert_no_permit_allocates(&Limiter::builder().limits(two).build()?);
    assert_no_permit_allocates(&Limiter::builder().limits(ample()).build()?);
    Ok(())
}

/// It remembers when it was used, in up to 66 places: those are made as they are needed.
#[test]
fn strict_limiter_after_its_first_permit() -> Result<(), Box<dyn Error>> {
    let limiter = Limiter::builder().limits(ample()).burst(Burst::Strict).build()?;
    limiter.try_acquire(ESTIMATE)?.settle(ESTIMATE);
    assert_no_permit_allocates(&limiter);
    Ok(())
}

#[test]
fn refusals() -> Result<(), Box<dyn Error>> {
    let limiter = Limiter::builder().tokens_per_minute(1_500).build()?;
    limiter.try_acquire(ESTIMATE)?.settle(ESTIMATE);
    assert_allocates_nothing("refused", || assert!(limiter.try_acquire(ESTIMATE).is_err()));
    assert_allocates_nothing("delay_for", || assert!(limiter.delay_for(ESTIMATE).is_ok()));
    Ok(())
}

#[test]
fn pool_of_100_keys() -> Result<(), Box<dyn Error>> {
    let pool = KeyPool::new();
    for number in 0..100 {
        // Every other key serves one request a day.
        let limits = if number % 2 == 0 { ample() } else { Limits::new().requests_per_day(1) };
        pool.add(number.to_string(), format!("sk-{number}"), limits)?;
    }
    let take = || pool.try_acquire(ESTIMATE).expect("some key has enough");
    assert_allocates_nothing("settle", || take().settle(Tokens::new(1_000, 120)));
    assert_allocates_nothing("settle for more", || take().settle(Tokens::new(1_000, 600)));
    assert_allocates_nothing("cancel", || take().cancel());
    assert_allocates_nothing("drop", || drop(take()));
    assert_allocates_nothing("secret", || {
        let permit = take();
        assert!(permit.secret().starts_with("sk-"));
        permit.settle(ESTIMATE);
    });
    Ok(())
}
