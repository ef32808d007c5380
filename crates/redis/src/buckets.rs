//! The store, and the buckets of its namespaces.

use std::fmt;
use std::sync::Arc;

#[cfg(doc)]
use tollgate::shared::store::StoreError;
use tollgate::shared::store::{Answers, Ask, Buckets, Namespace, OpenError, Store};

use crate::asking::{Asking, Way};
use crate::builder::{Builder, Clock, ConnectError};
use crate::connection::{Place, Servers, Settings, slot};
use crate::wire::Opened;

/// A store in Redis or Valkey: on one server, on the master that sentinels name, or in a cluster.
/// Clones share one connection to each server, which is made again in the background whenever it
/// is lost.
///
/// While there is no connection to a server, every ask that it would do is
/// [unreachable](StoreError::Unreachable) at once: nothing ever waits for a connection.
#[derive(Clone)]
pub struct Redis {
    servers: Servers,
    prefix: Arc<str>,
    clock: Option<Clock>,
}

impl Redis {
    /// Connects to the server at a URL: `redis://USER:PASSWORD@HOST:PORT/DATABASE`,
    /// `rediss://…` for TLS (feature `tls`), or `redis+unix:///PATH`.
    ///
    /// # Errors
    ///
    /// If there is no connection within 250 ms.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, nothing is left behind.
    pub async fn connect(url: &str) -> Result<Self, ConnectError> {
        Self::builder(url).connect().await
    }

    /// Sets a store at this URL up.
    ///
    /// ```
    /// # use tollgate_redis::{ConnectError, Redis};
    /// # fn run() -> Result<(), ConnectError> {
    /// let wrong = Redis::builder("http://127.0.0.1").connect_later();
    /// assert!(matches!(wrong, Err(ConnectError::Settings(_))));
    /// # Ok(())
    /// # }
    /// # run().unwrap()
    /// ```
    pub fn builder(url: &str) -> Builder {
        Builder::new(Place::server(url))
    }

    /// Sets a store up on the master of a name, which sentinels at these URLs know. They are asked
    /// again each time a connection is made, so the store follows a failover.
    ///
    /// The user and the password of the URLs, or of [`Builder::sentinel_user`], are those of the
    /// sentinels. [`Builder::user`] sets those of the master. The master is reached over TLS if the
    /// URLs begin with `rediss://`.
    ///
    /// ```no_run
    /// use tollgate_redis::Redis;
    ///
    /// # async fn run() -> Result<(), tollgate_redis::ConnectError> {
    /// let sentinels = ["redis://10.0.0.1:26379", "redis://10.0.0.2:26379", "redis://10.0.0.3:26379"];
    /// let store = Redis::sentinel("mymaster", sentinels)
    ///     .user("limiter", "secret")
    ///     .connect()
    ///     .await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn sentinel<U: AsRef<str>>(name: &str, urls: impl IntoIterator<Item = U>) -> Builder {
        Builder::new(Place::sentinels(name, urls))
    }

    /// Sets a store up in a cluster. The URLs are those of some of its servers, of which one must
    /// be there when the store connects. The others are found through it, and all of them have the
    /// user, the password and the way of connecting (TLS or not) of the first.
    ///
    /// An ask of several subjects is a [misfit](StoreError::Misfit), because each of them may be
    /// on another server. A [`Client`](tollgate::shared::Client) asks one after the other instead.
    ///
    /// ```no_run
    /// use tollgate_redis::Redis;
    ///
    /// # async fn run() -> Result<(), tollgate_redis::ConnectError> {
    /// let store = Redis::cluster(["redis://10.0.0.1:6379", "redis://10.0.0.2:6379"])
    ///     .user("limiter", "secret")
    ///     .connect()
    ///     .await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn cluster<U: AsRef<str>>(urls: impl IntoIterator<Item = U>) -> Builder {
        Builder::new(Place::cluster(urls))
    }

    /// Sets a store up for the server of a client of the crate `redis`, version 1, for whatever its
    /// settings can do and this crate's can't.
    pub fn from_client(client: &redis::Client) -> Builder {
        Builder::new(Ok(Place::Server(Settings::from_client(client))))
    }

    pub(crate) fn new(servers: Servers, prefix: String, clock: Option<Clock>) -> Self {
        Self { servers, prefix: prefix.into(), clock }
    }
}

impl Store for Redis {
    fn open(&self, namespaces: &[Namespace]) -> Result<Arc<dyn Buckets>, OpenError> {
        let opened = Opened::new(&self.prefix, namespaces)?;
        let (servers, clock) = (self.servers.clone(), self.clock.clone());
        Ok(Arc::new(RedisBuckets { servers, clock, opened }))
    }
}

impl fmt::Debug for Redis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Redis")
            .field("servers", &self.servers)
            .field("prefix", &self.prefix)
            .finish_non_exhaustive()
    }
}

/// The buckets of the namespaces with which the store was opened.
struct RedisBuckets {
    servers: Servers,
    clock: Option<Clock>,
    opened: Opened,
}

impl Buckets for RedisBuckets {
    fn ask(&self, asks: Vec<Ask>) -> Answers {
        let asking = Asking::new(&self.opened, self.clock.as_ref());
        let servers = self.servers.clone();
        Box::pin(async move {
            match servers {
                Servers::One(link) => asking.send(&link, Way::Together, asks).await,
                Servers::Cluster(cluster) => asking.send_to_cluster(&cluster, asks).await,
            }
        })
    }

    fn spans_subjects(&self) -> bool {
        matches!(self.servers, Servers::One(_))
    }

    fn server_of(&self, ask: &Ask) -> usize {
        match &self.servers {
            Servers::One(_) => 0,
            Servers::Cluster(cluster) => {
                self.opened.key(ask).map_or(0, |key| cluster.number_of(slot(&key)))
            }
        }
    }
}
