//! One connection: HTTP/1.1 or HTTP/2, whichever the client speaks.

use std::convert::Infallible;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use http::header::CONNECTION;
use http::{HeaderValue, Request, Version};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::server::graceful::Watcher;
use tokio::io::{AsyncRead, AsyncWrite};
use tollgate_http::address::Peer;
use tower::Service as _;

use super::idle::Idle;
use super::listener::Shutdown;

/// What a client can make the service hold, and for how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// The most connections of a listener. Further ones wait until another one ends.
    pub connections: usize,
    /// The longest head of a request, in bytes: 8 KiB at least. A longer one is answered with 431.
    pub head: usize,
    /// The longest body of a check or a report, in bytes. A longer one is answered with 413.
    pub body: usize,
    /// How long a client may take for the body of a request.
    pub body_time: Duration,
    /// How long a connection may lie idle. The head of the next request must come within this time
    /// too, so a slow head gains nothing.
    pub idle_time: Duration,
    /// How long what is in flight may take after the service was asked to end.
    pub drain_time: Duration,
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            connections: 16_000,
            head: 32 << 10,
            body: 64 << 10,
            body_time: Duration::from_secs(10),
            idle_time: Duration::from_secs(75),
            drain_time: Duration::from_secs(20),
        }
    }
}

/// The most requests of one HTTP/2 connection at the same time.
const CONCURRENT_STREAMS: u32 = 128;

/// Serves a connection until it ends.
pub(super) async fn serve<S>(
    stream: S,
    peer: Peer,
    router: Router,
    bounds: Bounds,
    watcher: Watcher,
    shutdown: Shutdown,
) where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let builder = builder(bounds);
    let stream = TokioIo::new(Idle::new(stream, bounds.idle_time));
    let service = service_fn(move |mut request: Request<Incoming>| {
        // HTTP/2 has a frame that says so.
        let is_last = request.version() < Version::HTTP_2 && shutdown.has_begun();
        request.extensions_mut().insert(peer);
        let answer = router.clone().call(request.map(Body::new));
        async move {
            let Ok(mut answer) = answer.await;
            if is_last {
                answer.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
            }
            Ok::<_, Infallible>(answer)
        }
    });
    let connection = builder.serve_connection_with_upgrades(stream, service);
    // The client has closed it, or has sent what is not HTTP: there is nobody to tell.
    let _ = watcher.watch(connection.into_owned()).await;
}

fn builder(bounds: Bounds) -> Builder<TokioExecutor> {
    let mut builder = Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(bounds.idle_time)
        .max_buf_size(bounds.head.max(8 << 10));
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_header_list_size(u32::try_from(bounds.head).unwrap_or(u32::MAX))
        .max_concurrent_streams(CONCURRENT_STREAMS)
        // A client that is there answers; one that is not leaves an idle connection.
        .keep_alive_interval(bounds.idle_time / 3)
        .keep_alive_timeout(bounds.idle_time / 3);
    builder
}

#[cfg(test)]
mod tests {
    use axum::routing::get;
    use hyper_util::server::graceful::GracefulShutdown;
    use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
    use tokio::task::JoinHandle;
    use tokio::time::Instant;

    use super::*;

    /// A connection, and the end of it.
    fn connection(shutdown: &Shutdown) -> (DuplexStream, JoinHandle<()>) {
        let (client, stream) = duplex(64 << 10);
        let router = Router::new().route("/", get(|| async { "served" }));
        let (graceful, shutdown) = (GracefulShutdown::new(), shutdown.clone());
        let watcher = graceful.watcher();
        let end = tokio::spawn(async move {
            serve(stream, Peer::Unix, router, Bounds::default(), watcher, shutdown).await;
            drop(graceful);
        });
        (client, end)
    }

    const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nhost: x\r\n\r\n";

    async fn answer(client: &mut DuplexStream) -> String {
        let mut bytes = Vec::new();
        while !bytes.ends_with(b"served") {
            let count = client.read_buf(&mut bytes).await.expect("the connection is there");
            assert_ne!(count, 0, "{}", String::from_utf8_lossy(&bytes));
        }
        String::from_utf8_lossy(&bytes).into_owned()
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_has_just_asked_is_answered_and_told_to_go_elsewhere() {
        let shutdown = Shutdown::default();
        let (mut client, end) = connection(&shutdown);
        client.write_all(REQUEST).await.expect("the connection is there");
        assert!(!answer(&mut client).await.contains("connection: close"));
        shutdown.begin();
        client.write_all(REQUEST).await.expect("the connection is there");
        assert!(answer(&mut client).await.contains("connection: close"));
        let begin = Instant::now();
        end.await.expect("no panic");
        assert_eq!(begin.elapsed(), Duration::ZERO, "the connection is closed at once");
    }
}
