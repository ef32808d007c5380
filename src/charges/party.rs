//! The interface through which a decision uses a charge.
//!
//! It is public but can't be named from outside, so [`Charge`](super::Charge) can't be implemented
//! outside this crate.

use std::any::Any;

use crate::wakers::Wakers;
use crate::{Rejection, Timestamp};

/// What a lock protects. Each kind of charge knows the type.
pub(crate) type State = dyn Any;

/// The position of a lock in the order of all locks: by kind, then by number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    pub kind: u8,
    pub number: u64,
}

/// The kinds of locks. Locks of a lower kind are taken first.
pub(crate) const SHARD: u8 = 0;
pub(crate) const OVERFLOW: u8 = 1;
pub(crate) const LIMITER: u8 = 2;

/// A bit of [`Party::quick`] that puts a lock after all locks without this bit.
pub(crate) const BEHIND: u64 = 1 << (u64::BITS - 1);

/// The most locks that one charge takes.
pub(crate) const LOCKS: u8 = 3;

/// The part of a decision that all its charges share.
#[derive(Debug)]
pub struct Decision<'a> {
    pub now: Timestamp,
    /// Whether this is the last attempt, which must not start again.
    pub last_try: bool,
    /// The wakers to be woken when no lock is held any more.
    pub(crate) wakers: &'a mut Wakers,
}

/// Where the permits of a charge come from, among what a lock protects. Several charges may share
/// the lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Slot {
    /// Everything that the lock protects.
    Whole,
    /// The key at this index of the table of keys with the usual quota.
    Plain(usize),
    /// The key at this index of the table of keys with a tier.
    Tiered(usize),
    /// The key at this index of the table of all other keys.
    Special(usize),
    /// Nothing yet: the key is not known.
    Nowhere,
}

/// What a charge tells another charge that uses the same lock.
#[derive(Clone, Copy)]
#[allow(missing_debug_implementations, reason = "the key may be a secret")]
pub struct Shown<'a> {
    pub slot: Slot,
    /// The hash of the key.
    pub hash: u64,
    /// The key, if the limiter does not know it yet.
    pub key: Option<&'a State>,
    /// The tier that the charge is made under, if any.
    pub tier: Option<&'a State>,
    /// The terms of the key, if its state is not packed.
    pub own: Option<&'a State>,
    /// The reason why there was no room for the key, if there was none.
    pub no_room: Option<Rejection>,
    /// The number of permits requested.
    pub permits: u64,
}

/// A charge as the decision sees it. Its locks are numbered from 0 to [`LOCKS`] - 1.
pub trait Party {
    /// The current time by the clock of the limiter.
    fn now(&self) -> Timestamp;

    /// The position of its only lock, if the fast path may decide it: if each charge has a lock of
    /// its own, its key is known, and its permits are available. Otherwise 0.
    fn quick(&self, now: Timestamp) -> u64;

    /// Takes that lock. If the permits are available and `rest`, which decides all other charges,
    /// returns `true`, takes the permits. Otherwise changes nothing. Returns whether the permits
    /// were taken.
    fn decide_quickly(&self, now: Timestamp, rest: &mut dyn FnMut() -> bool) -> bool;

    /// Forgets the last decision. `true` means that the charge is refused without any lock.
    fn begin(&self, now: Timestamp) -> bool;

    /// The position of a lock, if the charge needs this lock.
    fn place(&self, lock: u8) -> Option<Place>;

    /// Runs `then` while the lock is held.
    fn hold(&self, lock: u8, then: &mut dyn FnMut(&mut State));

    /// Finds the state of the charge. Returns `false` if the decision must start again after
    /// [`resolve`](Self::resolve).
    fn find(&self, lock: u8, state: &mut State, decision: &Decision<'_>) -> bool;

    /// Whether there is nothing left to [`resolve`](Self::resolve).
    fn is_found(&self) -> bool;

    /// Runs what must not run while a lock is held.
    fn resolve(&self, now: Timestamp);

    /// Describes the charge to another charge that uses the same lock.
    fn show(&self, lock: u8, to: &mut dyn FnMut(Shown<'_>));

    /// Whether an earlier charge that uses the same lock is of the same key or limiter. If so, this
    /// charge uses the quota of the earlier one.
    fn meets(&self, lock: u8, earlier: Shown<'_>) -> bool;

    /// Whether the permits `before` of earlier charges and the permits of this charge are available
    /// together. Takes nothing. `second` is what the last lock of the charge protects.
    fn look(
        &self,
        lock: u8,
        state: &mut State,
        second: Option<&mut State>,
        before: u64,
        decision: &mut Decision<'_>,
    ) -> bool;

    /// Saves what the lock protects, for [`restore`](Self::restore).
    fn save(&self, lock: u8, state: &mut State);

    /// Puts back what was saved, if anything was.
    fn restore(&self, lock: u8, state: &mut State);

    /// Finds the state of the charge again, which other charges may have moved.
    fn find_again(&self, lock: u8, state: &mut State);

    /// Whether taking the permits only changes numbers and runs no foreign code.
    fn is_simple(&self, lock: u8) -> bool;

    /// Takes the permits.
    fn take(
        &self,
        lock: u8,
        state: &mut State,
        second: Option<&mut State>,
        decision: &mut Decision<'_>,
    );

    /// Records the answer of a decision that is refused: a refusal with its reason, which is
    /// counted, or the present usage. Uses the number of permits that [`look`](Self::look) was
    /// asked for.
    fn refuse(
        &self,
        lock: u8,
        state: &mut State,
        second: Option<&mut State>,
        decision: &mut Decision<'_>,
    );

    /// Runs what remains to be done when no lock is held any more.
    fn finish(&self);
}

macro_rules! forward {
    ($($name:ident($($arg:ident: $type:ty),*) $(-> $result:ty)?;)*) => {
        impl<T: Party + ?Sized> Party for &mut T {
            $(
                #[inline]
                fn $name(&self, $($arg: $type),*) $(-> $result)? {
                    (**self).$name($($arg),*)
                }
            )*
        }
    };
}

forward! {
    now() -> Timestamp;
    quick(now: Timestamp) -> u64;
    decide_quickly(now: Timestamp, rest: &mut dyn FnMut() -> bool) -> bool;
    begin(now: Timestamp) -> bool;
    place(lock: u8) -> Option<Place>;
    hold(lock: u8, then: &mut dyn FnMut(&mut State));
    find(lock: u8, state: &mut State, decision: &Decision<'_>) -> bool;
    is_found() -> bool;
    resolve(now: Timestamp);
    show(lock: u8, to: &mut dyn FnMut(Shown<'_>));
    meets(lock: u8, earlier: Shown<'_>) -> bool;
    look(
        lock: u8,
        state: &mut State,
        second: Option<&mut State>,
        before: u64,
        decision: &mut Decision<'_>
    ) -> bool;
    save(lock: u8, state: &mut State);
    restore(lock: u8, state: &mut State);
    find_again(lock: u8, state: &mut State);
    is_simple(lock: u8) -> bool;
    take(lock: u8, state: &mut State, second: Option<&mut State>, decision: &mut Decision<'_>);
    refuse(lock: u8, state: &mut State, second: Option<&mut State>, decision: &mut Decision<'_>);
    finish();
}
