//! How a store is set up.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::buckets::Redis;
use crate::connection::{Place, Settings};

/// A clock of the caller's: the time since the Unix epoch, or since any other moment that is the
/// same for all processes.
pub(crate) type Clock = Arc<dyn Fn() -> Duration + Send + Sync>;

/// Sets a store up. [`Redis::builder`], [`Redis::sentinel`] and [`Redis::cluster`] return one.
///
/// ```no_run
/// use std::time::Duration;
/// use tollgate_redis::Redis;
///
/// # async fn run() -> Result<(), tollgate_redis::ConnectError> {
/// let store = Redis::builder("redis://10.0.0.7:6379")
///     .user("limiter", "secret")
///     .prefix("shop:")
///     .deadline(Duration::from_millis(20))
///     .connect()
///     .await?;
/// # Ok(())
/// # }
/// ```
#[must_use]
#[derive(Clone)]
pub struct Builder {
    place: Result<Place, ConnectError>,
    prefix: String,
    clock: Option<Clock>,
}

/// Why a store can't be connected.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// The URL is not one of a server, or an option does not go with it.
    #[error("{0}")]
    Settings(String),
    /// The server can't be reached, or does not answer.
    #[error("the server can't be reached: {0}")]
    Unreachable(String),
    /// The server refuses, for example because of a wrong password, or because the user lacks a
    /// right.
    #[error("the server refuses: {0}")]
    Refused(String),
    /// There is no tokio runtime, on which the connection could live.
    #[error("a connection needs a tokio runtime: call this within one")]
    NoRuntime,
}

impl Builder {
    pub(crate) fn new(place: Result<Place, ConnectError>) -> Self {
        Self { place, prefix: "tollgate:".into(), clock: None }
    }

    /// The server's user and password, instead of those of the URL. With sentinels, the URLs have
    /// those of the sentinels, and this sets those of the master.
    pub fn user(self, name: impl AsRef<str>, password: impl AsRef<str>) -> Self {
        self.change(|settings| settings.set_user(name.as_ref(), password.as_ref()))
    }

    /// The sentinels' user and password, instead of those of their URLs. Only a store that was
    /// set up by [`Redis::sentinel`] has sentinels.
    pub fn sentinel_user(mut self, name: impl AsRef<str>, password: impl AsRef<str>) -> Self {
        self.place = self.place.and_then(|mut place| {
            let sentinels = place.sentinel_settings();
            if sentinels.is_empty() {
                let why = "`sentinel_user` needs sentinels: use `Redis::sentinel`";
                return Err(ConnectError::Settings(why.into()));
            }
            for settings in sentinels {
                settings.set_user(name.as_ref(), password.as_ref());
            }
            Ok(place)
        });
        self
    }

    /// The number of the database, instead of that of the URL. It is 0 by default, and a cluster
    /// has no other one.
    pub fn database(self, number: u32) -> Self {
        self.change(|settings| settings.set_database(number))
    }

    /// The certificates, in PEM, of the authorities that may have signed the server's certificate,
    /// instead of those that the system trusts. The URL must begin with `rediss://`. Sentinels are
    /// trusted by the same certificates.
    #[cfg(feature = "tls")]
    #[cfg_attr(docsrs, doc(cfg(feature = "tls")))]
    pub fn certificate_authority(mut self, pem: impl Into<Vec<u8>>) -> Self {
        let pem = pem.into();
        self.place = self.place.and_then(|mut place| {
            for settings in place.sentinel_settings() {
                settings.set_authority(pem.clone())?;
            }
            for settings in place.server_settings() {
                settings.set_authority(pem.clone())?;
            }
            Ok(place)
        });
        self
    }

    /// How long the answer to one call may take: 50 ms by default. After that, the answer is
    /// [`StoreError::Lost`](tollgate::shared::store::StoreError::Lost). After two such calls in a
    /// row the connection is replaced. In a cluster, an ask that a server has refused because
    /// another one has its slot is sent again only within this time.
    pub fn deadline(self, deadline: Duration) -> Self {
        self.change(|settings| settings.deadline = deadline)
    }

    /// How long making a connection may take, all of it: 250 ms by default. Nothing waits for that
    /// but [`connect`](Self::connect).
    pub fn connect_deadline(self, deadline: Duration) -> Self {
        self.change(|settings| settings.connect_deadline = deadline)
    }

    /// What the names of all keys begin with: `tollgate:` by default. In a cluster, a prefix with a
    /// text in braces would put all keys into one slot, and thus on one server.
    pub fn prefix(mut self, prefix: impl Into<String>) -> Self {
        self.prefix = prefix.into();
        self
    }

    /// Decides with a clock of the caller's instead of the server's, for tests, and for servers on
    /// which a script can't read the clock, as on Amazon's `ElastiCache` Serverless. The right
    /// `+time` is then not needed.
    ///
    /// The clock says the time since a moment that is the same for all processes, such as the Unix
    /// epoch, and all processes must use one. A subject's time is the latest that any process has
    /// shown when it charged the subject, so it never goes backwards: a process whose clock lags
    /// counts as if no time had passed.
    ///
    /// If the clocks differ by `s` at most, no window of length `w` has more than
    /// `burst + rate * (w + s)` permits. Keys live a minute longer than their limits need to become
    /// full. A server that was stopped and wakes can't tell which asks nobody waits for any more,
    /// and may charge what was under way when it stopped.
    ///
    /// ```no_run
    /// use std::time::{Duration, SystemTime, UNIX_EPOCH};
    /// use tollgate_redis::Redis;
    ///
    /// # async fn run() -> Result<(), tollgate_redis::ConnectError> {
    /// let now = || SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
    /// let store = Redis::builder("redis://10.0.0.7:6379").callers_clock(now).connect().await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn callers_clock(mut self, clock: impl Fn() -> Duration + Send + Sync + 'static) -> Self {
        self.clock = Some(Arc::new(clock));
        self.change(|settings| settings.has_callers_clock = true)
    }

    /// Connects.
    ///
    /// # Errors
    ///
    /// If there is no connection within [`connect_deadline`](Self::connect_deadline).
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, nothing is left behind.
    pub async fn connect(self) -> Result<Redis, ConnectError> {
        let servers = self.place?.connect().await?;
        Ok(Redis::new(servers, self.prefix, self.clock))
    }

    /// The store at once: the connection is made in the background, again and again until there is
    /// one. Until then, every ask is
    /// [unreachable](tollgate::shared::store::StoreError::Unreachable).
    ///
    /// # Errors
    ///
    /// If the settings are not valid, or there is no tokio runtime.
    pub fn connect_later(self) -> Result<Redis, ConnectError> {
        let servers = self.place?.connect_later()?;
        Ok(Redis::new(servers, self.prefix, self.clock))
    }

    /// Changes the settings of the servers that keep the levels.
    fn change(mut self, change: impl Fn(&mut Settings)) -> Self {
        if let Ok(place) = &mut self.place {
            place.server_settings().iter_mut().for_each(change);
        }
        self
    }
}

impl fmt::Debug for Builder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (place, prefix) = (&self.place, &self.prefix);
        let is_callers_clock = self.clock.is_some();
        f.debug_struct("Builder")
            .field("place", place)
            .field("prefix", prefix)
            .field("is_callers_clock", &is_callers_clock)
            .finish()
    }
}
