//! A crawler that is polite: it fetches the pages of two servers at once, through reqwest, and each
//! request waits for its turn.
//!
//! `cargo run -p tollgate-http-examples --example reqwest_polite` (about 10 seconds, real time)
//!
//! The crawler knows neither server's limit. It begins with 20 requests a second to each, and
//! learns from the answers when that is too much:
//!
//! * the first server refuses what is too much, with a 429 and `Retry-After`,
//! * the second one says with each page how many are left (`RateLimit`), so that a crawler which
//!   listens is never refused.
//!
//! Then the same pages are fetched without the layer, by a crawler that tries again and again.

use std::error::Error;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header::RETRY_AFTER};
use axum::routing::get;
use reqwest::{Client, Method, Request, Response, Url};
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tollgate::{IntervalTokenBucket, Quota, RateLimiter, TokenBucket};
use tollgate_http::client::{WaitLayer, host_key};
use tower::{Layer, Service, ServiceExt};

type AnyError = Box<dyn Error + Send + Sync>;

const RATE_LIMIT: HeaderName = HeaderName::from_static("ratelimit");
/// Pages of each server.
const PAGES: u32 = 40;
/// How long the impolite crawler waits before it tries again.
const IMPATIENCE: Duration = Duration::from_millis(50);

#[tokio::main]
async fn main() -> Result<(), AnyError> {
    let quota = Quota::per_second(20).burst(5);
    println!("A polite crawler, which begins with {quota} to each server:");
    let layer = WaitLayer::builder(quota)
        .max_wait(Duration::from_secs(60))
        // reqwest has types of its own, so the layer is told how to read them.
        .key(|request: &Request| {
            host_key(request.url().host_str().unwrap_or_default(), request.url().port())
        })
        .answer(|answer: &Response| (answer.status(), answer.headers()))
        .build()?;
    crawl_both(&layer.layer(Client::new()), Duration::ZERO).await?;

    println!("\nA crawler without the layer, which tries again after {IMPATIENCE:?}:");
    crawl_both(&Client::new(), IMPATIENCE).await
}

/// Crawls two new servers at the same time, and prints what they have seen.
async fn crawl_both<S>(client: &S, retry_after: Duration) -> Result<(), AnyError>
where
    S: Service<Request, Response = Response, Error: Into<AnyError>, Future: Send>,
    S: Clone + Send + Sync + 'static,
{
    let bucket = TokenBucket::new(Quota::per_second(8))?;
    let windows = IntervalTokenBucket::new(Quota::per_second(10))?;
    let server_1 = Site::start("says Retry-After", Says::RetryAfter, bucket).await?;
    let server_2 = Site::start("says RateLimit", Says::RateLimit, windows).await?;

    let (first, second) =
        tokio::join!(crawl(client, &server_1, retry_after), crawl(client, &server_2, retry_after));

    println!(
        "  {:<18}{:>6}{:>7}{:>7}{:>8}{:>9}",
        "server", "limit", "pages", "429s", "time", "pace"
    );
    for (Site { limit, .. }, time) in [(&server_1, first?), (&server_2, second?)] {
        let (secs, quota) = (time.as_secs_f64(), limit.limiter.quota().to_string());
        let (refused, pace) = (limit.refused.load(Ordering::Relaxed), f64::from(PAGES) / secs);
        println!("  {:<18}{quota:>6}{PAGES:>7}{refused:>7}{secs:>6.1} s{pace:>7.1}/s", limit.name);
    }
    Ok(())
}

/// Fetches all pages of a server, all at once as far as the client lets them. Returns how long it
/// took.
async fn crawl<S>(client: &S, site: &Site, retry_after: Duration) -> Result<Duration, AnyError>
where
    S: Service<Request, Response = Response, Error: Into<AnyError>, Future: Send>,
    S: Clone + Send + Sync + 'static,
{
    let begin = Instant::now();
    let mut pages = JoinSet::new();
    for number in 0..PAGES {
        let (client, url) = (client.clone(), site.url.join(&number.to_string())?);
        pages.spawn(async move {
            loop {
                let request = Request::new(Method::GET, url.clone());
                let answer = client.clone().oneshot(request).await.map_err(Into::into)?;
                if answer.status() != StatusCode::TOO_MANY_REQUESTS {
                    return Ok::<_, AnyError>(answer.error_for_status()?.text().await?);
                }
                tokio::time::sleep(retry_after).await;
            }
        });
    }
    while let Some(page) = pages.join_next().await {
        page??;
    }
    Ok(begin.elapsed())
}

/// A server on loopback.
struct Site {
    url: Url,
    limit: Arc<Limit>,
}

/// What a server enforces, what it says of it, and how many requests it has refused.
struct Limit {
    name: &'static str,
    says: Says,
    limiter: Box<dyn RateLimiter>,
    refused: AtomicU64,
}

#[derive(Clone, Copy)]
enum Says {
    RetryAfter,
    RateLimit,
}

impl Site {
    async fn start(
        name: &'static str,
        says: Says,
        limiter: impl RateLimiter + 'static,
    ) -> Result<Self, AnyError> {
        let limit = Limit { name, says, limiter: Box::new(limiter), refused: AtomicU64::new(0) };
        let limit = Arc::new(limit);
        let app = Router::new().route("/{page}", get(answer)).with_state(Arc::clone(&limit));
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let url = Url::parse(&format!("http://{}/", listener.local_addr()?))?;
        tokio::spawn(async move { axum::serve(listener, app).await });
        Ok(Self { url, limit })
    }
}

/// A page, or a refusal.
async fn answer(State(limit): State<Arc<Limit>>) -> (StatusCode, HeaderMap) {
    let outcome = limit.limiter.try_acquire(1);
    let (left, reset) = match &outcome {
        Ok(grant) => (grant.remaining, grant.reset_after),
        Err(why) => (0, why.retry_after().unwrap_or_default()),
    };
    let secs = reset.as_secs() + u64::from(reset.subsec_nanos() > 0);
    let mut fields = HeaderMap::new();
    match limit.says {
        Says::RateLimit => {
            let text = format!("\"pages\";r={left};t={secs}");
            fields.extend(HeaderValue::try_from(text).map(|value| (RATE_LIMIT, value)));
        }
        Says::RetryAfter if outcome.is_err() => {
            fields.insert(RETRY_AFTER, HeaderValue::from(secs));
        }
        Says::RetryAfter => {}
    }
    if outcome.is_ok() {
        return (StatusCode::OK, fields);
    }
    limit.refused.fetch_add(1, Ordering::Relaxed);
    (StatusCode::TOO_MANY_REQUESTS, fields)
}
