//! The words that a policy has for the values of its settings. Reading, printing and the schema
//! use the same tables.

use super::settings::{Algorithm, BodyForm, Dialect, Missing, Mode, ResetForm, WhenFull};

/// A value that is one word.
pub(super) trait Word: Copy + PartialEq + 'static {
    const WORDS: &'static [(&'static str, Self)];

    fn word(self) -> &'static str {
        Self::WORDS.iter().find(|(_, value)| *value == self).map_or("", |(word, _)| word)
    }
}

impl Word for Mode {
    const WORDS: &'static [(&'static str, Self)] =
        &[("enforce", Self::Enforce), ("shadow", Self::Shadow), ("off", Self::Off)];
}

impl Word for Missing {
    const WORDS: &'static [(&'static str, Self)] = &[
        ("address", Self::Address),
        ("skip", Self::Skip),
        ("share", Self::Share),
        ("refuse", Self::Refuse),
    ];
}

impl Word for Algorithm {
    const WORDS: &'static [(&'static str, Self)] = &[
        ("token-bucket", Self::TokenBucket),
        ("fixed-window", Self::FixedWindow),
        ("sliding-window", Self::SlidingWindow),
        ("strict", Self::Strict),
    ];
}

impl Word for WhenFull {
    const WORDS: &'static [(&'static str, Self)] = &[("share", Self::Share), ("deny", Self::Deny)];
}

impl Word for Dialect {
    const WORDS: &'static [(&'static str, Self)] = &[
        ("ratelimit", Self::RateLimit),
        ("x-ratelimit", Self::XRateLimit),
        ("ratelimit-07", Self::RateLimit07),
    ];
}

impl Word for ResetForm {
    const WORDS: &'static [(&'static str, Self)] =
        &[("seconds", Self::Seconds), ("epoch", Self::Epoch)];
}

impl Word for BodyForm {
    const WORDS: &'static [(&'static str, Self)] = &[
        ("problem", Self::Problem),
        ("json", Self::Json),
        ("text", Self::Text),
        ("none", Self::None),
    ];
}

/// The parts of a key, but for `header:NAME` and `entry:NAME`.
pub(super) mod key {
    use std::str::FromStr;

    use http::header::HeaderName;

    use crate::policy::settings::KeyPart;

    pub(in crate::policy) const WORDS: &[(&str, KeyPart)] = &[
        ("address", KeyPart::Address),
        ("user", KeyPart::User),
        ("api-key", KeyPart::ApiKey),
        ("caller", KeyPart::Caller),
        ("route", KeyPart::Route),
        ("method", KeyPart::Method),
        ("host", KeyPart::Host),
    ];

    pub(in crate::policy) const HEADER: &str = "header:";
    pub(in crate::policy) const ENTRY: &str = "entry:";

    pub(in crate::policy) fn of(word: &str) -> Option<KeyPart> {
        if let Some(name) = word.strip_prefix(HEADER) {
            return HeaderName::from_str(name).ok().map(KeyPart::Header);
        }
        if let Some(name) = word.strip_prefix(ENTRY) {
            return (!name.is_empty()).then(|| KeyPart::Entry(name.into()));
        }
        WORDS.iter().find(|(known, _)| *known == word).map(|(_, part)| part.clone())
    }

    pub(in crate::policy) fn word(part: &KeyPart) -> String {
        match part {
            KeyPart::Header(name) => format!("{HEADER}{name}"),
            KeyPart::Entry(name) => format!("{ENTRY}{name}"),
            _ => WORDS.iter().find(|(_, known)| known == part).map_or("", |(word, _)| word).into(),
        }
    }
}
