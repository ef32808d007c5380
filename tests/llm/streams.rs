//! Answers in chunks, settled at their end.

use futures_lite::{Stream, StreamExt, future, stream};
use tollgate::ManualClock;
use tollgate::llm::{LimitKind, MeteredStream, Period, Tokens};

use crate::support::{OnManual, limiter, pool, tpm, used};

fn one(clock: &ManualClock) -> OnManual {
    limiter(clock, tpm(10_000))
}

#[allow(clippy::ref_option, reason = "chunks are lent as they are")]
/// A chunk that tells how many tokens were generated so far, if it does.
fn so_far(chunk: &Option<u64>) -> Option<Tokens> {
    chunk.map(|output| Tokens::new(100, output))
}

#[test]
fn a_stream_is_settled_at_its_end_with_the_last_usage_told() {
    let limiter = one(&ManualClock::new());
    let permit = limiter.try_acquire(Tokens::new(100, 4_000)).unwrap();
    let chunks = stream::iter([Some(10), Some(25), None]);
    let mut chunks = MeteredStream::new(chunks, permit, so_far);
    let mut seen = Vec::new();
    while let Some(chunk) = future::block_on(chunks.next()) {
        assert_eq!(limiter.usage().in_flight, 1);
        assert_eq!(used(&limiter, LimitKind::Tokens(Period::MINUTE)), 4_100);
        seen.push(chunk);
    }
    assert_eq!(seen, [Some(10), Some(25), None]);
    assert_eq!(limiter.usage().in_flight, 0, "while the stream is still held");
    assert_eq!(used(&limiter, LimitKind::Tokens(Period::MINUTE)), 125);
    drop(chunks);
    assert_eq!(used(&limiter, LimitKind::Tokens(Period::MINUTE)), 125);
}

#[test]
fn a_stream_that_is_dropped_half_way_is_settled_with_what_it_told() {
    let limiter = one(&ManualClock::new());
    let permit = limiter.try_acquire(Tokens::new(100, 4_000)).unwrap();
    let chunks = stream::iter([Some(10), Some(25), Some(90)]);
    let mut chunks = MeteredStream::new(chunks, permit, so_far);
    assert!(future::block_on(chunks.next()).is_some());
    drop(chunks);
    assert_eq!(used(&limiter, LimitKind::Tokens(Period::MINUTE)), 110);
    assert_eq!(limiter.usage().in_flight, 0);
}

#[test]
fn a_stream_that_never_tells_counts_as_estimated() {
    let limiter = one(&ManualClock::new());
    for taken in [0, 1, 5] {
        let before = used(&limiter, LimitKind::Tokens(Period::MINUTE));
        let permit = limiter.try_acquire(Tokens::new(100, 400)).unwrap();
        let mut chunks = MeteredStream::new(stream::iter([None, None]), permit, so_far);
        for _ in 0..taken {
            future::block_on(chunks.next());
        }
        drop(chunks);
        assert_eq!(used(&limiter, LimitKind::Tokens(Period::MINUTE)), before + 500);
        assert_eq!(limiter.usage().in_flight, 0);
    }
}

#[test]
fn a_stream_of_a_pools_key_is_settled_with_that_key() {
    let pool = pool(&ManualClock::new());
    pool.add("a", "", tpm(10_000)).unwrap();
    let permit = pool.try_acquire(1_000).unwrap();
    let chunks = MeteredStream::new(stream::iter([Some(20)]), permit, so_far);
    assert_eq!(chunks.size_hint(), (1, Some(1)));
    assert_eq!(future::block_on(chunks.count()), 1);
    assert_eq!(pool.usage("a").unwrap().of(LimitKind::Tokens(Period::MINUTE)).unwrap().used, 120);
}
