//! Services that panic, fail, or are not ready.

use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::task::{Context, Poll, Waker};

use http::{Request, Response};
use tower_service::Service;

use crate::probe::{Probe, answer, behind, left, request, send};
use crate::scene::{limiter, policy};

const POLICY: &str = "[limits.calls]\nquota = '10/1000days'\n\
     [[routes]]\npath = '/'\nlimits = ['calls']\ncharge = [500]\n\
     [[routes]]\npath = '/{*rest}'\nlimits = ['calls']\n";

#[test]
fn a_service_that_panics_stays_charged_and_breaks_nothing() {
    let (limiter, _clock) = limiter(&policy(POLICY));
    let probe = Probe::new(|request: Request<String>| {
        assert_ne!(request.uri().path(), "/at-once", "a panic in `call`");
        async move {
            assert_ne!(request.uri().path(), "/later", "a panic in the future");
            answer(200).await
        }
    });
    let mut service = behind(&limiter, probe);
    for (path, expected) in [("/at-once", 8), ("/later", 6), ("/at-once", 4)] {
        let sent = catch_unwind(AssertUnwindSafe(|| send(&mut service, request(path)).is_ok()));
        assert!(sent.is_err());
        assert_eq!(left(&send(&mut service, request("/x")).unwrap()), expected);
    }
}

#[test]
fn an_error_of_the_service_is_handed_on_and_stays_charged() {
    let (limiter, _clock) = limiter(&policy(POLICY));
    let mut service = behind(
        &limiter,
        Probe::new(|request: Request<String>| async move {
            if request.uri().path() == "/" { Err("broken") } else { answer(200).await }
        }),
    );
    assert_eq!(send(&mut service, request("/")).unwrap_err(), "broken");
    assert_eq!(left(&send(&mut service, request("/x")).unwrap()), 8);
}

/// Not ready the first time, then an error, then ready.
struct Hesitant(u8);

impl Clone for Hesitant {
    fn clone(&self) -> Self {
        Self(0)
    }
}

impl Service<Request<String>> for Hesitant {
    type Response = Response<String>;
    type Error = &'static str;
    type Future = std::future::Ready<Result<Response<String>, &'static str>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), &'static str>> {
        self.0 += 1;
        match self.0 {
            1 => Poll::Pending,
            2 => Poll::Ready(Err("overloaded")),
            _ => Poll::Ready(Ok(())),
        }
    }

    fn call(&mut self, _: Request<String>) -> Self::Future {
        std::future::ready(Ok(Response::new(String::new())))
    }
}

#[test]
fn the_layer_is_ready_when_its_service_is() {
    let (limiter, _clock) = limiter(&policy(POLICY));
    let mut service = behind(&limiter, Hesitant(0));
    let mut poll = || {
        let mut context = Context::from_waker(Waker::noop());
        service.poll_ready(&mut context)
    };
    assert!(poll().is_pending());
    assert_eq!(poll(), Poll::Ready(Err("overloaded")));
    assert_eq!(poll(), Poll::Ready(Ok(())));
    assert_eq!(left(&send(&mut service, request("/x")).unwrap()), 9);
    let mut clone = service.clone();
    assert!(clone.poll_ready(&mut Context::from_waker(Waker::noop())).is_pending());
    let error = crate::stores::block_on(poll_fn(|context| clone.poll_ready(context)));
    assert_eq!(error, Err("overloaded"));
}

/// Makes a request when its thread ends, after the memory that threads keep may be gone.
struct AtTheEnd(Box<dyn Fn() -> bool>);

impl Drop for AtTheEnd {
    fn drop(&mut self) {
        assert!(self.0());
    }
}

thread_local! {
    static FIRST: std::cell::RefCell<Option<AtTheEnd>> = const { std::cell::RefCell::new(None) };
}

#[test]
fn a_request_that_a_thread_makes_as_it_ends_is_served() {
    let (limiter, _clock) = limiter(&policy(POLICY));
    let of_thread = limiter.clone();
    let thread = std::thread::spawn(move || {
        let serve = move || {
            let mut service = behind(&of_thread, Probe::new(|_| answer(200)));
            send(&mut service, request("/x")).is_ok()
        };
        let at_the_end = serve.clone();
        // Registered first, so ended last.
        FIRST.with(|first| *first.borrow_mut() = Some(AtTheEnd(Box::new(at_the_end))));
        assert!(serve());
    });
    assert!(thread.join().is_ok());
    let mut service = behind(&limiter, Probe::new(|_| answer(200)));
    assert_eq!(left(&send(&mut service, request("/x")).unwrap()), 7);
}
