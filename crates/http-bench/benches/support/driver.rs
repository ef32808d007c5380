//! A service that is driven without a runtime: each response is ready at the first poll.

use std::convert::Infallible;
use std::future::Future;
use std::hint::black_box;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, Waker};

use http::response::Parts;
use http::{Request, Response};
use tower::Service;

use crate::requests::Crowd;
use crate::work::{Contestant, Work};

/// A service that answers at once.
pub(crate) trait Prompt: Clone + Send + Sync + 'static {
    /// Lets the service answer a request.
    fn ask(&mut self, request: Request<()>) -> Parts;
}

impl<S, B> Prompt for S
where
    S: Service<Request<()>, Response = Response<B>, Error = Infallible>,
    S: Clone + Send + Sync + 'static,
{
    fn ask(&mut self, request: Request<()>) -> Parts {
        let mut context = Context::from_waker(Waker::noop());
        assert!(self.poll_ready(&mut context).is_ready(), "the service waits for nothing");
        let response = pin!(self.call(request));
        match response.poll(&mut context) {
            Poll::Ready(Ok(response)) => response.into_parts().0,
            Poll::Ready(Err(never)) => match never {},
            Poll::Pending => panic!("the service waits for nothing"),
        }
    }
}

/// A service that answers the requests of a crowd, all with the same status.
struct Driven<S> {
    service: S,
    crowd: Crowd,
    status: u16,
    /// The place of the next request.
    next: AtomicU64,
}

impl<S: Prompt> Work for Driven<S> {
    fn run(&self, times: u64) {
        let mut service = self.service.clone();
        let first = self.next.fetch_add(times, Ordering::Relaxed);
        for at in first..first + times {
            black_box(service.ask(self.crowd.request(at)));
        }
    }

    fn holds(&self) -> bool {
        let at = self.next.fetch_add(1, Ordering::Relaxed);
        self.service.clone().ask(self.crowd.request(at)).status.as_u16() == self.status
    }
}

/// Lets a service answer one request of each client.
pub(crate) fn meet(service: &mut impl Prompt, crowd: &Crowd) {
    for client in 0..crowd.known() {
        black_box(service.ask(crowd.request_of(client)));
    }
}

/// A contestant that answers the requests of `crowd`, all with `status`. Each client has been there
/// once before.
pub(crate) fn contestant(
    name: &'static str,
    mut service: impl Prompt,
    crowd: &Crowd,
    status: u16,
) -> Contestant {
    meet(&mut service, crowd);
    let (crowd, next) = (crowd.clone(), AtomicU64::new(0));
    Contestant { name, work: Arc::new(Driven { service, crowd, status, next }) }
}
