//! An HTTP client that answers at once, and a loop that drives it.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::future::{Future, Ready, ready};
use std::hint::black_box;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Request, Response};
use http_body::{Body, Frame};
use http_body_util::Full;
use tollgate::llm::{KeyPool, Limits};
use tollgate_http::llm::LlmLayer;
use tower::{Layer, Service};

use crate::Size;
use crate::pool::Pool;
use crate::race::{Length, Race, Slice};
use crate::spread::Spread;
use crate::work::{Contestant, Work};

/// Answers each request with the same head and the same pieces of a body. A clone costs as little
/// as that of a client for real servers, whose clones share its connections.
#[derive(Clone)]
pub(crate) struct Client(Arc<Answer>);

struct Answer {
    head: HeaderMap,
    pieces: VecDeque<Bytes>,
}

impl Client {
    pub(crate) fn new(head: &[(&'static str, &'static str)], pieces: Vec<Bytes>) -> Self {
        let fields = head
            .iter()
            .map(|(name, value)| (name.parse().expect("a name"), value.parse().expect("a value")));
        Self(Arc::new(Answer { head: fields.collect(), pieces: pieces.into() }))
    }
}

impl Service<Request<Full<Bytes>>> for Client {
    type Response = Response<Pieces>;
    type Error = Infallible;
    type Future = Ready<Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Full<Bytes>>) -> Self::Future {
        black_box(request);
        let mut answer = Response::new(Pieces(self.0.pieces.clone()));
        *answer.headers_mut() = self.0.head.clone();
        ready(Ok(answer))
    }
}

/// A body in pieces, all of which are there.
pub(crate) struct Pieces(VecDeque<Bytes>);

impl Body for Pieces {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready(self.0.pop_front().map(|piece| Ok(Frame::data(piece))))
    }
}

/// A layer over a pool of so many keys, whose limits nobody reaches.
pub(crate) fn layer(keys: u32) -> LlmLayer {
    let pool = KeyPool::builder().try_first(false).build();
    for key in 0..keys {
        let limits =
            Limits::new().requests_per_minute(u64::MAX >> 20).tokens_per_minute(u64::MAX >> 20);
        pool.add(format!("key-{key}"), format!("sk-{key:032}"), limits).expect("valid limits");
    }
    LlmLayer::pool(pool)
}

/// Sends the same request again and again.
struct Driven<S> {
    service: S,
    body: Bytes,
}

impl<S, B> Driven<S>
where
    S: Service<Request<Full<Bytes>>, Response = Response<B>> + Clone,
    B: Body<Data = Bytes>,
{
    /// The length of the answer.
    fn ask(&self, service: &mut S) -> usize {
        let mut context = Context::from_waker(Waker::noop());
        assert!(service.poll_ready(&mut context).is_ready(), "the client waits for nothing");
        let request = Request::post("https://api.openai.com/v1/chat/completions")
            .header("content-type", "application/json")
            .header("user-agent", "bench")
            .header("accept", "application/json")
            .header("authorization", "Bearer sk-00000000000000000000000000000000")
            .body(Full::new(self.body.clone()))
            .expect("a valid request");
        let answer = pin!(service.call(request));
        let Poll::Ready(Ok(answer)) = answer.poll(&mut context) else {
            panic!("the client waits for nothing")
        };
        let mut body = pin!(answer.into_body());
        let mut length = 0;
        while let Poll::Ready(Some(Ok(frame))) = body.as_mut().poll_frame(&mut context) {
            length += frame.data_ref().map_or(0, Bytes::len);
        }
        length
    }
}

impl<S, B> Work for Driven<S>
where
    S: Service<Request<Full<Bytes>>, Response = Response<B>> + Clone + Send + Sync,
    B: Body<Data = Bytes>,
{
    fn run(&self, times: u64) {
        let mut service = self.service.clone();
        for _ in 0..times {
            black_box(self.ask(&mut service));
        }
    }

    fn holds(&self) -> bool {
        self.ask(&mut self.service.clone()) > 0
    }
}

const ROUNDS: usize = 201;
const SLICE: Duration = Duration::from_millis(1);

/// What a layer adds to a client, in nanoseconds, and what the client takes without it.
pub(crate) fn added(size: Size, client: &Client, layer: &LlmLayer, body: &Bytes) -> (Spread, f64) {
    let bare = Driven { service: client.clone(), body: body.clone() };
    let with = Driven { service: layer.layer(client.clone()), body: body.clone() };
    let contestants = [
        Contestant { name: "bare", work: Arc::new(bare) },
        Contestant { name: "with", work: Arc::new(with) },
    ];
    let slice = Slice::Lasting(size.slice(SLICE));
    let race =
        Race::run(&Pool::new(1), &contestants, Length { rounds: size.rounds(ROUNDS), slice });
    let laps = race.laps("with").iter().zip(race.laps("bare"));
    (Spread::of(laps.map(|(with, bare)| with - bare).collect()), race.median("bare"))
}
