//! A scripted HTTP client, which records what it sends and when.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use http::{Request, Response};
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tollgate::Quota;
use tollgate_http::client::{WaitLayer, WaitLayerBuilder, WaitService, WaitServiceError};
use tower::{Layer, Service, ServiceExt};

pub(super) type Outcome = Result<Response<()>, WaitServiceError<Infallible>>;

/// What the client answers: a status and fields.
pub(super) type Answer = (u16, &'static [(&'static str, &'static str)]);

pub(super) const OK: Answer = (200, &[]);

/// One request that was sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Sent {
    pub(super) uri: String,
    pub(super) at: Duration,
}

#[derive(Debug, Default)]
struct Record {
    sent: Vec<Sent>,
    script: VecDeque<(Duration, Answer)>,
    default_delay: Duration,
}

/// The client. Like a real one, it must be polled ready before each call, and panics if it is not.
#[derive(Debug)]
pub(super) struct Client {
    record: Arc<Mutex<Record>>,
    begin: Instant,
    is_ready: bool,
}

impl Client {
    pub(super) fn new() -> Self {
        Self { record: Arc::default(), begin: Instant::now(), is_ready: false }
    }

    /// Answers the next requests, after the delays in milliseconds. All others get a 200 at once.
    pub(super) fn script(self, answers: impl IntoIterator<Item = (u64, Answer)>) -> Self {
        let answers = answers.into_iter().map(|(ms, answer)| (Duration::from_millis(ms), answer));
        self.record.lock().expect("no panic").script.extend(answers);
        self
    }

    /// Answers all requests that are not in the script after this time.
    pub(super) fn answers_after(self, ms: u64) -> Self {
        self.record.lock().expect("no panic").default_delay = Duration::from_millis(ms);
        self
    }

    pub(super) fn sent(&self) -> Vec<Sent> {
        self.record.lock().expect("no panic").sent.clone()
    }

    /// When requests were sent, in milliseconds.
    pub(super) fn times(&self) -> Vec<u64> {
        self.sent().iter().map(|sent| millis(sent.at)).collect()
    }

    /// When requests to `host` were sent, in milliseconds.
    pub(super) fn times_of(&self, host: &str) -> Vec<u64> {
        let to_host = |sent: &&Sent| sent.uri.contains(host);
        self.sent().iter().filter(to_host).map(|sent| millis(sent.at)).collect()
    }
}

impl Clone for Client {
    /// A clone is not ready, even if the original is.
    fn clone(&self) -> Self {
        Self { record: Arc::clone(&self.record), begin: self.begin, is_ready: false }
    }
}

impl Service<Request<()>> for Client {
    type Response = Response<()>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response<()>, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.is_ready = true;
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<()>) -> Self::Future {
        assert!(self.is_ready, "called without being polled ready");
        self.is_ready = false;
        let mut record = self.record.lock().expect("no panic");
        record.sent.push(Sent { uri: request.uri().to_string(), at: self.begin.elapsed() });
        let default = (record.default_delay, OK);
        let (delay, (status, fields)) = record.script.pop_front().unwrap_or(default);
        Box::pin(async move {
            if !delay.is_zero() {
                tokio::time::sleep(delay).await;
            }
            let mut answer = Response::builder().status(status);
            for (name, value) in fields {
                answer = answer.header(*name, *value);
            }
            Ok(answer.body(()).expect("a valid answer"))
        })
    }
}

pub(super) fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).expect("not that long")
}

pub(super) fn builder(quota: &str) -> WaitLayerBuilder {
    WaitLayer::builder(quota.parse::<Quota>().expect("a quota"))
}

pub(super) fn around(client: &Client, builder: WaitLayerBuilder) -> WaitService<Client> {
    builder.build().expect("valid settings").layer(client.clone())
}

pub(super) async fn get(service: &WaitService<Client>, uri: &str) -> Outcome {
    let request = Request::get(uri).body(()).expect("a valid request");
    service.clone().oneshot(request).await
}

/// Spawns a request, and lets it run until it waits.
pub(super) async fn spawn(service: &WaitService<Client>, uri: &str) -> JoinHandle<Outcome> {
    let (service, uri) = (service.clone(), uri.to_owned());
    let task = tokio::spawn(async move { get(&service, &uri).await });
    tokio::task::yield_now().await;
    task
}

/// Spawns requests to `http://a.test/0` and so on, in this order.
pub(super) async fn spawn_many(
    service: &WaitService<Client>,
    count: usize,
) -> Vec<JoinHandle<Outcome>> {
    let mut tasks = Vec::new();
    for n in 0..count {
        tasks.push(spawn(service, &format!("http://a.test/{n}")).await);
    }
    tasks
}

pub(super) async fn at(ms: u64, client: &Client) {
    tokio::time::sleep_until(client.begin + Duration::from_millis(ms)).await;
}

pub(super) async fn all(tasks: Vec<JoinHandle<Outcome>>) -> Vec<Outcome> {
    let mut outcomes = Vec::new();
    for task in tasks {
        outcomes.push(task.await.expect("no panic"));
    }
    outcomes
}
