//! Keyed hashes: what stands for a secret in memory, in logs and on status pages.

use std::hash::{BuildHasher, Hash, Hasher};

use siphasher::sip128::{Hasher128, SipHasher13};

use super::key::{Hashed, Part};

/// The key of the hashes.
#[derive(Clone, Copy)]
pub(crate) struct Secret(u64, u64);

impl Secret {
    /// A random one, from the randomness of the standard library's hash maps.
    pub(crate) fn new() -> Self {
        let random = || std::hash::RandomState::new().hash_one(0_u8);
        Self(random(), random())
    }

    /// One that several processes have.
    pub(crate) fn common(secret: [u8; 16]) -> Self {
        let (first, second) = secret.split_at(8);
        let number = |bytes: &[u8]| bytes.iter().fold(0, |all, byte| all << 8 | u64::from(*byte));
        Self(number(first), number(second))
    }

    /// The hash of `value`. Values with the same hash are practically the same value.
    #[cfg(feature = "tracing")]
    pub(crate) fn hash_of<T: Hash + ?Sized>(&self, value: &T) -> Hashed {
        let mut hasher = SipHasher13::new_with_keys(self.0, self.1);
        value.hash(&mut hasher);
        Hashed(hasher.finish128().as_bytes())
    }

    /// The hash of a key by its parts.
    pub(crate) fn hash_of_parts(&self, parts: &[Part]) -> Hashed {
        let mut hasher = SipHasher13::new_with_keys(self.0, self.1);
        for part in parts {
            part.hash(&mut hasher);
        }
        Hashed(hasher.finish128().as_bytes())
    }

    /// The hash of an API key.
    pub(crate) fn hash_api_key(&self, key: &str) -> Hashed {
        self.hash_of_bytes(key.as_bytes())
    }

    /// The hash of a value that a client has sent.
    pub(crate) fn hash_of_bytes(&self, value: &[u8]) -> Hashed {
        let mut hasher = SipHasher13::new_with_keys(self.0, self.1);
        hasher.write(value);
        Hashed(hasher.finish128().as_bytes())
    }
}
