//! Keys: who or what a bucket belongs to.
//!
//! A key is a tuple of parts and never a joined text, so no value that a client chooses can look
//! like another key. It is looked up by a [`KeyView`], which borrows from the request; the owned
//! [`Key`] is made once, when the key is first seen. A user's name is shared and not copied.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use smallvec::SmallVec;
use tollgate::keyed::{Equivalent, ToKey};

use crate::address::Network;

/// The keyed 128-bit hash of a secret (rule P11).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Hashed(pub(crate) [u8; 16]);

impl fmt::Display for Hashed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// One part of the key of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum PartView<'a> {
    /// The client's network.
    Address(Network),
    /// The user.
    User(&'a Arc<str>),
    /// The API key's keyed hash.
    ApiKey(Hashed),
    /// The value of a header.
    Header(&'a [u8]),
    /// The route's name.
    Route(&'a Arc<str>),
    /// No route matches.
    NoRoute,
    /// The method.
    Method(&'a str),
    /// The host, in lower case and without port.
    Host(&'a str),
    /// The request lacks this part, and all such requests share a bucket.
    Missing,
}

/// One part of a key that is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Address(Network),
    User(Arc<str>),
    ApiKey(Hashed),
    Header(Box<[u8]>),
    Route(Arc<str>),
    NoRoute,
    Method(Box<str>),
    Host(Box<str>),
    Missing,
}

impl Part {
    fn view(&self) -> PartView<'_> {
        match self {
            Self::Address(network) => PartView::Address(*network),
            Self::User(user) => PartView::User(user),
            Self::ApiKey(hash) => PartView::ApiKey(*hash),
            Self::Header(value) => PartView::Header(value),
            Self::Route(name) => PartView::Route(name),
            Self::NoRoute => PartView::NoRoute,
            Self::Method(method) => PartView::Method(method),
            Self::Host(host) => PartView::Host(host),
            Self::Missing => PartView::Missing,
        }
    }
}

impl From<PartView<'_>> for Part {
    fn from(view: PartView<'_>) -> Self {
        match view {
            PartView::Address(network) => Self::Address(network),
            PartView::User(user) => Self::User(Arc::clone(user)),
            PartView::ApiKey(hash) => Self::ApiKey(hash),
            PartView::Header(value) => Self::Header(value.into()),
            PartView::Route(name) => Self::Route(Arc::clone(name)),
            PartView::NoRoute => Self::NoRoute,
            PartView::Method(method) => Self::Method(method.into()),
            PartView::Host(host) => Self::Host(host.into()),
            PartView::Missing => Self::Missing,
        }
    }
}

/// Displays `kind value`, such as `user alice`.
impl fmt::Display for PartView<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(network) => write!(f, "address {network}"),
            Self::User(user) => write!(f, "user {user}"),
            Self::ApiKey(hash) => write!(f, "api-key {hash}"),
            Self::Header(value) => write!(f, "header {}", value.escape_ascii()),
            Self::Route(name) => write!(f, "route {name}"),
            Self::NoRoute => f.write_str("no route"),
            Self::Method(method) => write!(f, "method {method}"),
            Self::Host(host) => write!(f, "host {host}"),
            Self::Missing => f.write_str("missing"),
        }
    }
}

/// The key of a request, as it is looked up: parts in the order of the policy. Empty for a limit
/// that has one bucket for all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KeyView<'a>(SmallVec<[PartView<'a>; 2]>);

/// A key that is kept.
#[derive(Clone, PartialEq, Eq)]
pub struct Key(Parts);

/// Most keys have one part, which needs no memory of its own.
#[derive(Clone, PartialEq, Eq)]
enum Parts {
    One(Part),
    Many(Box<[Part]>),
}

impl<'a> KeyView<'a> {
    /// Adds a part.
    pub(crate) fn push(&mut self, part: PartView<'a>) {
        self.0.push(part);
    }

    /// The parts.
    #[must_use]
    pub fn parts(&self) -> &[PartView<'a>] {
        &self.0
    }
}

impl Key {
    fn parts(&self) -> &[Part] {
        match &self.0 {
            Parts::One(part) => std::slice::from_ref(part),
            Parts::Many(parts) => parts,
        }
    }

    /// The key as it is looked up.
    #[must_use]
    pub fn view(&self) -> KeyView<'_> {
        KeyView(self.parts().iter().map(Part::view).collect())
    }

    /// What the key consists of, without its values.
    pub(crate) fn kinds(&self) -> Kinds<'_> {
        Kinds(self)
    }

    /// A keyed hash of the key: for logs, and for pages that must not show it.
    pub(crate) fn hashed(&self, secret: &super::secret::Secret) -> Hashed {
        secret.hash_of(self)
    }
}

impl Hash for KeyView<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.iter().for_each(|part| part.hash(state));
    }
}

impl Hash for Key {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.parts().iter().for_each(|part| part.view().hash(state));
    }
}

impl Equivalent<Key> for KeyView<'_> {
    fn equivalent(&self, key: &Key) -> bool {
        let parts = key.parts();
        let same = |(view, part): (&PartView<'_>, &Part)| *view == part.view();
        self.0.len() == parts.len() && self.0.iter().zip(parts).all(same)
    }
}

impl ToKey<Key> for KeyView<'_> {
    fn to_key(&self) -> Key {
        Key(match &self.0[..] {
            [part] => Parts::One((*part).into()),
            parts => Parts::Many(parts.iter().map(|part| Part::from(*part)).collect()),
        })
    }
}

/// Displays the parts, joined by ` + `.
impl fmt::Display for KeyView<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, part) in self.0.iter().enumerate() {
            let joint = if index == 0 { "" } else { " + " };
            write!(f, "{joint}{part}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.view().fmt(f)
    }
}

/// Displays what a key consists of, joined by `+`, such as `user+route`.
pub(crate) struct Kinds<'a>(&'a Key);

impl fmt::Display for Kinds<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, part) in self.0.parts().iter().enumerate() {
            let joint = if index == 0 { "" } else { "+" };
            let kind = match part {
                Part::Address(_) => "address",
                Part::User(_) => "user",
                Part::ApiKey(_) => "api-key",
                Part::Header(_) => "header",
                Part::Route(_) | Part::NoRoute => "route",
                Part::Method(_) => "method",
                Part::Host(_) => "host",
                Part::Missing => "missing",
            };
            write!(f, "{joint}{kind}")?;
        }
        Ok(())
    }
}

/// Keys may be secrets, so the kinds of their parts are shown and their values are not.
impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Key").field("parts", &self.parts().len()).finish_non_exhaustive()
    }
}
