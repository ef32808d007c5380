//! Where the buckets are that several processes share.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use sha2::{Digest, Sha256};
use tollgate::shared::Outage;
use tollgate_http::engine::store::SharedStore;
use tollgate_redis::{Builder, ConnectError, Redis};

/// A store of buckets that several processes share.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoreSettings {
    /// The servers.
    pub url: StoreUrl,
    /// The longest time that a decision waits for the store.
    pub deadline: Duration,
    /// How requests are decided while the store does not answer.
    pub on_outage: Outage,
    /// What the names of all keys in the store begin with.
    pub prefix: String,
    /// The file with the secret by which API keys, and values that are too long, are hashed. All
    /// processes need the same.
    pub key_secret_file: Option<PathBuf>,
}

/// The servers of a store: `redis://HOST`, `rediss://HOST`, `redis+cluster://HOST,HOST` or
/// `redis+sentinel://HOST,HOST/NAME`. It may have a password, so it is not shown.
#[derive(Clone, PartialEq, Eq)]
pub struct StoreUrl(String);

impl StoreUrl {
    /// Which servers, as the builder of a store.
    fn builder(&self) -> Builder {
        let urls = |hosts: &str| -> Vec<String> {
            hosts.split(',').map(|host| format!("redis://{host}")).collect()
        };
        if let Some(hosts) = self.0.strip_prefix("redis+cluster://") {
            return Redis::cluster(urls(hosts));
        }
        if let Some((hosts, name)) =
            self.0.strip_prefix("redis+sentinel://").and_then(|rest| rest.rsplit_once('/'))
        {
            return Redis::sentinel(name, urls(hosts));
        }
        Redis::builder(&self.0)
    }

    /// The secret by which keys are hashed if no file says one. It is the same for all processes
    /// with the same URL, and nobody knows it who does not know the URL.
    fn secret(&self) -> [u8; 16] {
        secret_of(self.0.as_bytes())
    }
}

impl StoreSettings {
    /// The store. A server that can't be reached is an outage, which is written about, and it is
    /// tried again in the background.
    ///
    /// # Errors
    ///
    /// If the URL is not one of a server, or if this is not called in a tokio runtime.
    pub async fn open(&self, key_secret: Option<&[u8]>) -> Result<SharedStore, ConnectError> {
        let secret = key_secret.map_or_else(|| self.url.secret(), secret_of);
        let builder = self.url.builder().deadline(self.deadline).prefix(&self.prefix);
        let redis = match builder.clone().connect().await {
            Err(error @ (ConnectError::Unreachable(_) | ConnectError::Refused(_))) => {
                tracing::error!(store = %self.url, %error, "the service starts without its store");
                builder.connect_later()?
            }
            connected => connected?,
        };
        Ok(SharedStore::new(redis)
            .deadline(self.deadline)
            .on_outage(self.on_outage)
            .key_secret(secret))
    }
}

fn secret_of(bytes: &[u8]) -> [u8; 16] {
    let digest =
        Sha256::new().chain_update(b"tollgate key secret\n").chain_update(bytes).finalize();
    let mut secret = [0; 16];
    secret.iter_mut().zip(digest).for_each(|(to, from)| *to = from);
    secret
}

impl FromStr for StoreUrl {
    type Err = String;

    /// The message does not show the text, which may have a password.
    fn from_str(text: &str) -> Result<Self, String> {
        const SCHEMES: [&str; 6] = [
            "redis://",
            "rediss://",
            "redis+unix://",
            "unix://",
            "redis+cluster://",
            "redis+sentinel://",
        ];
        if !SCHEMES.iter().any(|scheme| text.starts_with(scheme)) {
            return Err("write `memory`, or the URL of a server: `redis://HOST:6379`, \
                        `rediss://HOST`, `unix:///PATH`, `redis+cluster://HOST,HOST` or \
                        `redis+sentinel://HOST,HOST/NAME`"
                .into());
        }
        if text.starts_with("redis+sentinel://") && text.matches('/').count() < 3 {
            return Err("the name of the master is missing: write \
                        `redis+sentinel://HOST,HOST/NAME`"
                .into());
        }
        Ok(Self(text.into()))
    }
}

/// Without users and passwords, and without a query.
impl fmt::Display for StoreUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (scheme, rest) = self.0.split_once("://").unwrap_or_default();
        // A password may have any character in it, so it ends with the last `@`.
        let hosts = rest.rsplit('@').next().unwrap_or_default();
        let hosts = hosts.split(['?', '#']).next().unwrap_or_default();
        write!(f, "{scheme}://{hosts}")
    }
}

impl fmt::Debug for StoreUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
