//! The fields `RateLimit` and `RateLimit-Policy` of the IETF drafts.
//!
//! * Drafts 8 to 11: `RateLimit: "default";r=50;t=30` beside
//!   `RateLimit-Policy: "default";q=100;w=60;qu="requests"`. An item of one and an item of the
//!   other belong together if they have a name in common. (Hugging Face names a policy twice:
//!   `"fixed window";"api";q=1000;w=300`.)
//! * Draft 7: `RateLimit: limit=100, remaining=50, reset=30` beside `RateLimit-Policy: 100;w=60`.
//! * Drafts 3 to 6 have the latter policy beside `RateLimit-Limit` and so on, which
//!   [`header_name`](super::header_name) reads.
//!
//! <https://datatracker.ietf.org/doc/draft-ietf-httpapi-ratelimit-headers/>

use std::hash::{DefaultHasher, Hasher};
use std::time::Duration;

use super::header_value;
use crate::llm::{Counted, Period};

/// The most policies that one response can have; further ones are ignored.
const MOST: usize = 8;

/// One policy, and its state.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Policy {
    /// Hashes of the policy's names; 0 for no name.
    names: [u64; 2],
    /// `None` if the policy does not say what it counts.
    pub(super) counted: Option<Counted>,
    /// Whether it counts something that is not counted here, such as bytes.
    pub(super) is_foreign: bool,
    pub(super) quota: Option<u64>,
    pub(super) window: Option<Period>,
    pub(super) remaining: Option<u64>,
    pub(super) reset: Option<Duration>,
}

/// All policies of a response. Most responses have none, and then there is no allocation.
#[derive(Debug, Default)]
pub(super) struct Policies {
    each: Vec<Policy>,
}

impl Policies {
    pub(super) fn iter(&self) -> impl Iterator<Item = Policy> {
        self.each.iter().copied()
    }

    /// Adds the items of either field.
    pub(super) fn add(&mut self, text: &str) {
        // The dictionary of draft 7 has one member an item, and all of them are about one limit.
        let mut dictionary = Policy::default();
        for item in outside_quotes(text, b',') {
            let mut policy = Policy::default();
            for part in outside_quotes(item, b';') {
                policy.read(part);
            }
            // A number without its window says nothing.
            let is_number = item.trim_ascii().starts_with(|first: char| first.is_ascii_digit());
            if policy.window.is_none() && is_number {
                continue;
            }
            if policy.names == [0; 2] && policy.window.is_none() {
                dictionary.merge(policy);
            } else {
                self.put(policy);
            }
        }
        if dictionary != Policy::default() {
            self.put(dictionary);
        }
    }

    fn put(&mut self, policy: Policy) {
        if let Some(known) = self.each.iter_mut().find(|it| it.is_same(&policy)) {
            known.merge(policy);
        } else if self.each.len() < MOST {
            self.each.push(policy);
        }
    }
}

impl Policy {
    /// Whether it says anything of a limit.
    pub(super) fn has_numbers(&self) -> bool {
        self.quota.is_some() || self.remaining.is_some() || self.reset.is_some()
    }

    fn is_same(&self, other: &Self) -> bool {
        self.names.iter().any(|name| *name != 0 && other.names.contains(name))
    }

    /// Of two values for the same thing, the stricter one is kept.
    fn merge(&mut self, other: Self) {
        fn least<T: Ord>(one: Option<T>, other: Option<T>) -> Option<T> {
            match (one, other) {
                (Some(one), Some(other)) => Some(one.min(other)),
                (one, other) => one.or(other),
            }
        }
        self.counted = self.counted.or(other.counted);
        self.is_foreign |= other.is_foreign;
        self.quota = least(self.quota, other.quota);
        self.remaining = least(self.remaining, other.remaining);
        self.window = self.window.max(other.window);
        self.reset = self.reset.max(other.reset);
    }

    /// Reads one part of an item: a name, a number, or a parameter.
    fn read(&mut self, part: &str) {
        let part = part.trim_ascii();
        let Some((key, value)) = part.split_once('=').filter(|_| !part.starts_with('"')) else {
            match header_value::count(part) {
                Ok(quota) if !part.is_empty() => self.quota = Some(quota),
                _ => self.add_name(part.trim_matches('"')),
            }
            return;
        };
        let (key, value) = (key.trim_ascii(), value.trim_ascii().trim_matches('"'));
        let number = header_value::count(value).ok().filter(|_| !value.is_empty());
        let seconds = number.filter(|secs| *secs < super::duration::TOO_LONG);
        match key {
            "q" | "limit" => self.quota = number,
            "r" | "remaining" => self.remaining = number,
            "t" | "reset" => self.reset = seconds.map(Duration::from_secs),
            "w" => {
                let window = number.and_then(|secs| Period::seconds(u32::try_from(secs).ok()?));
                self.window = window;
            }
            "qu" => self.set_unit(value),
            // A partition key, a comment, or a parameter of somebody's own.
            _ => {}
        }
    }

    fn set_unit(&mut self, unit: &str) {
        match unit {
            "requests" | "request" => self.counted = Some(Counted::Requests),
            "tokens" | "token" => self.counted = Some(Counted::Tokens),
            _ => self.is_foreign = true,
        }
    }

    fn add_name(&mut self, name: &str) {
        if name.is_empty() {
            return;
        }
        let contains =
            |word: &str| name.as_bytes().windows(word.len()).any(|it| it == word.as_bytes());
        if contains("token") || contains("tpm") {
            self.counted = Some(Counted::Tokens);
        }
        let mut hasher = DefaultHasher::new();
        hasher.write(name.as_bytes());
        let hash = hasher.finish().max(1);
        if let Some(free) = self.names.iter_mut().find(|name| **name == 0) {
            *free = hash;
        }
    }
}

/// The parts of a text between separators that are not inside double quotes.
fn outside_quotes(text: &str, separator: u8) -> impl Iterator<Item = &str> {
    let mut quoted = false;
    text.split(move |letter: char| {
        quoted ^= letter == '"';
        !quoted && letter == char::from(separator)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(fields: &[&str]) -> Vec<Policy> {
        let mut policies = Policies::default();
        for field in fields {
            policies.add(field);
        }
        policies.iter().map(|policy| Policy { names: [0; 2], ..policy }).collect()
    }

    fn policy(quota: u64, window: u32, remaining: u64, reset: u64) -> Policy {
        Policy {
            quota: Some(quota),
            window: Period::seconds(window),
            remaining: Some(remaining),
            reset: Some(Duration::from_secs(reset)),
            ..Policy::default()
        }
    }

    #[test]
    fn hugging_face() {
        let state = "\"api\";r=999;t=295";
        let rule = "\"fixed window\";\"api\";q=1000;w=300";
        assert_eq!(read(&[state, rule]), [policy(1_000, 300, 999, 295)]);
        assert_eq!(read(&[rule, state]), [policy(1_000, 300, 999, 295)]);
    }

    #[test]
    fn several_policies_and_units() {
        let rules = "\"a, b\";q=10;w=1, \"tpm\";q=1000;w=60;qu=\"tokens\", \"c\";q=5;w=1;qu=\"content-bytes\"";
        let found = read(&[rules, "\"a, b\";r=0;t=1, \"tpm\";r=7;t=20"]);
        assert_eq!(found[0], policy(10, 1, 0, 1));
        assert_eq!(found[1], Policy { counted: Some(Counted::Tokens), ..policy(1_000, 60, 7, 20) });
        assert!(found[2].is_foreign);
    }

    #[test]
    fn draft_7_and_before() {
        let one = Policy { window: None, ..policy(100, 1, 50, 30) };
        assert_eq!(read(&["limit=100, remaining=50, reset=30"]), [one]);
        let rules = read(&["10;w=1, 1000;w=3600;comment=\"w=5, x\""]);
        let windows: Vec<_> = rules.iter().map(|it| (it.quota, it.window)).collect();
        assert_eq!(
            windows,
            [(Some(10), Period::seconds(1)), (Some(1_000), Period::seconds(3_600))]
        );
    }

    #[test]
    fn nonsense_is_ignored() {
        for text in [
            "1",
            "1,000",
            "",
            ",,;;",
            "\"",
            "\"a\";r=-1;t=x;w=0",
            "=",
            ";=;",
            "q",
            "\"a\";r=99999999999999999999",
        ] {
            let limits = read(&[text]);
            assert!(limits.iter().all(|it| !it.has_numbers() && it.window.is_none()), "{text}");
        }
        let many: Vec<_> = (0..99).map(|n| format!("\"{n}\";q=1;w=1")).collect();
        let many = many.join(",");
        assert_eq!(read(&[&many]).len(), MOST);
    }
}
