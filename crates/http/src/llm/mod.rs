//! For clients of model APIs (LLMs): a tower layer that keeps requests to the limits of their keys.
//!
//! [`LlmLayer`] goes around an HTTP client, and does for each request what
//! [`tollgate::llm`] leaves to the caller:
//!
//! 1. It **estimates** the request's tokens from its body, with an [`Estimator`].
//! 2. It **waits for a permit** of a [`Limiter`](tollgate::llm::Limiter), a
//!    [`KeyPool`](tollgate::llm::KeyPool) or a [`ModelPool`](tollgate::llm::ModelPool), and puts
//!    the key of a pool into the request.
//! 3. It **learns** from status and headers, so the limits need not be known beforehand.
//! 4. It **settles** with the usage that the answer reports, JSON or stream, while the body passes.
//!    The body is neither changed nor kept, whatever its size; see [`AnswerReader`].
//! 5. If the answer is an error, it reads its body to find out **what the error amounts to**: see
//!    [`ErrorBody`]. The caller gets the answer as it came.
//! 6. It **sends the request again** if that is of use, with another key or after the wait that the
//!    provider asks for; see [`Attempt`].
//!
//! ```
//! use std::sync::Arc;
//!
//! use bytes::Bytes;
//! use http::{Request, Response};
//! use http_body_util::{BodyExt as _, Full};
//! use tollgate::ManualClock;
//! use tollgate::llm::{KeyPool, Limits};
//! use tollgate_http::llm::LlmLayer;
//! use tower::{ServiceBuilder, ServiceExt as _, service_fn};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! // In place of a real client. It refuses one of the keys.
//! let client = service_fn(|request: Request<Full<Bytes>>| async move {
//!     let is_good = request.headers()["authorization"] == "Bearer sk-good";
//!     let (status, body) = match is_good {
//!         true => (200, r#"{"choices":[],"usage":{"prompt_tokens":9,"completion_tokens":2}}"#),
//!         false => (401, r#"{"error":{"code":"invalid_api_key"}}"#),
//!     };
//!     let answer = Response::builder().status(status).body(Full::<Bytes>::from(body));
//!     Ok::<_, std::io::Error>(answer.expect("a valid answer"))
//! });
//!
//! let pool = Arc::new(KeyPool::builder().clock(ManualClock::new()).build());
//! pool.add("revoked", "sk-bad", Limits::new())?;
//! pool.add("main", "sk-good", Limits::new().tokens_per_hour(10_000))?;
//! let layer = LlmLayer::pool(Arc::clone(&pool));
//! let client = ServiceBuilder::new().layer(layer).service(client);
//!
//! let body = r#"{"model":"gpt-4o","messages":[{"role":"user","content":"Hi"}],"max_tokens":50}"#;
//! let request = Request::post("https://api.openai.com/v1/chat/completions");
//! let answer = client.oneshot(request.body(body.into())?).await?;
//! assert_eq!(answer.status(), 200);
//!
//! // The usage is settled once the body has passed.
//! answer.into_body().collect().await?;
//! let usage = pool.usage("main").expect("a key of the pool");
//! assert_eq!(usage.limits[0].used, 11);
//! # Ok(())
//! # }
//! ```
//!
//! # Which clients
//!
//! Every service of `http::Request<B>` and `http::Response<A>`, if the body `B` can be made of
//! [`Bytes`](bytes::Bytes), such as `http_body_util::Full<Bytes>`, `axum::body::Body` and
//! `reqwest::Body`, and if `A` yields `Bytes`: hyper-util's client, for example. reqwest's client
//! has types of its own, which are converted to those of `http` and back:
//!
//! ```ignore
//! let client = ServiceBuilder::new()
//!     .layer(LlmLayer::pool(pool))
//!     .map_request(|request: http::Request<reqwest::Body>| {
//!         reqwest::Request::try_from(request).expect("a URI with a host")
//!     })
//!     .map_response(http::Response::<reqwest::Body>::from)
//!     .service(reqwest::Client::new());
//! ```
//!
//! # What to know
//!
//! * **Bodies that cannot be sent twice**: a request whose body does not say how long it is, or is
//!   longer than [`max_body`](LlmLayer::max_body), is sent once, as it comes, with the estimate of
//!   [`Estimator::otherwise`].
//! * **Errors inside of a stream** come after the caller has its answer, so they cannot be tried
//!   again here. They count as what they are: an `overloaded_error` in a stream with status 200 is
//!   an overload of the key.
//! * **OpenAI's streams report no usage** unless the request asks for it with
//!   `"stream_options": {"include_usage": true}`. Without it, the estimate counts.
//! * **Answers must not be compressed** where the layer reads them: a layer for decompression, or
//!   the client's own, belongs inside.
//! * **The permit is held as long as the body**: a body that is neither read nor dropped keeps its
//!   place among the concurrent requests.
//! * **Providers limit each model by itself**: give requests for several models to a
//!   [`ModelPool`](LlmLayer::models). A [`KeyPool`](LlmLayer::pool) and a
//!   [`Limiter`](LlmLayer::limiter) are for one model.
//! * **Timeouts** inside of this layer count from when a request is sent; outside, the wait for
//!   permits and all tries count.
//! * **Other retries**, such as the client library's own, should be turned off: they do not know
//!   the limits.
//!
//! Everything here works on bytes and without the layer too: [`Estimator`], [`AnswerReader`] and
//! [`ErrorBody`] are what a client of your own needs.

mod error_body;
mod estimate;
mod layer;
mod lenient;
mod usage;

pub use error_body::ErrorBody;
use error_body::MOST_BYTES as MOST_OF_AN_ERROR;
pub use estimate::{Estimate, Estimator};
pub use layer::{
    Attempt, KeyHeader, LlmBody, LlmError, LlmFuture, LlmLayer, LlmService, PermitSource,
    RequestPermit,
};
pub use usage::AnswerReader;

pub use crate::BoxError;
