//! Runs a server together with the client that shows what the server does.

use std::error::Error;
use std::net::SocketAddr;

use tokio::net::TcpListener;

pub(crate) type AnyError = Box<dyn Error + Send + Sync>;

/// The environment variable that keeps a server running.
const SERVE: &str = "SERVE";

/// A listener on a free port of loopback, or on the address that `SERVE` says.
pub(crate) async fn listen() -> Result<TcpListener, AnyError> {
    let address = std::env::var(SERVE).unwrap_or_else(|_| "127.0.0.1:0".to_owned());
    let listener = TcpListener::bind(&address).await;
    listener.map_err(|error| format!("can't listen on {address}: {error}").into())
}

/// Serves until `client` has ended. With `SERVE`, serves for ever, and leaves the client to the
/// user.
pub(crate) async fn serve<S, E>(
    address: SocketAddr,
    server: S,
    client: impl Future<Output = Result<(), AnyError>>,
) -> Result<(), AnyError>
where
    S: IntoFuture<Output = Result<(), E>>,
    E: Into<AnyError>,
{
    let server = server.into_future();
    if std::env::var_os(SERVE).is_some() {
        println!("listening on {address}; Ctrl-C ends");
        return server.await.map_err(Into::into);
    }
    tokio::select! {
        end = server => end.map_err(Into::into),
        end = client => end,
    }
}
