//! The names of keys: `PREFIX NAMESPACE:HASH:SUBJECT`.
//!
//! The hash is one of the namespace's name and of the names and rules of its limits, in order. So
//! another set of limits has other keys, and levels are never read as those of another limit. The
//! quotas are no part of it, because a changed quota carries the used share over.
//!
//! Names and subjects that are long or contain anything but visible ASCII characters are replaced
//! with `#` and their SHA-256. Nobody can make two texts with the same hash, so two subjects never
//! share a bucket, whoever chooses them.
//!
//! In a cluster, a text in braces chooses the slot alone. Braces in a subject are harmless; braces
//! in a prefix or in the name of a namespace would put all of its subjects on one server.

use sha2::{Digest, Sha256};
use tollgate::shared::store::{Namespace, Rule};

/// The version of the layout of values: another layout would have other keys.
const LAYOUT: u8 = 2;

/// The longest text, in bytes, that is used as it is. A hash has 44.
const LONGEST: usize = 64;

/// What the keys of a namespace begin with.
pub(crate) fn namespace(prefix: &str, namespace: &Namespace) -> Vec<u8> {
    let mut hash = Sha256::new();
    let mut add = |text: &str| {
        hash.update(text.len().to_le_bytes());
        hash.update(text);
    };
    add(&namespace.name);
    for limit in &namespace.limits {
        add(&limit.name);
        add(rule(limit.rule));
    }
    hash.update([LAYOUT]);
    let mut name = prefix.as_bytes().to_vec();
    push(&namespace.name, |byte| byte.is_ascii_graphic() && byte != b':', &mut name);
    name.push(b':');
    base64(&hash.finalize()[..6], &mut name);
    name.push(b':');
    name
}

/// The key of a subject.
pub(crate) fn key(namespace: &[u8], subject: &str) -> Vec<u8> {
    let mut key = Vec::with_capacity(namespace.len() + subject.len().min(LONGEST));
    key.extend_from_slice(namespace);
    push(subject, |byte| byte.is_ascii_graphic(), &mut key);
    key
}

fn push(text: &str, is_plain: impl Fn(u8) -> bool, into: &mut Vec<u8>) {
    // A text that looks like a hash is hashed, too.
    if text.len() <= LONGEST && text.bytes().all(is_plain) && !text.starts_with('#') {
        into.extend_from_slice(text.as_bytes());
    } else {
        into.push(b'#');
        base64(&Sha256::digest(text), into);
    }
}

/// The alphabet for URLs, without padding.
fn base64(bytes: &[u8], into: &mut Vec<u8>) {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    for chunk in bytes.chunks(3) {
        let bits = chunk.iter().fold(0_u32, |bits, byte| bits << 8 | u32::from(*byte))
            << (8 * (3 - chunk.len()));
        for place in 0..=chunk.len() {
            let digit = bits >> (18 - 6 * place) & 63;
            into.push(ALPHABET[digit as usize]);
        }
    }
}

fn rule(rule: Rule) -> &'static str {
    match rule {
        Rule::TokenBucket => "token bucket",
        Rule::FixedWindow => "fixed window",
        Rule::SlidingWindow => "sliding window",
        Rule::StrictWindow => "strict window",
        _ => "unknown",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tollgate::Quota;
    use tollgate::shared::store::LimitSpec;

    fn limit(name: &str, rule: Rule, permits: u64) -> LimitSpec {
        LimitSpec::new(name, rule, Quota::per_minute(permits))
    }

    fn of(name: &str, limits: Vec<LimitSpec>) -> String {
        String::from_utf8(namespace("p:", &Namespace::new(name, limits))).unwrap_or_default()
    }

    #[test]
    fn another_set_of_limits_has_other_keys_and_another_quota_has_not() {
        let one = of("users", vec![limit("requests", Rule::TokenBucket, 1)]);
        assert!(one.starts_with("p:users:") && one.len() == 17, "{one}");
        assert_eq!(one, of("users", vec![limit("requests", Rule::TokenBucket, 2)]));
        assert_ne!(one, of("users", vec![limit("requests", Rule::FixedWindow, 1)]));
        assert_ne!(one, of("users", vec![limit("other", Rule::TokenBucket, 1)]));
        let two = || vec![limit("ab", Rule::TokenBucket, 1), limit("c", Rule::TokenBucket, 1)];
        let shifted = vec![limit("a", Rule::TokenBucket, 1), limit("bc", Rule::TokenBucket, 1)];
        assert_ne!(of("users", two()), of("users", shifted));
        assert_ne!(of("users", two()), of("users", two().into_iter().rev().collect()));
        assert_ne!(of("users", two())[8..], of("user", two())[7..]);
    }

    #[test]
    fn subjects_that_are_long_or_unprintable_are_hashed() {
        let text = |subject: &str| String::from_utf8(key(b"n:", subject)).unwrap_or_default();
        assert_eq!(text("192.0.2.1"), "n:192.0.2.1");
        let long = "a".repeat(64);
        assert_eq!(text(&long), format!("n:{long}"));
        // SHA-256 of nothing but "abc" is known from its standard.
        let mut known = Vec::new();
        base64(&Sha256::digest("abc"), &mut known);
        assert_eq!(known, b"ungWv48Bz-pBQUDeXa4iI7ADYaOWF3qctBD_YfIAFa0");
        for subject in [&*"a".repeat(65), "", "a b", "é", "a\n", "#abc", "\0"] {
            let key = text(subject);
            if subject.is_empty() {
                assert_eq!(key, "n:");
            } else {
                assert!(key.starts_with("n:#") && key.len() == 46, "{subject:?}: {key}");
                assert_ne!(key, text(&key[2..]));
            }
        }
    }
}
