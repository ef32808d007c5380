//! A listener: accepts connections until it is told to stop, and then lets those in flight end.

use std::io;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::timeout;
use tollgate_http::address::Peer;

use super::address::ListenAddress;
use super::connection::{self, Bounds};

/// How long a listener rests after the operating system has refused a connection, because there are
/// no more file descriptors, for example.
const REST: Duration = Duration::from_millis(50);

/// How long clients of HTTP/1 may go on after the listener was told to stop: the answer to their
/// next request tells them to connect elsewhere. Whoever does not ask within this time is taken for
/// idle, and its connection is closed.
const FAREWELL: Duration = Duration::from_millis(250);

/// A bound listener, which does not accept connections yet.
#[derive(Debug)]
pub struct Listener {
    socket: Socket,
    address: ListenAddress,
}

#[derive(Debug)]
enum Socket {
    Tcp(TcpListener),
    Unix {
        listener: UnixListener,
        /// Which file it is.
        file: Option<(u64, u64)>,
    },
}

/// The device and the number of a file.
fn identity(path: &Path) -> Option<(u64, u64)> {
    std::fs::symlink_metadata(path).ok().map(|file| (file.dev(), file.ino()))
}

/// Removes the socket of a process that is gone. Everything else stays: a file that is no socket,
/// and a socket on which a process listens.
fn remove_left_behind(path: &Path) -> io::Result<()> {
    let is_socket = std::fs::symlink_metadata(path).is_ok_and(|file| file.file_type().is_socket());
    let refuses = || {
        let connected = std::os::unix::net::UnixStream::connect(path);
        connected.is_err_and(|error| error.kind() == io::ErrorKind::ConnectionRefused)
    };
    if is_socket && refuses() { std::fs::remove_file(path) } else { Ok(()) }
}

/// Tells listeners that the service ends. A clone tells, and hears, the same.
#[derive(Clone, Debug)]
pub struct Shutdown(watch::Sender<bool>);

impl Default for Shutdown {
    fn default() -> Self {
        Self(watch::Sender::new(false))
    }
}

impl Shutdown {
    /// Tells that the service ends.
    pub fn begin(&self) {
        self.0.send_replace(true);
    }

    /// Whether the service ends.
    #[must_use]
    pub fn has_begun(&self) -> bool {
        *self.0.borrow()
    }

    /// Waits until the service ends.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost if the future is dropped.
    pub async fn begun(&self) {
        let mut receiver = self.0.subscribe();
        // The sender is in `self`, so it is not gone.
        let _ = receiver.wait_for(|begun| *begun).await;
    }
}

impl Listener {
    /// Binds a listener. A Unix socket that a process has left behind is replaced.
    ///
    /// # Errors
    ///
    /// If the operating system refuses: the address is in use, or is not one of this machine.
    pub async fn bind(address: &ListenAddress) -> io::Result<Self> {
        match address {
            ListenAddress::Tcp(wanted) => {
                let socket = TcpListener::bind(wanted).await?;
                let address = ListenAddress::Tcp(socket.local_addr()?);
                Ok(Self { socket: Socket::Tcp(socket), address })
            }
            ListenAddress::Unix(path) => {
                remove_left_behind(path)?;
                let listener = UnixListener::bind(path)?;
                let file = identity(path);
                let socket = Socket::Unix { listener, file };
                Ok(Self { socket, address: address.clone() })
            }
        }
    }

    /// Where it listens, with the port that the operating system has chosen.
    #[must_use]
    pub fn address(&self) -> &ListenAddress {
        &self.address
    }

    /// Serves connections until `shutdown` begins, and then until all requests in flight are
    /// answered, or the time for that is over. Connections that are open then are closed.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, all connections are closed, whatever is in flight.
    pub async fn serve(self, router: Router, bounds: Bounds, shutdown: Shutdown) {
        let most = u32::try_from(bounds.connections).unwrap_or(u32::MAX).max(1);
        let room = Arc::new(Semaphore::new(most as usize));
        let graceful = GracefulShutdown::new();
        // Their tasks end when this is dropped.
        let mut connections = JoinSet::new();
        let serve = |accepted: Accepted| {
            accepted.serve(router.clone(), bounds, graceful.watcher(), shutdown.clone())
        };
        loop {
            let accepted = tokio::select! {
                biased;
                () = shutdown.begun() => break,
                // The memory of a task is only freed once it is joined.
                Some(_) = connections.join_next() => continue,
                accepted = self.accept(&room) => accepted,
            };
            if let Some(accepted) = accepted {
                connections.spawn(serve(accepted));
            }
        }
        // Clients that have connected already are in flight too.
        while let Ok(Some(accepted)) = timeout(Duration::ZERO, self.accept(&room)).await {
            connections.spawn(serve(accepted));
        }
        let address = self.address.clone();
        // Another process may have bound the path meanwhile.
        if let (ListenAddress::Unix(path), Socket::Unix { file, .. }) = (&address, &self.socket)
            && file.is_some()
            && identity(path) == *file
        {
            let _ = std::fs::remove_file(path);
        }
        drop(self);
        // Until all are closed, if that comes first.
        let _ = timeout(FAREWELL.min(bounds.drain_time), room.acquire_many(most)).await;
        let open = graceful.count();
        if timeout(bounds.drain_time, graceful.shutdown()).await.is_err() {
            tracing::warn!(%address, open, "connections were closed before their answers were sent");
        }
    }

    /// The next connection, once there is room for it. `None` if it came to nothing.
    async fn accept(&self, room: &Arc<Semaphore>) -> Option<Accepted> {
        let place = Arc::clone(room).acquire_owned().await.ok()?;
        let stream = match &self.socket {
            Socket::Tcp(socket) => socket.accept().await.map(|(stream, peer)| {
                // An answer is one write; waiting for more only delays it.
                let _ = stream.set_nodelay(true);
                Stream::Tcp(stream, peer.into())
            }),
            Socket::Unix { listener, .. } => {
                listener.accept().await.map(|(stream, _)| Stream::Unix(stream))
            }
        };
        match stream {
            Ok(stream) => Some(Accepted { stream, place }),
            Err(error) => {
                if !is_of_the_client(&error) {
                    tracing::error!(address = %self.address, %error, "no connection can be accepted");
                    tokio::time::sleep(REST).await;
                }
                None
            }
        }
    }
}

/// An accepted connection, and its place among those that are possible at the same time.
struct Accepted {
    stream: Stream,
    place: OwnedSemaphorePermit,
}

enum Stream {
    Tcp(TcpStream, Peer),
    Unix(UnixStream),
}

impl Accepted {
    /// Serves the connection until it ends.
    async fn serve(self, router: Router, bounds: Bounds, watcher: Watcher, shutdown: Shutdown) {
        let Self { stream, place } = self;
        match stream {
            Stream::Tcp(stream, peer) => {
                connection::serve(stream, peer, router, bounds, watcher, shutdown).await;
            }
            Stream::Unix(stream) => {
                connection::serve(stream, Peer::Unix, router, bounds, watcher, shutdown).await;
            }
        }
        drop(place);
    }
}

/// Whether the client has given up before it was accepted.
fn is_of_the_client(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset)
}
