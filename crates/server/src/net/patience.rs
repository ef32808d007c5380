//! Ends a connection on which nothing happens, or whose client is slow to say what it wants.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep};

/// The requests of a connection, which its stream has to know of to tell a head that is being sent
/// from a body, and from no request at all.
#[derive(Debug, Default)]
pub(super) struct Requests {
    begun: AtomicU64,
    ended: AtomicU64,
}

/// A request that is being answered, until this is dropped.
pub(super) struct InFlight(Arc<Requests>);

impl Requests {
    /// The head of a request is complete.
    pub(super) fn begin(self: &Arc<Self>) -> InFlight {
        self.begun.fetch_add(1, Relaxed);
        InFlight(Arc::clone(self))
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.ended.fetch_add(1, Relaxed);
    }
}

/// How long a client may be silent, and how long it may take for a head of HTTP/1.
#[derive(Clone, Copy, Debug)]
pub(super) struct Times {
    pub(super) idle: Duration,
    pub(super) head: Duration,
}

/// A stream whose reads fail once nothing was read or written for a time, or once a head takes too
/// long. A connection reads all the time, so this ends it, whatever it is waiting for: the first
/// byte, the rest of a preface or of a head, or the next request.
pub(super) struct Patience<S> {
    stream: S,
    times: Times,
    requests: Arc<Requests>,
    alarm: Pin<Box<Sleep>>,
    /// Whether something has happened since the alarm was set. So a byte costs no timer.
    has_moved: bool,
    head: Head,
    /// How many requests had begun at the last look.
    begun: u64,
    /// How many bytes of the preface of HTTP/2 the client has sent; `None` if it speaks HTTP/1.
    preface: Option<usize>,
}

/// The next head.
#[derive(Clone, Copy, Debug)]
enum Head {
    /// No byte of it has come.
    Awaited,
    /// A part of it has come. Most heads come at once, and need no timer.
    Begun,
    /// It has to be complete by then.
    Due(Instant),
}

/// What a client that speaks HTTP/2 sends first (RFC 9113, section 3.4).
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

impl<S> Patience<S> {
    pub(super) fn new(stream: S, times: Times, requests: Arc<Requests>) -> Self {
        Self {
            stream,
            times,
            requests,
            alarm: Box::pin(sleep(times.idle)),
            has_moved: false,
            head: Head::Awaited,
            begun: 0,
            preface: Some(0),
        }
    }

    /// Notes that bytes were read.
    fn has_read(&mut self, bytes: &[u8]) {
        self.has_moved = true;
        if let Some(known) = self.preface.filter(|known| *known < PREFACE.len()) {
            let more = bytes.len().min(PREFACE.len() - known);
            let is_preface = PREFACE[known..].starts_with(&bytes[..more]);
            self.preface = is_preface.then_some(known + more);
        }
        if matches!(self.head, Head::Awaited) && self.is_for_a_head() {
            self.head = Head::Begun;
        }
    }

    /// Whether what is read now is a part of a head: not of a body, and not a frame of HTTP/2,
    /// which also come while no request is sent.
    fn is_for_a_head(&self) -> bool {
        self.preface.is_none_or(|known| known < PREFACE.len())
            && self.requests.begun.load(Relaxed) == self.requests.ended.load(Relaxed)
    }

    /// Notes that there is nothing to read.
    fn has_to_wait(&mut self) {
        let begun = self.requests.begun.load(Relaxed);
        if self.begun != begun || self.preface == Some(PREFACE.len()) {
            // What was read is a whole head.
            self.begun = begun;
            self.head = Head::Awaited;
        } else if matches!(self.head, Head::Begun) {
            let due = Instant::now() + self.times.head;
            self.head = Head::Due(due);
            if due < self.alarm.deadline() {
                self.alarm.as_mut().reset(due);
            }
        }
    }

    /// Whether the time is over: that of a head, or between once and twice the time since the last
    /// byte.
    fn is_over(&mut self, context: &mut Context<'_>) -> bool {
        while self.alarm.as_mut().poll(context).is_ready() {
            let now = Instant::now();
            let mut next = now + self.times.idle;
            if let Head::Due(due) = self.head {
                if due <= now {
                    return true;
                }
                next = next.min(due);
            }
            if !std::mem::take(&mut self.has_moved) {
                return true;
            }
            self.alarm.as_mut().reset(next);
        }
        false
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Patience<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(context, buffer);
        if read.is_ready() {
            self.has_read(&buffer.filled()[before..]);
            return read;
        }
        self.has_to_wait();
        if self.is_over(context) {
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        Poll::Pending
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Patience<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.has_moved |= written.is_ready();
        written
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(context, slices);
        self.has_moved |= written.is_ready();
        written
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
    use tokio::time::advance;

    use super::*;

    const TIMES: Times = Times { idle: Duration::from_secs(60), head: Duration::from_secs(10) };

    fn second(n: u64) -> Duration {
        Duration::from_secs(n)
    }

    fn pair() -> (DuplexStream, Patience<DuplexStream>, Arc<Requests>) {
        let ((client, stream), requests) = (duplex(64), Arc::default());
        let stream = Patience::new(stream, TIMES, Arc::clone(&requests));
        (client, stream, requests)
    }

    /// Reads until the stream fails; returns after how long that is.
    async fn read_to_the_end(mut stream: Patience<DuplexStream>) -> Duration {
        let begin = Instant::now();
        let error = stream.read_to_end(&mut Vec::new()).await.expect_err("the client is silent");
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        begin.elapsed()
    }

    #[tokio::test(start_paused = true)]
    async fn a_silent_client_ends_the_stream() {
        let (_client, stream, _) = pair();
        assert_eq!(read_to_the_end(stream).await, TIMES.idle);
    }

    #[tokio::test(start_paused = true)]
    async fn requests_in_time_keep_it() {
        let (mut client, mut stream, requests) = pair();
        for byte in 0..5 {
            advance(second(59)).await;
            client.write_u8(byte).await.expect("the other end is there");
            assert_eq!(stream.read_u8().await.expect("a byte"), byte);
            drop(requests.begin());
        }
        let end = read_to_the_end(stream).await;
        assert!((TIMES.idle..=TIMES.idle * 2).contains(&end), "{end:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_head_must_come_in_time_even_if_there_is_a_byte_each_second() {
        let (mut client, stream, _) = pair();
        let dripping = tokio::spawn(async move {
            // A prefix of the preface of HTTP/2 is no preface.
            client.write_all(b"PRI * HTTP/1.1\r\n").await.expect("there is room");
            while client.write_u8(b'a').await.is_ok() {
                tokio::time::sleep(second(1)).await;
            }
        });
        assert_eq!(read_to_the_end(stream).await, TIMES.head);
        dripping.await.expect("the stream was closed");
    }

    #[tokio::test(start_paused = true)]
    async fn the_second_head_must_come_in_time_too() {
        let (mut client, mut stream, requests) = pair();
        client.write_u8(b'a').await.expect("there is room");
        stream.read_u8().await.expect("a byte");
        drop(requests.begin());
        let begin = Instant::now();
        let late = tokio::spawn(async move {
            tokio::time::sleep(second(50)).await;
            client.write_u8(b'b').await.expect("the stream is there");
            client
        });
        read_to_the_end(stream).await;
        assert_eq!(begin.elapsed(), second(60), "50 s idle, and 10 s for the head");
        late.await.expect("the byte was written");
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_is_no_head() {
        let (mut client, stream, requests) = pair();
        let in_flight = requests.begin();
        client.write_u8(b'{').await.expect("there is room");
        let end = read_to_the_end(stream).await;
        assert!((TIMES.idle..=TIMES.idle * 2).contains(&end), "{end:?}");
        drop(in_flight);
    }

    #[tokio::test(start_paused = true)]
    async fn frames_of_http2_are_no_head() {
        let (mut client, stream, _) = pair();
        client.write_all(PREFACE).await.expect("there is room");
        client.write_all(b"frames").await.expect("there is room");
        let end = read_to_the_end(stream).await;
        assert!((TIMES.idle..=TIMES.idle * 2).contains(&end), "{end:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_preface_must_come_in_time() {
        let (mut client, stream, _) = pair();
        client.write_all(&PREFACE[..20]).await.expect("there is room");
        assert_eq!(read_to_the_end(stream).await, TIMES.head);
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_reads_keeps_it() {
        let (mut client, mut stream, _) = pair();
        advance(second(59)).await;
        stream.write_u8(7).await.expect("there is room");
        let end = read_to_the_end(stream).await;
        assert!(end > TIMES.idle, "{end:?}");
        assert_eq!(client.read_u8().await.expect("the byte"), 7);
    }
}
