//! What the layer and the adapters below the clients promise, with a scripted server, and once with
//! a real one.

#![cfg(feature = "transport")]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use http::{Response, StatusCode};
use http_body_util::{BodyExt as _, Full};
use tollgate::llm::{KeyPool, Limits};
use tollgate_http::llm::{LlmError, LlmLayer};
use tollgate_llm_clients::clients::{Failure, Journal, Request, Reqwest};
use tollgate_llm_server::{Fault, Plan, Server};
use tower::{Service, ServiceBuilder, ServiceExt as _, service_fn};

const QUESTION: &str = r#"{"messages": [{"role": "user", "content": "Why?"}], "max_tokens": 50}"#;
const ANSWER: &str = r#"{"choices": [], "usage": {"prompt_tokens": 2, "completion_tokens": 8}}"#;

/// A pool of two keys, each with so many requests a day and 2,000 tokens a minute.
fn pool(requests: u64) -> Arc<KeyPool<String>> {
    let pool = Arc::new(KeyPool::new());
    let limits = Limits::new().requests_per_day(requests).tokens_per_minute(2_000);
    for id in ["one", "two"] {
        pool.add(id, format!("sk-{id}"), limits).unwrap();
    }
    pool
}

/// A service whose requests keep to the limits of a pool, as the examples make it.
macro_rules! limited {
    ($pool:expr, $tries:expr, $inner:expr) => {
        ServiceBuilder::new()
            .map_err(LlmError::<Failure>::into_box)
            .layer(LlmLayer::pool($pool).tries($tries))
            .service($inner)
    };
}

/// A server that gives these answers, one after another.
fn scripted(
    answers: &[(u16, &'static str)],
) -> impl Service<Request, Response = Response<Full<Bytes>>, Error = Failure, Future: Send>
+ Clone
+ Send
+ Sync {
    let answers: Arc<Mutex<VecDeque<_>>> = Arc::new(Mutex::new(answers.iter().copied().collect()));
    service_fn(move |_: Request| {
        let answer = answers.lock().unwrap().pop_front();
        async move {
            let (status, body) = answer.ok_or("no more answers")?;
            let response = Response::builder().status(status).header("x-request-id", "7");
            Ok::<_, Failure>(response.body(Full::from(body))?)
        }
    })
}

fn question() -> Request {
    Request::new(Full::from(QUESTION))
}

/// Asks once; the status and the body of the answer.
async fn ask<S, B>(service: &S) -> Result<(StatusCode, String), Failure>
where
    S: Service<Request, Response = Response<B>, Error = Failure> + Clone,
    B: http_body::Body<Error: Into<Failure>>,
{
    let response = service.clone().oneshot(question()).await?;
    let status = response.status();
    let body = response.into_body().collect().await.map_err(Into::into)?.to_bytes();
    Ok((status, String::from_utf8(body.to_vec())?))
}

#[tokio::test]
async fn each_request_has_a_key_of_the_pool_and_none_that_the_client_set() {
    let (pool, journal) = (pool(1), Journal::default());
    let server = scripted(&[(200, ANSWER), (200, ANSWER)]);
    let service = limited!(Arc::clone(&pool), 1, journal.sent(server));
    for _ in 0..2 {
        let mut request = question();
        request.headers_mut().insert("authorization", "Bearer mine".parse().unwrap());
        let response = service.clone().oneshot(request).await.unwrap();
        assert_eq!(response.headers()["x-request-id"], "7");
    }
    let mut keys: Vec<_> = journal.entries().into_iter().map(|sent| sent.key).collect();
    keys.sort();
    assert_eq!(keys, ["sk-one", "sk-two"]);
    assert!(pool.try_acquire(0).is_err());
}

#[tokio::test]
async fn the_estimate_is_settled_with_the_usage_of_the_answer() {
    let pool = pool(100);
    pool.remove("two");
    let service = limited!(Arc::clone(&pool), 1, scripted(&[(200, ANSWER)]));
    assert_eq!(ask(&service).await.unwrap(), (StatusCode::OK, ANSWER.to_owned()));
    // 10 of 2,000 tokens were used, of more than 50 that were estimated.
    assert!(pool.try_acquire(1_990).is_ok());
    assert!(pool.try_acquire(1_990).is_err());
}

#[tokio::test]
async fn a_key_that_is_refused_is_replaced_by_another() {
    let (pool, journal) = (pool(100), Journal::default());
    let server = scripted(&[(401, "{}"), (200, ANSWER), (200, ANSWER)]);
    let service = limited!(pool, 3, journal.sent(server));
    for _ in 0..2 {
        assert_eq!(ask(&service).await.unwrap().0, StatusCode::OK);
    }
    let [refused, then, later] = &journal.entries()[..] else { panic!("three were sent") };
    assert_eq!((refused.status, then.status), (Some(401), Some(200)));
    assert!(refused.key != then.key && then.key == later.key);
}

#[tokio::test]
async fn the_last_refusal_is_what_the_client_gets() {
    let service = limited!(pool(100), 2, scripted(&[(401, "one"), (401, "two"), (200, ANSWER),]));
    assert_eq!(ask(&service).await.unwrap(), (StatusCode::UNAUTHORIZED, "two".to_owned()));
}

#[tokio::test]
async fn what_no_key_could_mend_is_not_tried_again() {
    let service = limited!(pool(100), 3, scripted(&[(400, "odd")]));
    assert_eq!(ask(&service).await.unwrap(), (StatusCode::BAD_REQUEST, "odd".to_owned()));
}

#[tokio::test]
async fn failures_of_the_way_and_of_the_pool_reach_the_client() {
    let service = limited!(pool(100), 1, scripted(&[]));
    assert_eq!(ask(&service).await.unwrap_err().to_string(), "no more answers");
    let empty = limited!(Arc::new(KeyPool::<String>::new()), 1, scripted(&[(200, ANSWER)]));
    assert!(ask(&empty).await.unwrap_err().is::<tollgate::llm::Error>());
}

/// A real server that thinks for no time.
async fn server() -> Server {
    let plan = Plan::per_minute(6_000, 6_000_000);
    Server::start_paced(&[("sk-one", plan), ("sk-two", plan)], Duration::ZERO, Duration::ZERO)
        .await
        .unwrap()
}

#[cfg(feature = "openai")]
mod openai {
    use async_openai::Client;
    use async_openai::config::OpenAIConfig;
    use async_openai::error::OpenAIError;
    use async_openai::types::chat::{
        ChatCompletionRequestUserMessage, CreateChatCompletionRequest,
        CreateChatCompletionRequestArgs,
    };
    use futures_lite::StreamExt as _;
    use tollgate_llm_clients::clients::OpenAiTransport;

    use super::*;

    fn client(server: &Server, pool: Arc<KeyPool<String>>, tries: u32) -> Client<OpenAIConfig> {
        let service = limited!(pool, tries, Reqwest::default());
        let config = OpenAIConfig::new().with_api_base(server.base_url()).with_api_key("none");
        Client::with_config(config).with_http_service(OpenAiTransport::new(service))
    }

    fn request() -> CreateChatCompletionRequest {
        let message = ChatCompletionRequestUserMessage::from("Why not?");
        let mut request = CreateChatCompletionRequestArgs::default();
        request.model("small").messages([message.into()]).build().unwrap()
    }

    #[tokio::test]
    async fn the_client_reads_answers_and_streams_through_the_layer() {
        let server = server().await;
        let client = client(&server, pool(100), 2);
        let answer = client.chat().create(request()).await.unwrap();
        let content = answer.choices[0].message.content.clone().unwrap();
        let mut stream = client.chat().create_stream(request()).await.unwrap();
        let mut streamed = String::new();
        while let Some(event) = stream.next().await {
            for choice in event.unwrap().choices {
                streamed.push_str(&choice.delta.content.unwrap_or_default());
            }
        }
        assert!(!content.is_empty() && content == streamed);
    }

    #[tokio::test]
    async fn the_client_reads_the_error_of_the_server() {
        let server = server().await;
        server.fail_next("sk-one", Fault::Forbidden, 9);
        server.fail_next("sk-two", Fault::Forbidden, 9);
        let error = client(&server, pool(100), 1).chat().create(request()).await.unwrap_err();
        let OpenAIError::ApiError(error) = error else { panic!("{error}") };
        assert_eq!(error.api_error.code.as_deref(), Some("unsupported_country"));
    }

    #[tokio::test]
    async fn the_client_gets_the_error_of_the_pool() {
        let server = server().await;
        let empty = Arc::new(KeyPool::new());
        let error = client(&server, empty, 1).chat().create(request()).await.unwrap_err();
        let OpenAIError::Boxed(error) = error else { panic!("{error}") };
        assert!(error.is::<tollgate::llm::Error>());
    }
}

#[cfg(feature = "rig")]
mod rig {
    use rig_agent::prelude::{Agent, AgentBuilder};
    use rig_core::providers::openai::OpenAIConfig;
    use tollgate_llm_clients::clients::RigTransport;

    use super::*;

    fn agent(server: &Server, pool: Arc<KeyPool<String>>, tries: u32) -> Agent {
        let service = limited!(pool, tries, Reqwest::default());
        let openai = OpenAIConfig::new("none").with_base_url(server.base_url());
        AgentBuilder::new(openai.connect(RigTransport::new(service)).chat("small")).build()
    }

    #[tokio::test]
    async fn the_agent_answers_through_the_layer() {
        let server = server().await;
        let answer = agent(&server, pool(100), 2).prompt("Why not?").await.unwrap();
        assert!(!answer.output().is_empty());
        assert!(answer.usage.output_tokens.is_some_and(|tokens| tokens > 0));
    }

    #[tokio::test]
    async fn the_agent_is_told_the_error_of_the_server_and_of_the_pool() {
        let server = server().await;
        server.fail_next("sk-one", Fault::Forbidden, 9);
        server.fail_next("sk-two", Fault::Forbidden, 9);
        let error = agent(&server, pool(100), 1).prompt("Why not?").await.unwrap_err();
        assert!(error.to_string().contains("Country not supported"), "{error}");
        let empty = Arc::new(KeyPool::new());
        let error = agent(&server, empty, 1).prompt("Why not?").await.unwrap_err();
        assert!(error.to_string().contains("no active key"), "{error}");
    }
}
