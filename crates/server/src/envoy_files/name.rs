//! The names of limits, made of the domain and the entries of their descriptors.

use std::collections::HashSet;

use sha2::{Digest, Sha256};

/// The longest name of a limit in a policy.
const LONGEST: usize = 64;

/// How many digits of a hash end a name that is not the full key.
const DIGITS: usize = 8;

/// The names that were given so far.
#[derive(Default)]
pub(super) struct Names(HashSet<String>);

impl Names {
    /// The name of the limit whose full key in ratelimit this is, such as
    /// `edge.generic_key_login.remote_address`. It is the full key itself if it can be the name of a
    /// limit; otherwise it is similar and ends with a hash, so that a name depends on nothing but
    /// its own descriptor.
    pub(super) fn give(&mut self, full_key: &str) -> String {
        let plain = plain(full_key);
        let is_name = (1..=LONGEST).contains(&plain.len()) && plain == full_key;
        if is_name && self.0.insert(plain) {
            return full_key.to_owned();
        }
        let mut name = hashed(full_key, full_key);
        // Full keys that are the same: `a.b` and `c` make the same as `a` and `b.c`.
        for number in 2.. {
            if self.0.insert(name.clone()) {
                break;
            }
            name = hashed(full_key, &format!("{full_key} {number}"));
        }
        name
    }
}

/// The key with a hash of `of` at its end.
fn hashed(key: &str, of: &str) -> String {
    let mut name = plain(key);
    name.truncate(LONGEST - 1 - DIGITS);
    let name = name.trim_end_matches(['.', '_', '-']);
    let digest = Sha256::digest(of);
    let start = digest.first_chunk().map_or(0, |bytes| u32::from_be_bytes(*bytes));
    let hash = format!("{start:0DIGITS$x}");
    if name.is_empty() { hash } else { format!("{name}-{hash}") }
}

/// The text with only those characters that a name can have.
fn plain(text: &str) -> String {
    let mut plain = String::new();
    // What is cut off anyway need not be looked at.
    for c in text.chars().take(2 * LONGEST) {
        match c.to_ascii_lowercase() {
            c @ ('a'..='z' | '0'..='9') => plain.push(c),
            c @ ('_' | '.') if !plain.is_empty() => plain.push(c),
            _ if plain.is_empty() || plain.ends_with('-') => {}
            _ => plain.push('-'),
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_key_that_can_be_a_name_is_the_name() {
        let mut names = Names::default();
        let key = "edge.generic_key_login.remote_address";
        assert_eq!(names.give(key), key);
        // The same full key of other descriptors.
        let second = "edge.generic_key_login.remote_address-d7077a9a";
        assert_eq!(names.give(key), second);
        let third = names.give(key);
        assert!(third != second && third.len() == second.len(), "{third}");
    }

    #[test]
    fn others_end_with_a_hash_of_their_own() {
        let mut names = Names::default();
        let given = |names: &mut Names, key: &str| {
            let name = names.give(key);
            let (start, hash) = name.rsplit_once('-').expect("a hash");
            assert!(hash.len() == DIGITS && name.len() <= LONGEST, "{name}");
            assert_eq!(Names::default().give(key), name, "it depends on nothing but the key");
            start.to_owned()
        };
        assert_eq!(given(&mut names, "edge.path_/api/*/v1"), "edge.path_-api-v1");
        assert_eq!(given(&mut names, "edge.path_/api/v1"), "edge.path_-api-v1");
        assert_eq!(given(&mut names, "Edge.Path"), "edge.path");
        assert_eq!(given(&mut names, "_edge.path"), "edge.path");
        assert_eq!(given(&mut names, &"long".repeat(30)), "long".repeat(14)[..55]);
        assert_eq!(names.give("日本"), names_hash("日本"));
        assert_eq!(names.give(""), names_hash(""));
    }

    fn names_hash(key: &str) -> String {
        hashed(key, key)
    }
}
