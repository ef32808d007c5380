//! SIGTERM under load: clients that keep their connections, each with a request in flight all the
//! time. Every request that the service was sent must be answered, or be told of as not taken in a
//! way that lets a client send it again elsewhere.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use rustix::process::Signal;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use crate::policies::{check, one_limit};
use crate::process::Process;

/// What became of requests.
#[derive(Debug, Default)]
struct Fates {
    answered: AtomicU64,
    /// The service had said that it closes, or that it does not take the request.
    told: AtomicU64,
    /// The connection broke, and nobody knows whether the request was served.
    lost: AtomicU64,
    ended: AtomicBool,
}

/// Ends the service so many times under each kind of load. Returns whether nothing was lost.
pub(crate) fn run(rounds: u32) -> bool {
    println!("\n## SIGTERM under load\n");
    println!("| client | ends | answered | told to go elsewhere | lost | longest end ms |");
    println!("|---|---|---|---|---|---|");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.expect("a runtime");
    let mut is_well = true;
    for http2 in [false, true] {
        let (fates, mut longest) = (Arc::new(Fates::default()), Duration::ZERO);
        for _ in 0..rounds {
            longest = longest.max(runtime.block_on(once(http2, &fates)));
        }
        let count = |count: &AtomicU64| count.load(Ordering::Relaxed);
        let (answered, told, lost) =
            (count(&fates.answered), count(&fates.told), count(&fates.lost));
        let name = if http2 { "HTTP/2, 8 x 8 streams" } else { "HTTP/1.1, 64 connections" };
        println!("| {name} | {rounds} | {answered} | {told} | {lost} | {} |", longest.as_millis());
        is_well &= lost == 0 && answered > 0;
    }
    is_well
}

/// Returns how long the service took to end.
async fn once(http2: bool, fates: &Arc<Fates>) -> Duration {
    let mut service = Process::service(&one_limit());
    fates.ended.store(false, Ordering::Relaxed);
    let mut clients = JoinSet::new();
    for _ in 0..if http2 { 8 } else { 64 } {
        let (fates, address) = (Arc::clone(fates), service.address);
        if http2 {
            clients.spawn(async move { keep_streams(address, &fates).await });
        } else {
            clients.spawn(async move { keep_asking(address, &fates).await });
        }
    }
    tokio::time::sleep(Duration::from_millis(500)).await;
    let begun = Instant::now();
    service.signal(Signal::TERM);
    let ended = tokio::task::spawn_blocking(move || service.ended()).await;
    assert!(ended.expect("no panic"), "the service fails");
    let took = begun.elapsed();
    fates.ended.store(true, Ordering::Relaxed);
    clients.join_all().await;
    took
}

/// Asks over one connection of HTTP/1.1, one request after the other.
async fn keep_asking(address: SocketAddr, fates: &Fates) {
    let request = check();
    let head = format!(
        "POST /v1/check HTTP/1.1\r\nhost: x\r\ncontent-length: {}\r\n\r\n",
        request.body.len()
    );
    let message = [head.as_bytes(), &request.body].concat();
    let mut stream = TcpStream::connect(address).await.expect("the service listens");
    let mut bytes = Vec::new();
    while !fates.ended.load(Ordering::Relaxed) {
        let sent = stream.write_all(&message).await;
        if sent.is_err() || !read_answer(&mut stream, &mut bytes).await {
            fates.lost.fetch_add(1, Ordering::Relaxed);
            return;
        }
        fates.answered.fetch_add(1, Ordering::Relaxed);
        if String::from_utf8_lossy(&bytes).contains("connection: close") {
            fates.told.fetch_add(1, Ordering::Relaxed);
            return;
        }
    }
}

/// Reads one answer into `bytes`; returns whether it is whole.
async fn read_answer(stream: &mut TcpStream, bytes: &mut Vec<u8>) -> bool {
    bytes.clear();
    loop {
        if stream.read_buf(bytes).await.unwrap_or(0) == 0 {
            return false;
        }
        let text = String::from_utf8_lossy(bytes);
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
        let length: usize = length.and_then(|length| length.parse().ok()).unwrap_or(0);
        if body.len() >= length {
            return true;
        }
    }
}

/// Asks over one connection of HTTP/2, eight requests at the same time.
async fn keep_streams(address: SocketAddr, fates: &Arc<Fates>) {
    let stream = TcpStream::connect(address).await.expect("the service listens");
    let (client, connection) = h2::client::handshake(stream).await.expect("the service speaks");
    let connection = tokio::spawn(connection);
    let mut streams = JoinSet::new();
    for _ in 0..8 {
        let (client, fates) = (client.clone(), Arc::clone(fates));
        streams.spawn(async move {
            while !fates.ended.load(Ordering::Relaxed) {
                match ask_on_a_stream(client.clone()).await {
                    Ok(()) => {
                        fates.answered.fetch_add(1, Ordering::Relaxed);
                    }
                    Err(error) => {
                        // The service says up to which stream it has taken requests.
                        let is_told = (error.is_go_away() || error.is_reset())
                            && matches!(
                                error.reason(),
                                Some(h2::Reason::NO_ERROR | h2::Reason::REFUSED_STREAM)
                            );
                        let fate = if is_told { &fates.told } else { &fates.lost };
                        fate.fetch_add(1, Ordering::Relaxed);
                        return;
                    }
                }
            }
        });
    }
    streams.join_all().await;
    drop(client);
    connection.abort();
}

async fn ask_on_a_stream(client: h2::client::SendRequest<bytes::Bytes>) -> Result<(), h2::Error> {
    let mut client = client.ready().await?;
    let request = http::Request::post("http://x/v1/check").body(()).expect("a request");
    let (response, mut body) = client.send_request(request, false)?;
    body.send_data(check().body.into(), true)?;
    let mut body = response.await?.into_body();
    while let Some(part) = body.data().await {
        let part = part?;
        body.flow_control().release_capacity(part.len())?;
    }
    Ok(())
}
