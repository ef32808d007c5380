//! Where a store is: one server, the master that sentinels name, or a cluster.

use std::sync::Arc;

use super::cluster::Cluster;
use super::link::Link;
use super::sentinel::Sentinels;
use super::settings::Settings;
use crate::builder::ConnectError;

/// Where the servers are, and how to get in.
#[derive(Clone, Debug)]
pub(crate) enum Place {
    Server(Settings),
    /// The settings of the server are complete but for its address.
    Sentinels(Settings, Sentinels),
    /// The servers that were named.
    Cluster(Vec<Settings>),
}

/// The servers of a store, each with a connection that is made again in the background.
#[derive(Clone, Debug)]
pub(crate) enum Servers {
    One(Arc<Link>),
    Cluster(Arc<Cluster>),
}

impl Place {
    pub(crate) fn server(url: &str) -> Result<Self, ConnectError> {
        Settings::from_url(url).map(Self::Server)
    }

    pub(crate) fn sentinels<U: AsRef<str>>(
        name: &str,
        urls: impl IntoIterator<Item = U>,
    ) -> Result<Self, ConnectError> {
        let sentinels = all_of(urls, "sentinel")?;
        let server = sentinels[0].without_user();
        Ok(Self::Sentinels(server, Sentinels::new(name, sentinels)))
    }

    pub(crate) fn cluster<U: AsRef<str>>(
        urls: impl IntoIterator<Item = U>,
    ) -> Result<Self, ConnectError> {
        all_of(urls, "server of the cluster").map(Self::Cluster)
    }

    /// The settings of the servers that keep the levels.
    pub(crate) fn server_settings(&mut self) -> &mut [Settings] {
        match self {
            Self::Server(settings) | Self::Sentinels(settings, _) => std::slice::from_mut(settings),
            Self::Cluster(seeds) => seeds,
        }
    }

    /// The settings of the sentinels, if there are any.
    pub(crate) fn sentinel_settings(&mut self) -> &mut [Settings] {
        match self {
            Self::Sentinels(_, sentinels) => &mut sentinels.servers,
            _ => &mut [],
        }
    }

    pub(crate) async fn connect(self) -> Result<Servers, ConnectError> {
        let servers = self.into_servers()?;
        match &servers {
            Servers::One(link) => link.connect().await?,
            Servers::Cluster(cluster) => cluster.connect().await?,
        }
        Ok(servers)
    }

    pub(crate) fn connect_later(self) -> Result<Servers, ConnectError> {
        let servers = self.into_servers()?;
        let has_runtime = match &servers {
            Servers::One(link) => link.reconnect(),
            Servers::Cluster(cluster) => cluster.refresh(),
        };
        has_runtime.then_some(servers).ok_or(ConnectError::NoRuntime)
    }

    fn into_servers(self) -> Result<Servers, ConnectError> {
        Ok(match self {
            Self::Server(settings) => Servers::One(Link::new(settings, None)),
            Self::Sentinels(settings, sentinels) => {
                Servers::One(Link::new(settings, Some(sentinels)))
            }
            Self::Cluster(seeds) => {
                if seeds.iter().any(|seed| seed.database() != 0) {
                    let why = "a cluster has only the database 0";
                    return Err(ConnectError::Settings(why.into()));
                }
                Servers::Cluster(Cluster::new(seeds))
            }
        })
    }
}

/// The settings of several servers of a kind. There is at least one.
fn all_of<U: AsRef<str>>(
    urls: impl IntoIterator<Item = U>,
    kind: &str,
) -> Result<Vec<Settings>, ConnectError> {
    let settings = urls.into_iter().map(|url| Settings::from_url(url.as_ref()));
    let settings = settings.collect::<Result<Vec<_>, _>>()?;
    let why = match settings.first() {
        None => format!("at least one {kind} must be named"),
        _ if settings.iter().any(Settings::is_socket) => {
            format!("a {kind} has a host and a port, and no path")
        }
        Some(first) if settings.iter().any(|other| other.is_tls() != first.is_tls()) => {
            format!("each {kind} must be reached over TLS, or none")
        }
        Some(_) => return Ok(settings),
    };
    Err(ConnectError::Settings(why))
}
