//! The same decisions over stores that answer later, and over stores that fail.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use tollgate::ManualClock;
use tollgate_http::engine::store::Memory;
use tollgate_http::engine::{Descriptor, DescriptorsDecision};
use tollgate_http::{HttpLimiter, Outcome};

use crate::scene::policy;
use crate::stores::{LaterStore, Line, block_on};
use crate::together::{ALICE, ALL, BLOCKED, ONE, ONE_PATH, POLICY, TWO};
use crate::{Entries, allowed, left};

/// What each request asks, one after the other.
const SCRIPT: &[&[(Entries<'static>, u64)]] = &[
    &[(ALL, 1), (ONE, 1)],
    &[(ALL, 0), (TWO, 1)],
    &[(ONE, 2), (ONE_PATH, 1)],
    &[(ONE, 2)],
    &[(ALL, 1), (ONE, 0)],
    &[(ALL, 4), (BLOCKED, 1)],
    &[(ALL, 4), (TWO, 2)],
    &[(ALICE, 99)],
    &[(ALICE, 50), (TWO, 1)],
    &[(ALICE, 50)],
    &[(ALICE, 1)],
    &[(ALL, 4)],
    &[(ALL, 9)],
];

/// What the script is answered.
const ANSWERS: &[&[bool]] = &[
    &[true, true],
    &[true, true],
    &[true, false],
    &[true],
    &[true, false],
    &[true, false],
    &[true, true],
    &[true],
    &[true, false],
    &[true],
    &[false],
    &[true],
    &[false],
];

async fn ask(limiter: &HttpLimiter, asked: &[(Entries<'_>, u64)]) -> DescriptorsDecision {
    let descriptors: Vec<Descriptor<'_>> =
        asked.iter().map(|(entries, hits)| Descriptor::new(entries).hits(*hits)).collect();
    limiter.decide_descriptors("edge", &descriptors).await
}

async fn run(limiter: &HttpLimiter) -> Vec<Vec<u64>> {
    let mut rest = Vec::new();
    for (asked, answer) in SCRIPT.iter().zip(ANSWERS) {
        let decided = ask(limiter, asked).await;
        // The first of two parts of one bucket can be answered with the sum, or alone.
        if *asked != SCRIPT[2] {
            assert_eq!(allowed(&decided), *answer, "{asked:?} {decided:?}");
        }
        assert_eq!(decided.is_allowed(), answer.iter().all(|allowed| *allowed), "{asked:?}");
        rest.push(left(&decided));
    }
    rest
}

fn later() -> (HttpLimiter, Arc<Line>) {
    let store = LaterStore::new(Memory::with_clock(Arc::new(ManualClock::new())), 3);
    let line = Arc::clone(&store.line);
    (HttpLimiter::builder(policy(POLICY)).store(store).build().expect("memory"), line)
}

#[test]
fn a_store_that_answers_later_decides_the_same() {
    let (limiter, _) = crate::scene::limiter(&policy(POLICY));
    let memory = block_on(run(&limiter));
    let (limiter, _) = later();
    assert_eq!(block_on(run(&limiter)), memory);
}

#[cfg(feature = "shared")]
#[tokio::test]
async fn a_store_that_processes_share_decides_the_same() {
    use tollgate::shared::store::Memory;
    use tollgate_http::engine::store::SharedStore;

    let store = SharedStore::new(Memory::new()).key_secret([7; 16]);
    let deadline = std::time::Duration::from_secs(60);
    let builder = HttpLimiter::builder(policy(POLICY)).store(store.deadline(deadline));
    let limiter = builder.build().expect("a shared store");
    let rest = run(&limiter).await;
    assert_eq!(rest[0], [9, 2]);
    assert_eq!(rest[6], [5, 0]);
}

#[test]
fn a_store_that_fails_lets_descriptors_through_or_not() {
    for (fails_closed, status) in [(false, None), (true, Some(503))] {
        let store = LaterStore::new(Memory::with_clock(Arc::new(ManualClock::new())), 3);
        let line = Arc::clone(&store.line);
        let builder = HttpLimiter::builder(policy(POLICY)).store(store);
        let limiter = builder.fail_closed(fails_closed).build().expect("memory");
        line.is_broken.store(true, Ordering::Relaxed);
        let decided = block_on(ask(&limiter, &[(ONE, 1), (&[("nobody", "x")], 1), (ALL, 0)]));
        assert!(decided.store_failed());
        assert_eq!(decided.is_allowed(), !fails_closed);
        let outcomes = decided.descriptors().iter().map(|one| one.decision().outcome());
        let failed = Outcome::StoreFailed;
        assert_eq!(outcomes.collect::<Vec<_>>(), [failed, Outcome::Allowed, failed]);
        assert_eq!(decided.descriptors()[0].decision().status(), status);
        line.is_broken.store(false, Ordering::Relaxed);
        line.left_out.store(1, Ordering::Relaxed);
        assert!(block_on(ask(&limiter, &[(ONE, 1), (ALL, 1)])).store_failed());
        line.left_out.store(0, Ordering::Relaxed);
        assert!(!block_on(ask(&limiter, &[(ONE, 1)])).store_failed());
    }
}

/// The permits were taken, so the request goes on although its debt is not noted.
#[test]
fn a_store_that_fails_after_the_permits_were_taken_loses_the_debt() {
    let (limiter, line) = later();
    let descriptors = [Descriptor::new(ALICE).hits(7)];
    let mut deciding = Box::pin(limiter.decide_descriptors("edge", &descriptors));
    let decided = block_on(std::future::poll_fn(|context| {
        let polled = deciding.as_mut().poll(context);
        // Once the permit is taken, the line breaks.
        if line.answered.load(Ordering::Relaxed) == 1 {
            line.is_broken.store(true, Ordering::Relaxed);
        }
        polled
    }));
    assert!(decided.is_allowed() && !decided.store_failed());
    assert_eq!(line.answered.load(Ordering::Relaxed), 2);
}
