//! What a key is, and what it may be looked up by.

use std::hash::{Hash, Hasher};

pub use equivalent::Equivalent;

/// What a key must be able to do. Implemented for every type that can.
pub trait Key: Hash + Eq + Clone + Send + Sync + 'static {}

impl<K: Hash + Eq + Clone + Send + Sync + 'static> Key for K {}

/// Makes a key out of what it is looked up by, when it is first seen.
///
/// Everything that [`ToOwned`] makes into a key has it: `str` for `String`, `[u8]` for `Vec<u8>`,
/// and every key for itself. Implement it, with [`Equivalent`] and [`Hash`], for a look-up form of
/// your own.
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
    /// The key.
    fn to_key(&self) -> K;
}

impl<Q: ToOwned + ?Sized> ToKey<Q::Owned> for Q {
    fn to_key(&self) -> Q::Owned {
        self.to_owned()
    }
}

/// What a key of type `K` can be looked up by: it hashes and compares like the key, without being
/// one. Implemented for every type that is [`Equivalent`] and [`ToKey`].
pub trait KeyRef<K>: Hash + Equivalent<K> + ToKey<K> + Send + Sync {}

impl<K, Q: Hash + Equivalent<K> + ToKey<K> + Send + Sync + ?Sized> KeyRef<K> for Q {}

/// Looks a tuple up by references to its parts, so that none is copied.
///
/// For tuples of two, three or four. The parts may be borrowed forms themselves.
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
