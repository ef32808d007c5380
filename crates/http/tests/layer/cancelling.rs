//! Responses that nobody waits for to the end.

use std::future::{Future, pending};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Waker};

use tollgate::ManualClock;
use tollgate_http::engine::store::Memory;
use tollgate_http::{HttpLimiter, RateLimitHandle};

use crate::probe::{Probe, answer, behind, call, left, request, send};
use crate::scene::{limiter, policy};
use crate::stores::{LaterStore, Line};

/// Gives permits back for every status but 500.
const POLICY: &str = "[limits.calls]\nquota = '10/1000days'\n\
     [[routes]]\npath = '/'\nlimits = ['calls']\n\
     [[routes]]\npath = '/failures'\nlimits = ['calls']\ncharge = [500]\n";

fn later(yields: usize) -> (HttpLimiter, Arc<Line>) {
    let store = LaterStore::new(Memory::with_clock(Arc::new(ManualClock::new())), yields);
    let line = Arc::clone(&store.line);
    (HttpLimiter::builder(policy(POLICY)).store(store).build().expect("memory"), line)
}

fn poll_once<F: Future>(future: &mut std::pin::Pin<Box<F>>) {
    let polled = future.as_mut().poll(&mut Context::from_waker(Waker::noop()));
    assert!(polled.is_pending());
}

#[test]
fn a_response_that_is_dropped_stays_charged() {
    for path in ["/", "/failures"] {
        for polls in 0..3 {
            let (limiter, _clock) = limiter(&policy(POLICY));
            let probe = Probe::new(|_| pending::<Result<http::Response<String>, &str>>());
            let mut service = behind(&limiter, probe.clone());
            let mut response = Box::pin(call(&mut service, request(path)));
            (0..polls).for_each(|_| poll_once(&mut response));
            drop(response);
            assert_eq!(probe.calls(), 1);
            let mut service = behind(&limiter, Probe::new(|_| answer(200)));
            assert_eq!(left(&send(&mut service, request("/")).unwrap()), 8);
        }
    }
}

#[test]
fn a_response_that_is_dropped_before_the_store_answers_reaches_no_service() {
    for polls in 0..3 {
        let (limiter, line) = later(3);
        let probe = Probe::new(|_| answer(200));
        let mut service = behind(&limiter, probe.clone());
        let mut response = Box::pin(call(&mut service, request("/")));
        (0..polls).for_each(|_| poll_once(&mut response));
        assert_eq!(line.pending.load(Ordering::Relaxed), 1);
        drop(response);
        assert_eq!(line.pending.load(Ordering::Relaxed), 0);
        assert_eq!(probe.calls(), 0);
        // This store takes nothing for those who do not wait.
        assert_eq!(left(&send(&mut service, request("/")).unwrap()), 9);
        assert_eq!(probe.calls(), 1);
    }
}

#[test]
fn the_service_that_was_polled_ready_is_called_after_the_store_has_answered() {
    let (limiter, _line) = later(2);
    let probe = Probe::new(|_| answer(200));
    let mut service = behind(&limiter, probe.clone());
    // The probe panics if it was not ready. Several wait for the store at once.
    let responses: Vec<_> = (0..5).map(|_| call(&mut service, request("/"))).collect();
    let lefts: Vec<u64> = responses
        .into_iter()
        .map(|response| left(&crate::stores::block_on(response).unwrap()))
        .collect();
    assert_eq!(lefts, [9, 8, 7, 6, 5]);
    assert_eq!(probe.calls(), 5);
}

#[test]
fn nothing_keeps_a_request_or_a_limiter_alive() {
    for store_is_later in [false, true] {
        let token = Arc::new(());
        let in_wall_clock = Arc::clone(&token);
        let builder = HttpLimiter::builder(policy(POLICY)).wall_clock(move || {
            let _ = &in_wall_clock;
            std::time::UNIX_EPOCH
        });
        let builder =
            if store_is_later { builder.store(LaterStore::new(Memory::new(), 2)) } else { builder };
        let limiter = builder.build().expect("memory");
        let held = Arc::clone(&token);
        let mut service = behind(
            &limiter,
            Probe::new(move |request: http::Request<Arc<()>>| {
                let handle = request.extensions().get::<RateLimitHandle>().cloned();
                assert!(handle.is_some() && Arc::strong_count(&held) > 1);
                async move {
                    let _until_the_end = (request, handle);
                    crate::probe::answer(200).await
                }
            }),
        );
        for drops in [false, true, true, false] {
            let (parts, _) = request("/").into_parts();
            let request = http::Request::from_parts(parts, Arc::clone(&token));
            let response = call(&mut service, request);
            if drops {
                drop(response);
            } else {
                assert!(crate::stores::block_on(response).is_ok());
            }
        }
        drop((service, limiter));
        assert_eq!(Arc::strong_count(&token), 1);
    }
}
