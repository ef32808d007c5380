//! Where the server is, and how to get in.

use std::fmt;
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::io::tcp::TcpSettings;
use redis::{
    AsyncConnectionConfig, Client, ConnectionAddr, ConnectionInfo, IntoConnectionInfo,
    RedisConnectionInfo, RedisResult,
};

use crate::builder::ConnectError;

/// How a connection is made. Its [`Debug`] form has no password.
#[derive(Clone)]
pub(crate) struct Settings {
    info: ConnectionInfo,
    /// The certificates of the authorities that are trusted, in PEM.
    authority: Option<Vec<u8>>,
    pub(crate) deadline: Duration,
    pub(crate) connect_deadline: Duration,
    /// Whether the caller's clock counts: then the server is never asked for its own.
    pub(crate) has_callers_clock: bool,
}

impl Settings {
    pub(crate) fn from_url(url: &str) -> Result<Self, ConnectError> {
        // An error of the crate could contain parts of the URL, such as a password.
        let info = url.into_connection_info().map_err(|error| {
            let why = match url.split(':').next().unwrap_or_default() {
                "rediss" | "valkeys" if !cfg!(feature = "tls") => {
                    "TLS needs the feature `tls` of tollgate-redis"
                }
                _ => {
                    "use redis://[user:password@]host[:port][/database], rediss:// for TLS, or \
                     unix:///path of a socket"
                }
            };
            let kind = error.category();
            ConnectError::Settings(format!("the URL is not one of a server ({kind}): {why}"))
        })?;
        Ok(Self::new(info))
    }

    pub(crate) fn from_client(client: &Client) -> Self {
        Self::new(client.get_connection_info().clone())
    }

    fn new(info: ConnectionInfo) -> Self {
        // Small commands must not wait for others. The name of a library would be a right more.
        let redis = info.redis_settings().clone().set_skip_set_lib_name();
        let info = info
            .set_tcp_settings(TcpSettings::default().set_nodelay(true))
            .set_redis_settings(redis);
        let (deadline, connect_deadline) = (Duration::from_millis(50), Duration::from_millis(250));
        let (authority, has_callers_clock) = (None, false);
        Self { info, authority, deadline, connect_deadline, has_callers_clock }
    }

    /// The same settings for another server.
    pub(super) fn at(&self, host: &str, port: u16) -> Self {
        let address = match self.info.addr() {
            ConnectionAddr::TcpTls { insecure, tls_params, .. } => ConnectionAddr::TcpTls {
                host: host.into(),
                port,
                insecure: *insecure,
                tls_params: tls_params.clone(),
            },
            _ => ConnectionAddr::Tcp(host.into(), port),
        };
        Self { info: self.info.clone().set_addr(address), ..self.clone() }
    }

    /// The same settings, with the default user and database.
    pub(super) fn without_user(&self) -> Self {
        let redis = RedisConnectionInfo::default().set_skip_set_lib_name();
        Self { info: self.info.clone().set_redis_settings(redis), ..self.clone() }
    }

    /// The host of the server. A socket has none.
    pub(crate) fn host(&self) -> &str {
        match self.info.addr() {
            ConnectionAddr::Tcp(host, _) | ConnectionAddr::TcpTls { host, .. } => host,
            _ => "",
        }
    }

    pub(super) fn is_socket(&self) -> bool {
        matches!(self.info.addr(), ConnectionAddr::Unix(_))
    }

    pub(super) fn is_tls(&self) -> bool {
        matches!(self.info.addr(), ConnectionAddr::TcpTls { .. })
    }

    pub(super) fn database(&self) -> i64 {
        self.info.redis_settings().db()
    }

    pub(crate) fn set_user(&mut self, name: &str, password: &str) {
        let redis = self.info.redis_settings().clone().set_username(name).set_password(password);
        self.info = self.info.clone().set_redis_settings(redis);
    }

    pub(crate) fn set_database(&mut self, number: u32) {
        let redis = self.info.redis_settings().clone().set_db(number.into());
        self.info = self.info.clone().set_redis_settings(redis);
    }

    #[cfg(feature = "tls")]
    pub(crate) fn set_authority(&mut self, pem: Vec<u8>) -> Result<(), ConnectError> {
        if !self.is_tls() {
            let why = "a certificate authority needs a URL that begins with `rediss://`";
            return Err(ConnectError::Settings(why.into()));
        }
        self.authority = Some(pem);
        self.client().map(|_| ()).map_err(|error| {
            ConnectError::Settings(format!("the certificates can't be read: {}", error.category()))
        })
    }

    fn client(&self) -> RedisResult<Client> {
        #[cfg(feature = "tls")]
        if self.is_tls() {
            // Without one that is chosen, rustls would panic in a program that has two.
            if rustls::crypto::CryptoProvider::get_default().is_none() {
                let _ = rustls::crypto::ring::default_provider().install_default();
            }
            if let Some(root_cert) = self.authority.clone() {
                let certificates =
                    redis::TlsCertificates { client_tls: None, root_cert: Some(root_cert) };
                return Client::build_with_tls(self.info.clone(), certificates);
            }
        }
        Client::open(self.info.clone())
    }

    /// A new connection. It has no deadlines of its own: these are the caller's.
    pub(super) async fn connect(&self) -> RedisResult<MultiplexedConnection> {
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(self.connect_deadline))
            .set_response_timeout(None);
        self.client()?.get_multiplexed_async_connection_with_config(&config).await
    }
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings")
            .field("address", &self.info.addr().to_string())
            .field("database", &self.database())
            .field("user", &self.info.redis_settings().username())
            .field("has_password", &self.info.redis_settings().password().is_some())
            .field("has_authority", &self.authority.is_some())
            .field("deadline", &self.deadline)
            .field("connect_deadline", &self.connect_deadline)
            .field("has_callers_clock", &self.has_callers_clock)
            .finish()
    }
}
