//! A scripted HTTP client, and pools on tokio's paused clock.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body::{Body, Frame, SizeHint};
use http_body_util::{BodyExt as _, Full};
use tokio::time::Instant;
use tollgate::TokioClock;
use tollgate::llm::{KeyPool, Limits, Usage};
use tollgate_http::llm::{LlmError, LlmLayer, LlmService};
use tower::{Layer as _, Service, ServiceExt as _};

pub(super) type Pool = KeyPool<&'static str, TokioClock>;

/// A pool of keys `a`, `b` and so on, whose secrets are `sk-a`, `sk-b` and so on.
fn pool(keys: usize, limits: Limits) -> Pool {
    let pool = KeyPool::builder().clock(TokioClock::new()).try_first(false).build();
    for (id, secret) in [("a", "sk-a"), ("b", "sk-b"), ("c", "sk-c")].into_iter().take(keys) {
        pool.add(id, secret, limits).expect("a new key");
    }
    pool
}

/// A pool of so many keys, and a layer over it.
pub(super) fn scene(keys: usize, limits: Limits) -> (Arc<Pool>, LlmLayer) {
    let pool = Arc::new(pool(keys, limits));
    (Arc::clone(&pool), LlmLayer::pool(pool))
}

/// What the client does with one request.
#[derive(Clone, Debug)]
pub(super) enum Step {
    /// Answers with a status, fields, and a body in pieces.
    Answer(u16, Vec<(&'static str, String)>, Vec<Piece>),
    /// Fails.
    Fail,
}

/// A part of the body of an answer.
#[derive(Clone, Debug)]
pub(super) enum Piece {
    Data(Bytes),
    /// Nothing comes for a while.
    Pause(Duration),
    Fail,
}

pub(super) fn answer(status: u16, body: &str) -> Step {
    Step::Answer(status, Vec::new(), vec![Piece::Data(body.to_owned().into())])
}

pub(super) fn stream(events: &[&str]) -> Step {
    let pieces = events.iter().map(|event| Piece::Data(format!("{event}\n\n").into()));
    Step::Answer(200, Vec::new(), pieces.collect())
}

pub(super) fn with_header(step: Step, name: &'static str, value: &str) -> Step {
    match step {
        Step::Answer(status, mut fields, body) => {
            fields.push((name, value.to_owned()));
            Step::Answer(status, fields, body)
        }
        Step::Fail => Step::Fail,
    }
}

/// An answer with this usage.
pub(super) fn used(input: u64, output: u64) -> Step {
    let usage = format!(r#"{{"prompt_tokens":{input},"completion_tokens":{output}}}"#);
    answer(200, &format!(r#"{{"choices":[],"usage":{usage}}}"#))
}

/// One request that was sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Sent {
    pub(super) key: String,
    pub(super) body: Bytes,
    pub(super) at: Duration,
}

#[derive(Debug, Default)]
struct Record {
    script: VecDeque<Step>,
    sent: Vec<Sent>,
}

/// The client. Like a real one, it must be polled ready before each call, and panics if it is not.
#[derive(Debug)]
pub(super) struct Client {
    record: Arc<Mutex<Record>>,
    begin: Instant,
    delay: Duration,
    is_ready: bool,
}

impl Client {
    /// Does these steps, one for each request. Any further request panics.
    pub(super) fn new(script: impl IntoIterator<Item = Step>) -> Self {
        let record = Record { script: script.into_iter().collect(), sent: Vec::new() };
        Self {
            record: Arc::new(Mutex::new(record)),
            begin: Instant::now(),
            delay: Duration::ZERO,
            is_ready: false,
        }
    }

    /// Answers after a millisecond, and not at once.
    pub(super) fn slow(self) -> Self {
        Self { delay: Duration::from_millis(1), ..self }
    }

    fn record(&self) -> MutexGuard<'_, Record> {
        self.record.lock().expect("no panic")
    }

    pub(super) fn sent(&self) -> Vec<Sent> {
        self.record().sent.clone()
    }

    /// The keys of the requests that were sent, and when, in milliseconds.
    pub(super) fn keys_and_times(&self) -> Vec<(String, u128)> {
        self.sent().into_iter().map(|sent| (sent.key, sent.at.as_millis())).collect()
    }

    pub(super) fn around(&self, layer: &LlmLayer) -> LlmService<Self> {
        layer.layer(self.clone())
    }
}

impl Clone for Client {
    /// A clone is not ready, even if the original is.
    fn clone(&self) -> Self {
        Self {
            record: Arc::clone(&self.record),
            begin: self.begin,
            delay: self.delay,
            is_ready: false,
        }
    }
}

impl<B> Service<Request<B>> for Client
where
    B: Body<Data = Bytes, Error = Infallible> + Send + 'static,
{
    type Response = Response<Scripted>;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Scripted>, io::Error>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), io::Error>> {
        self.is_ready = true;
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        assert!(self.is_ready, "called without being polled ready");
        self.is_ready = false;
        let (record, at) = (Arc::clone(&self.record), self.begin.elapsed());
        let delay = self.delay;
        Box::pin(async move {
            let (head, body) = request.into_parts();
            let key = head.headers.get("authorization").map(|key| key.to_str().expect("text"));
            let key = key.unwrap_or_default().trim_start_matches("Bearer sk-").to_owned();
            let Ok(body) = body.collect().await;
            let step = {
                let mut record = record.lock().expect("no panic");
                record.sent.push(Sent { key, body: body.to_bytes(), at });
                record.script.pop_front().expect("a step for each request")
            };
            tokio::time::sleep(delay).await;
            let Step::Answer(status, fields, body) = step else {
                return Err(io::Error::other("connection lost"));
            };
            let mut answer = Response::builder().status(status);
            for (name, value) in fields {
                answer = answer.header(name, value);
            }
            Ok(answer.body(Scripted::new(body)).expect("a valid answer"))
        })
    }
}

/// A body that comes piece by piece.
#[derive(Debug)]
pub(super) struct Scripted {
    pieces: VecDeque<Piece>,
    timer: Option<Pin<Box<tokio::time::Sleep>>>,
}

impl Scripted {
    pub(super) fn new(pieces: impl IntoIterator<Item = Piece>) -> Self {
        Self { pieces: pieces.into_iter().collect(), timer: None }
    }
}

impl Body for Scripted {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        loop {
            if let Some(timer) = &mut self.timer {
                std::task::ready!(timer.as_mut().poll(context));
                self.timer = None;
            }
            return Poll::Ready(match self.pieces.pop_front() {
                None => None,
                Some(Piece::Data(data)) => Some(Ok(Frame::data(data))),
                Some(Piece::Fail) => Some(Err(io::Error::other("reset"))),
                Some(Piece::Pause(pause)) => {
                    self.timer = Some(Box::pin(tokio::time::sleep(pause)));
                    continue;
                }
            });
        }
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::new()
    }
}

/// A request to model `m` with this many characters of text, and this many tokens of output.
pub(super) fn request(characters: usize, max_tokens: u64) -> Request<Full<Bytes>> {
    request_to("m", characters, max_tokens)
}

pub(super) fn request_to(model: &str, characters: usize, max_tokens: u64) -> Request<Full<Bytes>> {
    let text = "x".repeat(characters);
    let body =
        format!(r#"{{"model":"{model}","input":"{text}","max_output_tokens":{max_tokens}}}"#);
    let uri = "https://api.example.com/v1/responses";
    Request::post(uri).body(Full::from(body)).expect("a valid request")
}

/// What a caller sees: the status and the body.
pub(super) type Seen = Result<(u16, String), String>;

/// Sends a request and reads its answer to the end.
pub(super) async fn send(service: &LlmService<Client>, request: Request<Full<Bytes>>) -> Seen {
    let answer = service.clone().oneshot(request).await;
    let answer = answer.map_err(|error: LlmError<io::Error>| error.to_string())?;
    let status = answer.status().as_u16();
    let body = answer.into_body().collect().await.map_err(|error| error.to_string())?;
    Ok((status, String::from_utf8(body.to_bytes().into()).expect("text")))
}

/// The usage of key `id`.
pub(super) fn usage<T>(pool: &KeyPool<T, TokioClock>, id: &str) -> Usage {
    pool.usage(id).expect("a key of the pool")
}

/// The tokens of key `id` that are in use.
pub(super) fn tokens_used<T>(pool: &KeyPool<T, TokioClock>, id: &str) -> u64 {
    usage(pool, id).limits.iter().find(|limit| limit.limit == TOKENS).expect("limited").used
}

/// A limit on tokens that none of the tests reaches.
pub(super) const TOKENS: u64 = 1_000_000;

pub(super) fn tokens() -> Limits {
    Limits::new().tokens_per_day(TOKENS)
}
