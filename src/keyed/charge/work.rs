//! What is worked out for a charge in the course of a decision.

use crate::Rejection;
use crate::algorithm::Algorithm;
use crate::keyed::Tier;
use crate::keyed::max_keys::ReservedSlot;
use crate::keyed::shard::At;
use crate::keyed::shard::snapshot::Snapshot;
use crate::keyed::terms::KeyTerms;
use crate::keyed::tier::Under;

/// What becomes of a charge while it is decided.
#[allow(clippy::struct_excessive_bools, reason = "each says one thing")]
pub(super) struct Work<'a, A: Algorithm> {
    pub(super) at: At<A>,
    /// The terms of a key that is not packed.
    pub(super) own: KeyTerms<A>,
    /// The tier of an earlier charge of the same key, which this one goes by too.
    pub(super) tier: First<A>,
    pub(super) room: Option<Room<'a, A>>,
    pub(super) needs: Needs,
    pub(super) permits: u64,
    /// With those of earlier charges of the same key, and of the limit for everybody.
    pub(super) all: u64,
    pub(super) all_of_everybody: u64,
    /// Whether the limit for everybody counts for the key.
    pub(super) counts_for_all: bool,
    /// Whether the key is found where it was; else it is looked for again.
    pub(super) is_packed: bool,
    /// Whether its permits are taken by arithmetic alone.
    pub(super) is_simple: bool,
    /// The key as it was, while foreign code runs.
    pub(super) before: Option<Snapshot<A>>,
    pub(super) refused: By,
    /// The key is to count from now on, if there is room for it.
    pub(super) needs_slot: bool,
    /// Allowed and denied of the shared bucket, to be counted for the key; and whether for want of permits.
    pub(super) shared: ((u64, u64), bool),
}

impl<A: Algorithm> Work<'_, A> {
    pub(super) fn new() -> Self {
        Self {
            at: At::New(KeyTerms::default()),
            own: KeyTerms::default(),
            tier: First::Itself,
            room: None,
            needs: Needs::Nothing,
            permits: 0,
            all: 0,
            all_of_everybody: 0,
            counts_for_all: false,
            is_packed: false,
            is_simple: false,
            before: None,
            refused: By::Nobody,
            needs_slot: false,
            shared: ((0, 0), true),
        }
    }
}

/// What was found out about a key that is not known, and whether there is room for it.
pub(super) struct Room<'a, A: Algorithm> {
    pub(super) version: u64,
    pub(super) own: KeyTerms<A>,
    pub(super) place: Result<ReservedSlot<'a, A>, Rejection>,
}

/// What is to be done before a decision, when no lock is held.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Needs {
    Nothing,
    /// To ask what applies to the key, and for room.
    Room,
    /// Room for a key whose terms were set by hand until now.
    Place,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum By {
    Nobody,
    Key,
    Everybody,
}

/// Which charge of a key says what quota all of them go by.
pub(super) enum First<A> {
    Itself,
    /// An earlier one, with its tier.
    Other(Option<Tier<A>>),
}

impl<A> Clone for First<A> {
    fn clone(&self) -> Self {
        match self {
            Self::Itself => Self::Itself,
            Self::Other(tier) => Self::Other(tier.clone()),
        }
    }
}

impl<A> First<A> {
    /// The quota that a charge with a tier of its `own`, or none, goes by.
    pub(super) fn under<'b>(&'b self, own: Option<&'b Tier<A>>) -> Under<'b, A> {
        match self {
            Self::Itself => own.into(),
            Self::Other(tier) => tier.as_ref().into(),
        }
    }
}
