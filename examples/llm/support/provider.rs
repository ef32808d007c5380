//! A small model API on loopback: it enforces its limits, and answers in OpenAI's formats.
//!
//! A request reserves its prompt and `max_tokens`; what the answer did not need is given back when
//! it is done. A token is a word here.

use std::cmp::Ordering;
use std::collections::HashMap;
use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_lite::stream;
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt as _, Full, StreamBody};
use hyper::body::{Bytes, Frame, Incoming};
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue, RETRY_AFTER};
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::account::{Account, Plan, Verdict};

/// The server, as those see it who run it.
#[derive(Clone)]
pub(crate) struct Provider {
    accounts: Arc<Mutex<HashMap<String, Account>>>,
    pub(crate) address: SocketAddr,
}

/// How long the model takes for a word.
const PER_TOKEN: Duration = Duration::from_micros(500);

type Body = BoxBody<Bytes, Infallible>;

/// A request as the server sees it.
struct Chat {
    key: String,
    prompt: u32,
    max_tokens: u32,
    /// How long the answer would be if `max_tokens` did not end it. A real model decides that
    /// itself.
    length: u32,
    stream: bool,
}

impl Provider {
    /// Starts on a free port, in the background.
    pub(crate) async fn start(plans: &[(&str, Plan)]) -> io::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let accounts = plans.iter().map(|(key, plan)| ((*key).to_owned(), Account::new(*plan)));
        let accounts = Arc::new(Mutex::new(accounts.collect()));
        let provider = Self { accounts, address: listener.local_addr()? };
        let server = provider.clone();
        tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                let server = server.clone();
                let service = service_fn(move |request| {
                    let server = server.clone();
                    async move { Ok::<_, Infallible>(server.answer(request).await) }
                });
                let connection = hyper::server::conn::http1::Builder::new()
                    .serve_connection(TokioIo::new(socket), service);
                tokio::spawn(connection);
            }
        });
        Ok(provider)
    }

    pub(crate) fn accounts(&self) -> MutexGuard<'_, HashMap<String, Account>> {
        self.accounts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn answer(&self, request: Request<Incoming>) -> Response<Body> {
        let Some(chat) = Chat::read(request).await else {
            return error(StatusCode::BAD_REQUEST, "invalid_request_error");
        };
        let key = chat.key.clone();
        let verdict = self.accounts().get_mut(&key).map(|account| account.admit(chat.reserve()));
        let mut response = match verdict {
            Some(Verdict::Served) if chat.stream => Response::new(self.clone().stream(chat)),
            Some(Verdict::Served) => self.complete(&chat).await,
            Some(Verdict::TooMany { retry_after }) => {
                let mut refusal = error(StatusCode::TOO_MANY_REQUESTS, "rate_limit_exceeded");
                // Whole seconds, rounded up.
                let seconds = retry_after.as_millis().div_ceil(1000);
                refusal.headers_mut().insert(RETRY_AFTER, header(&seconds.to_string()));
                refusal
            }
            Some(Verdict::Unauthorized) | None => {
                return error(StatusCode::UNAUTHORIZED, "invalid_api_key");
            }
        };
        if let Some(account) = self.accounts().get(&key) {
            response.headers_mut().extend(account.headers());
        }
        response
    }

    /// The whole answer at once.
    async fn complete(&self, chat: &Chat) -> Response<Body> {
        let written = chat.written();
        // A model's pace, ten times as fast as real ones.
        tokio::time::sleep(Duration::from_millis(30) + PER_TOKEN * written).await;
        self.finish(chat);
        let answer = vec!["word"; written as usize].join(" ");
        whole(&json!({
            "choices": [{"message": {"role": "assistant", "content": answer}}],
            "usage": chat.usage(),
        }))
    }

    /// The answer word by word, as server-sent events, the last of which tells the usage.
    fn stream(self, chat: Chat) -> Body {
        let words = chat.written();
        let events = stream::unfold((0, self, chat), move |(sent, server, chat)| async move {
            let event = match sent.cmp(&words) {
                Ordering::Less => {
                    tokio::time::sleep(PER_TOKEN * 10).await;
                    json!({"choices": [{"delta": {"content": "word "}}]}).to_string()
                }
                Ordering::Equal => {
                    server.finish(&chat);
                    json!({"choices": [], "usage": chat.usage()}).to_string()
                }
                Ordering::Greater if sent == words + 1 => "[DONE]".to_owned(),
                Ordering::Greater => return None,
            };
            let event = Frame::data(Bytes::from(format!("data: {event}\n\n")));
            Some((Ok(event), (sent + 1, server, chat)))
        });
        StreamBody::new(events).boxed()
    }

    /// Counts what was really used.
    fn finish(&self, chat: &Chat) {
        let used = f64::from(chat.prompt) + f64::from(chat.written());
        if let Some(account) = self.accounts().get_mut(&chat.key) {
            account.finish(chat.reserve(), used);
        }
    }
}

impl Chat {
    async fn read(request: Request<Incoming>) -> Option<Self> {
        let authorization = request.headers().get(AUTHORIZATION)?.to_str().ok()?;
        let key = authorization.strip_prefix("Bearer ")?.to_owned();
        let body = request.into_body().collect().await.ok()?.to_bytes();
        let body: Value = serde_json::from_slice(&body).ok()?;
        let prompt = body["messages"][0]["content"].as_str()?.split_whitespace().count();
        let number = |value: &Value| u32::try_from(value.as_u64()?).ok();
        Some(Self {
            key,
            prompt: u32::try_from(prompt).ok()?,
            max_tokens: number(&body["max_tokens"])?,
            length: number(&body["metadata"]["answer_length"])?,
            stream: body["stream"] == true,
        })
    }

    fn reserve(&self) -> f64 {
        f64::from(self.prompt) + f64::from(self.max_tokens)
    }

    /// How long the answer gets.
    fn written(&self) -> u32 {
        self.length.min(self.max_tokens)
    }

    fn usage(&self) -> Value {
        json!({
            "prompt_tokens": self.prompt,
            "completion_tokens": self.written(),
            "total_tokens": self.prompt + self.written(),
        })
    }
}

fn error(status: StatusCode, code: &str) -> Response<Body> {
    let mut response = whole(&json!({"error": {"code": code}}));
    *response.status_mut() = status;
    response
}

fn whole(body: &Value) -> Response<Body> {
    let mut response = Response::new(Full::from(body.to_string()).boxed());
    response.headers_mut().insert(CONTENT_TYPE, header("application/json"));
    response
}

fn header(text: &str) -> HeaderValue {
    HeaderValue::try_from(text).expect("printable")
}
