//! Answers in chunks, settled at their end.

use futures_lite::{Stream, StreamExt, future, stream};
use tollgate::ManualClock;
use tollgate::llm::{
    ChunkReport, KeyPool, LimitKind, Limits, MeteredStream, ModelPool, OnDrop, Period, Reply,
    Tokens,
};

use crate::support::{MINUTE, OnManual, SECOND, limiter, pool, tpm, used};

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

const TOKENS: LimitKind = LimitKind::Tokens(Period::MINUTE);

/// A chunk: the tokens that were generated so far, or an error event with this status.
type Chunk = Result<u64, u16>;

fn report(chunk: &Chunk) -> ChunkReport {
    match chunk {
        Ok(output) => Tokens::new(100, *output).into(),
        Err(429) => Reply::new(429).limited_for(20 * SECOND).into(),
        Err(status) => Reply::new(*status).into(),
    }
}

#[test]
fn a_stream_that_fails_counts_as_what_it_is() {
    // The status, what counts as used without a usage before, and the pause.
    let cases = [
        (429, 0, Some(20 * SECOND)),
        (529, 0, None),
        (402, 0, Some(2 * MINUTE)),
        (401, 0, None),
        (500, 500, None),
        (400, 500, None),
    ];
    for (status, unknown, pause) in cases {
        for usage in [None, Some(30)] {
            let limiter = one(&ManualClock::new());
            let permit = limiter.try_acquire(Tokens::new(100, 400)).unwrap();
            let chunks = usage.map(Ok).into_iter().chain([Err(status)]);
            let mut chunks = MeteredStream::new(stream::iter(chunks), permit, report);
            let mut seen = 0;
            while seen < 1 + usize::from(usage.is_some()) {
                assert_eq!(limiter.usage().in_flight, 1, "{status}");
                assert!(future::block_on(chunks.next()).is_some());
                seen += 1;
            }
            // At once, while the stream is still held. A refused key gives all back.
            let known = usage.filter(|_| status != 401).map_or(unknown, |output| 100 + output);
            let after = limiter.usage();
            assert_eq!((after.in_flight, after.paused_for), (0, pause), "{status}");
            assert_eq!(after.of(TOKENS).unwrap().used, known, "{status}");
            assert!(future::block_on(chunks.next()).is_none());
            drop(chunks);
            assert_eq!(used(&limiter, TOKENS), known, "nothing is counted twice");
        }
    }
}

#[test]
fn streams_that_fail_one_after_the_other_let_the_key_rest() {
    let limiter = one(&ManualClock::new());
    for failure in 1..=2 {
        let permit = limiter.try_acquire(10).unwrap();
        permit.observe_head(&Reply::new(200));
        let chunks = MeteredStream::new(stream::iter([Ok(5), Err(502)]), permit, report);
        assert_eq!(future::block_on(chunks.count()), 2);
        let rest = (failure == 2).then_some(SECOND / 2);
        assert_eq!(limiter.usage().paused_for, rest, "failure {failure}");
    }
}

#[test]
fn the_first_failure_counts_and_nothing_after_it() {
    let limiter = one(&ManualClock::new());
    let permit = limiter.try_acquire(Tokens::new(100, 400)).unwrap();
    let chunks = stream::iter([Ok(10), Err(429), Err(402), Ok(900), Err(500)]);
    assert_eq!(future::block_on(MeteredStream::new(chunks, permit, report).count()), 5);
    assert_eq!(limiter.usage().paused_for, Some(20 * SECOND));
    assert_eq!(used(&limiter, TOKENS), 110);
}

#[test]
fn the_usage_of_the_failure_itself_counts_before_that_of_earlier_chunks() {
    let limiter = one(&ManualClock::new());
    let permit = limiter.try_acquire(Tokens::new(100, 400)).unwrap();
    let read = |chunk: &Chunk| match chunk {
        Err(_) => Reply::new(529).spent(77).into(),
        told => report(told),
    };
    let chunks = MeteredStream::new(stream::iter([Ok(10), Err(529)]), permit, read);
    assert_eq!(future::block_on(chunks.count()), 2);
    assert_eq!(used(&limiter, TOKENS), 77);
}

#[test]
fn a_stream_that_was_read_to_its_end_was_a_success() {
    for on_drop in [OnDrop::Keep, OnDrop::Refund] {
        for tells in [true, false] {
            let pool = KeyPool::builder().on_drop(on_drop).clock(ManualClock::new()).build();
            pool.add("a", "", Limits::new()).unwrap();
            pool.observe_reply("a", &Reply::new(500));
            let permit = pool.try_acquire(10).unwrap();
            let read = move |chunk: &Option<u64>| so_far(chunk).filter(|_| tells);
            let chunks = MeteredStream::new(stream::iter([Some(1), None]), permit, read);
            assert_eq!(future::block_on(chunks.count()), 2);
            // So the next failure is again the first.
            pool.observe_reply("a", &Reply::new(500));
            assert_eq!(pool.usage("a").unwrap().paused_for, None, "{on_drop:?}, {tells}");
        }
    }
}

#[test]
fn a_stream_can_end_a_key_in_a_pool_and_in_all_models() {
    let keys = pool(&ManualClock::new());
    keys.add("a", "", Limits::new()).unwrap();
    let models = ModelPool::with_options(KeyPool::builder().clock(ManualClock::new()));
    models.add("a", "", Limits::new()).unwrap();
    let refused = || stream::iter([Ok(10), Err(401)]);
    let of_keys = MeteredStream::new(refused(), keys.try_acquire(10).unwrap(), report);
    let of_models = MeteredStream::new(refused(), models.try_acquire("x", 10).unwrap(), report);
    assert_eq!(future::block_on(of_keys.count()), 2);
    assert_eq!(future::block_on(of_models.count()), 2);
    assert!(keys.try_acquire(0).is_err());
    assert!(["x", "y"].iter().all(|model| models.try_acquire(model, 0).is_err()));
}
