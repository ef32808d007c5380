//! Ends a connection on which nothing happens.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep};

/// A stream whose reads fail once nothing was read or written for a time. A connection reads all
/// the time, so this ends it, whatever it is waiting for: the first byte, the rest of a preface, or
/// the next request.
pub(super) struct Idle<S> {
    stream: S,
    longest: Duration,
    alarm: Pin<Box<Sleep>>,
    /// Whether something has happened since the alarm was set. So a byte costs no timer.
    has_moved: bool,
}

impl<S> Idle<S> {
    pub(super) fn new(stream: S, longest: Duration) -> Self {
        Self { stream, longest, alarm: Box::pin(sleep(longest)), has_moved: false }
    }

    /// Whether the time is over. Between `longest` and twice that pass since the last byte.
    fn is_over(&mut self, context: &mut Context<'_>) -> bool {
        while self.alarm.as_mut().poll(context).is_ready() {
            if !std::mem::take(&mut self.has_moved) {
                return true;
            }
            self.alarm.as_mut().reset(Instant::now() + self.longest);
        }
        false
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Idle<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let read = Pin::new(&mut self.stream).poll_read(context, buffer);
        if read.is_ready() {
            self.has_moved = true;
            return read;
        }
        if self.is_over(context) {
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        Poll::Pending
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Idle<S> {
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
    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};
    use tokio::time::advance;

    use super::*;

    const LONGEST: Duration = Duration::from_secs(10);

    #[tokio::test(start_paused = true)]
    async fn a_silent_peer_ends_the_stream() {
        let (_peer, stream) = duplex(64);
        let begin = Instant::now();
        let error = Idle::new(stream, LONGEST).read_u8().await.expect_err("nothing was sent");
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        assert_eq!(begin.elapsed(), LONGEST);
    }

    #[tokio::test(start_paused = true)]
    async fn bytes_in_time_keep_it() {
        let (mut peer, stream) = duplex(64);
        let mut stream = Idle::new(stream, LONGEST);
        for byte in 0..5 {
            advance(Duration::from_secs(9)).await;
            peer.write_u8(byte).await.expect("the other end is there");
            assert_eq!(stream.read_u8().await.expect("a byte"), byte);
        }
        let error = stream.read_u8().await.expect_err("nothing more is sent");
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    }

    #[tokio::test(start_paused = true)]
    async fn a_peer_that_reads_keeps_it() {
        let (mut peer, stream) = duplex(64);
        let mut stream = Idle::new(stream, LONGEST);
        advance(Duration::from_secs(9)).await;
        stream.write_u8(7).await.expect("there is room");
        let begin = Instant::now();
        stream.read_u8().await.expect_err("nothing was sent");
        assert!(begin.elapsed() > LONGEST, "{:?}", begin.elapsed());
        assert_eq!(peer.read_u8().await.expect("the byte"), 7);
    }
}
