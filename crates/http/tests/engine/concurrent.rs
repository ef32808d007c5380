//! Requests of many threads: permits are conserved.

use std::sync::atomic::{AtomicU64, Ordering};

use tollgate_http::engine::store::Memory;
use tollgate_http::{Decision, HttpLimiter};

use crate::scene::{facts, policy};
use crate::stores::{LaterStore, block_on};

const THREADS: u64 = 8;
const EACH: u64 = 300;

/// What is left of a limit.
fn left(limiter: &HttpLimiter, path: &str, name: &str) -> u64 {
    let decision = block_on(limiter.decide(&facts(path)));
    decision.limits().find(|limit| limit.name() == name).expect("a limit").remaining()
}

fn flood(limiter: &HttpLimiter, settle: impl Fn(&mut Decision) + Sync) -> [u64; 2] {
    let counts = [AtomicU64::new(0), AtomicU64::new(0)];
    std::thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                for _ in 0..EACH {
                    let mut decision = block_on(limiter.decide(&facts("/")));
                    let refused = usize::from(!decision.is_allowed());
                    counts[refused].fetch_add(1, Ordering::Relaxed);
                    settle(&mut decision);
                }
            });
        }
    });
    counts.map(AtomicU64::into_inner)
}

const POLICY: &str = "[limits.small]\nquota = '700/1000days'\n[limits.large]\nquota = '5000/1000days'\n\
     key = 'address'\n[limits.window]\nquota = '9000/1000days'\nalgorithm = 'fixed-window'\n\
     [limits.trial]\nquota = '100/1000days'\nmode = 'shadow'\n\
     [[routes]]\npath = '/'\nlimits = ['window', 'small', 'trial', 'large']\n\
     [[routes]]\npath = '/large'\nlimits = ['large', 'window']\n";

fn limiters() -> Vec<HttpLimiter> {
    let policy = policy(POLICY);
    let still = || std::sync::Arc::new(tollgate::ManualClock::new());
    let builder = || HttpLimiter::builder(&policy).clock(tollgate::ManualClock::new());
    vec![
        builder().build().expect("memory"),
        builder().store(LaterStore::new(Memory::with_clock(still()), 1)).build().expect("memory"),
    ]
}

#[test]
fn as_many_pass_as_the_smallest_limit_allows_and_refusals_take_nothing() {
    for limiter in limiters() {
        let [allowed, refused] = flood(&limiter, |decision| {
            if !decision.is_allowed() {
                assert_eq!(decision.refused_by().collect::<Vec<_>>(), ["small"]);
                assert_eq!(decision.would_refuse().count(), 0, "a shadow limit was not asked");
            }
        });
        assert_eq!((allowed, refused), (700, THREADS * EACH - 700));
        assert_eq!(left(&limiter, "/large", "large"), 5000 - 700 - 1);
        assert_eq!(left(&limiter, "/large", "window"), 9000 - 700 - 2);
    }
}

#[test]
fn what_is_given_back_can_be_taken_again_and_no_more() {
    let policy = policy(&POLICY.replace("path = '/'\n", "path = '/'\ncharge = [500]\n"));
    let clock = tollgate::ManualClock::new();
    let limiter = HttpLimiter::builder(&policy).clock(clock).build().expect("memory");
    // Every other request gives back.
    let turn = AtomicU64::new(0);
    let charged = AtomicU64::new(0);
    let [allowed, _] = flood(&limiter, |decision| {
        if decision.is_allowed() {
            let fails = turn.fetch_add(1, Ordering::Relaxed).is_multiple_of(2);
            charged.fetch_add(u64::from(fails), Ordering::Relaxed);
            limiter.answered(decision, if fails { 500 } else { 200 });
        }
    });
    let charged = charged.into_inner();
    assert!(charged <= 700 && allowed >= charged);
    assert_eq!(left(&limiter, "/large", "large"), 5000 - charged - 1);
}
