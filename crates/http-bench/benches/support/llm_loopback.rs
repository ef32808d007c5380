//! The CPU time of a client that reads streams over the loopback.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::thread;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt as _, Full};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use rustix::time::{ClockId, clock_gettime};
use tower::{Layer as _, Service, ServiceExt as _};

use crate::Size;
use crate::llm_client::layer;
use crate::llm_events::{EVENTS, chat};
use crate::spread::Spread;
use crate::table::{Table, Target};

const ROUNDS: usize = 61;

/// Sends a stream for each request: each event by itself, and a while after the one before.
fn serve(stream: &TcpStream, between: Duration) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let mut reader = BufReader::new(stream);
    let mut writer = stream;
    loop {
        let mut length = 0;
        let mut line = String::new();
        while reader.read_line(&mut line)? > 2 {
            if let Some(value) = line.strip_prefix("content-length: ") {
                length = value.trim().parse().unwrap_or(0);
            }
            line.clear();
        }
        if line.is_empty() {
            return Ok(());
        }
        std::io::copy(&mut std::io::Read::take(&mut reader, length), &mut std::io::sink())?;
        let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n";
        writer.write_all(head.as_bytes())?;
        for piece in chat() {
            let mut chunk = format!("{:x}\r\n", piece.len()).into_bytes();
            chunk.extend_from_slice(&piece);
            chunk.extend_from_slice(b"\r\n");
            writer.write_all(&chunk)?;
            thread::sleep(between);
        }
        writer.write_all(b"0\r\n\r\n")?;
    }
}

fn server(between: Duration) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("an address");
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            // A client that goes away ends it.
            thread::spawn(move || serve(&stream, between));
        }
    });
    address
}

/// The CPU time of this thread.
fn cpu_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::try_from(time).expect("a time after the start")
}

/// The CPU time that it takes to read a stream of this length, in microseconds.
async fn read_stream<S, B>(service: &S, server: SocketAddr, whole: usize) -> f64
where
    S: Service<Request<Full<Bytes>>, Response = Response<B>> + Clone,
    B: http_body::Body<Data = Bytes>,
{
    let begun = cpu_time();
    let request = Request::post(format!("http://{server}/v1/chat/completions"))
        .body(Full::from(r#"{"model":"gpt-4o","messages":[],"max_tokens":500}"#))
        .expect("a valid request");
    let Ok(answer) = service.clone().oneshot(request).await else { panic!("the server answers") };
    let mut body = std::pin::pin!(answer.into_body());
    let mut length = 0;
    while let Some(Ok(frame)) = body.frame().await {
        length += frame.data_ref().map_or(0, Bytes::len);
    }
    let time = cpu_time().saturating_sub(begun);
    assert_eq!(length, whole, "the whole stream");
    time.as_secs_f64() * 1e6
}

pub(crate) fn print(size: Size) {
    let heads = ["events", "client", "CPU us of an event", "ratio", "quartiles"];
    let title = "loopback: the CPU time of a client that reads streams of 500 events";
    let mut table = Table::new(title, &heads);
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let whole = chat().iter().map(Bytes::len).sum();
    for (name, between, target) in [
        ("one at a time", Duration::from_micros(50), Target::AtMost(1.05)),
        ("as fast as they can", Duration::ZERO, Target::None),
    ] {
        let server = server(between);
        let client = || Client::builder(TokioExecutor::new()).build_http::<Full<Bytes>>();
        let (bare, again, with) = (client(), client(), layer(1).layer(client()));
        let rounds = runtime.block_on(async {
            let mut rounds = Vec::new();
            for round in 0..=size.rounds(ROUNDS) {
                let mut times = [0.0; 3];
                // Each of them comes first, second and last equally often.
                for turn in 0..3 {
                    let contestant = (round + turn) % 3;
                    times[contestant] = match contestant {
                        0 => read_stream(&bare, server, whole).await,
                        1 => read_stream(&again, server, whole).await,
                        _ => read_stream(&with, server, whole).await,
                    };
                }
                // The first round connects.
                if round > 0 {
                    rounds.push(times);
                }
            }
            rounds
        });
        let spread = |of: &dyn Fn(&[f64; 3]) -> f64| Spread::of(rounds.iter().map(of).collect());
        for (contestant, client, target) in [
            (0, "without the layer", Target::None),
            (1, "without, again", Target::None),
            (2, "with the layer", target),
        ] {
            let time = spread(&|times| times[contestant]).median / f64::from(EVENTS);
            let ratio = spread(&|times| times[contestant] / times[0]);
            let cells = [
                name.to_owned(),
                client.to_owned(),
                format!("{time:.2}"),
                format!("{:.3}", ratio.median),
                ratio.to_string(),
            ];
            table.row(cells, ratio.median, target);
        }
    }
    size.show(&table);
}
