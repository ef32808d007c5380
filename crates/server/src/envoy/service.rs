//! The method `ShouldRateLimit` as a service of tower.

use std::borrow::Cow;
use std::convert::Infallible;
use std::future::{Future, ready};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use http::{Request, Response};
use http_body::Body;
use smallvec::SmallVec;
use tollgate_http::HttpLimiter;
use tollgate_http::engine::{DecidingDescriptors, Descriptor};
use tonic::server::{Grpc, UnaryService};
use tonic::{Code, Status};
use tower::Service;

use super::answer::answer;
use super::codec::ResponseCodec;
use super::messages::{Entry, RateLimitRequest};
use crate::net::within;
use crate::web::is_of_a_page;

/// What a request may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// The longest message, in bytes: 4 MiB by default, as gRPC has it, because Envoy lets requests
    /// through whose messages are refused. A longer one is answered with `OUT_OF_RANGE`.
    pub message: usize,
    /// The most descriptors. More are answered with `INVALID_ARGUMENT`.
    pub descriptors: usize,
    /// The most entries of a descriptor. More are answered with `INVALID_ARGUMENT`.
    pub entries: usize,
    /// How long a request may take to arrive and to be decided. After that, it is answered with
    /// `DEADLINE_EXCEEDED`.
    pub time: Duration,
}

impl Default for Bounds {
    fn default() -> Self {
        Self { message: 4 << 20, descriptors: 64, entries: 32, time: Duration::from_secs(10) }
    }
}

/// Envoy's Rate Limit Service, without its path. A clone is the same service.
#[derive(Clone, Debug)]
pub struct RateLimitService {
    limiter: HttpLimiter,
    bounds: Bounds,
    /// Whether it was told that limits of Envoy's own are not obeyed.
    is_override_told: Arc<AtomicBool>,
}

type BoxFuture<T> = Pin<Box<dyn Future<Output = T> + Send>>;

impl RateLimitService {
    /// The service that decides by `limiter`.
    #[must_use]
    pub fn new(limiter: HttpLimiter, bounds: Bounds) -> Self {
        Self { limiter, bounds, is_override_told: Arc::default() }
    }

    /// Begins to decide about a request.
    fn begin(&self, request: &RateLimitRequest) -> Result<DecidingDescriptors, Status> {
        let RateLimitRequest { domain, descriptors, hits_addend } = request;
        if domain.is_empty() {
            return Err(Status::invalid_argument("the domain must not be empty"));
        }
        if descriptors.is_empty() {
            return Err(Status::invalid_argument("there must be a descriptor"));
        }
        let Bounds { descriptors: most, entries: most_entries, .. } = self.bounds;
        if descriptors.len() > most {
            let count = descriptors.len();
            return Err(Status::invalid_argument(format!(
                "there are {count} descriptors: at most {most} are possible"
            )));
        }
        // The entries of all descriptors, and how many each of them has.
        let mut texts: SmallVec<[(Cow<'_, str>, Cow<'_, str>); 8]> = SmallVec::new();
        for (index, descriptor) in descriptors.iter().enumerate() {
            let count = descriptor.entries.len();
            if count > most_entries {
                return Err(Status::invalid_argument(format!(
                    "the descriptor {index} has {count} entries: at most {most_entries} are \
                     possible"
                )));
            }
            if descriptor.limit.is_some() && !self.is_override_told.swap(true, Ordering::Relaxed) {
                tracing::warn!(
                    domain = ?domain.chars().take(100).collect::<String>(),
                    "Envoy's configuration says a limit of its own, which is not obeyed: the limits \
                     of the policy hold"
                );
            }
            texts.extend(descriptor.entries.iter().map(Entry::texts));
        }
        let entries: SmallVec<[(&str, &str); 8]> =
            texts.iter().map(|(key, value)| (&**key, &**value)).collect();
        let mut rest = &entries[..];
        let default = u64::from(*hits_addend).max(1);
        let mut asked: SmallVec<[Descriptor<'_>; 4]> = SmallVec::new();
        for descriptor in descriptors {
            let (own, others) = rest.split_at(descriptor.entries.len());
            rest = others;
            let hits = descriptor.hits_addend.unwrap_or(default);
            let own = Descriptor::new(own).hits(hits);
            asked.push(if descriptor.is_negative_hits { own.give_back() } else { own });
        }
        Ok(self.limiter.decide_descriptors(domain, &asked))
    }
}

impl UnaryService<RateLimitRequest> for RateLimitService {
    type Response = super::codec::Response;
    type Future = BoxFuture<Result<tonic::Response<Self::Response>, Status>>;

    fn call(&mut self, request: tonic::Request<RateLimitRequest>) -> Self::Future {
        let limiter = self.limiter.clone();
        // What memory has decided is answered here: a decision is large, and a future that holds it
        // would be moved around.
        match self.begin(request.get_ref()).map(DecidingDescriptors::now) {
            Err(status) => Box::pin(ready(Err(status))),
            Ok(Ok(decided)) => {
                Box::pin(ready(answer(&limiter, &decided).map(tonic::Response::new)))
            }
            Ok(Err(deciding)) => Box::pin(async move {
                let decided = deciding.await;
                answer(&limiter, &decided).map(tonic::Response::new)
            }),
        }
    }
}

impl<B> Service<Request<B>> for RateLimitService
where
    B: Body + Send + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>> + Send,
{
    type Response = Response<tonic::body::Body>;
    type Error = Infallible;
    type Future = BoxFuture<Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        if is_of_a_page(request.headers()) {
            let refused = Status::permission_denied("the request comes from a web page");
            return Box::pin(ready(Ok(refused.into_http())));
        }
        let service = self.clone();
        Box::pin(async move {
            let time = service.bounds.time;
            let mut grpc =
                Grpc::new(ResponseCodec).max_decoding_message_size(service.bounds.message);
            let answered = within(time, grpc.unary(service, request)).await;
            Ok(answered.unwrap_or_else(|_| {
                Status::deadline_exceeded("the request took too long").into_http()
            }))
        })
    }
}

/// The answer to a method that does not exist.
pub(super) async fn unimplemented() -> Response<tonic::body::Body> {
    Status::new(Code::Unimplemented, "this is Envoy's Rate Limit Service v3").into_http()
}
