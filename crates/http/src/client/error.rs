//! Why there is no answer.

use std::error::Error;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tollgate::WaitError;

use crate::BoxError;

/// The error of a [`WaitService`](super::WaitService).
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum WaitServiceError<E> {
    /// The request was sent, and the HTTP client failed.
    #[error(transparent)]
    Inner(E),
    /// The request was not sent.
    #[error(transparent)]
    NotSent(#[from] NotSent),
}

impl<E> WaitServiceError<E> {
    /// The error as tower's `BoxError`. It can be downcast to what it was: the HTTP client's error,
    /// or [`NotSent`].
    ///
    /// A `WaitServiceError<E>` is an error itself only if `E` is one, which a `BoxError` is not. So
    /// this is how the layer is put around services whose error is a `BoxError`:
    ///
    /// ```
    /// use std::time::Duration;
    /// use tollgate_http::client::{BoxError, NotSent, WaitServiceError};
    ///
    /// let (host, wait) = ("example.com".into(), Duration::from_secs(9));
    /// let not_sent = NotSent::TooLong { host, wait, max_wait: Duration::from_secs(1) };
    /// let error = WaitServiceError::<BoxError>::NotSent(not_sent);
    /// assert!(error.into_box().is::<NotSent>());
    /// ```
    pub fn into_box(self) -> BoxError
    where
        E: Into<BoxError>,
    {
        match self {
            Self::Inner(error) => error.into(),
            Self::NotSent(error) => error.into(),
        }
    }

    /// Why the request was not sent; `None` if it was.
    #[must_use]
    pub fn not_sent(&self) -> Option<&NotSent> {
        match self {
            Self::NotSent(error) => Some(error),
            Self::Inner(_) => None,
        }
    }
}

/// Why a request was not sent. Nothing was taken from the host's quota.
///
/// ```
/// use std::time::Duration;
/// use tollgate_http::client::NotSent;
///
/// let (host, wait) = ("example.com".into(), Duration::from_millis(7_500));
/// let error = NotSent::TooLong { host, wait, max_wait: Duration::from_secs(5) };
/// let text = "not sent to example.com: its turn would come in 7s 500ms, and max_wait is 5s";
/// assert_eq!(error.to_string(), text);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum NotSent {
    /// The wait would be longer than [`max_wait`](super::WaitLayerBuilder::max_wait). This is known
    /// as soon as the request queues, or as soon as a pause of the host begins.
    TooLong {
        /// The host, as the [key](super::RequestKey) writes it.
        host: Arc<str>,
        /// The time after which the request would have had its turn.
        wait: Duration,
        /// The longest wait allowed.
        max_wait: Duration,
    },
    /// The server asked for a pause that is longer than
    /// [`longest_pause`](super::WaitLayerBuilder::longest_pause).
    Paused {
        /// The host, as the [key](super::RequestKey) writes it.
        host: Arc<str>,
        /// The rest of the pause.
        rest: Duration,
        /// The end of the pause on this machine's clock, if that is a time.
        until: Option<SystemTime>,
    },
    /// The host is new, and there are [`max_hosts`](super::WaitLayerBuilder::max_hosts) hosts with
    /// requests that still count.
    TooManyHosts {
        /// The host, as the [key](super::RequestKey) writes it.
        host: Arc<str>,
        /// The most hosts.
        max_hosts: usize,
    },
    /// The wait could not begin, for example because no tokio runtime with a timer is running.
    Other {
        /// The host, as the [key](super::RequestKey) writes it.
        host: Arc<str>,
        /// The limiter's error.
        error: WaitError,
    },
}

impl NotSent {
    /// The host, as the [key](super::RequestKey) writes it.
    #[must_use]
    pub fn host(&self) -> &str {
        match self {
            Self::TooLong { host, .. }
            | Self::Paused { host, .. }
            | Self::TooManyHosts { host, .. }
            | Self::Other { host, .. } => host,
        }
    }

    /// The time after which another attempt makes sense, if that is known.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::TooLong { wait, .. } => Some(*wait),
            Self::Paused { rest, .. } => Some(*rest),
            Self::TooManyHosts { .. } | Self::Other { .. } => None,
        }
    }
}

impl fmt::Display for NotSent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let host = self.host();
        write!(
            f,
            "not sent to {}: ",
            if host.is_empty() { "a request without a host" } else { host }
        )?;
        match self {
            Self::TooLong { wait, max_wait, .. } => {
                let (wait, max_wait) = (rounded(*wait), rounded(*max_wait));
                write!(f, "its turn would come in {wait}, and max_wait is {max_wait}")
            }
            Self::Paused { rest, until, .. } => {
                write!(f, "the server asked for a pause of another {}", rounded(*rest))?;
                match until.filter(is_printable) {
                    Some(until) => {
                        write!(f, ", until {}", humantime::format_rfc3339_seconds(until))
                    }
                    None => Ok(()),
                }
            }
            Self::TooManyHosts { max_hosts, .. } => {
                write!(f, "it is a new host, and {max_hosts} hosts are in use already")
            }
            Self::Other { error, .. } => error.fmt(f),
        }
    }
}

impl Error for NotSent {}

/// Whether a time can be printed as RFC 3339 writes it, which has no years before 1970 here and
/// none after 9999.
fn is_printable(time: &SystemTime) -> bool {
    const YEAR_10000: u64 = 253_402_300_800;
    time.duration_since(UNIX_EPOCH).is_ok_and(|since| since.as_secs() < YEAR_10000)
}

/// A time for people: whole milliseconds, from a minute on whole seconds, rounded up.
fn rounded(time: Duration) -> humantime::FormattedDuration {
    let step = if time >= Duration::from_secs(60) { 1_000_000_000 } else { 1_000_000 };
    let steps = time.as_nanos().div_ceil(step);
    let millis = steps.saturating_mul(step / 1_000_000);
    humantime::format_duration(Duration::from_millis(u64::try_from(millis).unwrap_or(u64::MAX)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_say_the_host_and_the_time() {
        let host: Arc<str> = "api.example.com:8080".into();
        let rest = Duration::new(3_599, 1);
        let until = UNIX_EPOCH.checked_add(Duration::from_secs(1_700_000_000));
        let paused = NotSent::Paused { host: Arc::clone(&host), rest, until };
        let text = "not sent to api.example.com:8080: the server asked for a pause of another 1h, \
                    until 2023-11-14T22:13:20Z";
        assert_eq!(paused.to_string(), text);
        assert_eq!(paused.retry_after(), Some(rest));
        let many = NotSent::TooManyHosts { host: "".into(), max_hosts: 3 };
        let text = "not sent to a request without a host: it is a new host, and 3 hosts are in use \
                    already";
        assert_eq!(many.to_string(), text);
    }

    #[test]
    fn no_time_makes_a_message_panic() {
        let far = Duration::from_secs(400_000_000_000);
        for until in [UNIX_EPOCH.checked_add(far), UNIX_EPOCH.checked_sub(far), None] {
            for rest in [Duration::ZERO, Duration::MAX] {
                let paused = NotSent::Paused { host: "a".into(), rest, until };
                assert!(!paused.to_string().contains("until"));
            }
        }
    }

    #[test]
    fn the_inner_error_is_passed_on_as_it_is() {
        let inner = WaitServiceError::Inner(std::io::Error::other("broken pipe"));
        assert_eq!(inner.to_string(), "broken pipe");
        assert!(inner.not_sent().is_none());
        assert!(inner.into_box().is::<std::io::Error>());
    }
}
