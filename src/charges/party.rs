//! What a decision asks of a charge.
//!
//! It is public only in name, so that nobody else can implement [`Charge`](super::Charge).

use std::any::Any;

use crate::wait::queue::Wakers;
use crate::{Rejection, Timestamp};

/// What a lock protects, whatever it is.
pub(crate) type State = dyn Any;

/// Where a lock is in the order of all locks: by kind, then by number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    pub kind: u8,
    pub number: u64,
}

/// Under which kind of lock others are taken: those of a lower kind come first.
pub(crate) const SHARD: u8 = 0;
pub(crate) const OVERFLOW: u8 = 1;
pub(crate) const LIMITER: u8 = 2;

/// In the place of a quick decision: behind all locks without it.
pub(crate) const BEHIND: u64 = 1 << (u64::BITS - 1);

/// The most locks that one charge takes.
pub(crate) const LOCKS: u8 = 3;

/// What is the same for all charges of a decision.
#[derive(Debug)]
pub struct Decision<'a> {
    pub now: Timestamp,
    /// Whether it can't begin anew.
    pub last_try: bool,
    /// Woken when no lock is held any more.
    pub(crate) wakers: &'a mut Wakers,
}

/// Where a charge's permits come from, behind a lock that several charges may share.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Slot {
    /// All that is behind the lock.
    Whole,
    Plain(usize),
    Tiered(usize),
    Special(usize),
    /// A key that is not known.
    Nowhere,
}

/// What a charge shows to another one behind the same lock.
#[derive(Clone, Copy)]
#[allow(missing_debug_implementations, reason = "it may be a secret")]
pub struct Shown<'a> {
    pub slot: Slot,
    pub hash: u64,
    /// The key, if it is not known.
    pub key: Option<&'a State>,
    pub tier: Option<&'a State>,
    /// The terms of a key that is not packed.
    pub own: Option<&'a State>,
    /// Why there was no room for the key, if so.
    pub no_room: Option<Rejection>,
    /// What is asked for.
    pub permits: u64,
}

/// A charge as the decision sees it; its locks are numbered.
pub trait Party {
    fn now(&self) -> Timestamp;

    /// The place of its only lock, if it may be decided in a quick way: where each charge has a lock of its
    /// own, is known, and is there. 0 if not.
    fn quick(&self, now: Timestamp) -> u64;

    /// With that lock held: if the permits are there, and `rest` decides for all others and says so, takes
    /// them. Else nothing changes.
    fn decide_quickly(&self, now: Timestamp, rest: &mut dyn FnMut() -> bool) -> bool;

    /// Forgets the last decision; `true` refuses without any lock.
    fn begin(&self, now: Timestamp) -> bool;

    /// The place of a lock, if this one is needed.
    fn place(&self, lock: u8) -> Option<Place>;

    /// Runs `then` while the lock is held.
    fn hold(&self, lock: u8, then: &mut dyn FnMut(&mut State));

    /// Finds what the charge is about; `false` if the decision must begin anew, after
    /// [`resolve`](Self::resolve).
    fn find(&self, lock: u8, state: &mut State, decision: &Decision<'_>) -> bool;

    /// Whether there is nothing left to [`resolve`](Self::resolve).
    fn is_found(&self) -> bool;

    /// Runs what had to wait until no lock is held.
    fn resolve(&self, now: Timestamp);

    /// Shows the charge to another one behind the same lock.
    fn show(&self, lock: u8, to: &mut dyn FnMut(Shown<'_>));

    /// Whether an earlier charge behind the same lock is about the same; then it goes by the same quota.
    fn meets(&self, lock: u8, earlier: Shown<'_>) -> bool;

    /// Whether `before` and the charge's own permits could be taken. Nothing is. `second` is what the
    /// charge's last lock protects.
    fn look(
        &self,
        lock: u8,
        state: &mut State,
        second: Option<&mut State>,
        before: u64,
        decision: &mut Decision<'_>,
    ) -> bool;

    /// Keeps what is behind the lock as it is, for [`restore`](Self::restore).
    fn save(&self, lock: u8, state: &mut State);

    /// Puts back what was kept, if anything was.
    fn restore(&self, lock: u8, state: &mut State);

    /// Finds again what others may have moved.
    fn find_again(&self, lock: u8, state: &mut State);

    /// Whether nothing but numbers changes when the permits are taken, and no foreign code runs.
    fn is_simple(&self, lock: u8) -> bool;

    /// Takes the permits.
    fn take(
        &self,
        lock: u8,
        state: &mut State,
        second: Option<&mut State>,
        decision: &mut Decision<'_>,
    );

    /// Counts a refusal and says why, or says how things stand; for as many permits as were looked for.
    fn refuse(
        &self,
        lock: u8,
        state: &mut State,
        second: Option<&mut State>,
        decision: &mut Decision<'_>,
    );

    /// Runs what is left to do when no lock is held any more.
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
    look(lock: u8, state: &mut State, second: Option<&mut State>, before: u64, decision: &mut Decision<'_>) -> bool;
    save(lock: u8, state: &mut State);
    restore(lock: u8, state: &mut State);
    find_again(lock: u8, state: &mut State);
    is_simple(lock: u8) -> bool;
    take(lock: u8, state: &mut State, second: Option<&mut State>, decision: &mut Decision<'_>);
    refuse(lock: u8, state: &mut State, second: Option<&mut State>, decision: &mut Decision<'_>);
    finish();
}
