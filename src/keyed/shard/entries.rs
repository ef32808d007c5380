//! ENTRIES

use std::sync::Arc;

use crate::algorithm::Algorithm;
use crate::keyed::terms::{KeyTerms, SharedTerms};
use crate::limiters::core::Core;
use crate::{Rejection, Timestamp};

pub(crate) struct Plain<K, A: Algorithm> {
    pub(crate) key: K,
    pub(crate) state: A::Packed,
}

pub(crate) struct Tiered<K, A: Algorithm> {
    pub(crate) key: K,
    pub(crate) state: A::Packed,
    pub(crate) tier: Arc<SharedTerms<A>>,
}

pub(crate) struct Special<K, A: Algorithm> {
    pub(crate) key: K,
    pub(crate) kept: Kept<A>,
    pub(crate) state: SpecialState<A>,
}

/// What is kept of a key beside its state.
#[derive(Debug)]
pub(crate) struct Kept<A> {
    pub(crate) own: KeyTerms<A>,
    pub(crate) hold: Hold,
    /// Whether it counts against a bound on the keys.
    pub(crate) counted: bool,
}

/// Whether a key stays even if its bucket is full.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Hold {
    No,
    /// As long as it is blocked: that was set by hand, and ends by itself.
    WhileBlocked,
    /// Its terms were set by hand.
    Always,
}

#[derive(Debug)]
pub(crate) enum SpecialState<A: Algorithm> {
    Idle(A::State),
    /// Somebody waits, or has an outcome to fetch.
    Busy(Box<Core<A>>),
    /// In use by `act` just now.
    Lent,
}

impl<A: Algorithm> SpecialState<A> {
    /// The core, or just its state if that is all there is to it.
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
    /// Nowhere yet, and its terms.
    New(KeyTerms<A>),
    /// Nowhere, and there is no room for it; and its terms.
    NoRoom(Rejection, KeyTerms<A>),
}
impl<A> Kept<A> {
    /// What is kept of a key that nothing was set for.
    pub(crate) fn of(own: KeyTerms<A>) -> Self {
        Self { own, hold: Hold::No, counted: true }
    }

    /// Whether the key stays at `now` even if its bucket is full.
    pub(crate) fn is_held(&self, now: Timestamp) -> bool {
        match self.hold {
            Hold::No => false,
            Hold::WhileBlocked => now < self.own.blocked_until,
            Hold::Always => true,
        }
    }
}
