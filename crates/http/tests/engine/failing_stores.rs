//! Stores that fail, answer too little, or are not waited for.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Waker};

use tollgate::ManualClock;
use tollgate_http::engine::store::Memory;
use tollgate_http::{HttpLimiter, Outcome};

use crate::scene::{facts, policy};
use crate::stores::{LaterStore, Line, block_on};

const POLICY: &str = "always = ['a', 'b']\n[limits.a]\nquota = '9/1000days'\n\
     [limits.b]\nquota = '9/1000days'\nkey = 'address'\n";

fn limiter(fails_closed: bool) -> (HttpLimiter, Arc<Line>) {
    let clock = Arc::new(ManualClock::new());
    let store = LaterStore::new(Memory::with_clock(clock), 3);
    let line = Arc::clone(&store.line);
    let builder = HttpLimiter::builder(policy(POLICY)).store(store).fail_closed(fails_closed);
    (builder.build().expect("memory"), line)
}

#[test]
fn a_store_that_fails_lets_requests_through_or_not() {
    for (fails_closed, status) in [(false, None), (true, Some(503))] {
        let (limiter, line) = limiter(fails_closed);
        line.is_broken.store(true, Ordering::Relaxed);
        let decision = block_on(limiter.decide(&facts("/")));
        assert_eq!((decision.outcome(), decision.status()), (Outcome::StoreFailed, status));
        assert_eq!(decision.limits().len(), 0);
        line.is_broken.store(false, Ordering::Relaxed);
        assert_eq!(block_on(limiter.decide(&facts("/"))).outcome(), Outcome::Allowed);
    }
}

#[test]
fn a_store_that_leaves_out_answers_has_failed() {
    let (limiter, line) = limiter(true);
    line.left_out.store(1, Ordering::Relaxed);
    let decision = block_on(limiter.decide(&facts("/")));
    assert_eq!((decision.outcome(), decision.status()), (Outcome::StoreFailed, Some(503)));
}

#[test]
fn a_decision_that_nobody_waits_for_takes_nothing_here_and_leaks_nothing() {
    let (limiter, line) = limiter(false);
    for polls in 0..3 {
        let mut deciding = Box::pin(limiter.decide(&facts("/")));
        for _ in 0..polls {
            let mut context = Context::from_waker(Waker::noop());
            assert!(deciding.as_mut().poll(&mut context).is_pending());
        }
        assert_eq!(line.pending.load(Ordering::Relaxed), 1);
        drop(deciding);
        assert_eq!(line.pending.load(Ordering::Relaxed), 0);
    }
    let decision = block_on(limiter.decide(&facts("/")));
    let left: Vec<u64> = decision.limits().map(|limit| limit.remaining()).collect();
    assert_eq!(left, [8, 8]);
}

#[test]
fn a_store_that_answers_later_can_not_answer_now_or_explain() {
    let (limiter, _line) = limiter(false);
    assert!(limiter.explain(&facts("/")).is_none());
    let deciding = limiter.decide(&facts("/")).now().expect_err("not yet");
    let deciding = pin!(deciding);
    assert!(block_on(deciding).is_allowed());
}
