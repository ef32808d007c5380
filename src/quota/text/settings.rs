//! Quotas in the form of settings of other programs: `average: 100, period: 1m, burst: 50`.

use super::{ParseQuotaError, Parts};

/// Each kind of setting with its keys, in lower case and without `_` and `-`.
const KEYS: [(Setting, &[&str]); 5] = [
    (
        Setting::Permits,
        &["average", "limit", "max", "permits", "requests", "requestsperunit", "tokensperfill"],
    ),
    (Setting::PerSecond, &["qps", "rps", "kubeapiqps"]),
    (Setting::Period, &["period", "interval", "unit", "fillinterval", "window", "duration"]),
    (Setting::Milliseconds, &["windowms"]),
    (Setting::Burst, &["burst", "maxtokens", "kubeapiburst"]),
];

#[derive(Clone, Copy, PartialEq, Eq)]
enum Setting {
    Permits,
    PerSecond,
    Period,
    Milliseconds,
    Burst,
}

/// The parts of a text that starts with the key of a setting. `None` for any other text.
pub(super) fn parts(text: &str) -> Result<Option<Parts<'_>>, ParseQuotaError> {
    let inner = text.trim_matches(['{', '}']).trim();
    if pair(inner).and_then(|(key, _)| setting(key)).is_none() {
        return Ok(None);
    }
    let (mut permits, mut period, mut burst) = (None, None, None);
    for item in inner.split([',', ';', '\n']).filter(|item| !item.trim().is_empty()) {
        let mut rest = item.trim();
        while !rest.is_empty() {
            let (key, after) = pair(rest).ok_or(ParseQuotaError::Form)?;
            let (value, after) = value(after);
            rest = after;
            let again = match setting(key).ok_or(ParseQuotaError::Form)? {
                Setting::Permits => permits.replace(value).is_some(),
                Setting::PerSecond => {
                    permits.replace(value).is_some() | period.replace("s".into()).is_some()
                }
                Setting::Period => period.replace(value.into()).is_some(),
                Setting::Milliseconds => period.replace(format!("{value}ms").into()).is_some(),
                Setting::Burst => burst.replace(value).is_some(),
            };
            if again {
                return Err(ParseQuotaError::Several { text: text.to_owned() });
            }
        }
    }
    Ok(Some(Parts {
        permits: permits.unwrap_or_default(),
        period: period.unwrap_or_default(),
        burst,
    }))
}

/// The key of the first `key: value` or `key=value`, and the text after the sign.
fn pair(text: &str) -> Option<(&str, &str)> {
    let (key, rest) = text.split_once([':', '='])?;
    Some((unquoted(key), rest.trim_start()))
}

/// The first value, and the rest of the text, which starts with the next key.
fn value(text: &str) -> (&str, &str) {
    let end = match text.find([':', '=']) {
        // The last word before the next sign is the next key.
        Some(sign) => text[..sign].trim_end().rfind(char::is_whitespace).unwrap_or(0),
        None => text.len(),
    };
    (unquoted(&text[..end]), text[end..].trim_start())
}

fn unquoted(text: &str) -> &str {
    text.trim().trim_matches(['"', '\'']).trim()
}

fn setting(key: &str) -> Option<Setting> {
    let key: String = key.chars().filter(|c| !"_-".contains(*c)).collect();
    let key = key.to_ascii_lowercase();
    KEYS.iter().find(|(_, keys)| keys.contains(&key.as_str())).map(|(setting, _)| *setting)
}
