//! The hosts: one bucket each, in bounded memory, and the waits and pauses at them.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use http::{HeaderMap, StatusCode};
use tokio::time::Instant;
use tollgate::keyed::Keyed;
use tollgate::{Quota, QuotaError, Timer, TokioClock, TokioTimer, WaitError};

use super::answer;
use super::error::NotSent;
use super::pace::{Pace, pause_as_permits};

/// What the builder collects.
#[derive(Clone, Debug)]
pub(super) struct Settings {
    pub(super) quota: Quota,
    pub(super) own_quotas: HashMap<Arc<str>, Quota, ahash::RandomState>,
    pub(super) max_wait: Option<Duration>,
    pub(super) longest_pause: Duration,
    pub(super) pause_without_time: Duration,
    pub(super) max_hosts: usize,
    pub(super) honour: bool,
}

/// All hosts of a layer. Every clone of the layer and every service made by it share them.
pub(super) struct Hosts {
    limiter: Keyed<Arc<str>, Pace, TokioClock>,
    max_wait: Option<Duration>,
    longest_pause: Duration,
    pause_without_time: Duration,
    honour: bool,
}

impl Hosts {
    pub(super) fn new(settings: Settings) -> Result<Self, QuotaError> {
        let Settings { quota, own_quotas, .. } = settings;
        // A quota of zero would silently block its host.
        for own in own_quotas.values() {
            Pace::try_from(*own)?;
        }
        let mut builder = Keyed::<Arc<str>, Pace>::builder(quota)
            .clock(TokioClock::new())
            .max_keys(settings.max_hosts)
            .name("http client");
        if !own_quotas.is_empty() {
            builder = builder.quota_by(move |host| own_quotas.get(host).copied().unwrap_or(quota));
        }
        Ok(Self {
            limiter: builder.build()?,
            max_wait: settings.max_wait,
            longest_pause: settings.longest_pause,
            pause_without_time: settings.pause_without_time,
            honour: settings.honour,
        })
    }

    /// Waits for the turn of a request to `host`.
    ///
    /// # Cancel safety
    ///
    /// A future that is dropped before its end takes nothing.
    pub(super) async fn wait(&self, host: &Arc<str>) -> Result<(), NotSent> {
        let begin = Instant::now();
        let left = || self.max_wait.map(|max_wait| max_wait.saturating_sub(begin.elapsed()));
        let turn = match left() {
            None => self.limiter.acquire(&**host, 1).await,
            Some(left) => self.limiter.acquire_timeout(&**host, 1, left).await,
        };
        turn.map_err(|error| self.not_sent(error, host))?;
        // A pause that began after the turn had come, but before this task ran, holds this request
        // back too, ahead of all that wait.
        while self.is_paused(host) {
            let place = FirstPlace::take(self, host)?;
            let wait = place.rest();
            if let (Some(left), Some(max_wait)) = (left(), self.max_wait)
                && wait > left
            {
                return Err(NotSent::TooLong { host: Arc::clone(host), wait, max_wait });
            }
            while !place.rest().is_zero() {
                // Unlike tokio's own function, this does not panic where no timer runs.
                match TokioTimer.sleep(place.rest()) {
                    Some(sleep) => sleep.await,
                    None => return Err(self.not_sent(WaitError::NoTimer, host)),
                }
            }
        }
        Ok(())
    }

    /// Whether `host` is paused now.
    fn is_paused(&self, host: &str) -> bool {
        let usage = self.limiter.usage(host);
        // An unlimited bucket has nothing in use, unless it is paused.
        let most = if usage.quota.is_unlimited() { 0 } else { usage.limit };
        usage.used > most
    }

    /// Learns from an answer of `host`.
    pub(super) fn learn(&self, host: &str, status: StatusCode, headers: &HeaderMap) {
        if !self.honour {
            return;
        }
        let said = answer::pause(status, headers, SystemTime::now());
        let refused = status == StatusCode::TOO_MANY_REQUESTS;
        if let Some(pause) = said.or(refused.then_some(self.pause_without_time)) {
            self.pause(host, pause);
            // Without the host: a program's own key may be a secret.
            #[cfg(feature = "tracing")]
            tracing::debug!(status = status.as_u16(), ?pause, "a server asks for a pause");
        }
    }

    /// Holds back all requests to `host` for `pause`, or refuses them if that is too long.
    pub(super) fn pause(&self, host: &str, pause: Duration) {
        let pause = pause.min(answer::LONGEST_BELIEVED);
        // This fails only if the host is new and there is no room for it. Then its requests are
        // refused anyway.
        let is_known = self.limiter.consume(host, pause_as_permits(pause)).is_ok();
        if is_known && pause > self.longest_pause {
            // Cannot fail: the quota of the host stays as it is.
            let _ = self.limiter.block_for(host, pause);
        }
    }

    fn not_sent(&self, error: WaitError, host: &Arc<str>) -> NotSent {
        let host = Arc::clone(host);
        match error {
            WaitError::Timeout { retry_after } => {
                let max_wait = self.max_wait.unwrap_or_default();
                NotSent::TooLong { host, wait: retry_after, max_wait }
            }
            WaitError::BlockedFor { retry_after } => {
                let until = SystemTime::now().checked_add(retry_after);
                NotSent::Paused { host, rest: retry_after, until }
            }
            WaitError::TooManyKeys { max_keys } => {
                NotSent::TooManyHosts { host, max_hosts: max_keys }
            }
            other => NotSent::Other { host, error: other },
        }
    }
}

/// A place ahead of all that wait, at a paused host. If it is dropped before it is due, it is given
/// back.
struct FirstPlace<'a> {
    hosts: &'a Hosts,
    host: &'a str,
    due: Instant,
}

impl<'a> FirstPlace<'a> {
    /// Consumes one more permit, as debt: all that wait are served one permit later, and the place
    /// is due when the debt is repaid. So a second such place is due one permit after the first.
    fn take(hosts: &'a Hosts, host: &'a Arc<str>) -> Result<Self, NotSent> {
        let not_sent = |error| hosts.not_sent(error, host);
        hosts.limiter.delay_for(&**host, 1).map_err(|why| not_sent(why.into()))?;
        // Cannot fail: a paused host has its place in the limiter.
        let wait = hosts.limiter.consume(&**host, 1).unwrap_or_default();
        Ok(Self { hosts, host, due: Instant::now() + wait })
    }

    /// The time until the place is due.
    fn rest(&self) -> Duration {
        self.due.saturating_duration_since(Instant::now())
    }
}

impl Drop for FirstPlace<'_> {
    fn drop(&mut self) {
        if !self.rest().is_zero() {
            self.hosts.limiter.credit(self.host, 1);
        }
    }
}
