//! A journal of what was sent: for the tables of the examples, and for your own eyes.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use http::Response;
use http::header::AUTHORIZATION;
use http_body_util::BodyExt as _;
use tollgate_http::llm::Estimator;
use tower::Service;

use super::{Failure, Request};

/// What was sent, in order. Clones are the same journal.
#[derive(Clone, Debug, Default)]
pub struct Journal {
    sent: Arc<Mutex<Vec<Sent>>>,
}

/// One request that was sent, or sent again.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Sent {
    /// The API key.
    pub key: String,
    /// How long the client had to wait until it was sent. For a request that is sent again, this
    /// includes the tries before.
    pub waited: Duration,
    /// The tokens that were estimated.
    pub estimated: u64,
    /// The status of the answer; `None` if there was none.
    pub status: Option<u16>,
}

/// When the client asked.
#[derive(Clone, Copy, Debug)]
struct AskedAt(Instant);

impl Journal {
    /// Goes above the limits, and remembers when a request was asked for.
    pub fn asked<S>(inner: S) -> AskedService<S> {
        AskedService { inner }
    }

    /// Goes below the limits, and notes what is sent.
    pub fn sent<S>(&self, inner: S) -> SentService<S> {
        SentService { journal: self.clone(), inner }
    }

    /// All entries so far.
    #[must_use]
    pub fn entries(&self) -> Vec<Sent> {
        self.lock().clone()
    }

    /// A panic elsewhere leaves the entries usable.
    fn lock(&self) -> MutexGuard<'_, Vec<Sent>> {
        self.sent.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The service of [`Journal::asked`].
#[derive(Clone, Debug)]
pub struct AskedService<S> {
    inner: S,
}

impl<S: Service<Request>> Service<Request> for AskedService<S> {
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request) -> S::Future {
        request.extensions_mut().insert(AskedAt(Instant::now()));
        self.inner.call(request)
    }
}

/// The service of [`Journal::sent`].
#[derive(Clone, Debug)]
pub struct SentService<S> {
    journal: Journal,
    inner: S,
}

impl<S, B> Service<Request> for SentService<S>
where
    S: Service<Request, Response = Response<B>, Error = Failure>,
    S::Future: Send + 'static,
{
    type Response = Response<B>;
    type Error = Failure;
    type Future = Pin<Box<dyn Future<Output = Result<Response<B>, Failure>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Failure>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request) -> Self::Future {
        let asked_at = request.extensions().get::<AskedAt>();
        let waited = asked_at.map_or(Duration::ZERO, |AskedAt(then)| then.elapsed());
        let key = request.headers().get(AUTHORIZATION).and_then(|value| value.to_str().ok());
        let key = key.and_then(|value| value.strip_prefix("Bearer ")).unwrap_or_default();
        let mut entry = Sent { key: key.to_owned(), waited, estimated: 0, status: None };
        let (body, path) = (request.body().clone(), request.uri().path().to_owned());
        let journal = self.journal.clone();
        let sent = self.inner.call(request);
        Box::pin(async move {
            let body = body.collect().await?.to_bytes();
            entry.estimated = Estimator::new().estimate(&path, &body).tokens().total();
            let response = sent.await;
            entry.status = response.as_ref().ok().map(|response| response.status().as_u16());
            journal.lock().push(entry);
            response
        })
    }
}
