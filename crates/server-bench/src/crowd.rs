//! Clients that want to be a burden: thousands that are silent or slow, large heads, and streams
//! that are reset. Meanwhile others are answered.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use crate::http2;
use crate::load::{Client, Load};
use crate::policies::{check, one_limit};
use crate::process::Process;
use crate::start::mebibytes;

/// A service, and clients that others must not keep from their answers.
struct Scene {
    runtime: tokio::runtime::Runtime,
    service: Process,
    others: Load,
}

impl Scene {
    fn new(title: &str, more: &str) -> Self {
        println!("\n## {title}\n");
        let limit = getrlimit(Resource::Nofile);
        let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
        setrlimit(Resource::Nofile, raised).expect("anybody may raise it to its maximum");
        let service = Process::service(&(one_limit() + more));
        let others = Load::new(Client::Wrk { connections: 16 }, service.address, &check());
        let mut runtime = tokio::runtime::Builder::new_multi_thread();
        let runtime = runtime.worker_threads(1).enable_all().build().expect("a runtime");
        Self { runtime, service, others }
    }

    /// How others are answered meanwhile.
    fn others(&self, when: &str) {
        let counted = self.others.run(3);
        println!(
            "* {when}: others get {:.0} answers a second, p99 {:.1} ms, {} errors; the service has \
             {} files open and {:.1} MiB",
            counted.per_second,
            counted.p99 / 1e3,
            counted.errors,
            self.service.open_files(),
            mebibytes(self.service.memory()),
        );
    }

    /// Opens connections, each of which sends `first`. Not more at once than the queue takes.
    fn connect(&self, count: usize, first: &'static [u8]) -> Vec<TcpStream> {
        let address = self.service.address;
        self.runtime.block_on(async move {
            let mut streams = Vec::with_capacity(count);
            while streams.len() < count {
                let mut connects = JoinSet::new();
                for _ in 0..100.min(count - streams.len()) {
                    connects.spawn(async move {
                        let mut stream = TcpStream::connect(address).await.expect("a connection");
                        stream.write_all(first).await.expect("the service reads");
                        stream
                    });
                }
                streams.extend(connects.join_all().await);
            }
            streams
        })
    }
}

/// Connections that lie idle: those that have asked once, and those that have not yet.
pub(crate) fn idle(count: usize) {
    let scene = Scene::new("Idle connections", "");
    scene.others("before");
    let before = scene.service.memory();
    let silent = scene.connect(count / 2, b"");
    let mut known = scene.connect(count / 2, b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n");
    scene.runtime.block_on(async {
        for stream in &mut known {
            let mut answer = [0; 15];
            stream.read_exact(&mut answer).await.expect("an answer");
            assert_eq!(&answer, b"HTTP/1.1 200 OK");
        }
    });
    let after = scene.service.memory();
    let each = (after - before) * 1024 / u64::try_from(count).unwrap_or(1);
    println!("* {count} connections take {each} bytes of the service's memory each");
    scene.others("while they are idle");
    std::thread::sleep(Duration::from_secs(20));
    scene.others("20 s later");
    drop((silent, known));
    scene.others("after they have gone");
}

/// Connections that send a byte of a head each second.
pub(crate) fn slow(count: usize) {
    let scene = Scene::new("Slow heads", "[server.connections]\nidle_time = '10s'\n");
    scene.others("before");
    let streams = scene.connect(count, b"GET /healthz HTTP/1.1\r\nhost: x\r\na: ");
    let begun = Instant::now();
    let dripping = scene.runtime.spawn(async move {
        let mut open: Vec<TcpStream> = streams;
        let mut left = Vec::new();
        while !open.is_empty() && begun.elapsed() < Duration::from_secs(60) {
            tokio::time::sleep(Duration::from_secs(1)).await;
            let mut kept = Vec::new();
            for mut stream in open {
                let is_open = stream.write_all(b"x").await.is_ok() && !is_closed(&stream);
                if is_open {
                    kept.push(stream);
                } else {
                    left.push(begun.elapsed().as_secs());
                }
            }
            open = kept;
        }
        (open.len(), left)
    });
    scene.others("while they drip");
    let (open, left) = scene.runtime.block_on(dripping).expect("no panic");
    println!(
        "* {} of {count} were closed, between {:?} s and {:?} s; {open} are open after 60 s",
        left.len(),
        left.iter().min().unwrap_or(&0),
        left.iter().max().unwrap_or(&0),
    );
    scene.others("afterwards");
}

/// Whether the other end has closed a connection.
fn is_closed(stream: &TcpStream) -> bool {
    let mut byte = [0];
    match stream.try_read(&mut byte) {
        Ok(count) => count == 0,
        Err(error) => error.kind() != std::io::ErrorKind::WouldBlock,
    }
}

/// Heads of a megabyte, from many connections at the same time.
pub(crate) fn heads(count: usize) {
    let scene = Scene::new("Heads of 1 MB", "");
    scene.others("before");
    let address = scene.service.address;
    let sending = scene.runtime.spawn(async move {
        let begun = Instant::now();
        let (mut refused, mut broken) = (0, 0);
        while begun.elapsed() < Duration::from_secs(5) {
            let mut clients = JoinSet::new();
            for _ in 0..count {
                clients.spawn(large_head(address));
            }
            let ends = clients.join_all().await;
            refused += ends.iter().filter(|answer| answer.starts_with("HTTP/1.1 431 ")).count();
            broken += ends.iter().filter(|answer| answer.is_empty()).count();
        }
        (refused, broken)
    });
    scene.others("meanwhile");
    let (refused, broken) = scene.runtime.block_on(sending).expect("no panic");
    println!("* {refused} were answered with 431, and {broken} were reset before they had read it");
    scene.others("afterwards");
}

/// Sends a long head; returns the answer.
async fn large_head(address: SocketAddr) -> String {
    let mut stream = TcpStream::connect(address).await.expect("the service listens");
    let head = format!("GET / HTTP/1.1\r\nhost: x\r\na: {}\r\n\r\n", "x".repeat(1 << 20));
    // The service closes before it has read all.
    let _ = stream.write_all(head.as_bytes()).await;
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer).await;
    String::from_utf8_lossy(&answer).into_owned()
}

/// Streams of HTTP/2 that are opened and reset at once (CVE-2023-44487).
pub(crate) fn resets(connections: usize) {
    let scene = Scene::new("Streams that are reset at once", "");
    scene.others("before");
    let address = scene.service.address;
    let busy = scene.service.cpu_time();
    let resetting = scene.runtime.spawn(async move {
        let mut clients = JoinSet::new();
        for _ in 0..connections {
            clients.spawn(reset_again_and_again(address, Duration::from_secs(5)));
        }
        let ends = clients.join_all().await;
        ends.into_iter().fold((0, 0), |sum, end| (sum.0 + end.0, sum.1 + end.1))
    });
    scene.others("meanwhile");
    let (resets, ends) = scene.runtime.block_on(resetting).expect("no panic");
    let busy = scene.service.cpu_time().saturating_sub(busy).as_millis();
    println!("* {resets} streams were reset; the service has ended {ends} connections for it, and");
    println!("  has used {busy} ms of CPU time meanwhile, with the answers to others");
    scene.others("afterwards");
}

/// Returns how many streams were reset, and how many connections the service has ended.
async fn reset_again_and_again(address: SocketAddr, time: Duration) -> (u64, u64) {
    const BATCH: u32 = 64;
    let (begun, mut resets, mut ends) = (Instant::now(), 0, 0);
    while begun.elapsed() < time {
        let Ok(mut stream) = TcpStream::connect(address).await else { continue };
        let mut next = 1;
        let mut is_open = stream.write_all(&http2::preface()).await.is_ok();
        while is_open && begun.elapsed() < time {
            let frames = http2::reset_streams(next, BATCH);
            is_open = stream.write_all(&frames).await.is_ok();
            resets += u64::from(BATCH);
            next += 2 * BATCH;
            // What the service says meanwhile is of no interest.
            let mut answers = [0; 4096];
            while let Ok(count) = stream.try_read(&mut answers) {
                is_open &= count > 0;
                if count == 0 {
                    break;
                }
            }
            tokio::task::yield_now().await;
        }
        ends += u64::from(!is_open);
    }
    (resets, ends)
}
