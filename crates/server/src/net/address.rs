//! Where a listener listens.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;

/// Where a listener listens: `127.0.0.1:8080`, `[::1]:8080`, or `unix:/run/tollgate.sock`.
///
/// ```
/// use tollgate_server::net::ListenAddress;
/// let address: ListenAddress = "127.0.0.1:8080".parse()?;
/// assert!(address.is_local());
/// let public: ListenAddress = "0.0.0.0:8080".parse()?;
/// assert!(!public.is_local());
/// # Ok::<(), tollgate_server::net::ParseListenAddressError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ListenAddress {
    /// A port of TCP. With the port 0, the operating system chooses one.
    Tcp(SocketAddr),
    /// A Unix socket.
    Unix(PathBuf),
}

/// A text is not an address to listen on.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is not an address to listen on: write `127.0.0.1:8080`, `[::1]:8080` or \
     `unix:/run/tollgate.sock`"
)]
pub struct ParseListenAddressError(String);

impl ListenAddress {
    /// Whether only programs of this machine can connect.
    #[must_use]
    pub fn is_local(&self) -> bool {
        match self {
            Self::Tcp(address) => address.ip().to_canonical().is_loopback(),
            Self::Unix(_) => true,
        }
    }
}

impl FromStr for ListenAddress {
    type Err = ParseListenAddressError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.strip_prefix("unix:") {
            Some(path) if !path.is_empty() => Ok(Self::Unix(path.into())),
            Some(_) => Err(ParseListenAddressError(text.into())),
            None => text.parse().map(Self::Tcp).map_err(|_| ParseListenAddressError(text.into())),
        }
    }
}

impl fmt::Display for ListenAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => write!(f, "{address}"),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}
