//! One key of a pool: its id and its secret.

use std::fmt;
use std::sync::Arc;

/// What the pool stores for a key; the engine knows the key only by its number.
pub(super) struct KeyRecord<T> {
    pub(super) id: Arc<str>,
    pub(super) secret: T,
}

/// A key of a pool, to be sent along with a request. Cheap to clone. The secret does not appear in
/// `Debug` output.
pub struct PoolKey<T>(pub(super) Arc<KeyRecord<T>>);

impl<T> PoolKey<T> {
    /// The id of the key.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.0.id
    }

    /// The secret of the key.
    #[must_use]
    pub fn secret(&self) -> &T {
        &self.0.secret
    }
}

impl<T> Clone for PoolKey<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<T> fmt::Debug for PoolKey<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PoolKey").field("id", &self.0.id).finish_non_exhaustive()
    }
}
