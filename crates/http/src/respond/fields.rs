//! The header fields that say how much is left.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use http::header::HeaderName;
use http::{HeaderMap, HeaderValue, StatusCode};

use super::names;
use super::numbers::{self, MAX};
use super::{LimitTexts, Shown};
use crate::policy::{Dialect, ResetForm};

/// Which header fields a response gets.
///
/// ```
/// use std::time::{Duration, SystemTime};
/// use http::HeaderMap;
/// use tollgate_http::policy::{Dialect, ResetForm};
/// use tollgate_http::respond::{Fields, LimitTexts, Shown};
///
/// let texts = LimitTexts::new("calls", "60/min".parse()?).expect("it is not unlimited");
/// let calls = Shown {
///     texts: &texts,
///     remaining: 59,
///     full_after: Duration::from_secs(1),
///     next_after: Duration::ZERO,
///     refused: None,
/// };
///
/// let fields = Fields::new(&[Dialect::RateLimit, Dialect::XRateLimit], ResetForm::Seconds);
/// let mut headers = HeaderMap::new();
/// fields.write(&mut headers, &[calls], None, SystemTime::now);
///
/// assert_eq!(headers["ratelimit-policy"], r#""calls";q=60;w=60"#);
/// assert_eq!(headers["ratelimit"], r#""calls";r=59;t=1"#);
/// assert_eq!(headers["x-ratelimit-limit"], "60");
/// assert_eq!(headers["x-ratelimit-remaining"], "59");
/// assert_eq!(headers["x-ratelimit-reset"], "1");
/// # Ok::<(), tollgate::ParseQuotaError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fields {
    ietf: Option<Draft>,
    x_ratelimit: bool,
    reset: ResetForm,
}

/// A version of the IETF's draft. Two of them use the same names for different values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Draft {
    V07,
    V11,
}

impl Fields {
    /// The fields of `dialects`. Of [`Dialect::RateLimit`] and [`Dialect::RateLimit07`], which a
    /// policy never has together, the first one counts.
    #[must_use]
    pub fn new(dialects: &[Dialect], reset: ResetForm) -> Self {
        let ietf = dialects.iter().find_map(|dialect| match dialect {
            Dialect::RateLimit => Some(Draft::V11),
            Dialect::RateLimit07 => Some(Draft::V07),
            Dialect::XRateLimit => None,
        });
        Self { ietf, x_ratelimit: dialects.contains(&Dialect::XRateLimit), reset }
    }

    /// How many fields a response gets at most.
    #[must_use]
    pub fn count(&self) -> usize {
        let ietf = if self.ietf.is_some() { 2 } else { 0 };
        ietf + if self.x_ratelimit { 3 } else { 0 }
    }

    /// The value of `RateLimit-Policy` for these limits, to be kept and given to
    /// [`write`](Self::write): clones of it do not allocate. `None` if no limit is given, or if the
    /// dialects have no such field.
    #[must_use]
    pub fn policy(&self, limits: &[&LimitTexts]) -> Option<HeaderValue> {
        self.policy_of(limits.iter().copied()).map(numbers::shared)
    }

    fn policy_of<'a>(
        self,
        limits: impl Iterator<Item = &'a LimitTexts> + Clone,
    ) -> Option<HeaderValue> {
        let items = match self.ietf? {
            Draft::V07 => |texts: &'a LimitTexts| &*texts.policy_07,
            Draft::V11 => |texts: &'a LimitTexts| &*texts.policy,
        };
        let len: usize =
            limits.clone().map(|limit| items(limit).len() + names::LIST_SEPARATOR.len()).sum();
        let mut text = Vec::with_capacity(len.checked_sub(names::LIST_SEPARATOR.len())?);
        for limit in limits {
            separate(&mut text);
            text.extend_from_slice(items(limit).as_bytes());
        }
        Some(numbers::ascii(Bytes::from(text)))
    }

    /// Adds the fields of one response, for the enforced limits of its request in order; nothing if
    /// `shown` is empty. A field that is there already, because the handler has set it, stays as it
    /// is, and a response that has room for no more fields gets none.
    ///
    /// `policy` is the value that [`policy`](Self::policy) made for the same limits; without it,
    /// the value is made anew. `now` is only called for [`ResetForm::Epoch`].
    ///
    /// Of several limits, the fields that have room for one show the one with the longest wait if
    /// the request is refused, else the one with the least left (if several have: the one that is
    /// full the latest, then the first).
    ///
    /// With a `policy`, this allocates once for the value of `RateLimit`, and once for each
    /// `X-RateLimit` field whose number is 10,000 or more, unless the map has to grow.
    pub fn write(
        &self,
        headers: &mut HeaderMap,
        shown: &[Shown<'_>],
        policy: Option<&HeaderValue>,
        now: impl FnOnce() -> SystemTime,
    ) {
        let added = if shown.is_empty() { 0 } else { self.count() };
        if added == 0 || headers.try_reserve(added).is_err() {
            return;
        }
        // One look at the names that are there is faster than to look for each of ours.
        let are_new = !headers.keys().any(names::may_be_ours);
        self.give(shown, policy, now, &mut Map { headers, are_new });
    }

    /// Gives each field of one response to `put`: what [`write`](Self::write) adds to a map, for a
    /// protocol that has no map of fields.
    ///
    /// ```
    /// use std::time::{Duration, SystemTime};
    /// use tollgate_http::policy::{Dialect, ResetForm};
    /// use tollgate_http::respond::{Fields, LimitTexts, Shown};
    ///
    /// let texts = LimitTexts::new("calls", "60/min".parse()?).expect("it is not unlimited");
    /// let (remaining, full_after, next_after) = (59, Duration::from_secs(1), Duration::ZERO);
    /// let calls = Shown { texts: &texts, remaining, full_after, next_after, refused: None };
    /// let mut names = Vec::new();
    /// let fields = Fields::new(&[Dialect::RateLimit], ResetForm::Seconds);
    /// fields.each(&[calls], None, SystemTime::now, |name, _| names.push(name));
    /// assert_eq!(names, ["ratelimit-policy", "ratelimit"]);
    /// # Ok::<(), tollgate::ParseQuotaError>(())
    /// ```
    #[inline]
    pub fn each(
        &self,
        shown: &[Shown<'_>],
        policy: Option<&HeaderValue>,
        now: impl FnOnce() -> SystemTime,
        put: impl FnMut(HeaderName, HeaderValue),
    ) {
        self.give(shown, policy, now, &mut Each(put));
    }

    #[inline]
    fn give(
        self,
        shown: &[Shown<'_>],
        policy: Option<&HeaderValue>,
        now: impl FnOnce() -> SystemTime,
        taker: &mut impl Taker,
    ) {
        let Some(tightest) = tightest(shown) else { return };
        if let Some(draft) = self.ietf {
            taker.take(names::RATELIMIT_POLICY, || {
                policy.cloned().or_else(|| self.policy_of(shown.iter().map(|limit| limit.texts)))
            });
            taker.take(names::RATELIMIT, || match draft {
                Draft::V07 => Some(state_07(tightest)),
                Draft::V11 => state(shown),
            });
        }
        if self.x_ratelimit {
            taker.take(names::X_LIMIT, || Some(tightest.texts.burst_value.clone()));
            taker.take(names::X_REMAINING, || Some(numbers::value(remaining(tightest))));
            taker.take(names::X_RESET, || {
                Some(numbers::value(match self.reset {
                    ResetForm::Seconds => numbers::seconds(tightest.full_after),
                    ResetForm::Epoch => epoch_second(now(), tightest.full_after),
                }))
            });
        }
    }
}

/// Whoever gets the fields of a response, and need not want them all.
trait Taker {
    fn take(&mut self, name: HeaderName, value: impl FnOnce() -> Option<HeaderValue>);
}

/// A map, in which a field that is there already stays as it is.
struct Map<'a> {
    headers: &'a mut HeaderMap,
    /// Whether none of ours is there.
    are_new: bool,
}

impl Taker for Map<'_> {
    /// (Looking first and appending then takes half the time of an `Entry`, which carries the name
    /// with it.)
    #[inline]
    fn take(&mut self, name: HeaderName, value: impl FnOnce() -> Option<HeaderValue>) {
        if (self.are_new || !self.headers.contains_key(&name))
            && let Some(value) = value()
        {
            // Fails only if the map can hold no more, for which room was reserved.
            let _ = self.headers.try_append(name, value);
        }
    }
}

/// A function, which gets all of them.
struct Each<F>(F);

impl<F: FnMut(HeaderName, HeaderValue)> Taker for Each<F> {
    #[inline]
    fn take(&mut self, name: HeaderName, value: impl FnOnce() -> Option<HeaderValue>) {
        if let Some(value) = value() {
            self.0(name, value);
        }
    }
}

/// Whether a response with this status tells of limits: a redirection does not, because nobody but
/// the client's HTTP library sees it. 304 (Not Modified) is no redirection.
///
/// ```
/// # use http::StatusCode; use tollgate_http::respond::is_shown_on;
/// assert!(is_shown_on(StatusCode::OK));
/// assert!(is_shown_on(StatusCode::NOT_MODIFIED));
/// assert!(!is_shown_on(StatusCode::FOUND));
/// ```
#[must_use]
pub fn is_shown_on(status: StatusCode) -> bool {
    !status.is_redirection() || status == StatusCode::NOT_MODIFIED
}

/// The limit that is shown where there is room for one.
fn tightest<'s, 'a>(shown: &'s [Shown<'a>]) -> Option<&'s Shown<'a>> {
    // The greater, the tighter.
    let key = |limit: &Shown<'_>| match limit.refused {
        Some(wait) => (true, wait.is_none(), wait.unwrap_or_default(), 0, Duration::ZERO),
        None => (false, false, Duration::ZERO, u64::MAX - limit.remaining, limit.full_after),
    };
    shown.iter().reduce(|best, limit| if key(limit) > key(best) { limit } else { best })
}

/// The value of `RateLimit` (draft 11): the limits that refused, or all if none did.
fn state(shown: &[Shown<'_>]) -> Option<HeaderValue> {
    let refused = shown.iter().any(|limit| limit.refused.is_some());
    let told = || shown.iter().filter(move |limit| !refused || limit.refused.is_some());

    // The exact length is found first, because a vector that is full becomes `Bytes` without a
    // second allocation.
    let len: usize = told()
        .map(|limit| {
            let reset = reset_after(limit).map_or(0, |t| names::RESET.len() + numbers::len(t));
            let number = numbers::len(remaining(limit));
            limit.texts.remaining.len() + number + reset + names::LIST_SEPARATOR.len()
        })
        .sum();
    let mut text = Vec::with_capacity(len.checked_sub(names::LIST_SEPARATOR.len())?);
    for limit in told() {
        separate(&mut text);
        text.extend_from_slice(limit.texts.remaining.as_bytes());
        numbers::push(&mut text, remaining(limit));
        if let Some(t) = reset_after(limit) {
            text.extend_from_slice(names::RESET.as_bytes());
            numbers::push(&mut text, t);
        }
    }
    Some(numbers::ascii(Bytes::from(text)))
}

/// The value of `RateLimit` (draft 7): one limit.
fn state_07(limit: &Shown<'_>) -> HeaderValue {
    let parts = [
        (names::LIMIT_07, limit.texts.burst),
        (names::REMAINING_07, remaining(limit)),
        (names::RESET_07, numbers::seconds(limit.full_after)),
    ];
    let len = parts.iter().map(|(name, number)| name.len() + numbers::len(*number)).sum();
    let mut text = Vec::with_capacity(len);
    for (name, number) in parts {
        text.extend_from_slice(name.as_bytes());
        numbers::push(&mut text, number);
    }
    numbers::ascii(Bytes::from(text))
}

fn remaining(limit: &Shown<'_>) -> u64 {
    limit.remaining.min(MAX)
}

/// The seconds until there is more, rounded up: this request's wait if the limit refused, else
/// until the next permit if none is left, else until all are back. `None` if no wait helps, or if
/// the bucket is full.
fn reset_after(limit: &Shown<'_>) -> Option<u64> {
    match limit.refused {
        Some(wait) => wait.map(numbers::wait_seconds),
        None if limit.remaining == 0 => Some(numbers::wait_seconds(limit.next_after)),
        None if limit.full_after.is_zero() => None,
        None => Some(numbers::seconds(limit.full_after)),
    }
}

/// The second since 1970 in which `after` has passed, rounded up.
fn epoch_second(now: SystemTime, after: Duration) -> u64 {
    let since_1970 = now.duration_since(UNIX_EPOCH).unwrap_or_default();
    numbers::seconds(since_1970.saturating_add(after))
}

/// Puts the separator after what is already there.
fn separate(text: &mut Vec<u8>) {
    if !text.is_empty() {
        text.extend_from_slice(names::LIST_SEPARATOR.as_bytes());
    }
}
