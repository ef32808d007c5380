//! For HTTP clients: a tower layer that makes requests wait for their turn, host by host.
//!
//! A program that sends many requests to other people's servers should keep to a pace, and should
//! stop when a server asks it to. [`WaitLayer`] does both:
//!
//! * **Requests wait for their turn**, first come, first served, each host for itself, at the pace
//!   of a [`Quota`](tollgate::Quota).
//! * **Pauses that servers ask for are kept**: `Retry-After` of a 429, 503 or 403, and `RateLimit`,
//!   `X-RateLimit-*` and their kin, once they say that nothing is left. All requests to that host
//!   wait, also those that wait already, and in the same order. When the pause ends, one request
//!   goes out, and the others follow at the quota's pace. Requests that are on their way already
//!   are not affected.
//! * **No wait without end**: with [`max_wait`](WaitLayerBuilder::max_wait), a request whose turn
//!   would come too late fails at once. So does every request to a host that asks for a pause of
//!   more than [`longest_pause`](WaitLayerBuilder::longest_pause), 5 minutes unless you say
//!   otherwise; the [error](NotSent) says until when.
//!
//! # With hyper
//!
//! The layer goes around every service of `http::Request` and `http::Response`, such as the client
//! of hyper-util.
//!
//! ```
//! use tollgate_http::Quota;
//! use tollgate_http::client::WaitLayer;
//! use tower::{ServiceBuilder, ServiceExt, service_fn};
//!
//! # #[tokio::main(flavor = "current_thread", start_paused = true)]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! // In place of a real client.
//! let client = service_fn(|request: http::Request<String>| async move {
//!     Ok::<_, std::io::Error>(http::Response::new(request.into_body()))
//! });
//! let layer = WaitLayer::per_host(Quota::per_second(2).burst(1))?;
//! let client = ServiceBuilder::new().layer(layer).service(client);
//!
//! let begin = tokio::time::Instant::now();
//! for _ in 0..3 {
//!     let request = http::Request::get("https://example.com/").body("hello".to_owned())?;
//!     client.clone().oneshot(request).await?;
//! }
//! assert_eq!(begin.elapsed().as_millis(), 1_000);
//! # Ok(())
//! # }
//! ```
//!
//! # With reqwest
//!
//! reqwest's client is a service of its own types, so the layer is told how to read them:
//!
//! ```ignore
//! use reqwest::Method;
//! use tollgate_http::Quota;
//! use tollgate_http::client::{WaitLayer, host_key};
//! use tower::{ServiceBuilder, ServiceExt};
//!
//! let layer = WaitLayer::builder(Quota::per_second(2))
//!     .key(|request: &reqwest::Request| {
//!         host_key(request.url().host_str().unwrap_or_default(), request.url().port())
//!     })
//!     .answer(|answer: &reqwest::Response| (answer.status(), answer.headers()))
//!     .build()?;
//! let client = ServiceBuilder::new().layer(layer).service(reqwest::Client::new());
//! let request = reqwest::Request::new(Method::GET, "https://example.com/".parse()?);
//! let answer = client.clone().oneshot(request).await?; // a clone keeps to the same pace
//! ```
//!
//! The example `reqwest_polite` is a complete crawler.
//!
//! # What asks for a pause
//!
//! The first of these that an answer contains counts:
//!
//! 1. `Retry-After` (RFC 9110, section 10.2.3): seconds, also with a fraction, or a date. Only if
//!    the status is 429, 503 or 403 (GitHub's secondary limits): servers send it with successes
//!    too, where it means something else.
//! 2. `RateLimit`, as the drafts of the IETF define it from draft-07 to draft-11
//!    (draft-ietf-httpapi-ratelimit-headers), of limits of which nothing is left. Any status.
//! 3. `RateLimit-Remaining`, `X-RateLimit-Remaining` or `X-Rate-Limit-Remaining`, if it is less
//!    than 1, with the `-Reset` that belongs to it: seconds, a time since 1970, or a date. Which
//!    kind of number it is shows its size. Any status.
//!
//! A 429 that contains none of them, or a time that cannot be read, is a pause of [1
//! second](WaitLayerBuilder::pause_without_time).
//!
//! Points in time are compared with the `Date` of the same answer, so a wrong clock of this machine
//! does no harm. Of several values of one field, the longest time counts. More than 31 days are
//! not believed, and what cannot be read is passed over.
//!
//! # What to put where
//!
//! * **Retries** belong outside of this layer (`tower::retry`): the layer never sends a request
//!   twice, because not every body can be sent twice. A retried request waits for its turn like
//!   every other, and by then the layer knows of the pause.
//! * **Redirects** that the client follows by itself do not pass through the layer. Turn them off,
//!   or follow them outside of the layer.
//! * **A timeout** inside of the layer counts from when the request is sent; outside, the wait
//!   counts too.
//! * **A limit on concurrent requests** inside of the layer is reserved before the wait, because a
//!   service must be ready before it is called. Then requests that wait take its places. Outside,
//!   they do too: if that matters, limit the wait with `max_wait`.
//!
//! # Time
//!
//! The layer lives on tokio's clock, so tests with paused time (`start_paused`) take no real time.
//! Build the layer inside of the test's runtime.

mod answer;
mod error;
mod hosts;
mod key;
mod layer;
mod pace;
mod service;

pub use crate::BoxError;
pub use error::{NotSent, WaitServiceError};
pub use key::{ByClosure, ByHost, HttpResponse, ReadAnswer, RequestKey, host_key};
pub use layer::{WaitLayer, WaitLayerBuilder};
pub use service::{WaitFuture, WaitService};
