//! Keys: who or what a bucket belongs to.
//!
//! A key is a list of parts and never a joined text, so no value that a client chooses can look
//! like another key. A request has its [`KeyParts`], which are made without an allocation for the
//! usual keys: names are shared and not copied. A bucket has a [`Key`], which is smaller.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::str::FromStr;
use std::sync::Arc;

use smallvec::SmallVec;
use tollgate::keyed::{Equivalent, ToKey};

use crate::address::Network;

/// A keyed 128-bit hash, which stands for an API key or another key where it must not be told. It
/// is displayed as 32 hexadecimal digits.
///
/// The key of the hash is made when a limiter is built, so the same value has another hash in each
/// limiter and process, and nobody can compute hashes of guesses. Hashes of the same limiter can be
/// compared: see [`HttpLimiter::hash_of_api_key`](crate::HttpLimiter::hash_of_api_key).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Hashed(pub(crate) [u8; 16]);

impl fmt::Display for Hashed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// A text is not a keyed hash: 32 hexadecimal digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a keyed hash has 32 hexadecimal digits")]
pub struct ParseHashedError;

impl FromStr for Hashed {
    type Err = ParseHashedError;

    fn from_str(text: &str) -> Result<Self, ParseHashedError> {
        let is_hash = text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        let number = u128::from_str_radix(text, 16).ok().filter(|_| is_hash);
        number.map(|number| Self(number.to_be_bytes())).ok_or(ParseHashedError)
    }
}

/// One part of a key: what it is, and its value.
#[derive(Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Part {
    /// The client's network.
    Address(Network),
    /// The user. Of a name of more than 256 bytes, the SHA-256 in hexadecimal digits.
    User(Arc<str>),
    /// The API key's keyed hash.
    ApiKey(Hashed),
    /// The value of a header. Of a value of more than 256 bytes, the keyed hash in hexadecimal
    /// digits, and the same for methods and hosts: clients choose them, and fill memory with them.
    Header(Arc<[u8]>),
    /// The route's name.
    Route(Arc<str>),
    /// No route matches.
    NoRoute,
    /// The method.
    Method(Arc<str>),
    /// The host, in lower case and without port.
    Host(Arc<str>),
    /// The value of a descriptor's entry. Of a value of more than 256 bytes, its keyed hash.
    Entry(Arc<str>),
    /// The values of several entries of the same name, each as in [`Entry`](Self::Entry).
    Entries(Arc<[Arc<str>]>),
    /// The request lacks this part, and all such requests share a bucket. Also for all descriptors
    /// whose address is none.
    Missing,
}

impl Part {
    /// The part's kind, by the word that a policy has for it.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Address(_) => "address",
            Self::User(_) => "user",
            Self::ApiKey(_) => "api-key",
            Self::Header(_) => "header",
            Self::Route(_) | Self::NoRoute => "route",
            Self::Method(_) => "method",
            Self::Host(_) => "host",
            Self::Entry(_) | Self::Entries(_) => "entry",
            Self::Missing => "missing",
        }
    }
}

/// Displays `kind value`, such as `user alice`. Of an API key, the value is its keyed hash.
impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.kind())?;
        match self {
            Self::Address(network) => write!(f, " {network}"),
            Self::User(name)
            | Self::Route(name)
            | Self::Method(name)
            | Self::Host(name)
            | Self::Entry(name) => {
                write!(f, " {name}")
            }
            Self::ApiKey(hash) => write!(f, " {hash}"),
            Self::Header(value) => write!(f, " {}", value.escape_ascii()),
            Self::Entries(values) => write!(f, " {}", values.join(", ")),
            Self::NoRoute => f.write_str(" none"),
            Self::Missing => Ok(()),
        }
    }
}

/// Values may be secrets, so only the kind is shown.
impl fmt::Debug for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.kind())
    }
}

/// The key of a request: parts in the order of the policy. Empty for a limit that has one bucket
/// for all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KeyParts(SmallVec<[Part; 2]>);

/// The key of a bucket, as status pages tell it. It is displayed as its kinds and values, such as
/// `user alice + route export`; of an API key, the value is its keyed hash.
#[derive(Clone, PartialEq, Eq)]
pub struct Key(Kept);

/// Most keys have one part, which needs no memory of its own.
#[derive(Clone, PartialEq, Eq)]
enum Kept {
    One(Part),
    Several(Box<[Part]>),
}

impl KeyParts {
    pub(crate) fn push(&mut self, part: Part) {
        self.0.push(part);
    }

    /// The parts.
    #[must_use]
    pub fn parts(&self) -> &[Part] {
        &self.0
    }

    /// What the key consists of, without its values.
    pub(crate) fn kinds(&self) -> Kinds<'_> {
        Kinds(&self.0)
    }
}

impl FromIterator<Part> for KeyParts {
    fn from_iter<I: IntoIterator<Item = Part>>(parts: I) -> Self {
        Self(parts.into_iter().collect())
    }
}

impl Key {
    /// The parts.
    #[must_use]
    pub fn parts(&self) -> &[Part] {
        match &self.0 {
            Kept::One(part) => std::slice::from_ref(part),
            Kept::Several(parts) => parts,
        }
    }
}

impl FromIterator<Part> for Key {
    fn from_iter<I: IntoIterator<Item = Part>>(parts: I) -> Self {
        parts.into_iter().collect::<KeyParts>().to_key()
    }
}

impl AsRef<[Part]> for KeyParts {
    fn as_ref(&self) -> &[Part] {
        self.parts()
    }
}

impl AsRef<[Part]> for Key {
    fn as_ref(&self) -> &[Part] {
        self.parts()
    }
}

impl Hash for KeyParts {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.iter().for_each(|part| part.hash(state));
    }
}

impl Hash for Key {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.parts().iter().for_each(|part| part.hash(state));
    }
}

impl Equivalent<Key> for KeyParts {
    fn equivalent(&self, key: &Key) -> bool {
        self.0[..] == *key.parts()
    }
}

impl ToKey<Key> for KeyParts {
    fn to_key(&self) -> Key {
        Key(match &self.0[..] {
            [part] => Kept::One(part.clone()),
            parts => Kept::Several(parts.into()),
        })
    }
}

impl From<&Key> for KeyParts {
    fn from(key: &Key) -> Self {
        Self(key.parts().iter().cloned().collect())
    }
}

/// Displays what a key consists of, joined by `+`, such as `user+route`.
pub(crate) struct Kinds<'a>(&'a [Part]);

impl fmt::Display for Kinds<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, part) in self.0.iter().enumerate() {
            let joint = if index == 0 { "" } else { "+" };
            write!(f, "{joint}{}", part.kind())?;
        }
        Ok(())
    }
}

/// Displays the parts, joined by ` + `.
impl fmt::Display for KeyParts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        display(&self.0, f)
    }
}

/// Displays the parts, joined by ` + `.
impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        display(self.parts(), f)
    }
}

fn display(parts: &[Part], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    for (index, part) in parts.iter().enumerate() {
        let joint = if index == 0 { "" } else { " + " };
        write!(f, "{joint}{part}")?;
    }
    Ok(())
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Key").field(&self.parts()).finish()
    }
}
