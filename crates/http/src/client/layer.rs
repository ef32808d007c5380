//! The layer and its builder.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderMap, StatusCode};
use tollgate::{Quota, QuotaError};
use tower_layer::Layer;

use super::WaitService;
use super::hosts::{Hosts, Settings};
use super::key::{ByClosure, ByHost, HttpResponse, named_host_key};

/// A layer that makes the requests of an HTTP client wait for their turn, host by host.
///
/// All clones of a layer, and all services that it makes, share their hosts. See the
/// [module](super) for what it does and for examples.
pub struct WaitLayer<K = ByHost, A = HttpResponse> {
    pub(super) hosts: Arc<Hosts>,
    pub(super) key: Arc<K>,
    pub(super) answer: Arc<A>,
}

impl WaitLayer {
    /// A layer that sends at most `quota` to each host, and honours what the hosts say.
    ///
    /// # Errors
    ///
    /// If the quota is invalid, for example 0.
    ///
    /// ```
    /// use tollgate_http::Quota;
    /// use tollgate_http::client::WaitLayer;
    /// // Two requests a second to each host, evenly spaced.
    /// let layer = WaitLayer::per_host(Quota::per_second(2).burst(1))?;
    /// # Ok::<(), tollgate::QuotaError>(())
    /// ```
    pub fn per_host(quota: Quota) -> Result<Self, QuotaError> {
        Self::builder(quota).build()
    }

    /// A builder of a layer that sends at most `quota` to each host.
    ///
    /// [`Quota::unlimited`] is allowed: then only what the hosts say holds requests back.
    pub fn builder(quota: Quota) -> WaitLayerBuilder {
        WaitLayerBuilder {
            settings: Settings {
                quota,
                own_quotas: HashMap::default(),
                max_wait: None,
                longest_pause: Duration::from_secs(5 * 60),
                pause_without_time: Duration::from_secs(1),
                max_hosts: 100_000,
                honour: true,
            },
            quotas: Vec::new(),
            named: named_host_key,
            key: ByHost,
            answer: HttpResponse,
        }
    }
}

impl<K, A> WaitLayer<K, A> {
    /// Holds back the requests of a key, from now on for `pause`, as if its server had asked for
    /// it. For servers that say it elsewhere than in header fields.
    ///
    /// A pause that is running is never shortened, and one of more than 31 days is one of 31 days.
    /// `key` is what the [key](super::RequestKey) of a request is, such as
    /// [`host_key`](super::host_key) returns.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use tollgate_http::Quota;
    /// # use tollgate_http::client::{WaitLayer, host_key};
    /// let layer = WaitLayer::per_host(Quota::per_second(2))?;
    /// layer.pause(&host_key("api.example.com", None), Duration::from_secs(60));
    /// # Ok::<(), tollgate::QuotaError>(())
    /// ```
    pub fn pause(&self, key: &str, pause: Duration) {
        self.hosts.pause(key, pause);
    }
}

impl<S, K, A> Layer<S> for WaitLayer<K, A> {
    type Service = WaitService<S, K, A>;

    fn layer(&self, inner: S) -> Self::Service {
        WaitService { inner, layer: self.clone() }
    }
}

impl<K, A> Clone for WaitLayer<K, A> {
    fn clone(&self) -> Self {
        Self {
            hosts: Arc::clone(&self.hosts),
            key: Arc::clone(&self.key),
            answer: Arc::clone(&self.answer),
        }
    }
}

impl<K, A> fmt::Debug for WaitLayer<K, A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WaitLayer").finish_non_exhaustive()
    }
}

/// Collects the options of a [`WaitLayer`].
///
/// ```
/// use std::time::Duration;
/// use tollgate_http::Quota;
/// use tollgate_http::client::WaitLayer;
///
/// let layer = WaitLayer::builder(Quota::per_second(2))
///     .quota_for("api.example.com", Quota::per_minute(600).burst(20))
///     .max_wait(Duration::from_secs(30))
///     .longest_pause(Duration::from_secs(10))
///     .max_hosts(10_000)
///     .build()?;
/// # Ok::<(), tollgate::QuotaError>(())
/// ```
#[must_use = "nothing is built before `build`"]
pub struct WaitLayerBuilder<K = ByHost, A = HttpResponse> {
    settings: Settings,
    quotas: Vec<(String, Quota)>,
    /// Makes a key of the name in `quota_for`.
    named: fn(&str) -> String,
    key: K,
    answer: A,
}

impl<K, A> WaitLayerBuilder<K, A> {
    /// The quota of one host, instead of that of all others. `host` is a host or `host:port`, in
    /// any case; after [`key`](Self::key), it is a key as the closure returns it. If a host is
    /// named twice, the last quota counts.
    pub fn quota_for(mut self, host: impl Into<String>, quota: Quota) -> Self {
        self.quotas.push((host.into(), quota));
        self
    }

    /// The longest time that a request may wait. A request that would have to wait longer fails at
    /// once with [`NotSent::TooLong`](super::NotSent::TooLong). Default: no limit.
    pub fn max_wait(mut self, max_wait: Duration) -> Self {
        self.settings.max_wait = Some(max_wait);
        self
    }

    /// The longest pause, asked for by a server, that requests wait for. During a longer one,
    /// requests to that host fail at once with [`NotSent::Paused`](super::NotSent::Paused), which
    /// says until when, and so do those that wait already. Default: 5 minutes.
    ///
    /// A time of more than 31 days is not believed in the first place.
    pub fn longest_pause(mut self, longest_pause: Duration) -> Self {
        self.settings.longest_pause = longest_pause;
        self
    }

    /// The pause after a 429 that does not say, in a way that can be read and believed, how long to
    /// wait. Default: 1 second.
    pub fn pause_without_time(mut self, pause: Duration) -> Self {
        self.settings.pause_without_time = pause;
        self
    }

    /// The most hosts whose state is kept, at least 1. A host takes a place only while its bucket
    /// is not full or it is paused. If all places are taken, requests to further hosts fail with
    /// [`NotSent::TooManyHosts`](super::NotSent::TooManyHosts), and those of known hosts do not
    /// notice. A host whose answer comes so late that it has lost its place, and finds all places
    /// taken, cannot be paused. Default: 100 000.
    pub fn max_hosts(mut self, max_hosts: usize) -> Self {
        self.settings.max_hosts = max_hosts;
        self
    }

    /// Whether pauses that servers ask for are kept. Default: `true`. With `false`, the layer only
    /// keeps to the quotas.
    pub fn honour(mut self, honour: bool) -> Self {
        self.settings.honour = honour;
        self
    }

    /// Says which limit a request belongs to, for other requests than `http::Request` or for other
    /// limits than one for each host. The key is part of [errors](super::NotSent), so it should be
    /// no secret.
    ///
    /// ```
    /// # use tollgate_http::Quota;
    /// # use tollgate_http::client::WaitLayer;
    /// // One limit for each user of the program, whatever the host.
    /// let layer = WaitLayer::builder(Quota::per_second(2))
    ///     .key(|request: &http::Request<String>| {
    ///         let user = request.headers().get("x-user");
    ///         user.and_then(|user| user.to_str().ok()).unwrap_or_default().to_owned()
    ///     })
    ///     .build()?;
    /// # Ok::<(), tollgate::QuotaError>(())
    /// ```
    pub fn key<R, F: Fn(&R) -> String>(self, key: F) -> WaitLayerBuilder<ByClosure<F>, A> {
        let Self { settings, quotas, answer, .. } = self;
        WaitLayerBuilder { settings, quotas, named: str::to_owned, key: ByClosure(key), answer }
    }

    /// Reads answers of another type than `http::Response`. The [module](super) shows it for
    /// reqwest.
    pub fn answer<R, F: Fn(&R) -> (StatusCode, &HeaderMap)>(
        self,
        answer: F,
    ) -> WaitLayerBuilder<K, ByClosure<F>> {
        let Self { settings, quotas, named, key, .. } = self;
        WaitLayerBuilder { settings, quotas, named, key, answer: ByClosure(answer) }
    }

    /// Builds the layer.
    ///
    /// # Errors
    ///
    /// If a quota is invalid, or `max_hosts` is 0.
    pub fn build(self) -> Result<WaitLayer<K, A>, QuotaError> {
        let Self { mut settings, quotas, named, key, answer } = self;
        settings.own_quotas =
            quotas.into_iter().map(|(host, quota)| (named(&host).into(), quota)).collect();
        let hosts = Arc::new(Hosts::new(settings)?);
        Ok(WaitLayer { hosts, key: Arc::new(key), answer: Arc::new(answer) })
    }
}

impl<K, A> fmt::Debug for WaitLayerBuilder<K, A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WaitLayerBuilder").field("settings", &self.settings).finish_non_exhaustive()
    }
}
