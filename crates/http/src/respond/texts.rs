//! What is said of a limit in every response: its name and its quota, as text.

use http::HeaderValue;
use tollgate::Quota;

use super::names::{QUOTA, REMAINING, WINDOW};
use super::numbers::{self, MAX};

/// The texts of a limit under a quota, built once and used by many responses.
///
/// ```
/// use tollgate_http::respond::LimitTexts;
///
/// let texts = LimitTexts::new("calls", "10/min burst 20".parse()?).expect("it is not unlimited");
/// assert_eq!(texts.name(), "calls");
/// assert_eq!(texts.quota(), "10/min burst 20");
/// assert_eq!(texts.policy(), r#""calls";q=20;w=120"#);
/// # Ok::<(), tollgate::ParseQuotaError>(())
/// ```
#[derive(Clone, Debug)]
pub struct LimitTexts {
    pub(super) name: Box<str>,
    /// `10/min burst 20`
    pub(super) quota: Box<str>,
    /// `"calls";q=20;w=120`
    pub(super) policy: Box<str>,
    /// `"calls";r=`, which the number follows.
    pub(super) remaining: Box<str>,
    /// `20;w=120`
    pub(super) policy_07: Box<str>,
    /// 20
    pub(super) burst: u64,
    /// `20`
    pub(super) burst_value: HeaderValue,
}

impl LimitTexts {
    /// The texts of the limit `name` under `quota`; `None` if the quota is unlimited, because such
    /// a limit is never shown.
    ///
    /// The window is the time in which the whole burst arrives, rounded up to a second. Characters
    /// that a structured field's string cannot hold (RFC 9651, section 3.3.3) are replaced by `?`;
    /// no name in a policy has any.
    #[must_use]
    pub fn new(name: &str, quota: Quota) -> Option<Self> {
        if quota.is_unlimited() {
            return None;
        }
        let quoted = quoted(name);
        let burst = quota.burst_size().min(MAX);
        let window = window_seconds(quota);
        Some(Self {
            name: name.into(),
            quota: quota.to_string().into(),
            policy: format!("{quoted}{QUOTA}{burst}{WINDOW}{window}").into(),
            policy_07: format!("{burst}{WINDOW}{window}").into(),
            remaining: format!("{quoted}{REMAINING}").into(),
            burst,
            burst_value: numbers::shared(numbers::value(burst)),
        })
    }

    /// The limit's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The quota, as policies write it.
    #[must_use]
    pub fn quota(&self) -> &str {
        &self.quota
    }

    /// The limit's item in `RateLimit-Policy`, as draft 11 writes it.
    #[must_use]
    pub fn policy(&self) -> &str {
        &self.policy
    }
}

/// A string of a structured field (RFC 9651, section 4.1.6).
fn quoted(name: &str) -> String {
    let mut text = String::with_capacity(name.len() + 2);
    text.push('"');
    for c in name.chars() {
        match c {
            '"' | '\\' => text.extend(['\\', c]),
            ' '..='~' => text.push(c),
            _ => text.push('?'),
        }
    }
    text.push('"');
    text
}

/// The time in which the burst arrives, in seconds, rounded up, at least 1.
fn window_seconds(quota: Quota) -> u64 {
    let per_second = u128::from(quota.permits()) * 1_000_000_000;
    let nanos = u128::from(quota.burst_size()).checked_mul(quota.period().as_nanos());
    match nanos {
        Some(nanos) if per_second > 0 => {
            u64::try_from(nanos.div_ceil(per_second)).map_or(MAX, |seconds| seconds.clamp(1, MAX))
        }
        _ => MAX,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn window_is_the_time_of_the_burst_rounded_up() {
        let window = |text: &str| window_seconds(text.parse().expect("a quota"));
        assert_eq!(window("10/min"), 60);
        assert_eq!(window("10/min burst 20"), 120);
        assert_eq!(window("5/15min"), 900);
        assert_eq!(window("7/3s burst 8"), 4);
        assert_eq!(window("1000/s burst 1"), 1);
    }

    #[test]
    fn no_quota_is_too_large() {
        assert_eq!(window_seconds(Quota::per(1, Duration::MAX).burst(u64::MAX)), MAX);
        assert_eq!(window_seconds(Quota::per(0, Duration::ZERO)), MAX);
        let texts = LimitTexts::new("big", Quota::per_second(u64::MAX)).expect("limited");
        assert_eq!(texts.policy(), "\"big\";q=999999999999999;w=1");
        assert_eq!(texts.burst_value, "999999999999999");
    }

    #[test]
    fn any_name_makes_a_valid_string() {
        assert_eq!(quoted("calls"), "\"calls\"");
        assert_eq!(quoted("a\"b\\c\r\nä"), "\"a\\\"b\\\\c???\"");
    }
}
