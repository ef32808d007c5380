//! What is asked of the model, and how it is sent.

use std::error::Error;
use std::f64::consts::TAU;
use std::net::SocketAddr;

use http_body_util::{BodyDataStream, BodyExt as _, Full};
use hyper::body::{Bytes, Incoming};
use hyper::header::AUTHORIZATION;
use hyper::{HeaderMap, Request};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde_json::{Value, json};
use tollgate::llm::{Demand, Reply, Spent, TokenCost, Tokens};

/// What is asked of the model.
#[derive(Clone, Copy)]
pub(crate) struct Prompt {
    tokens: u32,
    /// What the model will make of it; the client does not know.
    answer: u32,
}

/// The most that an answer may have.
const MAX_TOKENS: u32 = 1_024;

impl Prompt {
    /// So many, of mixed sizes, the same in every run.
    ///
    /// Lognormal, in words: prompts around a median of 1,020 (sigma 0.8), answers around one of 129
    /// (sigma 1.0). The medians are those of conversations with a large provider (Patel et al.:
    /// "Splitwise: Efficient generative LLM inference using phase splitting", ISCA 2024); the
    /// sigmas are ours.
    pub(crate) fn mixed(count: usize) -> Vec<Self> {
        let mut random = Random(0x9E37_79B9_7F4A_7C15);
        let mut each = || Self {
            tokens: random.lognormal(1_020.0, 0.8, 16_000),
            answer: random.lognormal(129.0, 1.0, 4_000),
        };
        (0..count).map(|_| each()).collect()
    }

    /// What the client reckons with.
    pub(crate) fn estimate(self) -> Tokens {
        let (prompt, max_output) = (self.tokens.into(), MAX_TOKENS.into());
        TokenCost::OpenAi.estimate(&Demand { prompt, max_output, ..Demand::default() })
    }

    /// What it will really take.
    #[allow(dead_code, reason = "not every example adds it up")]
    pub(crate) fn total(self) -> u32 {
        self.tokens + self.answer.min(MAX_TOKENS)
    }
}

/// Random numbers (xorshift).
struct Random(u64);

impl Random {
    /// Above 0, and at most 1.
    fn unit(&mut self) -> f64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        let high = u32::try_from(self.0 >> 32).unwrap_or(u32::MAX);
        (f64::from(high) + 1.0) / 4_294_967_296.0
    }

    /// Around a median (by Box and Muller), at least 1.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "1 to `most`")]
    fn lognormal(&mut self, median: f64, sigma: f64, most: u32) -> u32 {
        let normal = (-2.0 * self.unit().ln()).sqrt() * (TAU * self.unit()).cos();
        (median * (sigma * normal).exp()).clamp(1.0, most.into()) as u32
    }
}

/// An HTTP client for the model.
#[derive(Clone)]
pub(crate) struct Model {
    client: Client<HttpConnector, Full<Bytes>>,
    address: SocketAddr,
}

/// The model's answer, whatever it is.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    headers: HeaderMap,
    body: Value,
}

/// Whatever may go wrong on the way.
pub(crate) type Failure = Box<dyn Error + Send + Sync>;

impl Model {
    pub(crate) fn at(address: SocketAddr) -> Self {
        Self { client: Client::builder(TokioExecutor::new()).build_http(), address }
    }

    /// Asks, and reads the whole answer.
    pub(crate) async fn ask(&self, key: &str, prompt: Prompt) -> Result<Answer, Failure> {
        let response = self.client.request(self.request(key, prompt, false)?).await?;
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let body = response.into_body().collect().await?.to_bytes();
        Ok(Answer { status, headers, body: serde_json::from_slice(&body)? })
    }

    /// Asks for an answer in chunks.
    #[allow(dead_code, reason = "not every example streams")]
    pub(crate) async fn ask_for_stream(
        &self,
        key: &str,
        prompt: Prompt,
    ) -> Result<(HeaderMap, BodyDataStream<Incoming>), Failure> {
        let response = self.client.request(self.request(key, prompt, true)?).await?;
        Ok((response.headers().clone(), BodyDataStream::new(response.into_body())))
    }

    fn request(
        &self,
        key: &str,
        prompt: Prompt,
        stream: bool,
    ) -> Result<Request<Full<Bytes>>, Failure> {
        let body = json!({
            "messages": [{"role": "user", "content": vec!["word"; prompt.tokens as usize].join(" ")}],
            "max_tokens": MAX_TOKENS,
            "stream": stream,
            "stream_options": {"include_usage": stream},
            "metadata": {"answer_length": prompt.answer},
        });
        let uri = format!("http://{}/v1/chat/completions", self.address);
        let request = Request::post(uri).header(AUTHORIZATION, format!("Bearer {key}"));
        Ok(request.body(Full::from(body.to_string()))?)
    }
}

impl Answer {
    /// What a limiter must know of it.
    pub(crate) fn reply(&self) -> Reply {
        let reply = Reply::new(self.status).headers(&self.headers);
        match usage(&self.body) {
            Some(tokens) => reply.spent(tokens),
            None => reply,
        }
    }
}

/// The usage that a body or a chunk tells, if it does.
pub(crate) fn usage(body: &Value) -> Option<Tokens> {
    let usage = body.get("usage")?;
    let spent = Spent {
        input: usage["prompt_tokens"].as_u64()?,
        output: usage["completion_tokens"].as_u64()?,
        ..Spent::default()
    };
    Some(TokenCost::OpenAi.spent(&spent))
}
