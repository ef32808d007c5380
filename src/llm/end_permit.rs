//! The permits of every kind, by what ends them.

use super::{ModelPermit, Permit, PoolPermit, Reply};
use crate::Clock;

/// A permit that a response ends: a limiter's [`Permit`], a pool's [`PoolPermit`], or the
/// [`ModelPermit`] of a pool of models.
///
/// Implement it for a type of your own that wraps one of them.
pub trait EndPermit {
    /// See [`Permit::end`].
    fn end(self, reply: &Reply);
}

impl<C: Clock> EndPermit for Permit<'_, C> {
    fn end(self, reply: &Reply) {
        Permit::end(self, reply);
    }
}

impl<T, C: Clock> EndPermit for PoolPermit<'_, T, C> {
    fn end(self, reply: &Reply) {
        PoolPermit::end(self, reply);
    }
}

impl<T, C: Clock + Clone> EndPermit for ModelPermit<T, C> {
    fn end(self, reply: &Reply) {
        ModelPermit::end(self, reply);
    }
}
