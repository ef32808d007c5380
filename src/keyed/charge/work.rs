//! Working data of a charge during a decision.

use crate::Rejection;
use crate::algorithm::Algorithm;
use crate::keyed::Tier;
use crate::keyed::max_keys::ReservedSlot;
use crate::keyed::shard::At;
use crate::keyed::shard::snapshot::Snapshot;
use crate::keyed::terms::KeyTerms;
use crate::keyed::tier::Under;

/// Working data of a charge during a decision.
#[allow(clippy::struct_excessive_bools, reason = "each says one thing")]
pub(super) struct Work<'a, A: Algorithm> {
    pub(super) at: At<A>,
    /// The terms of a key that is not in a packed table.
    pub(super) own: KeyTerms<A>,
    /// The charge whose tier applies: this one, or an earlier one for the same key.
    pub(super) tier: TierSource<A>,
    pub(super) new_key: Option<NewKey<'a, A>>,
    pub(super) needs: Needs,
    pub(super) permits: u64,
    /// `permits` plus those of earlier charges of this decision, at the key and at the global
    /// limit.
    pub(super) key_total: u64,
    pub(super) global_total: u64,
    /// Whether the global limit applies to the key.
    pub(super) uses_global: bool,
    /// Whether `at` is a packed state under the charge's tier; otherwise the key is looked up
    /// again.
    pub(super) is_packed: bool,
    /// Whether the permits can be taken by integer arithmetic alone, without calling foreign code.
    pub(super) is_simple: bool,
    /// A snapshot of the key, while foreign code runs.
    pub(super) before: Option<Snapshot<A>>,
    pub(super) refused: RefusedBy,
    /// Whether the key needs a slot now, or must be evicted if there is none.
    pub(super) needs_slot: bool,
    /// Permits allowed and denied by the overflow bucket, to be counted for the key, and whether
    /// they were denied for lack of permits.
    pub(super) shared: ((u64, u64), bool),
}

impl<A: Algorithm> Work<'_, A> {
    pub(super) fn new() -> Self {
        Self {
            at: At::New(KeyTerms::default()),
            own: KeyTerms::default(),
            tier: TierSource::ThisCharge,
            new_key: None,
            needs: Needs::Nothing,
            permits: 0,
            key_total: 0,
            global_total: 0,
            uses_global: false,
            is_packed: false,
            is_simple: false,
            before: None,
            refused: RefusedBy::Nobody,
            needs_slot: false,
            shared: ((0, 0), true),
        }
    }
}

/// The terms of an unknown key, and the slot reserved for it.
pub(super) struct NewKey<'a, A: Algorithm> {
    pub(super) version: u64,
    pub(super) own: KeyTerms<A>,
    pub(super) slot: Result<ReservedSlot<'a, A>, Rejection>,
}

/// What must be done before a decision, while no lock is held.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Needs {
    Nothing,
    /// Get the key's terms, and reserve a slot.
    NewKey,
    /// Reserve a slot for a key whose terms were set explicitly until now.
    Slot,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum RefusedBy {
    Nobody,
    Key,
    Global,
}

/// Which of a key's charges decides on the tier for all of them.
pub(super) enum TierSource<A> {
    ThisCharge,
    /// An earlier charge, with its tier.
    EarlierCharge(Option<Tier<A>>),
}

impl<A> Clone for TierSource<A> {
    fn clone(&self) -> Self {
        match self {
            Self::ThisCharge => Self::ThisCharge,
            Self::EarlierCharge(tier) => Self::EarlierCharge(tier.clone()),
        }
    }
}

impl<A> TierSource<A> {
    /// The tier that applies to a charge whose own tier is `own`.
    pub(super) fn under<'b>(&'b self, own: Option<&'b Tier<A>>) -> Under<'b, A> {
        match self {
            Self::ThisCharge => own.into(),
            Self::EarlierCharge(tier) => tier.as_ref().into(),
        }
    }
}
