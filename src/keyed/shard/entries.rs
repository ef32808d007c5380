//! The entries of a shard's tables, and where a key is.

use std::sync::Arc;

use crate::algorithm::Algorithm;
use crate::keyed::terms::{KeyTerms, SharedTerms};
use crate::limiters::core::Core;
use crate::{Rejection, Timestamp};

/// An entry of the table of plain keys.
pub(crate) struct Plain<K, A: Algorithm> {
    pub(crate) key: K,
    pub(crate) state: A::Packed,
}

/// An entry of the table of tiered keys.
pub(crate) struct Tiered<K, A: Algorithm> {
    pub(crate) key: K,
    pub(crate) state: A::Packed,
    pub(crate) tier: Arc<SharedTerms<A>>,
}

/// An entry of the table of special keys.
pub(crate) struct Special<K, A: Algorithm> {
    pub(crate) key: K,
    pub(crate) kept: Kept<A>,
    pub(crate) state: SpecialState<A>,
}

/// What a special key stores besides its state.
#[derive(Debug)]
pub(crate) struct Kept<A> {
    pub(crate) own: KeyTerms<A>,
    pub(crate) hold: Hold,
    /// Whether the key counts against the key limit.
    pub(crate) counted: bool,
}

/// Whether a key is held even if its bucket is full.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Hold {
    No,
    /// While a temporary block lasts.
    WhileBlocked,
    /// Its terms were set explicitly.
    Always,
}

/// The state of a special key.
#[derive(Debug)]
pub(crate) enum SpecialState<A: Algorithm> {
    Idle(A::State),
    /// Has waiters, or outcomes that waiters have not fetched yet.
    Busy(Box<Core<A>>),
    /// In use by the running `act`.
    Lent,
}

impl<A: Algorithm> SpecialState<A> {
    /// Keeps the core only if there is more to it than its state.
    pub(crate) fn of(core: Box<Core<A>>) -> Self {
        if core.is_at_rest() { Self::Idle(core.state) } else { Self::Busy(core) }
    }
}

/// Where a key is.
#[derive(Debug)]
pub(crate) enum At<A> {
    Plain(usize),
    Tiered(usize),
    Special(usize),
    /// In no table yet, with these terms.
    New(KeyTerms<A>),
    /// In no table, and without a slot, for this reason; with these terms.
    NoRoom(Rejection, KeyTerms<A>),
}
impl<A> Kept<A> {
    /// For a key for which nothing is set explicitly.
    pub(crate) fn of(own: KeyTerms<A>) -> Self {
        Self { own, hold: Hold::No, counted: true }
    }

    /// Whether the key is held at `now` even if its bucket is full.
    pub(crate) fn is_held(&self, now: Timestamp) -> bool {
        match self.hold {
            Hold::No => false,
            Hold::WhileBlocked => now < self.own.blocked_until,
            Hold::Always => true,
        }
    }
}
