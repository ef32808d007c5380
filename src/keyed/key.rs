//! What a key is, and by which forms it can be looked up.

use std::ffi::{OsStr, OsString};
use std::hash::{Hash, Hasher};
use std::path::{Path, PathBuf};
use std::sync::Arc;

pub use equivalent::Equivalent;

/// The requirements for a key. Implemented for every type that meets them.
///
/// A key's `Hash`, `Eq`, `Clone` and `Drop` run while a shard of the limiter is locked. **They must
/// not use the limiter**: a call for a key of the same shard would deadlock. They should not panic.
/// If one does, the panic propagates through the call, no lock stays held, other keys keep their
/// usage, and the number of keys stays exact. Only a `Hash` that panics while a table is rehashed
/// may make the limiter lose some of its keys.
pub trait Key: Hash + Eq + Clone + Send + Sync + 'static {}

impl<K: Hash + Eq + Clone + Send + Sync + 'static> Key for K {}

/// Creates an owned key from the form it is looked up by, when the key is first seen.
///
/// Implemented from `str` to `String`, `Box<str>` and `Arc<str>`; from `[T]` to `Vec<T>`,
/// `Box<[T]>` and `Arc<[T]>`; likewise for `Path` and `OsStr`; and from every key to itself. For
/// your own lookup form, implement it together with [`Equivalent`] and [`Hash`].
///
/// ```
/// use tollgate::keyed::{Equivalent, ToKey};
/// use tollgate::{KeyedLimiter, Quota};
///
/// #[derive(Clone, PartialEq, Eq, Hash)]
/// struct Session { tenant: String, id: u64 }
///
/// #[derive(Hash)]
/// struct SessionRef<'a> { tenant: &'a str, id: u64 }
///
/// impl Equivalent<Session> for SessionRef<'_> {
///     fn equivalent(&self, key: &Session) -> bool {
///         self.tenant == key.tenant && self.id == key.id
///     }
/// }
///
/// impl ToKey<Session> for SessionRef<'_> {
///     fn to_key(&self) -> Session {
///         Session { tenant: self.tenant.to_owned(), id: self.id }
///     }
/// }
///
/// let limiter = KeyedLimiter::<Session>::new(Quota::per_minute(1))?;
/// assert!(limiter.allow(&SessionRef { tenant: "acme", id: 7 }));
/// assert!(!limiter.allow(&Session { tenant: "acme".to_owned(), id: 7 }));
/// # Ok::<(), tollgate::QuotaError>(())
/// ```
pub trait ToKey<K> {
    /// Returns the owned key.
    fn to_key(&self) -> K;
}

impl<K: Clone> ToKey<K> for K {
    fn to_key(&self) -> K {
        self.clone()
    }
}

macro_rules! to_key {
    ($([$($generics:tt)*] $from:ty => $to:ty;)*) => {
        $(impl<$($generics)*> ToKey<$to> for $from {
            fn to_key(&self) -> $to {
                self.into()
            }
        })*
    };
}

to_key! {
    [] str => String;
    [] str => Box<str>;
    [] str => Arc<str>;
    [T: Clone] [T] => Vec<T>;
    [T: Clone] [T] => Box<[T]>;
    [T: Clone] [T] => Arc<[T]>;
    [] Path => PathBuf;
    [] Path => Box<Path>;
    [] Path => Arc<Path>;
    [] OsStr => OsString;
    [] OsStr => Box<OsStr>;
    [] OsStr => Arc<OsStr>;
}

/// A form by which a key of type `K` can be looked up: it hashes and compares like the key.
/// Implemented for every type that is [`Equivalent`] and [`ToKey`].
#[diagnostic::on_unimplemented(
    message = "a key of type `{K}` can't be looked up by `&{Self}`",
    note = "look up `String` keys by `&str` (not `&&str`) or `&String`; `&'static str` keys by \
            `&&'static str`, as in `allow(&\"alice\")`; tuples by `ByParts` or by `&` of a tuple. \
            For your own lookup form, implement `Hash`, `Equivalent` and `ToKey`"
)]
pub trait KeyRef<K>: Hash + Equivalent<K> + ToKey<K> + Send + Sync {}

impl<K, Q: Hash + Equivalent<K> + ToKey<K> + Send + Sync + ?Sized> KeyRef<K> for Q {}

/// Looks up a tuple by references to its parts, so that no part is copied.
///
/// Works for tuples of two, three or four parts. The parts can be borrowed forms themselves.
///
/// ```
/// use tollgate::keyed::ByParts;
/// use tollgate::{KeyedLimiter, Quota};
///
/// let limiter = KeyedLimiter::<(String, u16)>::new(Quota::per_minute(1))?;
/// assert!(limiter.allow(&ByParts(("acme", &443))));
/// assert!(!limiter.allow(&("acme".to_owned(), 443)));
/// # Ok::<(), tollgate::QuotaError>(())
/// ```
#[derive(Debug)]
pub struct ByParts<T>(pub T);

macro_rules! by_parts {
    ($($part:ident $whole:ident $at:tt),*) => {
        impl<$($part: Hash + ?Sized),*> Hash for ByParts<($(&$part,)*)> {
            fn hash<H: Hasher>(&self, state: &mut H) {
                // A tuple hashes its parts one after another.
                $(self.0.$at.hash(state);)*
            }
        }

        impl<$($part: Equivalent<$whole> + ?Sized, $whole),*> Equivalent<($($whole,)*)>
            for ByParts<($(&$part,)*)>
        {
            fn equivalent(&self, key: &($($whole,)*)) -> bool {
                $(self.0.$at.equivalent(&key.$at))&&*
            }
        }

        impl<$($part: ToKey<$whole> + ?Sized, $whole),*> ToKey<($($whole,)*)>
            for ByParts<($(&$part,)*)>
        {
            fn to_key(&self) -> ($($whole,)*) {
                ($(self.0.$at.to_key(),)*)
            }
        }
    };
}

by_parts!(P A 0, Q B 1);
by_parts!(P A 0, Q B 1, R C 2);
by_parts!(P A 0, Q B 1, R C 2, S D 3);
