//! Several limits in one decision: all that are charged grant, or nothing is taken from any.
//!
//! A [`Charge`] is one limit's part in it: which limiter, which key, how many permits. The decision locks
//! what the charges are about in one order, the same for all threads; looks at all; then takes from all,
//! or from none. While it looks, nothing changes. So whoever else asks sees the limits as they were
//! before the decision or as they are after it, and a limit that would have granted stays as it was.
//!
//! Locks are held by the frames of a recursion ([`hold_from`]), so a panic frees them on its way.

use std::any::Any;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use crate::wait::queue::Wakers;
use crate::{Grant, Rejection, Timestamp, Usage};
use party::{Decision, Party, Place};

/// So many locks are sorted without an allocation.
const FEW: usize = 16;

/// How often a decision begins anew because a key's terms have changed, or its place has gone, between
/// the moment that it was looked up and the decision.
const TRIES: usize = 16;

/// Takes what all of `charges` ask for, or nothing from any of them; whether it was taken. What each limit
/// said is then in its [`answer`](Charge::answer).
///
/// * In one step: nobody ever sees a permit taken and given back. A decision that is refused leaves each
///   limit that would have granted exactly as it was, and of the others only what a refusal alone would
///   leave: its count, and a [tier](crate::keyed::Tier).
/// * Every limit that refuses is reported, each with its own wait. Their longest is the time to come
///   back.
/// * Two charges of one limit, or of one key of one limiter, count as their sum; of one key, the quota is
///   that of the first such charge.
/// * A keyed limiter's limit [for everybody](crate::keyed::KeyedBuilder::global) is charged with its keys.
/// * The clock is read once, that of the first charge. Limiters that are decided together should share a
///   clock; each takes an earlier time than it has seen as the latest that it has seen.
/// * No allocation for up to sixteen limits whose keys are known; a limit for everybody counts as one more.
/// * Without any charge, nothing is refused.
///
/// ```
/// use tollgate::{Answer, KeyedLimiter, Quota, TokenBucket, take_all};
///
/// let per_address = KeyedLimiter::<u32>::new(Quota::per_minute(60))?;
/// let per_user = KeyedLimiter::<String>::new(Quota::per_minute(10))?;
/// let gold = per_user.tier(Quota::per_minute(1_000))?;
/// let everybody = TokenBucket::new(Quota::per_second(5_000))?;
///
/// let address = 0x7f00_0001;
/// let mut by_address = per_address.charge(&address);
/// let mut by_user = per_user.charge("alice").cost(5).under(&gold);
/// let mut all = everybody.charge(1);
/// if take_all(&mut [&mut by_address, &mut by_user, &mut all]) {
///     assert!(matches!(by_user.answer(), Answer::Taken(grant) if grant.remaining == 995));
/// }
/// # Ok::<(), tollgate::QuotaError>(())
/// ```
#[must_use = "whether the permits were taken"]
pub fn take_all(charges: &mut [&mut dyn Charge]) -> bool {
    decide(charges)
}

/// As [`take_all`], for charges of one type: no list of references has to be made of them.
///
/// ```
/// use tollgate::{KeyedLimiter, Quota, take_each};
/// let per_user = KeyedLimiter::<String>::new(Quota::per_minute(10))?;
/// let mut both = [per_user.charge("alice"), per_user.charge("bob")];
/// assert!(take_each(&mut both));
/// # Ok::<(), tollgate::QuotaError>(())
/// ```
#[must_use = "whether the permits were taken"]
pub fn take_each<C: Charge>(charges: &mut [C]) -> bool {
    decide(charges)
}

/// One limit's part in a decision over several: see [`take_all`].
///
/// [`Keyed::charge`](crate::Keyed::charge) makes one for a key, [`Limiter::charge`](crate::Limiter::charge)
/// one for a limiter without keys. The same charge can be decided again, for another request of the same
/// key. Nobody else can implement this: what a decision does under several locks is not foreign code's.
pub trait Charge: Party {
    /// What the limit said in the last decision that this charge was part of.
    fn answer(&self) -> Answer;
}

impl<T: Charge + ?Sized> Charge for &mut T {
    fn answer(&self) -> Answer {
        (**self).answer()
    }
}

impl fmt::Debug for dyn Charge + '_ {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Charge").field(&self.answer()).finish()
    }
}

/// What one limit said in a decision over several.
///
/// ```
/// use tollgate::{Answer, KeyedLimiter, Quota, take_all};
/// let (few, many) = (Quota::per_hour(1), Quota::per_hour(9));
/// let (per_user, per_address) = (KeyedLimiter::<String>::new(few)?, KeyedLimiter::<u32>::new(many)?);
/// let mut by_user = per_user.charge("alice").cost(2);
/// let mut by_address = per_address.charge(&7);
/// assert!(!take_all(&mut [&mut by_user, &mut by_address]));
/// assert!(matches!(by_user.answer(), Answer::Refused(_)));
/// assert!(matches!(by_address.answer(), Answer::Untouched(usage) if usage.remaining == 9));
/// # Ok::<(), tollgate::QuotaError>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Answer {
    /// The charge was in no decision yet.
    #[default]
    Undecided,
    /// All limits granted, and the permits were taken.
    Taken(Grant),
    /// This limit refused.
    Refused(Rejection),
    /// This limit would have granted, but another one refused: this is how it stands. Nothing was taken.
    Untouched(Usage),
}

impl Answer {
    /// The grant, if the permits were taken.
    #[must_use]
    pub fn grant(&self) -> Option<Grant> {
        match self {
            Self::Taken(grant) => Some(*grant),
            _ => None,
        }
    }

    /// The refusal, if this limit refused.
    #[must_use]
    pub fn rejection(&self) -> Option<Rejection> {
        match self {
            Self::Refused(rejection) => Some(*rejection),
            _ => None,
        }
    }

    /// How many more permits could be had: after the grant, or by one who asks this limit alone. `None` if
    /// it is not known, because the charge is undecided or was refused for good.
    #[must_use]
    pub fn remaining(&self) -> Option<u64> {
        match self {
            Self::Taken(grant) => Some(grant.remaining),
            Self::Untouched(usage) => Some(usage.remaining),
            Self::Refused(Rejection::Denied { available, .. }) => Some(*available),
            Self::Refused(_) | Self::Undecided => None,
        }
    }
}

/// What a decision asks of a charge. It is public only in name, so that nobody else can implement
/// [`Charge`].
pub(crate) mod party {
    use super::{Any, Rejection, Timestamp, Wakers};

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
}

/// One lock of one charge.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
struct Unit {
    place: Place,
    charge: u32,
    lock: u8,
}

/// What is locked so far.
trait Held {
    /// What the lock of the unit at `first` protects.
    fn get(&mut self, first: usize) -> Option<&mut party::State>;

    /// The same for two locks.
    fn pair(
        &mut self,
        one: usize,
        other: usize,
    ) -> (Option<&mut party::State>, Option<&mut party::State>);
}

struct Nothing;

impl Held for Nothing {
    fn get(&mut self, _: usize) -> Option<&mut party::State> {
        None
    }

    fn pair(
        &mut self,
        _: usize,
        _: usize,
    ) -> (Option<&mut party::State>, Option<&mut party::State>) {
        (None, None)
    }
}

/// A lock more than `before`.
struct Link<'a> {
    first: usize,
    state: &'a mut party::State,
    before: &'a mut dyn Held,
}

impl Held for Link<'_> {
    fn get(&mut self, first: usize) -> Option<&mut party::State> {
        if first == self.first { Some(self.state) } else { self.before.get(first) }
    }

    fn pair(
        &mut self,
        one: usize,
        other: usize,
    ) -> (Option<&mut party::State>, Option<&mut party::State>) {
        if self.first == one {
            (Some(self.state), self.before.get(other))
        } else if self.first == other {
            (self.before.get(one), Some(self.state))
        } else {
            self.before.pair(one, other)
        }
    }
}

/// The decision.
fn decide<C: Party>(charges: &[C]) -> bool {
    let Some(first) = charges.first() else { return true };
    let now = first.now();
    decide_quickly(charges, now) || decide_slowly(charges, now)
}

/// The most charges that are decided in the quick way.
const QUICK: usize = 8;

/// The common case: each charge has a lock of its own, is known, and is there. `false` changes nothing.
///
/// Each takes its permits when all others have been found to be there, and frees its lock. By then no
/// lock is still to be taken, so nobody can see one limit before the decision and another one after it.
#[inline]
fn decide_quickly<C: Party>(charges: &[C], now: Timestamp) -> bool {
    if charges.len() > QUICK {
        return false;
    }
    let mut order = [(0, 0); QUICK];
    for (number, charge) in charges.iter().enumerate() {
        let place = charge.quick(now);
        let mut free = number;
        while free > 0 && order[free - 1].0 > place {
            order[free] = order[free - 1];
            free -= 1;
        }
        if place == 0 || (free > 0 && order[free - 1].0 == place) {
            return false;
        }
        order[free] = (place, number);
    }
    quickly_from(charges, &order[..charges.len()], now)
}

fn quickly_from<C: Party>(charges: &[C], order: &[(u64, usize)], now: Timestamp) -> bool {
    let Some(((_, number), rest)) = order.split_first() else { return true };
    charges[*number].decide_quickly(now, &mut || quickly_from(charges, rest, now))
}

/// Any case.
#[cold]
fn decide_slowly<C: Party>(charges: &[C], now: Timestamp) -> bool {
    // Dropped, and so woken, when nothing is locked any more.
    let mut wakers = Wakers::default();
    let mut refused_early = false;
    for charge in charges {
        refused_early |= charge.begin(now);
    }
    let mut taken = false;
    for tries in (0..TRIES).rev() {
        let decision = Decision { now, last_try: tries == 0, wakers: &mut wakers };
        match decide_once(charges, refused_early, decision) {
            Some(all) => {
                taken = all;
                break;
            }
            None => charges.iter().for_each(|charge| charge.resolve(now)),
        }
    }
    drop(wakers);
    charges.iter().for_each(Party::finish);
    taken
}

/// Locks all, and decides unless something has to be found out first.
fn decide_once<C: Party>(
    charges: &[C],
    refused_early: bool,
    mut decision: Decision<'_>,
) -> Option<bool> {
    let mut few = [Unit::default(); FEW];
    let mut many = Vec::new();
    let units = sorted(charges, &mut few, &mut many);
    let mut taken = None;
    hold_from(charges, units, 0, &mut Nothing, &mut |held| {
        taken = judge(charges, units, held, refused_early, &mut decision);
    });
    taken
}

/// The locks of all charges, in the order of all locks.
fn sorted<'a, C: Party>(
    charges: &[C],
    few: &'a mut [Unit; FEW],
    many: &'a mut Vec<Unit>,
) -> &'a [Unit] {
    let mut count = 0;
    for (charge, number) in charges.iter().zip(0..) {
        for lock in 0..party::LOCKS {
            let Some(place) = charge.place(lock) else { continue };
            let unit = Unit { place, charge: number, lock };
            match few.get_mut(count) {
                Some(free) => *free = unit,
                None if many.is_empty() => {
                    many.extend_from_slice(few);
                    many.push(unit);
                }
                None => many.push(unit),
            }
            count += 1;
        }
    }
    let units = if many.is_empty() { &mut few[..count] } else { &mut many[..] };
    units.sort_unstable();
    units
}

/// Locks what is left from the unit at `first` on, each lock once, and runs `then`.
fn hold_from<C: Party>(
    charges: &[C],
    units: &[Unit],
    first: usize,
    before: &mut dyn Held,
    then: &mut dyn FnMut(&mut dyn Held),
) {
    let Some(unit) = units.get(first) else { return then(before) };
    let next = first + shared_by(&units[first..]);
    of(charges, *unit).hold(unit.lock, &mut |state| {
        let mut link = Link { first, state, before: &mut *before };
        hold_from(charges, units, next, &mut link, then);
    });
}

/// How many units from the first on share its lock.
fn shared_by(units: &[Unit]) -> usize {
    units.iter().take_while(|unit| unit.place == units[0].place).count()
}

fn of<C>(charges: &[C], unit: Unit) -> &C {
    &charges[unit.charge as usize]
}

/// With all locks held: looks at all, then takes all or none. `None` if something has to be found out
/// first.
fn judge<C: Party>(
    charges: &[C],
    units: &[Unit],
    held: &mut dyn Held,
    refused_early: bool,
    decision: &mut Decision<'_>,
) -> Option<bool> {
    let mut found = true;
    each(units, |_, first, unit| {
        if let Some(state) = held.get(first) {
            found &= of(charges, unit).find(unit.lock, state, decision);
        }
    });
    if !found && !decision.last_try {
        // Of charges of one key, the first finds out for all.
        each(units, |at, first, _| {
            before(charges, units, first, at);
        });
        if !charges.iter().all(Party::is_found) {
            return None;
        }
    }
    let mut refused = refused_early;
    each(units, |at, first, unit| {
        let before = before(charges, units, first, at);
        let (state, second) = states(units, held, first, unit);
        let Some(state) = state else { return };
        refused |= !of(charges, unit).look(unit.lock, state, second, before, decision);
    });
    if refused {
        each(units, |_, first, unit| {
            let (state, second) = states(units, held, first, unit);
            let Some(state) = state else { return };
            of(charges, unit).refuse(unit.lock, state, second, decision);
        });
        return Some(false);
    }
    take(charges, units, held, decision);
    Some(true)
}

/// Takes all. First what runs more than arithmetic: should foreign code panic there, what was taken is given
/// back as if it had not been, and nothing has been taken of the rest.
fn take<C: Party>(charges: &[C], units: &[Unit], held: &mut dyn Held, decision: &mut Decision<'_>) {
    let is_simple = |unit: Unit| of(charges, unit).is_simple(unit.lock);
    if !units.iter().all(|unit| is_simple(*unit)) {
        let taken = catch_unwind(AssertUnwindSafe(|| {
            each(units, |_, first, unit| {
                let (state, second) = states(units, held, first, unit);
                let Some(state) = state.filter(|_| !is_simple(unit)) else { return };
                of(charges, unit).save(unit.lock, state);
                of(charges, unit).take(unit.lock, state, second, decision);
            });
            each(units, |_, first, unit| {
                let Some(state) = held.get(first).filter(|_| is_simple(unit)) else { return };
                of(charges, unit).find_again(unit.lock, state);
            });
        }));
        if let Err(panic) = taken {
            each(units, |_, first, unit| {
                let Some(state) = held.get(first) else { return };
                of(charges, unit).restore(unit.lock, state);
            });
            resume_unwind(panic);
        }
    }
    each(units, |_, first, unit| {
        let (state, second) = states(units, held, first, unit);
        let Some(state) = state.filter(|_| is_simple(unit)) else { return };
        of(charges, unit).take(unit.lock, state, second, decision);
    });
}

/// Runs `act` on each unit, with its index and that of the first one that shares its lock.
fn each(units: &[Unit], mut act: impl FnMut(usize, usize, Unit)) {
    let mut first = 0;
    for (at, unit) in units.iter().enumerate() {
        if unit.place != units[first].place {
            first = at;
        }
        act(at, first, *unit);
    }
}

/// What a unit's lock protects, and what its charge's last lock does if that is another one.
fn states<'a>(
    units: &[Unit],
    held: &'a mut dyn Held,
    first: usize,
    unit: Unit,
) -> (Option<&'a mut party::State>, Option<&'a mut party::State>) {
    let last = Unit { lock: party::LOCKS - 1, ..unit };
    if unit.lock == last.lock {
        return (held.get(first), None);
    }
    let same = |other: &&Unit| (other.charge, other.lock) == (last.charge, last.lock);
    let Some(last) = units.iter().find(same) else { return (held.get(first), None) };
    match units.iter().position(|other| other.place == last.place) {
        Some(second) => held.pair(first, second),
        None => (held.get(first), None),
    }
}

/// The permits that earlier charges ask for of the same key or limiter.
fn before<C: Party>(charges: &[C], units: &[Unit], first: usize, at: usize) -> u64 {
    let (charge, lock) = (of(charges, units[at]), units[at].lock);
    let mut permits = 0_u64;
    for earlier in &units[first..at] {
        let other = of(charges, *earlier);
        other.show(earlier.lock, &mut |shown| {
            if charge.meets(lock, shown) {
                permits = permits.saturating_add(shown.permits);
            }
        });
    }
    permits
}
